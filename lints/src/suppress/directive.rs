//! What one comment says: `deconflict: allow(rule, …) reason="…"`, or `@custom:deconflict allow rule` in a doc comment.
//!
//! In: a comment. Out: its [`Directive`]s, at most one a line. A comment that is not addressed to Deconflict says nothing;
//! one that is and cannot be read says what is wrong with it, and as much as can be read of it counts.

use std::ops::Range;

use crate::{
    config::{all_rules, is_selector, selects, unknown},
    source_map::{SourceId, SourceSpan},
};

/// One directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// The words of it.
    pub(super) at: SourceSpan,
    /// Whether it is about the whole file.
    pub(super) whole_file: bool,
    /// The rules that it names, without those that do not exist.
    pub(super) selectors: Vec<Selector>,
    /// Why.
    pub(super) reason: Option<String>,
    /// What is wrong with it.
    pub(super) problem: Option<Problem>,
}

/// A rule, code, letter or group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    /// The word.
    pub(super) text: String,
    /// Where it stands.
    pub(super) at: SourceSpan,
}

/// What is wrong with a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// What it is.
    pub(super) message: String,
    /// What to do.
    pub(super) help: String,
}

impl Directive {
    /// The selectors that select the rule, by index.
    pub(super) fn selecting(&self, rule: &str) -> Vec<usize> {
        let Some(rule) = all_rules().find(|it| it.name == rule) else { return Vec::new() };
        let selecting = self.selectors.iter().enumerate().filter(|(_, it)| selects(&it.text, rule));
        selecting.map(|(index, _)| index).collect()
    }
}

/// The directives of the comment at `comment`.
pub(super) fn read(source: SourceId, text: &str, comment: Range<usize>) -> Vec<Directive> {
    let mut directives = Vec::new();
    let mut start = comment.start;
    for line in text[comment].split_inclusive('\n') {
        let body =
            line.trim_start_matches(|it: char| it.is_whitespace() || matches!(it, '/' | '*' | '#' | '!'));
        let at = start + line.len() - body.len();
        let body = body.trim_end().trim_end_matches("*/").trim_end();
        for opening in ["@custom:deconflict", "deconflict:"] {
            if let Some(rest) = body.strip_prefix(opening) {
                let span = |range: Range<usize>| SourceSpan {
                    source,
                    start: range.start as u32,
                    end: range.end as u32,
                };
                let mut directive = Directive {
                    at: span(at..at + body.len()),
                    whole_file: false,
                    selectors: Vec::new(),
                    reason: None,
                    problem: None,
                };
                fill(&mut directive, rest, at + opening.len(), span);
                directives.push(directive);
            }
        }
        start += line.len();
    }
    directives
}

