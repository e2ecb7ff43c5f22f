//! Creations get an address that does not depend on the ones before.

use super::Rewrite;
use crate::{diagnostic::Diagnostic, source_map::SourceSpan, unit::Project};

/// `new C(…)` becomes `new C{salt: …}(…)`.
pub(super) fn with_salt(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let span = diagnostic.primary.as_ref()?.span;
    let text = project.text(span);
    let (before, after) = text.split_once("new ")?;
    let name = after.find(|it: char| !(it.is_alphanumeric() || it == '_' || it == '.'))?;
    // Options that are there already would have to be merged, and more than one creation told apart.
    if !after[name..].starts_with('(') || after[name..].contains("new ") {
        return None;
    }
    let at = span.start + (before.len() + "new ".len() + name) as u32;
    let place = SourceSpan { start: at, end: at, ..span };
    Some(Rewrite {
        title: "Create with a salt of the sender's".to_owned(),
        note: "a second creation by the same sender with the same arguments would revert: add what tells them apart"
            .to_owned(),
        edits: vec![(place, "{salt: bytes32(uint256(uint160(msg.sender)))}".to_owned())],
    })
}
