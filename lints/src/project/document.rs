//! What a file holds, told by its content.
//!
//! In: bytes. Out: a JSON document with its top-level keys, or bytecode, or an error that says what was found. Nothing
//! below the top level is parsed here, so that a kind is told quickly and a malformed part elsewhere does not matter.

use std::{collections::BTreeMap, path::Path};

use serde_json::value::RawValue;

use super::raw;
use crate::{artifact::DecodedCode, error::Error, text::NotText};

/// What a file holds.
pub(super) enum Content<'a> {
    /// A JSON object.
    Json(Document<'a>),
    /// Runtime bytecode.
    Code(DecodedCode),
}

/// A JSON object with its parts still text.
pub(super) struct Document<'a> {
    /// The input's name, for messages.
    pub(super) name: &'a str,
    /// The file, if it is one.
    pub(super) path: Option<&'a Path>,
    /// Its top-level entries.
    pub(super) keys: BTreeMap<String, &'a RawValue>,
    /// What stood before the JSON.
    pub(super) preamble: Option<&'a str>,
}

impl<'a> Document<'a> {
    /// Parses the top level of a JSON object.
    pub(super) fn parse(name: &'a str, path: Option<&'a Path>, text: &'a str) -> Result<Self, Error> {
        let keys = serde_json::from_str(text)
            .map_err(|error| Error::Json { name: name.to_owned(), message: error.to_string() })?;
        Ok(Self { name, path, keys, preamble: None })
    }

    /// Whether there is an entry called `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Whether the entry called `key` is an object.
    pub(super) fn has_object(&self, key: &str) -> bool {
        self.keys.get(key).is_some_and(|raw| raw.get().starts_with('{'))
    }

    /// Whether the entry called `key` is a text.
    pub(super) fn has_text(&self, key: &str) -> bool {
        self.keys.get(key).is_some_and(|raw| raw.get().starts_with('"'))
    }

    /// The text called `key`, or an empty one.
    pub(super) fn text(&self, key: &str) -> String {
        self.keys.get(key).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    }

    /// The entry called `key`, parsed.
    pub(super) fn read<T: serde::Deserialize<'a>>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(raw) = self.keys.get(key).filter(|raw| raw.get() != "null") else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|error| Error::Malformed {
            name: self.name.to_owned(),
            part: format!("`{key}`"),
            message: error.to_string(),
        })
    }

    /// The keys, for a message.
    pub(super) fn describe_keys(&self) -> String {
        let shown: Vec<String> = self.keys.keys().take(6).map(|key| key.chars().take(24).collect()).collect();
        match shown.len() {
            0 => "none".to_owned(),
            6 if self.keys.len() > 6 => format!("{}, …", shown.join(", ")),
            _ => shown.join(", "),
        }
    }
}

/// Whether nine bytes of ten are hexadecimal digits, as in no code: those are a handful of instructions.
fn is_mostly_digits(bytes: &[u8]) -> bool {
    let digits = bytes.iter().filter(|it| it.is_ascii_hexdigit() || it.is_ascii_whitespace() || **it == b'x');
    digits.count() * 10 >= bytes.len() * 9
}

/// Tells what `bytes` are, which have no byte order mark any more.
pub(super) fn classify<'a>(
    name: &'a str,
    path: Option<&'a Path>,
    bytes: &'a [u8],
) -> Result<Content<'a>, Error> {
    let empty = || Error::Empty { name: name.to_owned() };
    if bytes.is_empty() {
        return Err(empty());
    }
    let named_json = path.and_then(Path::extension).is_some_and(|extension| extension == "json");
    let Ok(text) = std::str::from_utf8(bytes) else {
        if named_json {
            let message = "the file is binary".to_owned();
            return Err(Error::Json { name: name.to_owned(), message });
        }
        // Digits with something between them that is no UTF-8 are no code: whatever wrote them wrote text.
        if is_mostly_digits(bytes) {
            let problem = NotText::Broken { encoding: "UTF-8" };
            return Err(Error::Encoding { name: name.to_owned(), problem });
        }
        return raw::binary(name, bytes).map(Content::Code);
    };
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(empty());
    }
    if trimmed.starts_with('{') {
        return Document::parse(name, path, trimmed).map(Content::Json);
    }
    if let Some((preamble, json)) = after_preamble(trimmed) {
        let document = Document::parse(name, path, json)?;
        return Ok(Content::Json(Document { preamble: Some(preamble), ..document }));
    }
    if named_json || trimmed.starts_with(['[', '"']) {
        let message = match serde_json::from_str::<serde::de::IgnoredAny>(trimmed) {
            Ok(_) => "expected an object with a compiler's output".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(Error::Json { name: name.to_owned(), message });
    }
    raw::text(name, bytes, text).map(Content::Code)
}

