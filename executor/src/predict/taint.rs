//! Where a word comes from: which words of the state and of the block decided it, and whether it is known at all.
//!
//! A [`Taint`] is a set of sources as bits, so that the union that every operation takes is a few instructions. The first
//! pieces of state of a transaction have a bit each; later ones share the last bits, which can only add sources to a set,
//! never lose one. Words of the block have bits of their own. [`Marks`] numbers the sets that get into memory, where four
//! bytes share one number.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::access_set::StateKey;
use crate::environment::EnvironmentWord;

/// How many bits are for pieces of state.
const SOURCE_BITS: usize = 128;

/// Pieces of state from this one on share bits.
const SHARED_FROM: usize = 112;

/// The bits of `others` that are for words of the block.
const ENVIRONMENT_BITS: u64 = (1 << EnvironmentWord::NAMES.len()) - 1;

/// The bits of `others` that say why a word is not known.
const UNKNOWN_BITS: u64 = !0 << 32;

/// A set of sources of a word.
///
/// As words of 64 bits it takes no more room beside a word of the EVM than 128 bits in one would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Taint {
    state: [u64; 2],
    others: u64,
}

impl Taint {
    /// No source: the word follows from the transaction alone.
    pub(super) const CLEAN: Self = Self::other(0);
    /// The gas that is left decides the word, which is another one for every other state.
    pub(super) const GAS: Self = Self::other(1 << 32);
    /// The word follows from a signature whose signer has not been recovered yet.
    pub(super) const SIGNATURE: Self = Self::other(1 << 33);
    /// The state could not be read.
    pub(super) const UNAVAILABLE: Self = Self::other(1 << 34);
    /// The word follows from something that was itself not known.
    pub(super) const UNKNOWN: Self = Self::other(1 << 35);
    /// The word is the result of a precompile on curves or large numbers, which is not computed.
    pub(super) const CURVE: Self = Self::other(1 << 36);

    const fn other(bits: u64) -> Self {
        Self { state: [0; 2], others: bits }
    }

    /// The set of the piece of state of this number.
    pub(super) fn source(number: usize) -> Self {
        let bit =
            if number < SHARED_FROM { number } else { SHARED_FROM + number % (SOURCE_BITS - SHARED_FROM) };
        let mut set = Self::CLEAN;
        set.state[bit / 64] = 1 << (bit % 64);
        set
    }

    /// The set of a word of the block; the hashes of blocks share a bit.
    pub(super) fn environment(word: EnvironmentWord) -> Self {
        Self::other(1 << word.number())
    }

    /// Whether the piece of state of this number may be in the set.
    pub(super) fn contains(self, number: usize) -> bool {
        let [low, high] = Self::source(number).state;
        self.state[0] & low | self.state[1] & high != 0
    }

    /// Whether this word of the block may be in the set.
    pub(super) fn contains_environment(self, word: EnvironmentWord) -> bool {
        self.others & Self::environment(word).others != 0
    }

    /// Both sets together.
    #[inline]
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            state: [self.state[0] | other.state[0], self.state[1] | other.state[1]],
            others: self.others | other.others,
        }
    }

    /// Whether the word follows from the transaction alone.
    #[inline]
    pub(super) fn is_clean(self) -> bool {
        self.state[0] | self.state[1] | self.others == 0
    }

    /// Whether the word is not known.
    #[inline]
    pub(super) fn is_unknown(self) -> bool {
        self.others & UNKNOWN_BITS != 0
    }

    /// Whether the word would be known if the gas that is left were.
    pub(super) fn is_of_gas_alone(self) -> bool {
        self.others & UNKNOWN_BITS == Self::GAS.others
    }

    /// Whether recovering signers would make the word known, or nearer to it.
    pub(super) fn awaits_signer(self) -> bool {
        self.others & Self::SIGNATURE.others != 0
    }

    /// Whether the state that could not be read stands behind the word.
    pub(super) fn is_unavailable(self) -> bool {
        self.others & Self::UNAVAILABLE.others != 0
    }

    /// The known sources alone.
    pub(super) fn sources(self) -> Self {
        Self { others: self.others & ENVIRONMENT_BITS, ..self }
    }
}

/// A number for a set of sources; zero is the empty set.
pub(super) type Mark = u32;

/// The sets of sources that are in memory.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    sets: Vec<Taint>,
    numbers: HashMap<Taint, Mark, FxBuildHasher>,
    last: (Taint, Mark),
}

impl Default for Marks {
    fn default() -> Self {
        Self { sets: vec![Taint::CLEAN], numbers: HashMap::default(), last: (Taint::CLEAN, 0) }
    }
}

