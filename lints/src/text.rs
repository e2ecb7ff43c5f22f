//! Text in the encodings that editors and shells write.
//!
//! In: the bytes of a file. Out: text, whether they are UTF-8 or UTF-16, with a byte order mark or without, or an error
//! that names the encoding. Windows writes marks, and its shell UTF-16, without a question to anybody.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Why bytes are no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotText {
    /// They are UTF-32.
    #[error("the text is in UTF-32, which is not read: save it as UTF-8")]
    Utf32,
    /// They begin like text in that encoding, and go on like none.
    #[error("the bytes are no text in {encoding}: save the file as UTF-8")]
    Broken {
        /// The encoding that they seem to have.
        encoding: &'static str,
    },
}

/// What an encoding is told by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// A byte order mark.
    Mark,
    /// Zeros where UTF-16 has them in plain text.
    Zeros,
    /// Nothing: it is UTF-8.
    Nothing,
}

/// The text of a file that holds nothing else, without its mark.
///
/// ```
/// use deconflict_lints::decode_text;
///
/// assert_eq!(decode_text("\u{feff}contract".as_bytes()).unwrap(), "contract");
/// assert_eq!(decode_text(&[0xff, 0xfe, b'a', 0]).unwrap(), "a");
/// assert!(decode_text(&[0x80, 0x81]).is_err());
/// ```
pub fn decode_text(bytes: &[u8]) -> Result<Cow<'_, str>, NotText> {
    let (encoding, _, rest) = encoding_of(bytes)?;
    decode(encoding, rest)
}

/// What a file holds that may be text or code: text as UTF-8 without a mark, and all else as it is.
pub(crate) fn plain(bytes: &[u8]) -> Result<Cow<'_, [u8]>, NotText> {
    match encoding_of(bytes)? {
        (_, Sign::Nothing, bytes) => Ok(Cow::Borrowed(bytes)),
        // Whether it is text or code that begins by chance like a mark shows in what follows.
        (encoding, Sign::Mark, rest) if encoding == UTF_8 => Ok(Cow::Borrowed(rest)),
        (encoding, Sign::Mark, rest) => decode(encoding, rest).map(into_bytes),
        // Code may well have a zero in every second byte, but hardly such that they spell digits or JSON.
        (encoding, Sign::Zeros, _) => match decode(encoding, bytes) {
            Ok(text) if is_input(&text) => Ok(into_bytes(text)),
            _ => Ok(Cow::Borrowed(bytes)),
        },
    }
}

/// The encoding, what it is told by, and what follows behind its mark.
fn encoding_of(bytes: &[u8]) -> Result<(&'static Encoding, Sign, &[u8]), NotText> {
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) || bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Err(NotText::Utf32);
    }
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return Ok((encoding, Sign::Mark, &bytes[length..]));
    }
    Ok(match bytes {
        [1..0x80, 0, 1..0x80, 0, ..] => (UTF_16LE, Sign::Zeros, bytes),
        [0, 1..0x80, 0, 1..0x80, ..] => (UTF_16BE, Sign::Zeros, bytes),
        _ => (UTF_8, Sign::Nothing, bytes),
    })
}

fn decode<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Result<Cow<'a, str>, NotText> {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .ok_or(NotText::Broken { encoding: encoding.name() })
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Whether text is of a kind that is read: JSON, or nothing but digits.
fn is_input(text: &str) -> bool {
    let text = text.trim();
    let is_digit = |it: char| it.is_ascii_hexdigit() || it.is_whitespace();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    text.starts_with(['{', '[', '"']) || (!digits.is_empty() && digits.chars().all(is_digit))
}

/// A function's name, without the parameters that its signature lists.
pub(crate) fn without_parameters(signature: &str) -> &str {
    signature.split_once('(').map_or(signature, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text in UTF-16.
    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "{\"name\": \"größer 🦀\"}\r\n";
        for to_bytes in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
            let unmarked = utf16(text, to_bytes);
            let marked = utf16(&format!("\u{feff}{text}"), to_bytes);
            for bytes in [unmarked, marked] {
                assert_eq!(decode_text(&bytes).as_deref(), Ok(text));
                assert_eq!(plain(&bytes).as_deref(), Ok(text.as_bytes()));
            }
        }
        let marked = format!("\u{feff}{text}");
        assert_eq!(decode_text(marked.as_bytes()).as_deref(), Ok(text));
        assert_eq!(plain(marked.as_bytes()).as_deref(), Ok(text.as_bytes()));
        assert_eq!(decode_text(text.as_bytes()).as_deref(), Ok(text));
        assert_eq!(decode_text(b"").as_deref(), Ok(""));
    }

    #[test]
    fn code_with_zeros_stays_code() {
        // PUSH1 0, four times, and STOPs between constants that are no digits.
        let code = [0x60, 0, 0x60, 0, 0x60, 0, 0x60, 0, 0xf3];
        assert_eq!(plain(&code).as_deref(), Ok(code.as_slice()));
        assert_eq!(plain(&code[..8]).as_deref(), Ok(&code[..8]));
        assert_eq!(plain(&utf16("0x6001\r\n", u16::to_be_bytes)).as_deref(), Ok(b"0x6001\r\n".as_slice()));
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert_eq!(decode_text(b"\xff\xfe\x00\x00{\x00\x00\x00"), Err(NotText::Utf32));
        let message = |bytes: &[u8]| decode_text(bytes).map_err(|error| error.to_string()).err();
        assert!(message(b"\xff\xfe{\x00\x00\xd8}\x00").is_some_and(|it| it.contains("UTF-16LE")));
        assert!(message(b"\xff\xfe{").is_some_and(|it| it.contains("UTF-16LE")), "half a letter");
        assert!(message(b"{\xe4}").is_some_and(|it| it.contains("UTF-8")));
    }
}
