//! `bin`: everything that hints say, in the compact layout that docs/hints.md describes byte by byte.
//!
//! In and out: [`BlockHints`] and bytes. What was written is read back to the same hints. Bytes of any kind may be given to
//! [`read`]: it never panics and never asks for much more memory than they take.

use alloy_primitives::{Address, B256, Selector, U256};
use thiserror::Error;

use super::{Basis, BlockHints, BlockPlan, TransactionHint, interning::Tables, json::spec_name};
use crate::{
    access_set::{AccessSet, AccountAccess, Shortfall, ShortfallReason, StateKey},
    chain::{fork, fork_name},
    environment::{Assumed, EnvironmentWord},
};

/// The version of the layout.
pub const VERSION: u16 = 2;

const MAGIC: [u8; 4] = *b"DCFH";

const HAS_NUMBER: u16 = 1;
const HAS_HASH: u16 = 1 << 1;
const HAS_PARENT: u16 = 1 << 2;
const HAS_PLAN: u16 = 1 << 3;
const HAS_STATE: u16 = 1 << 4;
const ALL_FLAGS: u16 = (1 << 5) - 1;

const WITH_HASH: u8 = 1;
const WITH_TARGET: u8 = 1 << 1;
const IS_PENDING: u8 = 1 << 2;
const NEEDS_FUNDS: u8 = 1 << 3;
const ALL_BITS: u8 = (1 << 4) - 1;

/// The reasons of shortfalls, by the number that stands for them.
const REASONS: [ShortfallReason; 10] = [
    ShortfallReason::UnknownKey,
    ShortfallReason::UnknownTarget,
    ShortfallReason::UnknownJump,
    ShortfallReason::TooManyBranches,
    ShortfallReason::UnknownMemory,
    ShortfallReason::StepBudget,
    ShortfallReason::StateUnavailable,
    ShortfallReason::CodeUnavailable,
    ShortfallReason::GasLimitedCall,
    ShortfallReason::StackFault,
];

/// Why bytes are no hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BinaryError {
    /// They do not begin like hints.
    #[error("these are no binary hints: they do not begin with `DCFH`")]
    NotHints,
    /// Another version has written them.
    #[error("the hints are of version {0} of the layout, and only {VERSION} can be read: get them again")]
    Version(u16),
    /// They end too early.
    #[error("the hints are cut short after {0} bytes: get them again")]
    CutShort(usize),
    /// Something is not as the layout has it.
    #[error("byte {at}: {problem}: the hints are damaged, get them again")]
    Malformed {
        /// Where.
        at: usize,
        /// What.
        problem: &'static str,
    },
}