/// Reads what follows the opening; `offset` is where `text` stands.
fn fill(directive: &mut Directive, text: &str, offset: usize, span: impl Fn(Range<usize>) -> SourceSpan) {
    const FORM: &str =
        "write `deconflict: allow(rule, …) reason=\"…\"`, with `allow-file` for the whole file";
    let problem = |message: String| Some(Problem { message, help: FORM.to_owned() });
    let trimmed = text.trim_start();
    let word_end = trimmed.find(|it: char| !(it.is_ascii_alphabetic() || it == '-')).unwrap_or(trimmed.len());
    let (word, rest) = trimmed.split_at(word_end);
    match word {
        "allow" => {}
        "allow-file" => directive.whole_file = true,
        _ => {
            directive.problem = problem(format!("`{word}` is nothing that a comment can ask for"));
            return;
        }
    }
    // The reason first: it may hold any character.
    let (list, reason) = match rest.split_once("reason") {
        Some((list, reason)) if reason.trim_start().starts_with('=') => (list, Some(reason)),
        _ => (rest, None),
    };
    if let Some(reason) = reason {
        let quoted = reason.trim_start().trim_start_matches('=').trim_start();
        match quoted.strip_prefix('"').and_then(|it| it.split_once('"')) {
            Some((reason, _)) if !reason.trim().is_empty() => {
                directive.reason = Some(reason.trim().to_owned());
            }
            _ => {
                directive.problem = problem("the reason of this suppression is not a quoted text".to_owned());
            }
        }
    }
    let list_start = offset + text.len() - trimmed.len() + word_end;
    let opened = list.trim_start().starts_with('(');
    if opened && !list.contains(')') {
        directive.problem = problem("this suppression has no closing bracket".to_owned());
    }
    let end = list.find(')').unwrap_or(list.len());
    let separator = |it: char| it.is_whitespace() || it == ',' || it == '(';
    let mut at = 0;
    for word in list[..end].split_inclusive(separator) {
        let name = word.trim_end_matches(separator);
        if !name.is_empty() {
            let place = list_start + at..list_start + at + name.len();
            if is_selector(name) && name != "warnings" {
                directive.selectors.push(Selector { text: name.to_owned(), at: span(place) });
            } else {
                let unknown = unknown(name);
                let help = match &unknown.suggestion {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => "`deconflict rules` lists the rules".to_owned(),
                };
                let message = format!("this suppression names `{name}`, which is no rule");
                directive.problem = Some(Problem { message, help });
            }
        }
        at += word.len();
    }
    if directive.selectors.is_empty() && directive.problem.is_none() {
        directive.problem = problem("this suppression names no rule".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(comment: &str) -> Directive {
        let mut found = read(SourceId(0), comment, 0..comment.len());
        assert_eq!(found.len(), 1, "{comment}");
        found.remove(0)
    }

    fn names(comment: &str) -> Vec<String> {
        let directive = one(comment);
        assert_eq!(directive.problem, None, "{comment}");
        for selector in &directive.selectors {
            assert_eq!(comment[selector.at.start as usize..selector.at.end as usize], selector.text);
        }
        directive.selectors.into_iter().map(|it| it.text).collect()
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(names("// deconflict: allow(global-counter)"), ["global-counter"]);
        assert_eq!(
            names("// deconflict: allow( C101 ,false-sharing ) reason=\"a (b), c\""),
            ["C101", "false-sharing"]
        );
        assert_eq!(names("//deconflict:allow C"), ["C"]);
        assert_eq!(names("/* deconflict: allow(all) */"), ["all"]);
        assert_eq!(names("# deconflict: allow-file(pool-reserves)"), ["pool-reserves"]);
        assert_eq!(names("/// @custom:deconflict allow global-counter"), ["global-counter"]);
        assert_eq!(
            names("/**\n * @notice Buys.\n * @custom:deconflict allow C101, C105\n */"),
            ["C101", "C105"]
        );
        assert!(one("// deconflict: allow-file(C)").whole_file);
        let reason = one("// deconflict: allow(C101) reason = \"one call a day\" //~ x").reason;
        assert_eq!(reason.as_deref(), Some("one call a day"));
    }

    #[test]
    fn other_comments_say_nothing() {
        for comment in ["// see deconflict: allow", "/// @custom:security allow", "// deconflicting", "//"] {
            assert_eq!(read(SourceId(0), comment, 0..comment.len()), [], "{comment}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let problem = |comment: &str| {
            let problem = one(comment).problem.expect(comment);
            format!("{}; {}", problem.message, problem.help)
        };
        assert!(problem("// deconflict: alow(C101)").contains("`alow` is nothing"));
        assert!(problem("// deconflict: allow(global-conter)").contains("did you mean `global-counter`?"));
        assert!(problem("// deconflict: allow()").contains("names no rule"));
        assert!(problem("// deconflict: allow(C101").contains("no closing bracket"));
        assert!(problem("// deconflict: allow(C101) reason=why").contains("not a quoted text"));
        assert!(problem("// deconflict: allow(warnings)").contains("is no rule"));
        // What can be read counts.
        assert_eq!(one("// deconflict: allow(C101, nothing)").selectors.len(), 1);
    }
}