/// Splits off what a compiler printed before its JSON: whole lines, before a line that starts an object.
fn after_preamble(text: &str) -> Option<(&str, &str)> {
    /// More than this before the JSON is no preamble.
    const MAX_PREAMBLE: usize = 64 * 1024;
    let at = text.match_indices("\n{").map(|(at, _)| at).next().filter(|&at| at <= MAX_PREAMBLE)?;
    Some((text[..at].trim(), &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::project::load_bytes;

    #[test]
    fn a_line_before_the_json_is_skipped() {
        let text =
            ">>> Cannot retry compilation with SMT because there are no SMT solvers available.\n{\"a\": 1}";
        let Ok(Content::Json(document)) = classify("x", None, text.as_bytes()) else {
            panic!("JSON expected")
        };
        assert!(document.preamble.is_some_and(|text| text.starts_with(">>>")));
        assert!(document.has("a"));
    }

    fn kind(name: &str, bytes: &[u8]) -> &'static str {
        match classify(name, Some(Path::new(name)), bytes) {
            Ok(Content::Json(_)) => "json",
            Ok(Content::Code(_)) => "code",
            Err(Error::Empty { .. }) => "empty",
            Err(Error::Json { .. }) => "bad json",
            Err(Error::Hex { .. } | Error::OddHex { .. }) => "bad hex",
            Err(Error::Unrecognised { .. } | Error::WrongKind { .. }) => "unknown",
            Err(_) => "other",
        }
    }

    #[test]
    fn kinds_are_told_by_content() {
        assert_eq!(kind("x", b""), "empty");
        assert_eq!(kind("x", b" \n"), "empty");
        assert_eq!(kind("x", b"0x6001"), "code");
        assert_eq!(kind("x.json", b"{}"), "json");
        assert_eq!(kind("x.txt", b"{\"abi\":[]}"), "json");
        assert_eq!(kind("x.json", b"{\"abi\":["), "bad json");
        assert_eq!(kind("x.json", b"\xff\xfe\x00"), "bad json");
        assert_eq!(kind("x.json", b"6001"), "bad json");
        assert_eq!(kind("x.bin", b"\x60\x80\xff\x40"), "code");
        assert_eq!(kind("x", b"0x60zz"), "bad hex");
        assert_eq!(kind("x", b"hello, world"), "unknown");
        assert_eq!(kind("x", b"\x7fELF\x02\x01\x01\xff"), "unknown");
    }

    const ARTIFACT: &str = r#"{"contracts":{"a.sol":{"A":{"abi":[],"evm":{"deployedBytecode":{"object":"6001","sourceMap":
        "0:1:0:-","immutableReferences":{"1":[{"start":0,"length":1}]}}}}}},"sources":{"a.sol":{"id":0,"ast":{}}}}"#;

    proptest! {
        #[test]
        fn mutated_artifacts_never_panic(at in 0..ARTIFACT.len(), cut in 0..40_usize, insert in "[-\\]\\[{}:,\"0-9a-fx_$ ]{0,6}") {
            let end = (at + cut).min(ARTIFACT.len());
            let text = format!("{}{insert}{}", &ARTIFACT[..at], &ARTIFACT[end..]);
            let _ = load_bytes("mutated", text.as_bytes());
        }

        #[test]
        fn any_bytes_are_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = load_bytes("random", &bytes);
        }

        #[test]
        fn any_json_is_an_answer(key in "abi|contracts|input|output|_format|bytecode|deployedBytecode|sourceList|version|id|errors", value in "(\\{\"[a-z]{0,3}\":)?(null|1|\"0x6\"|\\[\\]|\\[1\\]|\\{\\})") {
            let text = format!("{{\"{key}\":{value},\"bytecode\":{{\"object\":\"0x60__\"}}}}");
            let _ = load_bytes("json", text.as_bytes());
        }
    }
}