/// The bytes of hints.
pub(super) fn render(hints: &BlockHints) -> Vec<u8> {
    let tables = Tables::of(hints);
    let mut out = Writer { bytes: Vec::with_capacity(512 * hints.transactions.len() + 256) };
    out.bytes.extend(MAGIC);
    out.bytes.extend(VERSION.to_le_bytes());
    let flag = |present: bool, flag: u16| if present { flag } else { 0 };
    let flags = flag(hints.number.is_some(), HAS_NUMBER)
        | flag(hints.hash.is_some(), HAS_HASH)
        | flag(hints.parent.is_some(), HAS_PARENT)
        | flag(hints.plan.is_some(), HAS_PLAN)
        | flag(hints.basis == Basis::StaticAndState, HAS_STATE);
    out.bytes.extend(flags.to_le_bytes());
    out.bytes.extend(hints.chain_id.to_le_bytes());
    if let Some(number) = hints.number {
        out.bytes.extend(number.to_le_bytes());
    }
    for hash in hints.hash.iter().chain(&hints.parent) {
        out.bytes.extend(hash);
    }
    out.name(spec_name(hints.spec));
    out.name(&hints.analyzer);
    out.environment(&hints.assumed.guessed);
    out.environment(&hints.assumed.computed);
    out.count(tables.addresses.len());
    tables.addresses.iter().for_each(|address| out.bytes.extend(address));
    out.count(tables.slots.len());
    for (address, slot) in &tables.slots {
        out.number(tables.address(*address));
        let word = slot.to_be_bytes_trimmed_vec();
        out.bytes.push(word.len() as u8);
        out.bytes.extend(word);
    }
    out.count(tables.codes.len());
    tables.codes.iter().for_each(|hash| out.bytes.extend(hash));
    out.count(hints.transactions.len());
    hints.transactions.iter().for_each(|hint| out.transaction(hint, &tables));
    if let Some(plan) = &hints.plan {
        out.plan(plan, &tables);
    }
    out.bytes
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Seven bits a byte, the lowest first; the highest bit says that another byte follows.
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn count(&mut self, count: usize) {
        self.bytes.extend((count as u32).to_le_bytes());
    }

    /// Names are short; what is longer than a byte can say is cut.
    fn name(&mut self, name: &str) {
        let bytes = &name.as_bytes()[..name.len().min(255)];
        self.bytes.push(bytes.len() as u8);
        self.bytes.extend(bytes);
    }

    /// How many, the first, and then the distance from each to the next.
    fn rising(&mut self, numbers: impl ExactSizeIterator<Item = u64>) {
        self.number(numbers.len() as u64);
        let mut last = 0;
        for number in numbers {
            self.number(number - last);
            last = number;
        }
    }

    /// How many words of the block, and each by its number; the hash of a block has that of the block behind it.
    fn environment(&mut self, words: &[EnvironmentWord]) {
        self.number(words.len() as u64);
        for word in words {
            self.number(word.number() as u64);
            if let EnvironmentWord::BlockHash(number) = word {
                self.number(*number);
            }
        }
    }

    fn transaction(&mut self, hint: &TransactionHint, tables: &Tables) {
        let bit = |present: bool, bit: u8| if present { bit } else { 0 };
        self.bytes.push(
            bit(hint.hash.is_some(), WITH_HASH)
                | bit(hint.to.is_some(), WITH_TARGET)
                | bit(hint.pending, IS_PENDING)
                | bit(hint.needs_funds, NEEDS_FUNDS),
        );
        self.bytes.extend(hint.hash.iter().flatten());
        self.number(tables.address(hint.from));
        hint.to.iter().for_each(|to| self.number(tables.address(*to)));
        self.number(hint.nonce);
        self.number(hint.gas_limit);
        let set = &hint.set;
        self.number(set.gas);
        for list in [&set.reads, &set.writes, &set.deltas] {
            self.rising(list.iter().map(|slot| tables.slot(*slot)));
        }
        self.number(set.accounts.len() as u64);
        for access in &set.accounts {
            let (kind, address) = match *access {
                AccountAccess::BalanceRead(address) => (0, address),
                AccountAccess::BalanceCredit(address) => (1, address),
                AccountAccess::BalanceDebit(address) => (2, address),
                AccountAccess::NonceWrite(address) => (3, address),
                AccountAccess::CodeRead(address) => (4, address),
                AccountAccess::CodeWrite(address) => (5, address),
            };
            self.number(tables.address(address) << 3 | kind);
        }
        self.number(set.depends_on.len() as u64);
        for key in &set.depends_on {
            self.number(match *key {
                StateKey::Storage(address, slot) => tables.slot((address, slot)) << 2,
                StateKey::Balance(address) => tables.address(address) << 2 | 1,
                StateKey::Nonce(address) => tables.address(address) << 2 | 2,
                StateKey::Code(address) => tables.address(address) << 2 | 3,
            });
        }
        self.environment(&set.depends_on_environment);
        self.number(set.incomplete.len() as u64);
        for (index, shortfall) in set.incomplete.iter().enumerate() {
            let reason = REASONS.iter().position(|reason| *reason == shortfall.reason);
            self.bytes.push(reason.expect("every reason has a number") as u8);
            self.number(tables.code(shortfall.code_hash));
            self.bytes.extend(shortfall.selector);
            self.number(u64::from(shortfall.pc));
            let place = hint.places.get(index).copied().flatten();
            self.number(place.map_or(0, |address| tables.address(address) + 1));
        }
    }

    fn plan(&mut self, plan: &BlockPlan, tables: &Tables) {
        let numbers = |list: &Vec<u32>| list.clone().into_iter().map(u64::from);
        for list in plan.dependencies.iter().chain(&plan.possible) {
            self.rising(numbers(list));
        }
        self.number(plan.lanes.len() as u64);
        plan.lanes.iter().for_each(|list| self.rising(numbers(list)));
        self.rising(numbers(&plan.serial));
        self.number(plan.prefetch.len() as u64);
        for (address, slots) in &plan.prefetch {
            self.number(tables.address(*address));
            self.rising(slots.iter().map(|slot| tables.slot((*address, *slot))));
        }
        self.number(plan.critical_path_gas);
        self.number(plan.gas);
    }
}

