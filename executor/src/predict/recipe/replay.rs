//! Answers from a recipe: computes what the tree needs, decides, and notes what is touched.
//!
//! In: a [`Program`], a transaction and a view of the state. Out: the accesses, into an [`AccessSet`], or that the tree
//! has no answer, because the transaction decides something in a way that was not seen, or the view does not answer.
//! Nothing of the set is meant to be used then.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::{
    DatabaseRef,
    context::{BlockEnv, TxEnv},
    precompile::{PrecompileSpecId, Precompiles},
};

use super::super::environment::{block_hash, block_source, block_word, clamp, fee_sources};
use super::super::memo::ResultMemo;
use super::super::node::TouchKind;
use super::super::{BlockContext, MAX_GAS, fee, words};
use super::program::{BalanceQuery, Leaf, Operand, PrecompileCall, Program, RecipeStep, Span};
use crate::access_set::{AccessSet, AccountAccess, StateKey};
use crate::environment::EnvironmentWord;

/// A transaction and what it runs on.
pub(in super::super) struct Subject<'a, D> {
    pub tx: &'a TxEnv,
    pub block: &'a BlockEnv,
    pub chain_id: u64,
    pub state: &'a D,
    pub rules: PrecompileSpecId,
    /// The account that the transaction calls.
    pub to: Address,
    /// What it pays in advance for gas.
    pub fee: U256,
    /// The gas that it has beyond what it costs before its first instruction.
    pub gas: u64,
}

impl<'a, D> Subject<'a, D> {
    /// A call of `to` that costs `intrinsic` gas before its first instruction.
    pub(in super::super) fn new(
        tx: &'a TxEnv,
        block: BlockContext<'a>,
        state: &'a D,
        to: Address,
        intrinsic: u64,
    ) -> Self {
        Self {
            tx,
            block: block.env,
            chain_id: block.chain_id,
            state,
            rules: PrecompileSpecId::from_spec_id(block.spec),
            to,
            fee: fee(tx, block.env),
            gas: tx.gas_limit.saturating_sub(intrinsic),
        }
    }
}

/// Room for replays, kept from one to the next.
#[derive(Debug, Default)]
pub(in super::super) struct Replay {
    words: Vec<U256>,
    /// The places of stores, by number.
    stores: Vec<(Address, U256)>,
    /// Second arms of forks: where they start, and how many stores there were.
    arms: Vec<(usize, usize)>,
    bytes: Vec<u8>,
    /// The slots that are stored to by updates that commute, and those that are touched otherwise.
    deltas: Vec<(Address, U256)>,
    others: Vec<(Address, U256)>,
}

