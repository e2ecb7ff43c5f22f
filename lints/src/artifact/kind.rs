//! What kind of contract code belongs to, where no syntax tree says so.
//!
//! In: runtime code, or the text of a source. Out: what can be told from it alone.

use crate::unit::DefinitionKind;

/// A library's runtime code starts with its own address, which deployment fills in.
pub(crate) fn is_library_code(code: &[u8]) -> bool {
    code.len() > 22
        && code[0] == 0x73
        && code[1..21].iter().all(|&byte| byte == 0)
        && code[21..23] == [0x30, 0x14]
}

/// What `name` is defined as, read off the text; for builds that keep no syntax tree.
pub(crate) fn definition_in_text(text: &str, name: &str) -> Option<DefinitionKind> {
    let words = [
        ("interface", DefinitionKind::Interface),
        ("library", DefinitionKind::Library),
        ("abstract contract", DefinitionKind::Abstract),
        ("contract", DefinitionKind::Contract),
    ];
    let ends = |rest: &str| !rest.starts_with(|it: char| it.is_alphanumeric() || it == '_' || it == '$');
    words.into_iter().find_map(|(word, kind)| {
        let pattern = format!("{word} {name}");
        let mut found = text.match_indices(&pattern);
        found.any(|(at, _)| ends(&text[at + pattern.len()..])).then_some(kind)
    })
}
