//! Functions that ask or tell more than they need to.

use super::{Rewrite, declaration, whole_source, without_gap};
use crate::{
    diagnostic::Diagnostic,
    source_map::SourceSpan,
    tokens::Code,
    unit::{Project, Visibility},
};

/// The check before a subtraction goes: the subtraction fails in the same cases.
pub(super) fn without_check(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let primary = diagnostic.primary.as_ref()?.span;
    let function = project.function_at(primary)?;
    let code = Code::new(primary.source, &project.source(primary.source).text);
    let (from, to) = code.within(function.span);
    // What is taken, and from what; the rule says that the check is about the same values.
    let mut taken = None;
    for operator in code.find(function.span, "-=") {
        let first = (from..operator).rev().find(|&it| ["{", "}", ";", ")"].contains(&code.text(it)))? + 1;
        let semicolon = code.semicolon(operator)?;
        let span = code.span(first, semicolon);
        if span.contains(&primary) || primary.contains(&span) || overlaps(span, primary) {
            taken = Some((code.texts(first, operator), code.texts(operator + 1, semicolon)));
        }
    }
    let (sum, amount) = taken?;
    let mut found = Vec::new();
    for at in from..to {
        if !code.may_be_left_out(at) || code.text(at + 1) != "(" {
            continue;
        }
        let entries = code.list(at + 1)?;
        let close = code.bracket(at + 1)?;
        let Some(&(first, end)) = entries.first() else { continue };
        let asked = code.texts(first, end);
        let is = |operator: &str, left: &[&str], right: &[&str]| {
            asked.len() == left.len() + 1 + right.len()
                && asked.starts_with(left)
                && asked[left.len()] == operator
                && asked.ends_with(right)
        };
        let last = match code.text(at) {
            "require" if is(">=", &sum, &amount) || is("<=", &amount, &sum) => code.semicolon(close + 1),
            "if" if is("<", &sum, &amount) || is(">", &amount, &sum) => reverts(&code, close + 1),
            _ => None,
        };
        found.extend(last.map(|last| code.span(at, last)));
    }
    let [check] = found.as_slice() else { return None };
    Some(Rewrite {
        title: "Leave the check to the subtraction".to_owned(),
        note: "where it fails, the call reverts with the error of the arithmetic (`Panic(0x11)`) instead of the one that \
               is given here"
            .to_owned(),
        edits: vec![(without_gap(project, *check), String::new())],
    })
}

fn overlaps(a: SourceSpan, b: SourceSpan) -> bool {
    a.source == b.source && a.start < b.end && b.start < a.end
}

/// Where a statement ends that does nothing but revert, in braces or without; nothing may follow as the other case.
fn reverts(code: &Code<'_>, at: usize) -> Option<usize> {
    let last = if code.text(at) == "{" {
        let close = code.bracket(at)?;
        (code.text(at + 1) == "revert" && code.semicolon(at + 1)? + 1 == close).then_some(close)?
    } else {
        (code.text(at) == "revert").then(|| code.semicolon(at))??
    };
    (code.text(last + 1) != "else").then_some(last)
}

/// A function no longer returns a number that no contract asks for.
pub(super) fn without_result(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let primary = diagnostic.primary.as_ref()?.span;
    let function = project.function_at(primary)?;
    let is_entry = matches!(function.visibility, Visibility::External | Visibility::Public);
    let variable = declaration(project, diagnostic)?;
    let code = &Code::new(primary.source, &project.source(primary.source).text);
    let (from, to) = code.within(function.span);
    let body = (from..to).find(|&it| code.text(it) == "{")?;
    let header = code.texts(from, body);
    let returns = (from..body).find(|&it| code.text(it) == "returns")?;
    let close = code.bracket(returns + 1)?;
    let documented = comment_before(project, function.span).contains("@return");
    // Interfaces and other callers would have to follow.
    if !is_entry
        || header.contains(&"override")
        || documented
        || is_called(project, &function.name, function.span)
    {
        return None;
    }
    let mut edits = vec![(header_part(code, returns, close), String::new())];
    let back: Vec<usize> = (body..to).filter(|&it| code.text(it) == "return").collect();
    match (back.as_slice(), code.list(returns + 1)?.as_slice()) {
        // `return ++count;`
        (&[at], &[(first, end)]) if end - first == 1 => {
            let semicolon = code.semicolon(at + 1)?;
            match code.texts(at + 1, semicolon).as_slice() {
                ["++", name] | [name, "++"] if *name == variable.name => {
                    edits.push((code.span(at, semicolon), format!("{name}++;")));
                }
                [name, "+=", ..] if *name == variable.name => {
                    let rest = code.span(at + 1, semicolon);
                    edits.push((
                        SourceSpan { start: code.span(at, at).start, end: rest.start, ..rest },
                        String::new(),
                    ));
                }
                [name] if *name == variable.name && code.may_be_left_out(at) => {
                    edits.push((without_gap(project, code.span(at, semicolon)), String::new()));
                }
                _ => return None,
            }
        }
        // `number = ++count;`, `number` being the name of what is returned.
        (&[], &[(first, end)]) if end - first == 2 => {
            let result = code.text(end - 1);
            let mentions: Vec<usize> =
                code.find(function.span, result).into_iter().filter(|&it| it > body).collect();
            let &[at] = mentions.as_slice() else { return None };
            let semicolon = code.semicolon(at + 1)?;
            match code.texts(at + 1, semicolon).as_slice() {
                ["=", "++", name] | ["=", name, "++"]
                    if *name == variable.name && code.begins_statement(at) =>
                {
                    edits.push((code.span(at, semicolon), format!("{name}++;")));
                }
                ["=", name] if *name == variable.name && code.may_be_left_out(at) => {
                    edits.push((without_gap(project, code.span(at, semicolon)), String::new()));
                }
                _ => return None,
            }
        }
        _ => return None,
    }
    Some(Rewrite {
        title: format!("Return nothing from `{}`", function.name),
        note: "contracts outside the project that use the number have to change".to_owned(),
        edits,
    })
}

/// `returns (…)` with the blank before it.
fn header_part(code: &Code<'_>, returns: usize, close: usize) -> SourceSpan {
    let own = code.span(returns, close);
    let before = code.span(returns - 1, returns - 1);
    SourceSpan { start: before.end, ..own }
}

/// Whether a function is called or declared anywhere but in its definition.
fn is_called(project: &Project, name: &str, definition: SourceSpan) -> bool {
    let here = project.mentions(whole_source(project, definition.source), name);
    let Some(own) = project.definition_at(definition) else { return true };
    let heirs = super::heirs(project, own).flat_map(|span| project.mentions(span, name));
    let outside = super::reached(project, name);
    here.into_iter().chain(heirs).chain(outside).any(|span| !definition.contains(&span))
}

/// The comments right before a function.
fn comment_before(project: &Project, span: SourceSpan) -> &str {
    let before = &project.source(span.source).text[..span.start as usize];
    let start = before.rfind(['}', ';', '{']).map_or(0, |at| at + 1);
    &before[start..]
}
