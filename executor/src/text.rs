//! Text in the encodings that editors and shells write.
//!
//! In: the bytes of a file that holds text. Out: UTF-8 without a byte order mark, or an error that names the encoding.
//! A file that is UTF-8 already is not looked through, since block files are large.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Why bytes are no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

/// The text of a file as UTF-8 without a mark. Whether what has no mark of another encoding is UTF-8 is left to who parses
/// it.
pub(crate) fn utf8(bytes: &[u8]) -> Result<Cow<'_, [u8]>, NotText> {
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) || bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Err(NotText::Utf32);
    }
    let (encoding, length) = Encoding::for_bom(bytes).unwrap_or(match bytes {
        // What is plain at its beginning has a zero in every second byte.
        [1..0x80, 0, 1..0x80, 0, ..] => (UTF_16LE, 0),
        [0, 1..0x80, 0, 1..0x80, ..] => (UTF_16BE, 0),
        _ => (UTF_8, 0),
    });
    let rest = &bytes[length..];
    if encoding == UTF_8 {
        return Ok(Cow::Borrowed(rest));
    }
    let text = encoding.decode_without_bom_handling_and_without_replacement(rest);
    let text = text.ok_or(NotText::Broken { encoding: encoding.name() })?;
    Ok(Cow::Owned(text.into_owned().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "{\"format\": 1}\r\n";
        for to_bytes in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
            for marked in [text.to_owned(), format!("\u{feff}{text}")] {
                let bytes: Vec<u8> = marked.encode_utf16().flat_map(to_bytes).collect();
                assert_eq!(utf8(&bytes).as_deref(), Ok(text.as_bytes()));
            }
        }
        assert_eq!(utf8(format!("\u{feff}{text}").as_bytes()).as_deref(), Ok(text.as_bytes()));
        assert_eq!(utf8(text.as_bytes()).as_deref(), Ok(text.as_bytes()));
        assert_eq!(utf8(b"\xff\xfe{\x00\x00\xd8}\x00"), Err(NotText::Broken { encoding: "UTF-16LE" }));
        assert_eq!(utf8(b"\x00\x00\xfe\xff\x00\x00\x00{"), Err(NotText::Utf32));
    }
}
