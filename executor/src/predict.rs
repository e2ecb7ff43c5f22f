//! What a transaction will touch, from the slices of the codes it runs.
//!
//! In: a transaction, its block, and a read-only view of the state. Out: an [`AccessSet`]. The transaction is never
//! executed and no bytecode is interpreted: codes are compiled once to slices (see [`deconflict_analyzer::Slice`]),
//! which then run on concrete words, across calls. What a prediction cannot know it says; it must never leave out an
//! access and call itself complete.

mod taint;
mod node;
mod words;
mod codes;
mod touched_state;
mod environment;
mod region;
mod keccak;
mod memo;
mod recipe;
mod ledger;
mod gas;
mod frame;
mod machine;
mod gauge;
mod price;
mod precompile;
mod call;
mod interpret;
mod create;
mod answer;

use std::cell::RefCell;
use std::sync::Arc;

use alloy_primitives::{Address, TxKind, U256, keccak256, uint};
use deconflict_analyzer::{FrameWord, Slice, Variant};
use revm::{
    DatabaseRef,
    context::{BlockEnv, TxEnv},
    context_interface::{Transaction, either::Either, transaction::SignedAuthorization},
    precompile::{PrecompileSpecId, Precompiles},
    primitives::{eip7825, hardfork::SpecId},
};

use self::answer::Answer;
use self::call::blank;
use self::codes::{CodeCache, Runnable};
use self::create::Creation;
use self::frame::Frame;
use self::gas::intrinsic_gas;
use self::machine::{Path, PredictionMachine, Workspace};
pub(crate) use self::memo::{Remembered, Returned};
use self::node::{NodeId, RecipeNode};
use self::recipe::{Recipes, Root, Subject, Trail};
use self::taint::Taint;
use self::touched_state::{AccountCode, AccountId, TouchedState, Word};
use crate::access_set::{AccessSet, AccountAccess, Shortfall, ShortfallReason};
use crate::cache::SliceCache;
use crate::environment::EnvironmentWord;

/// The most gas that the instructions of one path may cost, however much the transaction has: a bound on time.
const MAX_GAS: u64 = 100_000_000;

/// How often a prediction is started again with more known: each code that computes its jump targets costs one.
const MAX_RESTARTS: usize = 16;

/// Predicts transactions, with everything about codes kept from one to the next. Shared by threads.
#[derive(Debug, Default)]
pub struct Predictor {
    codes: CodeCache,
    recipes: Recipes,
    follows_codes: bool,
}

/// The block that a transaction is predicted in.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext<'a> {
    /// The words that instructions can ask of the block.
    pub env: &'a BlockEnv,
    /// The rules of its fork.
    pub spec: SpecId,
    /// The chain it belongs to.
    pub chain_id: u64,
}

/// When a prediction is given up.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Asked every now and then: whether it is to be given up now.
    pub stop: &'a dyn Fn() -> bool,
    /// Whether codes may be analysed that no earlier prediction has come across.
    pub analyses: bool,
}

impl Limits<'_> {
    /// No limits but those of work, which every prediction has.
    pub(crate) const NONE: Self = Self { stop: &|| false, analyses: true };
}

impl std::fmt::Debug for Limits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("analyses", &self.analyses).finish_non_exhaustive()
    }
}

/// What one thread keeps between predictions: room, hashes, and codes at hand.
#[derive(Default)]
pub struct Scratch {
    workspace: Workspace,
}

impl Scratch {
    /// How many predictions a recipe has answered without any code being followed.
    pub fn answered(&self) -> u64 {
        self.workspace.answered
    }

