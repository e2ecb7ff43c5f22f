//! The code of an account on a chain, behind whatever proxies stand before it.
//!
//! In: a node and an address. Out: the code that runs, and the accounts that lead to it, each with what leads there. What
//! an account forwards to is read off its code: the target of the call that hands on all calldata, computed from the words
//! that it is made of, which the node is asked for. Standards only give the names.

use std::fmt;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use deconflict_analyzer::{
    Analysis, Call, CallKind, Entry, Environment, ExprId, Node as Word, Options, Site, Sources, Space,
    analyze, evaluate, standards::BEACON_SLOT,
};
use serde_json::json;

use super::{FetchError, Node, forms, read, standard::Standard};

/// How many proxies may stand before a code.
const MAX_STEPS: usize = 8;

/// The code of an account, or of what it forwards to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCode {
    /// The account that was asked for, then the ones that each forwards to; the last has the code.
    pub path: Vec<Address>,
    /// What led from each of them to the next.
    pub hops: Vec<Hop>,
    /// Why the last one is not followed although it hands calls on.
    pub unfollowed: Option<Unfollowed>,
    /// The code that runs in the end.
    pub code: Bytes,
}

/// One step from a proxy to what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The proxy.
    pub from: Address,
    /// What it forwards to.
    pub to: Address,
    /// How the proxy knows that.
    pub standard: Standard,
}

/// Why a proxy is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfollowed {
    /// Where a call goes depends on its selector.
    Diamond,
    /// Where a call goes is not known from code and state.
    Unknown,
    /// What it forwards to has no code.
    NoCode(Address),
}

impl fmt::Display for Unfollowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Diamond => f.write_str(
                "hands each selector to an account of its own, as diamonds (ERC-2535) do, which are not followed: give the \
                 address of a facet to see what it does",
            ),
            Self::Unknown => f.write_str(
                "hands calls on to an account that its code and state do not tell: give the address of that account to see \
                 what it does",
            ),
            Self::NoCode(target) => write!(f, "forwards to {target}, which has no code"),
        }
    }
}

/// The code of an account at the head of the chain, proxies followed.
pub fn code_of(node: &dyn Node, address: Address) -> Result<ChainCode, FetchError> {
    let (mut path, mut hops) = (vec![address], Vec::new());
    let mut code = code(node, address)?;
    let mut unfollowed = None;
    while path.len() <= MAX_STEPS {
        let Some(at) = path.last().copied() else { break };
        let (to, standard) = match forwards_to(node, at, &code)? {
            Forwards::To(to, standard) => (to, standard),
            Forwards::Nowhere => break,
            Forwards::Somewhere(reason) => {
                unfollowed = Some(reason);
                break;
            }
        };
        if path.contains(&to) {
            break;
        }
        let behind = self::code(node, to)?;
        if behind.is_empty() {
            unfollowed = Some(Unfollowed::NoCode(to));
            break;
        }
        hops.push(Hop { from: at, to, standard });
        path.push(to);
        code = behind;
    }
    Ok(ChainCode { path, hops, unfollowed, code })
}

fn code(node: &dyn Node, address: Address) -> Result<Bytes, FetchError> {
    read(node, "eth_getCode", json!([address, "latest"]), forms::bytes)
}

fn stored(node: &dyn Node, address: Address, slot: U256) -> Result<U256, FetchError> {
    let slot = B256::from(slot);
    read(node, "eth_getStorageAt", json!([address, slot, "latest"]), forms::word)
}

/// What an account does with calls that none of its functions takes.
enum Forwards {
    Nowhere,
    To(Address, Standard),
    Somewhere(Unfollowed),
}

fn forwards_to(node: &dyn Node, address: Address, code: &Bytes) -> Result<Forwards, FetchError> {
    if let Some(target) = code.strip_prefix(&hex!("ef0100")).filter(|it| it.len() == 20) {
        return Ok(Forwards::To(Address::from_slice(target), Standard::Delegation));
    }
    if !code.contains(&0xf4) {
        return Ok(Forwards::Nowhere);
    }
    let analysis = analyze(code.clone(), &Options::default());
    let mut reading =
        Reading { node, address, analysis: &analysis, slots: Vec::new(), beacon: None, error: None };
    let mut somewhere = None;
    for call in handed_on(&analysis) {
        (reading.slots, reading.beacon) = (Vec::new(), None);
        let target = reading.word(call.target, 0);
        if let Some(error) = reading.error.take() {
            return Err(error);
        }
        let Some(target) = target else {
            let sources = analysis.expressions.sources(call.target);
            let by_selector = sources.intersects(Sources::CALLDATA) && sources.intersects(Sources::STORAGE);
            somewhere = Some(if by_selector { Unfollowed::Diamond } else { Unfollowed::Unknown });
            continue;
        };
        let target = Address::from_word(B256::from(target));
        if !target.is_zero() {
            let standard = Standard::of(code, &reading.slots, reading.beacon);
            return Ok(Forwards::To(target, standard));
        }
    }
    // Code that the analysis does not see through may still keep its target where a standard says.
    if somewhere != Some(Unfollowed::Diamond)
        && let Some((target, standard)) = by_standard(node, address, code)?
    {
        return Ok(Forwards::To(target, standard));
    }
    Ok(somewhere.map_or(Forwards::Nowhere, Forwards::Somewhere))
}