impl Replay {
    /// Adds what a program answers to `set`. None if it has no answer, the gas that the transaction uses otherwise.
    pub(in super::super) fn run<D: DatabaseRef>(
        &mut self,
        program: &Program,
        subject: &Subject<'_, D>,
        results: &mut ResultMemo,
        set: &mut AccessSet,
    ) -> Option<u64> {
        self.stores.clear();
        self.arms.clear();
        self.deltas.clear();
        self.others.clear();
        if self.words.len() < program.words as usize {
            self.words.resize(program.words as usize, U256::ZERO);
        }
        let mut ip = 0;
        let mut gas = 0;
        loop {
            let step = program.steps.get(ip)?;
            ip += 1;
            match *step {
                RecipeStep::Read { address, key, delta } => {
                    let place = self.place(program, address, key);
                    set.reads.push(place);
                    if !delta {
                        self.others.push(place);
                    }
                }
                RecipeStep::Write { address, key, delta } => {
                    let place = self.place(program, address, key);
                    self.stores.push(place);
                    set.writes.push(place);
                    if delta { self.deltas.push(place) } else { self.others.push(place) }
                }
                RecipeStep::Attempt { address, key } => {
                    let place = self.place(program, address, key);
                    set.writes.push(place);
                    self.others.push(place);
                }
                RecipeStep::Touch { kind, address } => {
                    let address = self.address(program, address);
                    set.accounts.push(touched(kind, address));
                }
                RecipeStep::Shortfall { index } => set.incomplete.push(program.shortfalls[index as usize]),
                RecipeStep::IfZero { a, zero, otherwise } => {
                    if self.word(program, a).is_zero() != zero {
                        ip = otherwise as usize;
                    }
                }
                RecipeStep::IfSame { a, b, same, otherwise } => {
                    if (self.word(program, a) == self.word(program, b)) != same {
                        ip = otherwise as usize;
                    }
                }
                RecipeStep::Fork { other } => self.arms.push((other as usize, self.stores.len())),
                RecipeStep::Leaf { index } => {
                    let leaf = &program.leaves[index as usize];
                    if !self.suffices(leaf, subject, set) {
                        return None;
                    }
                    gas = gas.max(leaf.gas);
                    let Some((next, stores)) = self.arms.pop() else { break };
                    self.stores.truncate(stores);
                    ip = next;
                }
                RecipeStep::Open => {
                    let Some((next, stores)) = self.arms.pop() else { break };
                    self.stores.truncate(stores);
                    ip = next;
                }
                RecipeStep::Missing => return None,
                RecipeStep::Unary { op, to, a } => {
                    self.words[to as usize] = words::unary(op, self.word(program, a));
                }
                RecipeStep::Binary { op, to, a, b } => {
                    let value = words::binary(op, self.word(program, a), self.word(program, b));
                    self.words[to as usize] = value;
                }
                RecipeStep::Pair { to, first, second } => {
                    let (first, second) = (*self.word(program, first), *self.word(program, second));
                    self.words[to as usize] = results.keccak_pair(first, second);
                }
                RecipeStep::CallData { to, offset } => {
                    self.words[to as usize] = call_data(&subject.tx.data, offset as usize);
                }
                RecipeStep::Load { to, source } => {
                    self.words[to as usize] = self.load(program, source, subject, set)?;
                }
                ref rare => {
                    let (to, value) = self.compute(program, rare, subject, results, set)?;
                    self.words[to as usize] = value;
                }
            }
        }
        if !self.deltas.is_empty() {
            self.others.sort_unstable();
            let others = &self.others;
            set.deltas.extend(self.deltas.iter().filter(|place| others.binary_search(place).is_err()));
        }
        Some(gas)
    }

    #[inline]
    fn word<'a>(&'a self, program: &'a Program, operand: Operand) -> &'a U256 {
        if operand.0 & Operand::CONSTANT == 0 {
            &self.words[operand.0 as usize]
        } else {
            &program.constants[(operand.0 & !Operand::CONSTANT) as usize]
        }
    }

    fn address(&self, program: &Program, operand: Operand) -> Address {
        Address::from_word(B256::from(*self.word(program, operand)))
    }

    fn place(&self, program: &Program, address: Operand, key: Operand) -> (Address, U256) {
        (self.address(program, address), *self.word(program, key))
    }

    /// Whether the transaction has neither too little nor too much gas to end here.
    fn suffices<D: DatabaseRef>(&self, leaf: &Leaf, subject: &Subject<'_, D>, set: &mut AccessSet) -> bool {
        let bounds = &leaf.bounds;
        if subject.gas > bounds.most || subject.gas < bounds.least_alike {
            return false;
        }
        if subject.gas >= bounds.least {
            return true;
        }
        // Where a store may find a zero that did not, it may cost more: then what it finds decides.
        self.stores.iter().zip(&leaf.zeros).all(|((address, key), zero)| {
            set.depends_on.push(StateKey::Storage(*address, *key));
            *zero || subject.state.storage_ref(*address, *key).is_ok_and(|word| !word.is_zero())
        })
    }