    /// How many predictions have followed code.
    pub fn followed(&self) -> u64 {
        self.workspace.followed
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Predictor {
    /// A predictor that knows no code yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A predictor that knows the codes in a cache, and adds those that it comes across.
    pub fn with_cache(cache: SliceCache) -> Self {
        Self { codes: CodeCache::over(cache), ..Self::default() }
    }

    /// The same predictor without recipes: it follows the codes of every transaction anew, and learns nothing from one
    /// for the next.
    #[must_use]
    pub fn without_recipes(mut self) -> Self {
        self.follows_codes = true;
        self
    }

    /// The cache, if there is one.
    pub fn cache(&self) -> Option<&SliceCache> {
        self.codes.disk.as_ref()
    }

    /// What a transaction touches if it runs on `state`, with scratch space of the thread's own.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use deconflict_executor::{BlockContext, BlockReader, BlockState, Predictor};
    ///
    /// let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/blocks/2-tokens.json");
    /// let block = BlockReader::default().read(Path::new(file))?;
    /// let (predictor, state, env) = (Predictor::new(), BlockState::new(&block), block.env());
    /// let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
    /// let set = predictor.predict(&block.transactions[0].env, context, &state);
    /// assert!(set.incomplete.is_empty());
    /// assert!(!set.writes.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn predict<D: DatabaseRef>(&self, tx: &TxEnv, block: BlockContext<'_>, state: &D) -> AccessSet {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => self.predict_with(&mut scratch, tx, block, state),
            // The state's own code predicts in turn.
            Err(_) => self.predict_with(&mut Scratch::default(), tx, block, state),
        })
    }

    /// What a transaction touches if it runs on `state`.
    pub fn predict_with<D: DatabaseRef>(
        &self,
        scratch: &mut Scratch,
        tx: &TxEnv,
        block: BlockContext<'_>,
        state: &D,
    ) -> AccessSet {
        let set = self.predict_within(scratch, tx, block, state, Limits::NONE);
        set.expect("nothing says that it is to be given up")
    }

    /// The same within limits. None where they have ended it: then nothing is known, and nothing has been learnt but what
    /// codes have come to. The analysis of a code is not broken off: it is there for the next transaction.
    pub fn predict_within<D: DatabaseRef>(
        &self,
        scratch: &mut Scratch,
        tx: &TxEnv,
        block: BlockContext<'_>,
        state: &D,
        limits: Limits<'_>,
    ) -> Option<AccessSet> {
        self.predict_between(scratch, tx, block, state, (limits, &|| false))
    }

    /// The same until `stop` says that it is enough, whatever it is at, the analysis of a code included.
    pub fn predict_until<D: DatabaseRef>(
        &self,
        scratch: &mut Scratch,
        tx: &TxEnv,
        block: BlockContext<'_>,
        state: &D,
        stop: &dyn Fn() -> bool,
    ) -> Option<AccessSet> {
        if stop() {
            return None;
        }
        self.predict_between(scratch, tx, block, state, (Limits { stop, analyses: true }, stop))
    }

    fn predict_between<D: DatabaseRef>(
        &self,
        scratch: &mut Scratch,
        tx: &TxEnv,
        block: BlockContext<'_>,
        state: &D,
        (limits, ends): (Limits<'_>, &dyn Fn() -> bool),
    ) -> Option<AccessSet> {
        let mut asked = match self.answer(&mut scratch.workspace, tx, block, state) {
            Answer::Set(set) => return Some(set),
            Answer::Missing => true,
            Answer::NotAsked => false,
        };
        let mut eager = false;
        for _ in 0..MAX_RESTARTS {
            let how = (eager, asked);
            let (set, again) = self.attempt(&mut scratch.workspace, tx, block, state, how, (limits, ends));
            asked = true;
            match again {
                None => return Some(set),
                Some(Again::Never) => return None,
                Some(Again::Widen(_)) if !limits.analyses => return None,
                Some(Again::Signers) => eager = true,
                Some(Again::Widen(slice)) => {
                    if !self.codes.widen(&mut scratch.workspace.at_hand, &slice, ends) {
                        return None;
                    }
                }
            }
        }
        let how = (true, true);
        let (mut set, again) = self.attempt(&mut scratch.workspace, tx, block, state, how, (limits, ends));
        if matches!(again, Some(Again::Never)) {
            return None;
        }
        set.incomplete.push(Shortfall {
            reason: ShortfallReason::UnknownJump,
            code_hash: alloy_primitives::B256::ZERO,
            selector: alloy_primitives::Selector::ZERO,
            pc: 0,
        });
        Some(set)
    }

    fn attempt<D: DatabaseRef>(
        &self,
        workspace: &mut Workspace,
        tx: &TxEnv,
        block: BlockContext<'_>,
        state: &D,
        (eager, asked): (bool, bool),
        (limits, ends): (Limits<'_>, &dyn Fn() -> bool),
    ) -> (AccessSet, Option<Again>) {
        let spec = block.spec;
        let rules = PrecompileSpecId::from_spec_id(spec);
        let Workspace { ledger, at_hand, spare, touched, recipes, replay, draft, answered, followed } =
            workspace;
        ledger.clear();
        let mut machine = PredictionMachine {
            codes: &self.codes,
            at_hand,
            spare,
            ledger,
            tx,
            block: block.env,
            spec,
            chain_id: block.chain_id,
            state,
            precompiles: Precompiles::new(rules),
            rules,
            eager,
            pending: Vec::new(),
            paths: 1,
            intrinsic: intrinsic_gas(tx, spec),
            schedule: gas::schedule(spec),
            trails: Vec::new(),
            numbers: 1,
            noted_shortfalls: 0,
            widen: None,
            limits,
            ends,
            ticks: 0,
            stopped: false,
        };
        let mut first = std::mem::take(touched);
        first.clear();
        let mut set = AccessSet::default();
        let begun = machine.begin(&mut first, tx);
        let mut recorded = None;
        let mut followed_template = None;
        let mut ways = 0;
        let frame = match begun {
            Begun::Nothing => None,
            Begun::Frame(frame) => Some((frame, None)),
            Begun::Code { slice, to, account, delegated } => {
                let root =
                    Root { code_hash: slice.hash, selector: tx.data.first_chunk().copied(), spec, delegated };
                let recipe = self.recipes.get(recipes, root);
                let subject = Subject::new(tx, block, state, to, machine.intrinsic);
                let may_learn = tx.authorization_list.is_empty() && !self.follows_codes;
                let known = if may_learn && !asked { recipes.get_mut(&root) } else { None };
                let gas = known.and_then(|known| {
                    known.answer(&self.recipes, replay, &subject, &mut machine.ledger.results, &mut set)
                });
                if let Some(gas) = gas {
                    *answered += 1;
                    machine.ledger.gas = gas;
                    None
                } else {
                    *followed += 1;
                    let frame = machine.call_frame(&first, slice, (to, account));
                    machine.eager |= may_learn && recipe.wants_signers();
                    followed_template = Some(Arc::clone(&recipe));
                    if may_learn && recipe.wants_more() {
                        // What is written down holds for whatever signers there are.
                        machine.eager = true;
                        recorded = Some((root, recipe, subject));
                        Some((frame, Some(Trail::new())))
                    } else {
                        Some((frame, None))
                    }
                }
            }
        };
        match frame {
            None => collect(&mut set, &first),
            Some((frame, trail)) => (first, ways) = follow_ways(&mut machine, first, frame, trail, &mut set),
        }
        let eager = machine.eager;
        if let Some((root, recipe, subject)) = recorded
            && machine.widen.is_none()
            && !machine.stopped
            && !machine.ledger.shortfalls.iter().any(|shortfall| shortfall.reason.is_of_the_view())
        {
            self.recipes.learn(root, &recipe, std::mem::take(&mut machine.trails));
            // A way that depends on more than what was written down would be written down again and again.
            let known = recipes.get_mut(&root);
            draft.clear();
            let answer = known.and_then(|known| {
                known.answer(&self.recipes, replay, &subject, &mut machine.ledger.results, draft)
            });
            if answer.is_none() {
                recipe.learnt_in_vain();
            }
        }
        let (intrinsic, stopped) = (machine.intrinsic, machine.stopped);
        let widen = machine.widen.take();
        if machine.spare.len() > 64 {
            machine.spare.truncate(64);
        }
        *touched = first;
        if stopped {
            return (set, Some(Again::Never));
        }
        if let Some(slice) = widen {
            // What was found out about the rest is lost, the code is not.
            return (set, Some(Again::Widen(slice)));
        }
        if workspace.ledger.wants_signers && !eager {
            if let Some(recipe) = followed_template {
                recipe.note_signers();
            }
            return (set, Some(Again::Signers));
        }
        workspace.ledger.hand_over(&mut set);
        set.gas = (workspace.ledger.gas + intrinsic).min(tx.gas_limit);
        settle(&mut set, ways);
        (set, None)
    }
}

/// Follows all ways that a transaction may go, beginning with this frame, and adds what they touch. Returns what the first
/// of them touched, and how many there were.
fn follow_ways<D: DatabaseRef>(
    machine: &mut PredictionMachine<'_, D>,
    touched: TouchedState,
    mut frame: Box<Frame>,
    trail: Option<Trail>,
    set: &mut AccessSet,
) -> (TouchedState, usize) {
    let gas_left = machine.tx.gas_limit.min(MAX_GAS).saturating_sub(21_000);
    let trail = trail.map(|mut trail| {
        frame.call_data.set_call_data(&machine.tx.data);
        frame.address_node = trail.node(RecipeNode::To);
        frame.caller_node = trail.node(RecipeNode::Frame(FrameWord::Origin));
        frame.value.node = trail.node(RecipeNode::Value);
        trail.transfer(frame.caller_node, frame.address_node, &frame.value);
        frame.trail_checkpoint = trail.checkpoint();
        Box::new(trail)
    });
    let gas_sources = machine.gas_sources();
    let mut path =
        Path { touched, frame, waiting: Vec::new(), gas_left, may_have_more: false, gas_sources, trail };
    machine.follow(&mut path);
    machine.put_down(&mut path, gas_left);
    collect(set, &path.touched);
    let mut ways = 1;
    while let Some(mut other) = machine.pending.pop() {
        let is_given_up = machine.stopped || machine.widen.is_some();
        if is_given_up || (machine.ledger.wants_signers && !machine.eager) {
            break;
        }
        machine.follow(&mut other);
        machine.put_down(&mut other, gas_left);
        collect(set, &other.touched);
        ways += 1;
    }
    machine.spare.push(path.frame);
    machine.spare.append(&mut path.waiting);
    (path.touched, ways)
}

/// Sorts the lists of a set, which so many ways have added to, and leaves each element once.
fn settle(set: &mut AccessSet, ways: usize) {
    for list in [&mut set.reads, &mut set.writes, &mut set.deltas] {
        list.sort_unstable_by(order);
    }
    if ways > 1 {
        // Each way names a slot once.
        let on_all = |list: &[(Address, U256)]| {
            let runs = list.chunk_by(|one, other| one == other).filter(|run| run.len() == ways);
            runs.map(|run| run[0]).collect::<Vec<_>>()
        };
        let certain = [on_all(&set.reads), on_all(&set.writes)];
        let is_certain = |slot: &(Address, U256)| {
            certain.iter().any(|list| list.binary_search_by(|known| order(known, slot)).is_ok())
        };
        set.possible =
            set.reads.iter().chain(&set.writes).filter(|slot| !is_certain(slot)).copied().collect();
        set.possible.sort_unstable_by(order);
        set.possible.dedup();
    }
    for list in [&mut set.reads, &mut set.writes, &mut set.deltas] {
        list.dedup();
    }
    set.accounts.sort_unstable();
    set.accounts.dedup();
    set.depends_on.sort_unstable();
    set.depends_on.dedup();
    set.depends_on_environment.sort_unstable();
    set.depends_on_environment.dedup();
    set.incomplete.sort_unstable();
}

/// What a transaction does first.
enum Begun {
    /// It runs no code.
    Nothing,
    /// It runs the code of a new account.
    Frame(Box<Frame>),
    /// It runs this code, of this account.
    Code { slice: Arc<Slice>, to: Address, account: AccountId, delegated: bool },
}

/// Why a prediction is started again, or that it is not.
enum Again {
    /// A signer that was not recovered decides something.
    Signers,
    /// A code jumps where no trace starts yet.
    Widen(Arc<Slice>),
    /// It is not: the prediction was given up.
    Never,
}

/// The order of slots. It is that of the tuples, without a call for each pair of addresses.
fn order(one: &(Address, U256), other: &(Address, U256)) -> std::cmp::Ordering {
    let parts = |address: &Address| {
        let high = address.0.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
        let low = address.0.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        (high, low)
    };
    parts(&one.0).cmp(&parts(&other.0)).then_with(|| one.1.cmp(&other.1))
}

/// Adds what one way of a transaction touched.
fn collect(set: &mut AccessSet, touched: &TouchedState) {
    for (address, key, touch) in touched.touched() {
        if touch.read {
            set.reads.push((address, key));
        }
        if touch.written {
            set.writes.push((address, key));
            if !touch.beyond_delta {
                set.deltas.push((address, key));
            }
        }
    }
}

impl<D: DatabaseRef> PredictionMachine<'_, D> {
    /// What happens before the first instruction.
    fn begin(&mut self, touched: &mut TouchedState, tx: &TxEnv) -> Begun {
        let sender = touched.account(tx.caller);
        self.ledger.accounts.push(AccountAccess::NonceWrite(tx.caller));
        self.ledger.accounts.push(AccountAccess::BalanceDebit(tx.caller));
        let of_fee = environment::fee_sources(tx).map(Taint::environment).fold(Taint::CLEAN, Taint::union);
        touched.adjust_balance(sender, fee(tx, self.block).wrapping_neg(), of_fee);
        self.warm_up(touched, tx, sender);
        let value = Word::clean(tx.value);
        match tx.kind {
            TxKind::Call(to) => {
                touched.increment_nonce(sender);
                self.authorize(touched, tx);
                let account = touched.account(to);
                touched.warm(account, false);
                if !tx.value.is_zero() {
                    self.transfer(touched, sender, account, value);
                }
                let address_is_low = to.0[..18] == [0; 18];
                if address_is_low && self.precompiles.contains(&to) {
                    return Begun::Nothing;
                }
                self.ledger.accounts.push(AccountAccess::CodeRead(to));
                let before = self.ledger.accounts.len();
                let code = self.runnable(touched, None, (account, NodeId::CONSTANT), Variant::Lean);
                let delegated = self.ledger.accounts.len() > before;
                let Some((code, _)) = code else {
                    self.ledger.fall_short(
                        ShortfallReason::CodeUnavailable,
                        ledger::LedgerPlace {
                            code_hash: alloy_primitives::B256::ZERO,
                            selector: [0; 4],
                            pc: 0,
                        },
                    );
                    return Begun::Nothing;
                };
                let Runnable::Slice(slice) = code else { return Begun::Nothing };
                Begun::Code { slice, to, account, delegated }
            }
            TxKind::Create => {
                let address = tx.caller.create(tx.nonce);
                touched.increment_nonce(sender);
                let hash = keccak256(&tx.data);
                let from = (sender, tx.caller, value);
                let account = touched.account(address);
                touched.warm(account, false);
                match self.creation(touched, tx.data.clone(), hash, address, from, (true, self.given())) {
                    Creation::Runs(frame) => Begun::Frame(frame),
                    Creation::Fails | Creation::Empty(_) => Begun::Nothing,
                }
            }
        }
    }

    /// Warms what is warm before the first instruction, by EIP-2929 and EIP-3651; precompiles always are.
    fn warm_up(&mut self, touched: &mut TouchedState, tx: &TxEnv, sender: AccountId) {
        touched.warm(sender, false);
        if self.spec.is_enabled_in(SpecId::SHANGHAI) {
            let coinbase = touched.account(self.block.beneficiary);
            touched.warm_in_block(coinbase);
        }
        for item in tx.access_list.iter() {
            let account = touched.account(item.address);
            touched.warm(account, false);
            for key in &item.storage_keys {
                touched.list(account, (*key).into());
            }
        }
    }

    /// What decides prices before the first instruction.
    fn gas_sources(&self) -> Taint {
        if !self.schedule.is_exact() {
            Taint::UNKNOWN
        } else if self.spec.is_enabled_in(SpecId::SHANGHAI) {
            // Who receives the fees is warm.
            Taint::environment(EnvironmentWord::Coinbase)
        } else {
            Taint::CLEAN
        }
    }

    /// What the first frame is given.
    fn given(&self) -> gas::Given {
        let mut gas = self.tx.gas_limit.saturating_sub(self.intrinsic);
        if !self.schedule.is_exact() {
            // More than this is for growth of the state alone, by EIP-8037.
            gas = gas.min(eip7825::TX_GAS_LIMIT_CAP.saturating_sub(self.intrinsic));
        }
        let left = gas::Left::new(gas);
        gas::Given { left, ..gas::Given::default() }
    }

    /// The frame that the transaction's call runs in.
    fn call_frame(
        &mut self,
        touched: &TouchedState,
        slice: Arc<Slice>,
        (to, account): (Address, AccountId),
    ) -> Box<Frame> {
        let mut frame = self.spare.pop().unwrap_or_else(|| Box::new(blank(Arc::clone(&slice))));
        frame.start(slice);
        frame.give(self.given());
        frame.call_data.set(&self.tx.data);
        frame.checkpoint = touched.checkpoint();
        frame.is_static = false;
        frame.account = account;
        frame.address = to;
        frame.caller = self.tx.caller;
        frame.value = Word::clean(self.tx.value);
        self.choose_entry(&mut frame);
        frame
    }

    /// Keeps what was written down of a path that has ended.
    fn put_down(&mut self, path: &mut Path, gas_left: u64) {
        self.note_shortfalls(path);
        let Some(mut trail) = path.trail.take() else { return };
        let all = self.tx.gas_limit.saturating_sub(self.intrinsic);
        let least = if path.gas_left == 0 { all } else { gas_left - path.gas_left + 1 };
        trail.rely_on_gas(least.min(all), least.min(all));
        self.trails.push(*trail);
    }

    /// Who signed an authorization. The precompile recovers signers several times faster than portable code does.
    fn authority(&mut self, signed: &SignedAuthorization) -> Option<Address> {
        // Half the order of the curve: a signature with a larger `s` is not valid, by EIP-2.
        let half = uint!(0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0_U256);
        if signed.s() > half || signed.y_parity() > 1 {
            return None;
        }
        let v = U256::from(27 + signed.y_parity());
        let input = [U256::from_be_bytes(signed.signature_hash().0), v, signed.r(), signed.s()];
        let input = input.map(|word| word.to_be_bytes::<32>()).concat();
        let recovered = self.ledger.results.precompile(self.rules, 1, &input, 3_000)?;
        let word = recovered.bytes.first_chunk::<32>()?;
        Some(Address::from_word(alloy_primitives::B256::from(*word)))
    }

    /// Applies the authorizations of a transaction, by EIP-7702.
    fn authorize(&mut self, touched: &mut TouchedState, tx: &TxEnv) {
        for authorization in &tx.authorization_list {
            let (authority, inner) = match authorization {
                Either::Left(signed) => (self.authority(signed), signed.inner()),
                Either::Right(recovered) => (recovered.authority(), &**recovered),
            };
            let Some(authority) = authority else { continue };
            if !inner.chain_id.is_zero() && inner.chain_id != U256::from(self.chain_id) {
                continue;
            }
            // A nonce at its limit cannot be moved on, by EIP-7702 and EIP-2681.
            if inner.nonce == u64::MAX {
                continue;
            }
            // Whether it counts or not, the account decides that.
            self.ledger.accounts.push(AccountAccess::CodeRead(authority));
            let account = touched.account(authority);
            touched.warm(account, false);
            let (nonce, nonce_taint) = touched.nonce(account, self.state, &mut self.ledger.sources);
            let (code, code_taint) = touched.code(account, self.state, &mut self.ledger.sources);
            self.ledger.need(nonce_taint.union(code_taint));
            let delegable = match code.bytes(self.state) {
                Some(bytes) => bytes.is_empty() || codes::delegate(&bytes).is_some(),
                None => false,
            };
            if !delegable || nonce != inner.nonce {
                continue;
            }
            self.ledger.accounts.push(AccountAccess::NonceWrite(authority));
            self.ledger.accounts.push(AccountAccess::CodeWrite(authority));
            let code = if inner.address == Address::ZERO {
                AccountCode::New(alloy_primitives::Bytes::new(), alloy_primitives::KECCAK256_EMPTY)
            } else {
                AccountCode::Delegated(inner.address)
            };
            touched.set_code(account, code);
            touched.increment_nonce(account);
        }
    }
}

/// What the transaction pays in advance for gas and blobs.
fn fee(tx: &TxEnv, block: &BlockEnv) -> U256 {
    let price = effective_gas_price(tx, block);
    let blob_price = block.blob_excess_gas_and_price.map_or(0, |blob| blob.blob_gasprice);
    let blob_fee = U256::from(blob_price).wrapping_mul(U256::from(tx.total_blob_gas()));
    U256::from(price).wrapping_mul(U256::from(tx.gas_limit)).wrapping_add(blob_fee)
}

/// What the transaction pays for one unit of gas.
fn effective_gas_price(tx: &TxEnv, block: &BlockEnv) -> u128 {
    Transaction::effective_gas_price(tx, u128::from(block.basefee))
}
