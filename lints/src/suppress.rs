//! Comments that say that a finding is known and meant to stay.
//!
//! In: the sources and what was found in them. Out: the findings that no comment covers, those that one does with its
//! reason, and two kinds of findings about the comments themselves: one that covers nothing, one that cannot be read. What
//! a comment covers is told by the text around it, so that no syntax tree is needed:
//!
//! - on a line of code, that line; alone on its lines, the statement or declaration below;
//! - where that is a function, a modifier or a contract, all of it;
//! - where that is the `pragma` or an import before any other code, or with `allow-file`, the whole file.
//!
//! A comment at a state variable covers all findings about that variable.

mod directive;
mod lexer;
mod scope;
mod write;

use std::collections::BTreeSet;

use deconflict_analyzer::Pc;

use directive::{Directive, Problem};
use scope::Cover;

pub use write::{Insertion, allow_comments, insert_comments};

use crate::{
    check::{Report, Suppressed},
    config::{Levels, all_rules, selects},
    diagnostic::{Confidence, Diagnostic, Label, Severity, fingerprint},
    hygiene::{malformed_suppression, unused_suppression},
    rule::Rule,
    source_map::{SourceId, SourceSpan},
    unit::{Contract, Origin, Project, Source},
};

/// One directive and what it covers.
struct Suppression {
    source: SourceId,
    directive: Directive,
    cover: Cover,
}

/// Takes what comments cover out of the report, and adds what there is to say about the comments. `checked` are the
/// contracts that were looked at: a comment in a file that none of them has code from is not called useless.
pub fn apply<'a>(
    project: &Project,
    checked: impl IntoIterator<Item = &'a Contract>,
    report: &mut Report,
    levels: &Levels,
    require_reason: bool,
) {
    let mut suppressions = Vec::new();
    let mut remarks = Vec::new();
    for source in project.sources.iter().filter(|source| source.origin == Origin::Project) {
        for (directive, cover) in scope::directives(source) {
            if let Some(problem) =
                directive.problem.clone().or_else(|| missing_reason(&directive, require_reason))
            {
                remarks.push(remark(
                    project,
                    source,
                    &malformed_suppression::RULE,
                    directive.at,
                    &problem.message,
                    &problem.help,
                ));
            }
            suppressions.push(Suppression { source: source.id, directive, cover });
        }
    }
    let mut used: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut kept = Vec::new();
    for diagnostic in std::mem::take(&mut report.diagnostics) {
        let mut reason = None;
        for (index, suppression) in suppressions.iter().enumerate() {
            if !suppression.covers(project, &diagnostic) {
                continue;
            }
            for at in suppression.directive.selecting(diagnostic.rule) {
                used.insert((index, at));
                reason.get_or_insert_with(|| suppression.directive.reason.clone());
            }
        }
        match reason {
            Some(reason) => report.suppressed.push(Suppressed { diagnostic, reason }),
            None => kept.push(diagnostic),
        }
    }
    let judged = sources_of(project, checked);
    for (index, suppression) in suppressions.iter().enumerate() {
        for (at, selector) in suppression.directive.selectors.iter().enumerate() {
            // What is not looked for cannot be found.
            let mut rules = all_rules().filter(|rule| selects(&selector.text, rule));
            let looked_for = rules.any(|rule| levels.severity(rule.name).is_some());
            if used.contains(&(index, at)) || !looked_for || !judged.contains(&suppression.source) {
                continue;
            }
            let source = project.source(suppression.source);
            let message = format!("this suppression of `{}` suppresses nothing", selector.text);
            let help = "take it out, so that it cannot hide what is written here later";
            remarks.push(remark(project, source, &unused_suppression::RULE, selector.at, &message, help));
        }
    }
    for mut remark in remarks {
        if let Some(severity) = levels.severity_of(project, &remark) {
            remark.severity = severity;
            kept.push(remark);
        }
    }
    report.diagnostics = kept;
    report.sort(project);
}

impl Suppression {
    fn covers(&self, project: &Project, diagnostic: &Diagnostic) -> bool {
        let covers = |span: SourceSpan| {
            span.source == self.source
                && self.cover.range.start < span.end.max(span.start + 1)
                && span.start < self.cover.range.end
        };
        let declaration = |label: &&Label| project.variables.iter().any(|it| it.span == label.span);
        diagnostic.primary.as_ref().is_some_and(|label| covers(label.span))
            || self.cover.is_statement
                && diagnostic.related.iter().filter(declaration).any(|label| covers(label.span))
    }
}

fn missing_reason(directive: &Directive, required: bool) -> Option<Problem> {
    (required && directive.reason.is_none()).then(|| Problem {
        message: "this suppression does not say why".to_owned(),
        help: "add `reason=\"…\"`: the project's configuration asks for one".to_owned(),
    })
}

/// A finding about a comment.
fn remark(
    project: &Project,
    source: &Source,
    rule: &Rule,
    at: SourceSpan,
    message: &str,
    help: &str,
) -> Diagnostic {
    let definition = project.definition_at(at);
    let contract = definition.map_or_else(|| source.path.clone(), |it| it.name.clone());
    let text = project.text(at);
    Diagnostic {
        code: rule.code,
        rule: rule.name,
        severity: Severity::Warning,
        confidence: Confidence::Proved,
        fingerprint: fingerprint(rule.name, &format!("{}:{contract}", source.path), &[], text),
        contract,
        functions: Vec::new(),
        slot: None,
        variable: String::new(),
        message: message.to_owned(),
        primary: Some(Label::new(at, "here".to_owned())),
        pc: Pc(0),
        related: Vec::new(),
        notes: Vec::new(),
        help: help.to_owned(),
        effects: Vec::new(),
    }
}

/// The files that the checked contracts are written in, inherited ones included.
fn sources_of<'a>(project: &Project, checked: impl IntoIterator<Item = &'a Contract>) -> BTreeSet<SourceId> {
    let mut sources = BTreeSet::new();
    for contract in checked {
        sources.extend(contract.source);
        let bases = project.definition_of(contract).map(|it| it.bases.as_slice()).unwrap_or_default();
        sources.extend(bases.iter().map(|base| base.source));
    }
    sources
}

#[cfg(test)]
mod tests;
