//! Choices that are read from bytes.
//!
//! In: any bytes, drawn at random or by a fuzzer. Out: numbers. When the bytes are used up every choice is zero, so a
//! generator that ends on zeros ends on every input, and a shorter input makes a smaller scene: bytes can be shrunk
//! without knowing what they stand for.

/// Bytes that are used up from the front.
#[derive(Debug)]
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// Yes once in so many times; no when the bytes are used up.
    pub(crate) fn once_in(&mut self, times: u8) -> bool {
        self.byte() % times == times - 1
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// An index into the weights, each as likely as its weight says; they add up to at most 256.
    pub(crate) fn weighted(&mut self, weights: &[u8]) -> usize {
        let sum: usize = weights.iter().copied().map(usize::from).sum();
        let mut left = self.below(sum);
        for (index, weight) in weights.iter().enumerate() {
            match left.checked_sub(usize::from(*weight)) {
                Some(less) => left = less,
                None => return index,
            }
        }
        0
    }

    /// So many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }
}
