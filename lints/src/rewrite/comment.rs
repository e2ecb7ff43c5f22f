//! Comments that suppress nothing.

use super::{Rewrite, whole_source, without_gap};
use crate::{diagnostic::Diagnostic, source_map::SourceSpan, unit::Project};

/// A rule that suppresses nothing goes from its comment, and the comment with the last of them.
pub(super) fn useless(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let word = diagnostic.primary.as_ref()?.span;
    let text = project.text(whole_source(project, word.source));
    let (start, end) = (word.start as usize, word.end as usize);
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[end..].find('\n').map_or(text.len(), |at| end + at);
    // The comment that is addressed to us, whatever the code before it has in its strings.
    let addressed = |at: &usize| {
        let words = text[*at..start].trim_start_matches('/').trim_start();
        words.starts_with("deconflict") || words.starts_with("@custom:deconflict")
    };
    let comment = text[line..start].match_indices("//").map(|(at, _)| line + at).find(addressed)?;
    let is_alone = {
        let before = text[comment..start].trim_end();
        let after = text[end..line_end].trim();
        let listed = before.ends_with('(') && after.starts_with(')');
        listed || (before.ends_with("allow") && (after.is_empty() || after.starts_with("reason")))
    };
    let (title, gone) = if is_alone {
        let whole = SourceSpan { start: comment as u32, end: line_end as u32, ..word };
        ("Remove the comment".to_owned(), without_gap(project, whole))
    } else {
        // The first of a list takes the comma behind it along, any other the one before it.
        let before = text[..start].trim_end();
        let gone = if before.ends_with(',') {
            SourceSpan { start: before.len() as u32 - 1, ..word }
        } else {
            let after = text[end..line_end].strip_prefix(',')?;
            let next = line_end - after.trim_start().len();
            SourceSpan { end: next as u32, ..word }
        };
        (format!("Remove `{}` from the comment", project.text(word)), gone)
    };
    Some(Rewrite {
        title,
        note: "nothing is reported here that it would suppress".to_owned(),
        edits: vec![(gone, String::new())],
    })
}
