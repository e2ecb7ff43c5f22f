//! solc's compressed source map: `start:length:file:jump:modifier depth`, fields omitted where they repeat.
//!
//! In: the text of a `sourceMap`. Out: one [`MapEntry`] an instruction. Numbers are kept as the compiler wrote them; who
//! owns the sources decides which of them are spans.

use super::Jump;

/// Where one instruction comes from, in the compiler's own numbering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapEntry {
    /// First byte in the file, or -1.
    pub start: i64,
    /// Number of bytes, or -1.
    pub length: i64,
    /// The compiler's file index, or -1 for none.
    pub file: i64,
    /// What the instruction's jump does.
    pub jump: Jump,
    /// How many modifiers are open.
    pub modifier_depth: u32,
}

impl MapEntry {
    /// One past the last byte.
    pub(crate) fn end(&self) -> i64 {
        self.start.saturating_add(self.length)
    }
}

/// Text that is no source map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("instruction {instruction} of the source map has {text:?} as its {field}")]
pub(crate) struct MapError {
    /// Index of the instruction.
    pub instruction: usize,
    /// Which field is wrong.
    pub field: &'static str,
    /// The field's text.
    pub text: String,
}

/// Decodes a source map. The empty text is the map of no instruction.
pub(crate) fn decode(text: &str) -> Result<Vec<MapEntry>, MapError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut entry = MapEntry { start: -1, length: -1, file: -1, jump: Jump::Regular, modifier_depth: 0 };
    let mut entries = Vec::new();
    for (instruction, fields) in text.split(';').enumerate() {
        let wrong =
            |field, text: &str| MapError { instruction, field, text: text.chars().take(40).collect() };
        for (index, field) in fields.split(':').enumerate() {
            if field.is_empty() {
                continue;
            }
            let number = |name| field.parse::<i64>().map_err(|_| wrong(name, field));
            match index {
                0 => entry.start = number("start")?,
                1 => entry.length = number("length")?,
                2 => entry.file = number("file index")?,
                3 => {
                    entry.jump = match field {
                        "i" => Jump::Into,
                        "o" => Jump::Out,
                        "-" => Jump::Regular,
                        _ => return Err(wrong("jump kind", field)),
                    }
                }
                4 => {
                    entry.modifier_depth = field.parse().map_err(|_| wrong("modifier depth", field))?;
                }
                _ => return Err(wrong("sixth field", field)),
            }
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Writes a map the way solc does: a field equal to the previous instruction's is left out.
    fn encode(entries: &[MapEntry]) -> String {
        let mut previous: Option<[String; 5]> = None;
        let mut parts = Vec::new();
        for entry in entries {
            let jump = match entry.jump {
                Jump::Into => "i",
                Jump::Out => "o",
                Jump::Regular => "-",
            };
            let fields = [
                entry.start.to_string(),
                entry.length.to_string(),
                entry.file.to_string(),
                jump.to_owned(),
                entry.modifier_depth.to_string(),
            ];
            let written: Vec<&str> = (0..5)
                .map(|i| match &previous {
                    Some(previous) if previous[i] == fields[i] => "",
                    _ => fields[i].as_str(),
                })
                .collect();
            parts.push(written.join(":").trim_end_matches(':').to_owned());
            previous = Some(fields);
        }
        parts.join(";")
    }

    fn entry() -> impl Strategy<Value = MapEntry> {
        let jump = prop_oneof![Just(Jump::Into), Just(Jump::Out), Just(Jump::Regular)];
        (-1..5_i64, -1..5_i64, -1..3_i64, jump, 0..3_u32).prop_map(
            |(start, length, file, jump, modifier_depth)| MapEntry {
                start,
                length,
                file,
                jump,
                modifier_depth,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(entries in prop::collection::vec(entry(), 1..60)) {
            prop_assert_eq!(decode(&encode(&entries)), Ok(entries));
        }

        #[test]
        fn any_text_is_an_answer(text in "[-0-9:;io a日]{0,200}") {
            if let Ok(entries) = decode(&text) {
                prop_assert_eq!(entries.len(), if text.is_empty() { 0 } else { text.split(';').count() });
                for entry in entries {
                    let _ = entry.end();
                }
            }
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        let error = decode("1:2:0:-;x").expect_err("x is no number");
        assert_eq!((error.instruction, error.field), (1, "start"));
        assert!(decode("1:2:0:z").is_err());
        assert!(decode("1:2:0:-:0:9").is_err());
        assert!(decode("99999999999999999999").is_err());
    }
}
