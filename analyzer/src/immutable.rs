//! Bytes of the code that deployment fills in.
//!
//! In: where they are. Out: whether bytes that the code pushes or copies are among them. A zero in such a place is no
//! fact: whoever takes a word from the code asks here first.

/// A word of the code that the constructor fills in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Immutable {
    /// Tells the immutables of a contract apart; several places can hold the same one.
    pub id: u32,
    /// The byte offset of the placeholder in the runtime code.
    pub offset: u32,
    /// How many bytes it takes there.
    pub length: u32,
}

/// Numbers from here on are places.
const PLACES: u32 = 1 << 31;

/// The number of the immutable that `width` bytes at `at` are, if deployment fills in any of them: its own where they are
/// the bytes of it, else one for the place, since bytes of the code are the same in every call.
pub(crate) fn placeholder(immutables: &[Immutable], at: u32, width: u32) -> Option<u32> {
    let end = at.saturating_add(width);
    let found = immutables.iter().find(|it| it.offset < end && at < it.offset.saturating_add(it.length))?;
    let is_whole = found.offset == at && found.length == width;
    Some(if is_whole { found.id } else { PLACES | at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_known_by_what_they_are_part_of() {
        let immutables = [Immutable { id: 7, offset: 10, length: 32 }];
        assert_eq!(placeholder(&immutables, 10, 32), Some(7));
        assert_eq!(placeholder(&immutables, 41, 1), Some(PLACES + 41));
        assert_eq!(placeholder(&immutables, 0, 32), Some(PLACES));
        assert_eq!(placeholder(&immutables, 0, 10), None);
        assert_eq!(placeholder(&immutables, 42, 32), None);
    }
}
