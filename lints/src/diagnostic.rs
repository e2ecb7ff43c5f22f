//! What a finding is: plain data, from the rule that makes it to the report that shows it.
//!
//! In: what a rule knows. Out: a [`Diagnostic`] that any report can draw. Spans are byte ranges in the project's
//! sources; lines and columns are computed by the reports alone. Nothing here may depend on how or where it is shown.

use alloy_primitives::keccak256;
use deconflict_analyzer::Pc;

use crate::source_map::SourceSpan;

/// How loudly a finding is reported; `check` fails on errors only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Denied: makes the run fail.
    Error,
    /// Worth changing.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The stable lower-case name used in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// The summaries show it.
    Proved,
    /// The summaries fit it, but part of the pattern rests on a heuristic or on an incomplete summary.
    Likely,
}

impl Confidence {
    /// The stable lower-case name used in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Likely => "likely",
        }
    }
}

/// Where something happens, with what there is to say about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Where.
    pub span: SourceSpan,
    /// What happens there: lower case, no full stop.
    pub text: String,
    /// Whether it is the declaration of what the finding is about.
    pub is_declaration: bool,
}

impl Label {
    /// Something that happens at a place.
    pub fn new(span: SourceSpan, text: String) -> Self {
        Self { span, text, is_declaration: false }
    }

    /// Where the variable of that name is declared.
    pub(crate) fn declaration(span: SourceSpan, name: &str) -> Self {
        Self { span, text: format!("`{name}` is declared here"), is_declaration: true }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The code of the rule, such as `C101`.
    pub code: &'static str,
    /// The name of the rule, such as `global-counter`.
    pub rule: &'static str,
    /// How loudly it is reported.
    pub severity: Severity,
    /// How sure it is.
    pub confidence: Confidence,
    /// The contract in whose bytecode it was found.
    pub contract: String,
    /// The entry points that take part, by signature where it is known, in order of their names.
    pub functions: Vec<String>,
    /// The slot number as a hex word, where it is one fixed slot.
    pub slot: Option<String>,
    /// The variable, such as `totalSold` or `balances[treasury]`.
    pub variable: String,
    /// What happens: lower case, no full stop.
    pub message: String,
    /// Where it happens; `None` where there is no source.
    pub primary: Option<Label>,
    /// The instruction to blame, which is the only location where there is no source.
    pub pc: Pc,
    /// Conflicting accesses, library code and declarations, in order of place.
    pub related: Vec<Label>,
    /// The evidence: which functions conflict, and under which condition.
    pub notes: Vec<String>,
    /// The rewrite.
    pub help: String,
    /// What the rewrite changes, for each function that conflicts with itself there, in order of their names.
    pub effects: Vec<Effect>,
    /// Identifies the finding from run to run while lines move: a hash of the rule, the contract that declares the
    /// variable, the functions that take part and the variable.
    pub fingerprint: String,
}

/// What a rewrite changes for one function, where many calls of it by distinct callers with distinct arguments are due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effect {
    /// The function, by its signature where it is known.
    pub function: String,
    /// How many calls are due.
    pub calls: u32,
    /// How many of them can run at once now.
    pub before: u32,
    /// How many of them can run at once when the reported storage is no longer shared.
    pub after: u32,
    /// Whether all that the function touches is known. Where it is not, no two of its calls count as free.
    pub complete: bool,
}

impl Effect {
    /// How many rounds it takes to run all calls, if so many run at once.
    pub fn waves(&self, at_once: u32) -> u32 {
        self.calls.div_ceil(at_once.max(1))
    }

    /// The share of the calls that need no round of their own, from 0 (one after the other) to nearly 100.
    pub fn score(&self, at_once: u32) -> u32 {
        let (calls, waves) = (u64::from(self.calls.max(1)), u64::from(self.waves(at_once)));
        // Rounded to the nearest whole number.
        u32::try_from((200 * (calls - waves.min(calls)) + calls) / (2 * calls)).unwrap_or(100)
    }
}

/// Hashes what stays the same while code around a finding changes: the rule, the contract that declares the variable,
/// the functions that take part and the slot. Line numbers and program counters never go in.
pub(crate) fn fingerprint(rule: &str, contract: &str, functions: &[String], slot: &str) -> String {
    let mut text = format!("{rule}\n{contract}\n{slot}");
    for function in functions {
        text.push('\n');
        text.push_str(function);
    }
    alloy_primitives::hex::encode(&keccak256(text.as_bytes())[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_and_scores_are_what_they_say() {
        let effect = Effect { function: "f()".to_owned(), calls: 100, before: 1, after: 100, complete: true };
        assert_eq!((effect.waves(effect.before), effect.score(effect.before)), (100, 0));
        assert_eq!((effect.waves(effect.after), effect.score(effect.after)), (1, 99));
        assert_eq!((effect.waves(64), effect.score(64)), (2, 98));
        assert_eq!((effect.waves(0), effect.score(2)), (100, 50));
    }

    #[test]
    fn fingerprints_tell_their_parts_apart() {
        let functions = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let base = fingerprint("global-counter", "A", &functions(&["f()"]), "0x0");
        assert_eq!(base.len(), 32);
        assert_eq!(base, fingerprint("global-counter", "A", &functions(&["f()"]), "0x0"));
        assert_ne!(base, fingerprint("global-counter", "B", &functions(&["f()"]), "0x0"));
        assert_ne!(base, fingerprint("global-counter", "A", &functions(&["g()"]), "0x0"));
        assert_ne!(base, fingerprint("global-counter", "A", &functions(&["f()"]), "0x1"));
        assert_ne!(base, fingerprint("sequential-id", "A", &functions(&["f()"]), "0x0"));
    }
}
