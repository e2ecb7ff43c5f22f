//! Bytecode written as hex.
//!
//! In: hex digits, with `0x` or without, with placeholders where a library's address is missing: `__$34 digits$__`
//! since solc 0.5, `__path:Name___` before. Out: bytes, with zeros in those places, and which library belongs there.

use std::collections::BTreeMap;

use alloy_primitives::Bytes;

use crate::unit::LibraryReference;

/// Bytes and the libraries that are missing from them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DecodedCode {
    pub(crate) bytes: Bytes,
    pub(crate) unlinked: Vec<LibraryReference>,
}

/// Why text is no bytecode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HexError {
    /// A character that is no hex digit, at a byte offset of the text.
    Character(char, usize),
    /// Half a byte at the end; how many digits there are.
    Odd(usize),
}

/// Hex digits of a placeholder: an address.
const PLACEHOLDER: usize = 40;

/// Decodes hex that a compiler wrote. `links` names libraries by byte offset.
pub(crate) fn decode_code(text: &str, links: &BTreeMap<u32, String>) -> Result<DecodedCode, HexError> {
    let text = text.trim();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let skipped = text.len() - digits.len();
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut missing: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut rest = digits;
    while !rest.is_empty() {
        let position = skipped + digits.len() - rest.len();
        if rest.starts_with('_') {
            let placeholder = rest.get(..PLACEHOLDER).ok_or(HexError::Character('_', position))?;
            let offset = bytes.len() as u32;
            let name = links.get(&offset).cloned().unwrap_or_else(|| placeholder_name(placeholder));
            missing.entry(name).or_default().push(offset);
            bytes.extend_from_slice(&[0; PLACEHOLDER / 2]);
            rest = &rest[PLACEHOLDER..];
            continue;
        }
        let mut pair = rest.char_indices();
        let mut digit = || -> Option<Result<(u8, usize), HexError>> {
            let (at, character) = pair.next()?;
            let value = character.to_digit(16).ok_or(HexError::Character(character, position + at));
            Some(value.map(|value| (value as u8, at + 1)))
        };
        let Some(high) = digit().transpose()? else { break };
        let Some(low) = digit().transpose()? else { return Err(HexError::Odd(rest.len() + 2 * bytes.len())) };
        bytes.push(high.0 << 4 | low.0);
        rest = &rest[low.1..];
    }
    // An artifact that was linked by writing addresses over the placeholders still lists its link references.
    let unlinked = missing.into_iter().map(|(name, offsets)| LibraryReference { name, offsets }).collect();
    Ok(DecodedCode { bytes: bytes.into(), unlinked })
}

/// Decodes hex that a person may have wrapped or indented.
pub(crate) fn decode_hex(text: &str) -> Result<DecodedCode, HexError> {
    if !text.chars().any(is_blank) {
        return decode_code(text, &BTreeMap::new());
    }
    let digits: String = text.chars().filter(|character| !is_blank(*character)).collect();
    decode_code(&digits, &BTreeMap::new()).map_err(|error| match error {
        // The offset counts without white space; find the character where it stands in the file.
        HexError::Character(character, offset) => {
            let mut black = text.char_indices().filter(|(_, character)| !is_blank(*character));
            let mut seen = 0;
            let found = black.find(|(_, character)| {
                seen += character.len_utf8();
                seen > offset
            });
            HexError::Character(character, found.map_or(offset, |(at, _)| at))
        }
        odd @ HexError::Odd(_) => odd,
    })
}

/// Whether text is meant as hex: an `0x`, or nothing but digits, white space and placeholders at its beginning.
pub(crate) fn is_hex_text(text: &str) -> bool {
    let text = text.trim_start_matches(is_blank);
    if text.starts_with("0x") || text.starts_with("0X") {
        return true;
    }
    let mut beginning = text.chars().filter(|it| !is_blank(*it)).take(16).peekable();
    beginning.peek().is_some() && beginning.all(|character| character.is_ascii_hexdigit() || character == '_')
}

/// Whether nobody sees the character: white space, and what pages and joined files have between letters.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

fn placeholder_name(placeholder: &str) -> String {
    if placeholder.starts_with("__$") {
        return placeholder.to_owned();
    }
    placeholder.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, bytes: &[u8], unlinked: &[(&str, u32)]) {
        let decoded = decode_hex(text).expect("valid hex");
        assert_eq!(decoded.bytes.as_ref(), bytes);
        let found: Vec<_> = decoded.unlinked.iter().map(|it| (it.name.as_str(), it.offsets[0])).collect();
        assert_eq!(found, unlinked);
    }

    #[test]
    fn hex_with_and_without_decoration() {
        check("0x6001", &[0x60, 1], &[]);
        check(" 60\n01\t5B ", &[0x60, 1, 0x5b], &[]);
        check("0X60\r\n01\u{a0}5B\u{200b}\r\n", &[0x60, 1, 0x5b], &[]);
        check("\u{200b}6001\n\u{feff}5b", &[0x60, 1, 0x5b], &[]);
        check("", &[], &[]);
        check("0x", &[], &[]);
    }

    #[test]
    fn placeholders_become_zeros_with_a_name() {
        let mut expected = vec![0x73];
        expected.extend([0; 20]);
        expected.push(0x63);
        check(
            "73__$40bcba808ff411212e3262275f81f51ea9$__63",
            &expected,
            &[("__$40bcba808ff411212e3262275f81f51ea9$__", 1)],
        );
        check("73__old.sol:L_____________________________63", &expected, &[("old.sol:L", 1)]);
    }

    #[test]
    fn what_is_not_hex_is_located() {
        assert_eq!(decode_hex("0x60zz"), Err(HexError::Character('z', 4)));
        assert_eq!(decode_hex("60\n0\u{e9}"), Err(HexError::Character('\u{e9}', 4)));
        assert_eq!(decode_hex("0x600"), Err(HexError::Odd(3)));
        assert_eq!(decode_hex("60__$short"), Err(HexError::Character('_', 2)));
        assert!(decode_hex("73__\u{65e5}\u{65e5}________________________________________").is_err());
    }
}
