//! Creation code where runtime code was expected.
//!
//! In: code as it was given. Out: the runtime code that it deploys, with the places that its constructor fills in and the
//! libraries that belong into it. A `bytecode` copied instead of a `deployedBytecode`, or the input of a transaction that
//! deploys, must not be taken for a contract without functions.

use deconflict_analyzer::{Deployment, deployed};

use super::DecodedCode;
use crate::unit::{ImmutablePlace, LibraryReference};

/// What creation code deploys.
pub(crate) enum Created {
    /// This runtime code.
    Runtime {
        /// The code.
        code: DecodedCode,
        /// What its constructor fills in.
        immutables: Vec<ImmutablePlace>,
    },
    /// The code of another account, whatever that is.
    Copy,
}

/// What `code` deploys, if it is creation code.
pub(crate) fn created(code: &DecodedCode) -> Option<Created> {
    let found = match deployed(&code.bytes)? {
        Deployment::Runtime(found) => found,
        Deployment::Copy => return Some(Created::Copy),
    };
    let place = |offset: u32| {
        let piece = found.copied.iter().find(|it| {
            let length = it.range.end - it.range.start;
            (it.from..it.from + length).contains(&offset)
        })?;
        Some(piece.range.start + (offset - piece.from))
    };
    let inside = |library: &LibraryReference| {
        let offsets: Vec<u32> = library.offsets.iter().filter_map(|offset| place(*offset)).collect();
        (!offsets.is_empty()).then(|| LibraryReference { name: library.name.clone(), offsets })
    };
    let unlinked = code.unlinked.iter().filter_map(inside).collect();
    let immutables = found.unknown.into_iter().map(|it| ImmutablePlace { id: it.id, range: it.range });
    let immutables = immutables.collect();
    Some(Created::Runtime { code: DecodedCode { bytes: found.code, unlinked }, immutables })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::decode_hex;

    #[test]
    fn libraries_are_found_again_in_what_is_deployed() {
        // A constructor without a choice, before DELEGATECALL to a library that is not linked.
        let placeholder = format!("__$5{}$__", "0".repeat(33));
        let text = format!("601c600a5f39601c5ff35f5f5f5f73{placeholder}5af400");
        let code = decode_hex(&text).expect("hexadecimal");
        let Some(Created::Runtime { code, immutables }) = created(&code) else {
            panic!("it is creation code")
        };
        assert_eq!(code.bytes.len(), 0x1c);
        assert_eq!(code.unlinked[0].name, placeholder);
        assert_eq!(code.unlinked[0].offsets, [5]);
        assert!(immutables.is_empty());
    }
}