    /// The word of a slot, if it comes from where it has to come from.
    fn load<D: DatabaseRef>(
        &self,
        program: &Program,
        source: u32,
        subject: &Subject<'_, D>,
        set: &mut AccessSet,
    ) -> Option<U256> {
        let source = &program.sources[source as usize];
        let place = self.place(program, source.address, source.key);
        for (start, end) in list(&program.ranges, source.apart) {
            if self.stores.get(*start as usize..*end as usize)?.contains(&place) {
                return None;
            }
        }
        if let Some([word, address, key]) = source.same {
            return (place == self.place(program, address, key)).then(|| *self.word(program, word));
        }
        set.depends_on.push(StateKey::Storage(place.0, place.1));
        subject.state.storage_ref(place.0, place.1).ok()
    }

    /// What a precompile returns for the bytes that were gathered; none if it fails.
    fn precompile<'a, D: DatabaseRef>(
        &self,
        subject: &Subject<'_, D>,
        number: u16,
        results: &'a mut ResultMemo,
    ) -> Option<&'a [u8]> {
        let gas = subject.tx.gas_limit.min(MAX_GAS);
        let returned = results.precompile(subject.rules, number, &self.bytes, gas)?;
        Some(&returned.bytes)
    }

    /// Bytes one after the other.
    fn gather(&mut self, program: &Program, span: Span, data: &[u8]) {
        self.bytes.clear();
        for piece in list(&program.bytes, span) {
            let (from, length) = (piece.from as usize, piece.length as usize);
            if let Some(operand) = piece.of {
                let word = self.word(program, operand).to_be_bytes::<32>();
                self.bytes.extend_from_slice(&word[from..from + length]);
            } else {
                let present = data.get(from..).unwrap_or_default();
                let present = &present[..present.len().min(length)];
                self.bytes.extend_from_slice(present);
                self.bytes.resize(self.bytes.len() + length - present.len(), 0);
            }
        }
    }

    /// What is computed less often.
    #[inline(never)]
    fn compute<D: DatabaseRef>(
        &mut self,
        program: &Program,
        step: &RecipeStep,
        subject: &Subject<'_, D>,
        results: &mut ResultMemo,
        set: &mut AccessSet,
    ) -> Option<(u32, U256)> {
        let Subject { tx, block, state, .. } = subject;
        Some(match *step {
            RecipeStep::CallDataSize { to } => (to, U256::from(tx.data.len())),
            RecipeStep::To { to } => (to, subject.to.into_word().into()),
            RecipeStep::Value { to } => (to, tx.value),
            RecipeStep::Frame { to, word } => {
                set.depends_on_environment.extend(block_source(word, tx));
                (to, block_word(word, tx, block, subject.chain_id))
            }
            RecipeStep::Modular { multiply, to, operands } => {
                let [a, b, modulus] =
                    program.triples[operands as usize].map(|operand| *self.word(program, operand));
                (to, words::modular(multiply, a, b, modulus))
            }
            RecipeStep::Hash { to, bytes } => {
                self.gather(program, bytes, &tx.data);
                (to, results.keccak(&self.bytes))
            }
            RecipeStep::Concat { to, bytes } => {
                self.gather(program, bytes, &tx.data);
                (to, U256::try_from_be_slice(&self.bytes)?)
            }
            RecipeStep::Balance { to, balance } => (to, self.balance(program, balance, subject, set)?),
            RecipeStep::CodeHash { to, address } => {
                let address = self.address(program, address);
                (to, code_hash(*state, address, set)?.into())
            }
            RecipeStep::CodeSize { to, address } => {
                let address = self.address(program, address);
                let hash = code_hash(*state, address, set)?;
                let size = if hash == KECCAK256_EMPTY {
                    0
                } else {
                    state.code_by_hash_ref(hash).ok()?.original_bytes().len()
                };
                (to, U256::from(size))
            }
            RecipeStep::IsPrecompile { to, address } => {
                let address = self.address(program, address);
                (to, U256::from(Precompiles::new(subject.rules).contains(&address)))
            }
            RecipeStep::BlockHash { to, number } => {
                let (word, asked) = block_hash(*self.word(program, number), block, *state);
                if word.taint.is_unknown() {
                    return None;
                }
                if !word.taint.is_clean() {
                    set.depends_on_environment.push(EnvironmentWord::Number);
                }
                set.depends_on_environment.extend(asked.map(EnvironmentWord::BlockHash));
                (to, word.value)
            }
            RecipeStep::BlobHash { to, number } => {
                let hash = tx.blob_hashes.get(clamp(*self.word(program, number)));
                (to, hash.map_or(U256::ZERO, |hash| (*hash).into()))
            }
            RecipeStep::Precompile { to, word, call } => {
                let PrecompileCall { number, input } = program.calls[call as usize];
                self.gather(program, input, &tx.data);
                let output = self.precompile(subject, number, results)?;
                let rest = output.get(32 * word as usize..)?;
                let mut bytes = [0; 32];
                let length = rest.len().min(32);
                bytes[..length].copy_from_slice(&rest[..length]);
                (to, U256::from_be_bytes(bytes))
            }
            RecipeStep::PrecompileLength { to, call } => {
                let PrecompileCall { number, input } = program.calls[call as usize];
                self.gather(program, input, &tx.data);
                (
                    to,
                    self.precompile(subject, number, results)
                        .map_or(U256::MAX, |output| U256::from(output.len())),
                )
            }
            _ => return None,
        })
    }

    /// A balance after what has been handed over so far.
    fn balance<D: DatabaseRef>(
        &mut self,
        program: &Program,
        balance: u32,
        subject: &Subject<'_, D>,
        set: &mut AccessSet,
    ) -> Option<U256> {
        let Subject { tx, state, .. } = subject;
        let BalanceQuery { address, transfers } = program.balances[balance as usize];
        let address = self.address(program, address);
        set.depends_on.push(StateKey::Balance(address));
        let mut balance = state.basic_ref(address).ok()?.unwrap_or_default().balance;
        if address == tx.caller {
            balance = balance.wrapping_sub(subject.fee);
            set.depends_on_environment.extend(fee_sources(tx));
        }
        for [from, into, value] in list(&program.triples, transfers) {
            let value = *self.word(program, *value);
            if self.address(program, *from) == address {
                balance = balance.wrapping_sub(value);
            }
            if self.address(program, *into) == address {
                balance = balance.wrapping_add(value);
            }
        }
        Some(balance)
    }
}

