//! Reentrancy guards that are not zero while they are open.
//!
//! In: a finding on a guard. Out: the guard in transient storage, where every transaction finds it open.

use super::{
    Rewrite, has_transient_storage,
    transient::{NOTE, candidate, ends_with, is_number, is_zero, transient},
    uses::{Deed, Uses},
    whole_source,
};
use crate::{diagnostic::Diagnostic, source_map::SourceSpan, unit::Project};

/// The guard of `@openzeppelin/contracts` becomes the one in transient storage: another import, another name.
pub(super) fn of_the_package(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    const OLD: &str = "ReentrancyGuard";
    const NEW: &str = "ReentrancyGuardTransient";
    const PATH: &str = "/utils/ReentrancyGuard.sol";
    if !has_transient_storage(project, diagnostic, 24) {
        return None;
    }
    let whole = whole_source(project, diagnostic.primary.as_ref()?.span.source);
    let text = project.text(whole);
    let import = text.lines().find(|line| {
        line.trim_start().starts_with("import")
            && line.contains("@openzeppelin/contracts/")
            && line.contains(PATH)
    })?;
    let path = whole.start + text.find(import)? as u32 + import.find(PATH)? as u32 + "/utils/".len() as u32;
    let mut edits: Vec<(SourceSpan, String)> =
        project.mentions(whole, OLD).into_iter().map(|span| (span, NEW.to_owned())).collect();
    edits.push((SourceSpan { start: path, end: path + OLD.len() as u32, ..whole }, NEW.to_owned()));
    Some(Rewrite {
        title: format!("Use `{NEW}`"),
        note: "the package has it from version 5.1 on, and the chain needs transient storage (Cancun); the slot of the \
               old guard stays unused: variables that follow it move in the layout"
            .to_owned(),
        edits,
    })
}

/// A guard with two states, none of them zero, of which only the closed one is asked for: zero is as open as the other.
pub(super) fn with_states(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let (variable, uses) = candidate(project, diagnostic)?;
    if variable.type_name == "bool" {
        return None;
    }
    let mut closed: Option<Vec<&str>> = None;
    let mut given: Vec<Vec<&str>> = uses.initial().into_iter().collect();
    for one in &uses.all {
        match one.deed {
            Deed::Assign { operator, semicolon, .. } if uses.code.text(operator) == "=" => {
                given.push(uses.value(operator, semicolon));
            }
            Deed::Read => {
                let value = compared(&uses, one.at)?;
                if closed.as_ref().is_some_and(|it| *it != value) {
                    return None;
                }
                closed = Some(value);
            }
            _ => return None,
        }
    }
    let closed = closed?;
    // One value that opens and one that closes, and the closed one is not what storage begins with.
    given.sort();
    given.dedup();
    if given.len() != 2 || !given.contains(&closed) || !is_number_but_zero(project, &uses, &closed) {
        return None;
    }
    // It has to be open between calls; the other way round, zero would be closed for ever.
    if uses.initial().is_some_and(|it| it == closed) || !ends_with(&uses, |it| it != closed) {
        return None;
    }
    Some(Rewrite {
        title: format!("Keep `{}` in transient storage", variable.name),
        note: NOTE.to_owned(),
        edits: transient(&uses),
    })
}

/// What a value is compared with by `==` or `!=`.
fn compared<'a>(uses: &Uses<'a>, at: usize) -> Option<Vec<&'a str>> {
    let is_comparison = |it: &str| ["==", "!="].contains(&it);
    let is_end = |it: &str| [")", ",", "&&", "||"].contains(&it);
    let code = &uses.code;
    if is_comparison(code.text(at + 1)) && is_end(code.text(at + 3)) {
        return Some(vec![code.text(at + 2)]);
    }
    let is_start = ["(", ",", "&&", "||"].contains(&code.before(at.checked_sub(2)?));
    (is_comparison(code.before(at)) && is_start && is_end(code.text(at + 1))).then(|| vec![code.text(at - 2)])
}

/// Whether a value is a number other than zero, or a constant that is given one where it is declared.
fn is_number_but_zero(project: &Project, uses: &Uses<'_>, value: &[&str]) -> bool {
    let [value] = value else { return false };
    if is_number(value) {
        return !is_zero(&[value]);
    }
    let declared = uses.code.find(uses.contract, value);
    let Some(&at) = declared.iter().find(|&&at| uses.code.text(at + 1) == "=") else { return false };
    let number = uses.code.text(at + 2);
    let declaration = uses.code.span(at, at);
    let is_constant = project.variables.iter().any(|it| {
        it.span.contains(&declaration) && it.name == *value && project.text(it.span).contains("constant")
    });
    is_constant && uses.code.text(at + 3) == ";" && is_number(number) && !is_zero(&[number])
}

/// A flag that is true while it is open is turned round, so that it can begin with zero.
pub(super) fn turned_round(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let (variable, uses) = candidate(project, diagnostic)?;
    let is_open = uses.initial().is_some_and(|it| it == ["true"]);
    // Others may know a public one by its name and meaning.
    let is_public = uses.specifiers(1).contains(&"public");
    if variable.type_name != "bool" || !is_open || is_public {
        return None;
    }
    let name = opposite(&variable.name)?;
    if !project.mentions(whole_source(project, variable.span.source), &name).is_empty() {
        return None;
    }
    if !ends_with(&uses, |it| it == ["true"]) {
        return None;
    }
    let mut edits = transient(&uses);
    let renamed = |at: usize| (uses.code.span(at, at), name.clone());
    edits.push(renamed(uses.declared.1));
    for one in &uses.all {
        match one.deed {
            Deed::Assign { operator, semicolon, .. } if uses.code.text(operator) == "=" => {
                let turned = match uses.value(operator, semicolon).as_slice() {
                    ["true"] => "false",
                    ["false"] => "true",
                    _ => return None,
                };
                edits.push(renamed(one.at));
                edits.push((uses.code.span(operator + 1, operator + 1), turned.to_owned()));
            }
            Deed::Read if uses.code.before(one.at) == "!" => {
                edits.push((uses.code.span(one.at - 1, one.at), name.clone()));
            }
            // Comparisons bind weaker than the exclamation mark, so that it can stand before the name alone.
            Deed::Read => edits.push((uses.code.span(one.at, one.at), format!("!{name}"))),
            _ => return None,
        }
    }
    Some(Rewrite {
        title: format!("Keep `{name}` in transient storage instead of `{}`", variable.name),
        note: NOTE.to_owned(),
        edits,
    })
}

/// `unlocked` is the opposite of `locked`, `_notEntered` that of `_entered`.
fn opposite(name: &str) -> Option<String> {
    let bare = name.trim_start_matches('_');
    let rest = ["un", "not", "is_un", "isUn"].into_iter().find_map(|it| bare.strip_prefix(it))?;
    let first = rest.chars().next().filter(char::is_ascii_alphabetic)?;
    let lines = &name[..name.len() - bare.len()];
    Some(format!("{lines}{}{}", first.to_ascii_lowercase(), &rest[1..]))
}

#[cfg(test)]
mod tests {
    use super::opposite;

    #[test]
    fn opposites() {
        assert_eq!(opposite("unlocked").as_deref(), Some("locked"));
        assert_eq!(opposite("_notEntered").as_deref(), Some("_entered"));
        assert_eq!(opposite("isUnlocked").as_deref(), Some("locked"));
        assert_eq!(opposite("open"), None);
        assert_eq!(opposite("un"), None);
    }
}