/// What stands in the slots that standards fix.
fn by_standard(
    node: &dyn Node,
    address: Address,
    code: &[u8],
) -> Result<Option<(Address, Standard)>, FetchError> {
    let address_in = |slot| {
        let word = stored(node, address, slot)?;
        let is_address = !word.is_zero() && word.bit_len() <= 160;
        Ok::<_, FetchError>(is_address.then(|| Address::from_word(B256::from(word))))
    };
    for slot in Standard::SLOTS {
        if let Some(target) = address_in(slot)? {
            return Ok(Some((target, Standard::of(code, &[slot], None))));
        }
    }
    let Some(beacon) = address_in(BEACON_SLOT)? else { return Ok(None) };
    // `implementation()`.
    let call = json!([{ "to": beacon, "data": "0x5c60da1b" }, "latest"]);
    let answer = read(node, "eth_call", call, forms::bytes)?;
    let target = answer.first_chunk::<32>().map(|word| Address::from_word(B256::from(*word)));
    Ok(target.filter(|it| !it.is_zero()).map(|target| (target, Standard::Beacon(beacon))))
}

/// The calls by which a contract hands on what it is asked, and which is none of its own functions' business.
fn handed_on(analysis: &Analysis) -> impl Iterator<Item = &Call> {
    let fallback = analysis.summaries.iter().filter(|it| it.entry == Entry::Fallback);
    fallback.flat_map(|it| &it.calls).filter(|call| {
        matches!(call.kind, CallKind::DelegateCall | CallKind::CallCode)
            && call.selector.is_none()
            && call.asked_by.intersects(Sources::CALLDATA)
    })
}

/// Computes words of one account's code from the state.
struct Reading<'a> {
    node: &'a dyn Node,
    address: Address,
    analysis: &'a Analysis,
    /// The slots that were read.
    slots: Vec<U256>,
    /// The account that was asked for the target.
    beacon: Option<Address>,
    /// What went wrong with the node.
    error: Option<FetchError>,
}

impl Reading<'_> {
    fn word(&mut self, id: ExprId, depth: usize) -> Option<U256> {
        let expressions = &self.analysis.expressions;
        evaluate(expressions, id, &mut |leaf| self.leaf(leaf, depth))
    }

    fn leaf(&mut self, id: ExprId, depth: usize) -> Option<U256> {
        /// How many calls may stand behind each other.
        const MAX_CALLS: usize = 3;
        if depth > MAX_CALLS || self.error.is_some() {
            return None;
        }
        match self.analysis.expressions.node(id) {
            Word::Environment(Environment::Address) => Some(self.address.into_word().into()),
            Word::Load { space: Space::Storage, slot, .. } => {
                let slot = self.word(slot, depth + 1)?;
                self.slots.push(slot);
                let word = stored(self.node, self.address, slot);
                self.kept(word)
            }
            Word::ReturnWord { site, offset } => {
                let offset = usize::try_from(self.word(offset, depth + 1)?).ok()?;
                let answer = self.answer(site, depth)?;
                let word = answer.get(offset..)?.first_chunk::<32>()?;
                Some(U256::from_be_bytes(*word))
            }
            // Whoever goes on with an answer has checked that there is one, and who gave it.
            Word::CallSuccess(_) | Word::CodeSize(_) => Some(U256::from(1)),
            Word::ReturnSize(site) => self.answer(site, depth).map(|answer| U256::from(answer.len())),
            _ => None,
        }
    }

    /// What the call at a place in the code returns: a beacon is asked who the implementation is.
    fn answer(&mut self, site: Site, depth: usize) -> Option<Bytes> {
        let pc = self.analysis.expressions.site_pc(site);
        let calls = self.analysis.summaries.iter().flat_map(|it| &it.calls);
        let call = calls.into_iter().find(|call| call.position.pc == pc)?.clone();
        if !matches!(call.kind, CallKind::StaticCall | CallKind::Call) {
            return None;
        }
        let target = Address::from_word(B256::from(self.word(call.target, depth + 1)?));
        let mut data = call.selector.map(|it| it.to_vec()).unwrap_or_default();
        for argument in &call.arguments {
            data.extend(self.word(*argument, depth + 1)?.to_be_bytes::<32>());
        }
        self.beacon = Some(target);
        let request = json!([{ "from": self.address, "to": target, "data": Bytes::from(data) }, "latest"]);
        let answer = read(self.node, "eth_call", request, forms::bytes);
        self.kept(answer)
    }

    fn kept<T>(&mut self, result: Result<T, FetchError>) -> Option<T> {
        result.map_err(|error| self.error = Some(error)).ok()
    }
}