fn list<T>(all: &[T], span: Span) -> &[T] {
    &all[span.start as usize..(span.start + span.length) as usize]
}

fn code_hash<D: DatabaseRef>(state: &D, address: Address, set: &mut AccessSet) -> Option<B256> {
    set.depends_on.push(StateKey::Code(address));
    let hash = state.basic_ref(address).ok()?.unwrap_or_default().code_hash;
    Some(if hash.is_zero() { KECCAK256_EMPTY } else { hash })
}

/// The word at an offset of calldata, zeros past its end.
#[inline]
fn call_data(data: &[u8], offset: usize) -> U256 {
    if let Some(bytes) = data.get(offset..offset + 32) {
        return U256::from_be_slice(bytes);
    }
    let mut word = [0; 32];
    if let Some(rest) = data.get(offset..) {
        word[..rest.len()].copy_from_slice(rest);
    }
    U256::from_be_bytes(word)
}

/// What is touched of an account.
fn touched(kind: TouchKind, address: Address) -> AccountAccess {
    match kind {
        TouchKind::BalanceRead => AccountAccess::BalanceRead(address),
        TouchKind::BalanceCredit => AccountAccess::BalanceCredit(address),
        TouchKind::BalanceDebit => AccountAccess::BalanceDebit(address),
        TouchKind::CodeRead => AccountAccess::CodeRead(address),
        TouchKind::CodeWrite => AccountAccess::CodeWrite(address),
    }
}
