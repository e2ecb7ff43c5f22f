//! Rewrites that an editor can offer.
//!
//! In: a finding and its project. Out: [`Rewrite`]s, edits of the source that the finding is shown in. Only what a look
//! at the text can decide is offered, and every rewrite says what it changes: the user reads before anything is applied.

use crate::{diagnostic::Diagnostic, source_map::SourceSpan, unit::Project};

/// A rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// What it does, in a few words.
    pub title: String,
    /// What to know before it is applied.
    pub note: String,
    /// The new texts, all in the source of the finding.
    pub edits: Vec<(SourceSpan, String)>,
}

/// The rewrites that are known for a finding.
pub fn rewrites(project: &Project, diagnostic: &Diagnostic) -> Vec<Rewrite> {
    let _ = (project, diagnostic);
    Vec::new()
}