impl Marks {
    /// Forgets all sets.
    pub(super) fn clear(&mut self) {
        self.sets.truncate(1);
        self.numbers.clear();
        self.last = (Taint::CLEAN, 0);
    }

    /// The number of a set.
    #[inline]
    pub(super) fn mark(&mut self, taint: Taint) -> Mark {
        if taint.is_clean() {
            return 0;
        }
        if self.last.0 == taint {
            return self.last.1;
        }
        let sets = &mut self.sets;
        let mark = *self.numbers.entry(taint).or_insert_with(|| {
            sets.push(taint);
            sets.len() as Mark - 1
        });
        self.last = (taint, mark);
        mark
    }

    /// The set of a number.
    #[inline]
    pub(super) fn taint(&self, mark: Mark) -> Taint {
        self.sets[mark as usize]
    }

    /// All sets of these numbers together.
    pub(super) fn union(&self, marks: &[Mark]) -> Taint {
        let mut previous = 0;
        let mut taint = Taint::CLEAN;
        for mark in marks {
            if *mark != previous {
                taint = taint.union(self.taint(*mark));
                previous = *mark;
            }
        }
        taint
    }
}

/// The sources of a transaction, in the order in which they came up.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    keys: Vec<StateKey>,
    /// The blocks whose hash was asked for, by number, sorted.
    block_hashes: Vec<u64>,
}

impl Sources {
    /// Forgets all sources.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
        self.block_hashes.clear();
    }

    /// The set of a new source.
    pub(super) fn add(&mut self, key: StateKey) -> Taint {
        self.keys.push(key);
        Taint::source(self.keys.len() - 1)
    }

    /// Notes that the hash of a block was asked for. There are 256 blocks at most whose hash can be had.
    pub(super) fn add_block_hash(&mut self, number: u64) {
        if let Err(place) = self.block_hashes.binary_search(&number) {
            self.block_hashes.insert(place, number);
        }
    }

    /// The words of the block that are in a set, sorted.
    pub(super) fn environment_of(&self, taint: Taint) -> impl Iterator<Item = EnvironmentWord> + '_ {
        let hashes = self.block_hashes.iter().map(|number| EnvironmentWord::BlockHash(*number));
        let all = EnvironmentWord::FIXED.into_iter().chain(hashes);
        all.filter(move |word| taint.contains_environment(*word))
    }

    /// The pieces of state that are in a set.
    pub(super) fn of(&self, taint: Taint) -> impl Iterator<Item = StateKey> + '_ {
        let keys = self.keys.iter().enumerate();
        keys.filter(move |(number, _)| taint.contains(*number)).map(|(_, key)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_bits_never_lose_a_source() {
        for number in 0..1_000 {
            let taint = Taint::source(number);
            assert!(taint.contains(number) && !taint.is_unknown());
            assert!(taint.union(Taint::GAS).is_unknown());
            assert_eq!(taint.union(Taint::GAS).sources(), taint);
        }
        assert!(!Taint::source(3).contains(4));
    }

    #[test]
    fn words_of_the_block_are_apart_from_state_and_from_each_other() {
        let mut sources = Sources::default();
        sources.add_block_hash(9);
        sources.add_block_hash(7);
        sources.add_block_hash(9);
        let hashes = [7, 9].map(EnvironmentWord::BlockHash);
        for word in EnvironmentWord::FIXED {
            let taint = Taint::environment(word).union(Taint::UNKNOWN).union(Taint::source(200));
            assert_eq!(sources.environment_of(taint.sources()).collect::<Vec<_>>(), [word]);
            assert!(!Taint::environment(word).is_clean() && !Taint::environment(word).is_unknown());
            assert!((0..300).all(|number| !Taint::environment(word).contains(number)));
        }
        let asked = Taint::environment(EnvironmentWord::BlockHash(0));
        assert_eq!(sources.environment_of(asked).collect::<Vec<_>>(), hashes);
        assert_eq!(sources.environment_of(Taint::source(5)).count(), 0);
    }

    #[test]
    fn marks_give_the_sets_back() {
        let mut marks = Marks::default();
        let both = Taint::source(1).union(Taint::source(2));
        let (one, two) = (marks.mark(Taint::source(1)), marks.mark(both));
        assert_eq!(marks.mark(Taint::source(1)), one);
        assert_eq!(marks.taint(two), both);
        assert_eq!(marks.union(&[0, one, two]), both);
        assert_eq!(marks.mark(Taint::CLEAN), 0);
    }
}
