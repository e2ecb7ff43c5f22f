//! Where a word comes from: which words of the state decided it, and whether it is known at all.
//!
//! A [`Taint`] is a set of sources as bits, so that the union that every operation takes is one instruction. The first
//! sources of a transaction have a bit each; later ones share the last bits, which can only add sources to a set,
//! never lose one. [`Marks`] numbers the sets that get into memory, where four bytes share one number.

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use crate::access_set::StateKey;

/// How many bits are for sources.
const SOURCE_BITS: usize = 120;

/// Sources from this one on share bits.
const SHARED_FROM: usize = 104;

/// A set of sources of a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Taint(u128);

impl Taint {
    /// No source: the word follows from the transaction and the block alone.
    pub(super) const CLEAN: Self = Self(0);
    /// The gas that is left decides the word, and gas is not counted.
    pub(super) const GAS: Self = Self(1 << 120);
    /// The word follows from a signature whose signer has not been recovered yet.
    pub(super) const SIGNATURE: Self = Self(1 << 121);
    /// The word is the result of a precompile on curves or large numbers, which is not computed.
    pub(super) const CURVE: Self = Self(1 << 124);
    /// The state could not be read.
    pub(super) const UNAVAILABLE: Self = Self(1 << 122);
    /// The word follows from something that was itself not known.
    pub(super) const UNKNOWN: Self = Self(1 << 123);

    const UNKNOWN_BITS: u128 = !((1 << SOURCE_BITS) - 1);

    /// The set of the source of this number.
    pub(super) fn source(number: usize) -> Self {
        let bit =
            if number < SHARED_FROM { number } else { SHARED_FROM + number % (SOURCE_BITS - SHARED_FROM) };
        Self(1 << bit)
    }

    /// Whether the source of this number may be in the set.
    pub(super) fn contains(self, number: usize) -> bool {
        self.0 & Self::source(number).0 != 0
    }

    /// Both sets together.
    #[inline]
    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the word follows from the transaction and the block alone.
    #[inline]
    pub(super) fn is_clean(self) -> bool {
        self.0 == 0
    }

    /// Whether the word is not known.
    #[inline]
    pub(super) fn is_unknown(self) -> bool {
        self.0 & Self::UNKNOWN_BITS != 0
    }

    /// Whether recovering signers would make the word known, or nearer to it.
    pub(super) fn awaits_signer(self) -> bool {
        self.0 & Self::SIGNATURE.0 != 0
    }

    /// Whether the state that could not be read stands behind the word.
    pub(super) fn is_unavailable(self) -> bool {
        self.0 & Self::UNAVAILABLE.0 != 0
    }

    /// The known sources alone.
    pub(super) fn sources(self) -> Self {
        Self(self.0 & !Self::UNKNOWN_BITS)
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
}

impl Sources {
    /// Forgets all sources.
    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }

    /// The set of a new source.
    pub(super) fn add(&mut self, key: StateKey) -> Taint {
        self.keys.push(key);
        Taint::source(self.keys.len() - 1)
    }

    /// The sources that are in a set.
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
