//! What is needed only until the call ends goes to transient storage.
//!
//! In: a variable that every user's call leaves as it was. Out: its declaration with `transient`. The variable begins
//! each transaction with zero then, so it has to be zero between calls now: nothing gives it another value at first, and
//! no function that anybody can call ends with one.

use super::{
    Rewrite, declaration, has_transient_storage,
    uses::{Deed, Use, Uses},
};
use crate::{
    diagnostic::Diagnostic,
    source_map::SourceSpan,
    unit::{Project, StateVariable, Visibility},
};

/// What to know about transient storage.
pub(super) const NOTE: &str = "the chain needs transient storage (Cancun); variables that follow move in the layout, so not for a contract that is \
     deployed behind a proxy";

/// The first version of the compiler with the keyword.
const PATCH: u32 = 28;

/// A variable that is zero between calls becomes a transient one.
pub(super) fn cleared(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let (variable, uses) = candidate(project, diagnostic)?;
    if uses.initial().is_some_and(|it| !is_zero(&it)) {
        return None;
    }
    if !ends_with(&uses, is_zero) {
        return None;
    }
    Some(Rewrite {
        title: format!("Keep `{}` in transient storage", variable.name),
        note: NOTE.to_owned(),
        edits: transient(&uses),
    })
}

/// Whether what every function that anybody can call leaves in a variable is as `wanted`, `delete` leaving a zero. Of a
/// helper that sets a flag there is another one that clears it: the code shows that users call both.
pub(super) fn ends_with(uses: &Uses<'_>, wanted: impl Fn(&[&str]) -> bool) -> bool {
    let assignments = || {
        uses.all.iter().filter_map(|it| match it.deed {
            Deed::Assign { operator, semicolon, .. } => Some((it, operator, semicolon)),
            _ => None,
        })
    };
    assignments().all(|(one, operator, semicolon)| {
        let Some(function) = one.function else { return false };
        let is_entry = matches!(function.visibility, Visibility::Public | Visibility::External)
            || function.name == "constructor"
            || function.is_modifier;
        let is_in_it = |it: &Use<'_>| it.function.is_some_and(|it| it.span == function.span);
        let is_last = !assignments().any(|(it, ..)| it.at > one.at && is_in_it(it));
        let is_wanted = match uses.code.text(operator) {
            "delete" => wanted(&["0"]),
            "=" => wanted(&uses.value(operator, semicolon)),
            _ => false,
        };
        is_wanted || !is_last || !is_entry
    })
}

/// The variable of a finding, if its value can be kept in transient storage.
pub(super) fn candidate<'a>(
    project: &'a Project,
    diagnostic: &Diagnostic,
) -> Option<(&'a StateVariable, Uses<'a>)> {
    if !has_transient_storage(project, diagnostic, PATCH) {
        return None;
    }
    let variable = declaration(project, diagnostic)?;
    let kind = variable.type_name.as_str();
    let is_value = ["bool", "uint", "int", "address", "bytes", "contract ", "enum "];
    if kind == "bytes" || kind.contains('[') || !is_value.iter().any(|it| kind.starts_with(it)) {
        return None;
    }
    Some((variable, Uses::of(project, variable)?))
}

/// The edits that make a declaration a transient one, without the value that it may have given.
pub(super) fn transient(uses: &Uses<'_>) -> Vec<(SourceSpan, String)> {
    let name = uses.code.span(uses.declared.1, uses.declared.1);
    let mut edits = vec![(SourceSpan { end: name.start, ..name }, "transient ".to_owned())];
    if uses.initial().is_some() {
        let value = uses.code.span(uses.declared.1, uses.semicolon - 1);
        edits.push((SourceSpan { start: name.end, ..value }, String::new()));
    }
    edits
}

/// Whether a value is the one that storage begins with.
pub(super) fn is_zero(value: &[&str]) -> bool {
    match value {
        ["false"] => true,
        [number] => is_number(number) && number.trim_start_matches("0x").chars().all(|it| it == '0'),
        [_, "(", inner @ .., ")"] => is_zero(inner),
        _ => false,
    }
}

/// Whether a token is a number.
pub(super) fn is_number(token: &str) -> bool {
    token.starts_with(|it: char| it.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_zero;

    #[test]
    fn zeros_of_all_types() {
        assert!(is_zero(&["0"]) && is_zero(&["0x00"]) && is_zero(&["false"]));
        assert!(is_zero(&["IPool", "(", "address", "(", "0", ")", ")"]));
        assert!(!is_zero(&["10"]) && !is_zero(&["0x10"]) && !is_zero(&["true"]) && !is_zero(&["x"]));
        assert!(!is_zero(&["f", "(", ")"]) && !is_zero(&[]));
    }
}