/// The hints that bytes stand for.
pub fn read(bytes: &[u8]) -> Result<BlockHints, BinaryError> {
    if !bytes.starts_with(&MAGIC) {
        return Err(BinaryError::NotHints);
    }
    let mut from = Reader { bytes, at: MAGIC.len() };
    let version = u16::from_le_bytes(from.array()?);
    if version != VERSION {
        return Err(BinaryError::Version(version));
    }
    let flags = u16::from_le_bytes(from.array()?);
    if flags & !ALL_FLAGS != 0 {
        return Err(from.malformed("there is a flag that this version does not have"));
    }
    let chain_id = u64::from_le_bytes(from.array()?);
    let number = from.when(flags & HAS_NUMBER != 0, Reader::array)?.map(u64::from_le_bytes);
    let hash = from.when(flags & HAS_HASH != 0, Reader::hash)?;
    let parent = from.when(flags & HAS_PARENT != 0, Reader::hash)?;
    let name = from.name()?;
    // By the one name that is written: people may write others.
    let spec = fork(name).ok().filter(|spec| fork_name(*spec) == Some(name));
    let spec = spec.ok_or_else(|| from.malformed("there is no fork of this name"))?;
    let analyzer = from.name()?.to_owned();
    let assumed = Assumed { guessed: from.environment()?, computed: from.environment()? };
    let tables = from.tables()?;
    let count = from.count(1)?;
    let mut transactions = Vec::with_capacity(count);
    for _ in 0..count {
        transactions.push(from.transaction(&tables)?);
    }
    let plan = from.when(flags & HAS_PLAN != 0, |from| from.plan(&tables, count))?;
    if from.at != bytes.len() {
        return Err(from.malformed("there is something behind the end"));
    }
    let basis = if flags & HAS_STATE == 0 { Basis::Static } else { Basis::StaticAndState };
    let (beneficiary, spec_origin) = (None, None);
    Ok(BlockHints {
        chain_id,
        number,
        hash,
        spec,
        spec_origin,
        analyzer,
        basis,
        parent,
        assumed,
        transactions,
        beneficiary,
        plan,
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn malformed(&self, problem: &'static str) -> BinaryError {
        BinaryError::Malformed { at: self.at, problem }
    }

    fn when<T>(
        &mut self,
        present: bool,
        get: impl FnOnce(&mut Self) -> Result<T, BinaryError>,
    ) -> Result<Option<T>, BinaryError> {
        if present { get(self).map(Some) } else { Ok(None) }
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], BinaryError> {
        let rest = &self.bytes[self.at..];
        let slice = rest.get(..length).ok_or(BinaryError::CutShort(self.bytes.len()))?;
        self.at += length;
        Ok(slice)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BinaryError> {
        Ok(*self.slice(N)?.first_chunk().expect("the slice is as long as that"))
    }

    fn hash(&mut self) -> Result<B256, BinaryError> {
        self.array().map(B256::from)
    }

    fn byte(&mut self) -> Result<u8, BinaryError> {
        self.array().map(|[byte]| byte)
    }

    fn name(&mut self) -> Result<&'a str, BinaryError> {
        let length = self.byte()?;
        let bytes = self.slice(usize::from(length))?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("a name is not UTF-8"))
    }

    fn number(&mut self) -> Result<u64, BinaryError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.malformed("a number does not fit 64 bits"))
    }

    /// How many elements follow that take at least `least` bytes each: no more than there is room for.
    fn bounded(&self, count: u64, least: usize) -> Result<usize, BinaryError> {
        let room = (self.bytes.len() - self.at) / least;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= room)
            .ok_or(BinaryError::CutShort(self.bytes.len()))
    }

    fn count(&mut self, least: usize) -> Result<usize, BinaryError> {
        let count = u32::from_le_bytes(self.array()?);
        self.bounded(u64::from(count), least)
    }

    fn short_count(&mut self, least: usize) -> Result<usize, BinaryError> {
        let count = self.number()?;
        self.bounded(count, least)
    }

    fn pick<T: Copy>(&self, table: &[T], index: u64) -> Result<T, BinaryError> {
        let found = usize::try_from(index).ok().and_then(|index| table.get(index));
        found.copied().ok_or_else(|| self.malformed("an index is beyond its table"))
    }

    /// A list of indices, each larger than the one before.
    fn rising(&mut self) -> Result<Vec<u64>, BinaryError> {
        let count = self.short_count(1)?;
        let mut list = Vec::with_capacity(count);
        let mut last = 0_u64;
        for index in 0..count {
            let step = self.number()?;
            if index > 0 && step == 0 {
                return Err(self.malformed("a list names something twice"));
            }
            last = last.checked_add(step).ok_or_else(|| self.malformed("an index does not fit 64 bits"))?;
            list.push(last);
        }
        Ok(list)
    }

    fn tables(&mut self) -> Result<Tables, BinaryError> {
        let mut tables = Tables::default();
        for _ in 0..self.count(20)? {
            tables.addresses.push(self.array().map(Address::from)?);
        }
        for _ in 0..self.count(2)? {
            let index = self.number()?;
            let address = self.pick(&tables.addresses, index)?;
            let length = self.byte()?;
            let word = self.slice(usize::from(length))?;
            let slot = U256::try_from_be_slice(word).ok_or_else(|| self.malformed("a slot is too long"))?;
            tables.slots.push((address, slot));
        }
        for _ in 0..self.count(32)? {
            tables.codes.push(self.hash()?);
        }
        let rising = tables.addresses.is_sorted_by(|one, other| one < other)
            && tables.slots.is_sorted_by(|one, other| one < other)
            && tables.codes.is_sorted_by(|one, other| one < other);
        if rising { Ok(tables) } else { Err(self.malformed("a table is not in order")) }
    }

    /// Words of the block, each one of a higher number than the one before.
    fn environment(&mut self) -> Result<Vec<EnvironmentWord>, BinaryError> {
        let count = self.short_count(1)?;
        let mut words = Vec::with_capacity(count);
        for _ in 0..count {
            let number = self.number()?;
            let hash = EnvironmentWord::FIXED.len() as u64;
            let word = match usize::try_from(number).ok().and_then(|it| EnvironmentWord::FIXED.get(it)) {
                Some(word) => *word,
                None if number == hash => EnvironmentWord::BlockHash(self.number()?),
                None => return Err(self.malformed("there is no such word of a block")),
            };
            words.push(word);
        }
        let rises = words.is_sorted_by(|one, other| one < other);
        if rises { Ok(words) } else { Err(self.malformed("words of the block are not in order")) }
    }

    fn slots(&mut self, tables: &Tables) -> Result<Vec<(Address, U256)>, BinaryError> {
        let list = self.rising()?;
        list.into_iter().map(|index| self.pick(&tables.slots, index)).collect()
    }

    fn transaction(&mut self, tables: &Tables) -> Result<TransactionHint, BinaryError> {
        let bits = self.byte()?;
        if bits & !ALL_BITS != 0 {
            return Err(self.malformed("there is a flag that this version does not have"));
        }
        let hash = self.when(bits & WITH_HASH != 0, Self::hash)?;
        let address = |from: &mut Self| {
            let index = from.number()?;
            from.pick(&tables.addresses, index)
        };
        let from = address(self)?;
        let to = self.when(bits & WITH_TARGET != 0, address)?;
        let (nonce, gas_limit) = (self.number()?, self.number()?);
        let mut set = AccessSet { gas: self.number()?, ..AccessSet::default() };
        set.reads = self.slots(tables)?;
        set.writes = self.slots(tables)?;
        set.deltas = self.slots(tables)?;
        for _ in 0..self.short_count(1)? {
            let number = self.number()?;
            let address = self.pick(&tables.addresses, number >> 3)?;
            set.accounts.push(match number & 7 {
                0 => AccountAccess::BalanceRead(address),
                1 => AccountAccess::BalanceCredit(address),
                2 => AccountAccess::BalanceDebit(address),
                3 => AccountAccess::NonceWrite(address),
                4 => AccountAccess::CodeRead(address),
                5 => AccountAccess::CodeWrite(address),
                _ => return Err(self.malformed("there is no such access")),
            });
        }
        for _ in 0..self.short_count(1)? {
            let number = self.number()?;
            let address = |from: &Self| from.pick(&tables.addresses, number >> 2);
            set.depends_on.push(match number & 3 {
                0 => {
                    let (address, slot) = self.pick(&tables.slots, number >> 2)?;
                    StateKey::Storage(address, slot)
                }
                1 => StateKey::Balance(address(self)?),
                2 => StateKey::Nonce(address(self)?),
                _ => StateKey::Code(address(self)?),
            });
        }
        set.depends_on_environment = self.environment()?;
        let mut places = Vec::new();
        for _ in 0..self.short_count(8)? {
            let reason = u64::from(self.byte()?);
            let reason = self.pick(&REASONS, reason)?;
            let index = self.number()?;
            let code_hash = self.pick(&tables.codes, index)?;
            let selector = self.array().map(Selector::from)?;
            let pc = self.number()?;
            let pc = u32::try_from(pc).map_err(|_| self.malformed("an offset does not fit 32 bits"))?;
            set.incomplete.push(Shortfall { reason, code_hash, selector, pc });
            let place = self.number()?;
            places.push(match place.checked_sub(1) {
                None => None,
                Some(index) => Some(self.pick(&tables.addresses, index)?),
            });
        }
        let pending = bits & IS_PENDING != 0;
        let (warm, needs_funds) = (Vec::new(), bits & NEEDS_FUNDS != 0);
        Ok(TransactionHint { hash, from, to, nonce, gas_limit, set, places, warm, pending, needs_funds })
    }

    /// A list of transactions, all of them before `end`.
    fn transactions(&mut self, end: usize) -> Result<Vec<u32>, BinaryError> {
        let list = self.rising()?;
        let inside = list.last().is_none_or(|last| *last < end as u64);
        if inside {
            Ok(list.into_iter().map(|index| index as u32).collect())
        } else {
            Err(self.malformed("a transaction is named where it cannot be"))
        }
    }

    fn plan(&mut self, tables: &Tables, count: usize) -> Result<BlockPlan, BinaryError> {
        let mut plan = BlockPlan::default();
        for index in 0..count {
            plan.dependencies.push(self.transactions(index)?);
        }
        for index in 0..count {
            plan.possible.push(self.transactions(index)?);
        }
        for _ in 0..self.short_count(1)? {
            plan.lanes.push(self.transactions(count)?);
        }
        plan.serial = self.transactions(count)?;
        for _ in 0..self.short_count(2)? {
            let index = self.number()?;
            let address = self.pick(&tables.addresses, index)?;
            let slots = self.slots(tables)?;
            if slots.iter().any(|(other, _)| *other != address) {
                return Err(self.malformed("a slot is not one of its account"));
            }
            plan.prefetch.push((address, slots.into_iter().map(|(_, slot)| slot).collect()));
        }
        plan.critical_path_gas = self.number()?;
        plan.gas = self.number()?;
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::interning::tests::sample, BinaryError, REASONS, read, render};

    #[test]
    fn what_was_written_is_read_back() {
        let whole = sample();
        let mut bare = whole.clone();
        (bare.number, bare.parent, bare.plan) = (None, None, None);
        bare.hash = Some(alloy_primitives::B256::repeat_byte(3));
        let mut empty = bare.clone();
        empty.transactions.clear();
        for hints in [whole, bare, empty] {
            let bytes = render(&hints);
            assert_eq!(read(&bytes), Ok(hints));
        }
    }

    #[test]
    fn every_reason_has_a_number() {
        let names: std::collections::BTreeSet<_> = REASONS.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), REASONS.len());
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = render(&sample());
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(matches!(read(&longer), Err(BinaryError::Malformed { .. })));
        let mut newer = bytes;
        for version in [1, 3] {
            newer[4] = version;
            assert_eq!(read(&newer), Err(BinaryError::Version(version.into())));
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics_and_what_is_read_can_be_written(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
        ) {
            let mut bytes = render(&sample());
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(hints) = read(&bytes) {
                let again = render(&hints);
                prop_assert_eq!(read(&again), Ok(hints));
            }
        }

        #[test]
        fn anything_may_be_given(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let _ = read(&[b"DCFH\x02\0\x1f\0".as_slice(), &bytes].concat());
        }
    }
}
