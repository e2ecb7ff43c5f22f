//! What is only kept for the record goes into an event.
//!
//! In: a finding on something that no code of the project reads. Out: an event in its place.

use super::{
    Rewrite, declaration, reached,
    uses::{Deed, Uses},
    whole_source,
};
use crate::{
    diagnostic::Diagnostic,
    source_map::SourceSpan,
    tokens::{Code, is_plain},
    unit::{Project, StateVariable},
};

/// A list that is only appended to.
pub(super) fn instead_of_list(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let variable = declaration(project, diagnostic)?;
    let uses = Uses::of(project, variable)?;
    // `T[]` of a type with a simple name.
    if uses.code.texts(uses.declared.0 + 1, uses.declared.0 + 3) != ["[", "]"] {
        return None;
    }
    let event = event_name(&variable.name, "Added");
    let pushes: Option<Vec<_>> = uses
        .all
        .iter()
        .map(|one| match one.deed {
            Deed::Push { open, semicolon } if semicolon > open + 2 => {
                Some((uses.code.span(one.at, open), format!("emit {event}(")))
            }
            _ => None,
        })
        .collect();
    let edits = recorded(project, variable, &uses, &event, "item", 3, pushes?)?;
    Some(Rewrite {
        title: format!("Log what goes into `{}` instead of keeping it", variable.name),
        note: "the list can no longer be read on chain, and its getter goes; indexers have it from the event. Variables \
               that follow it move in the layout"
            .to_owned(),
        edits,
    })
}

/// A variable that is only overwritten.
pub(super) fn instead_of_last(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let variable = declaration(project, diagnostic)?;
    let uses = Uses::of(project, variable)?;
    let event = event_name(&variable.name, "Set");
    let writes: Option<Vec<Vec<_>>> = uses
        .all
        .iter()
        .map(|one| match one.deed {
            Deed::Assign { first, operator, semicolon } if uses.code.text(operator) == "=" => {
                let end = uses.code.span(semicolon, semicolon);
                Some(vec![
                    (uses.code.span(first, operator), format!("emit {event}(")),
                    (SourceSpan { end: end.start, ..end }, ")".to_owned()),
                ])
            }
            _ => None,
        })
        .collect();
    let mut writes: Vec<_> = writes?.concat();
    // The blank behind the operator would stay.
    for (span, text) in &mut writes {
        let text_after = &project.source(span.source).text[span.end as usize..];
        if text.starts_with("emit") && text_after.starts_with(' ') {
            span.end += 1;
        }
    }
    let edits = recorded(project, variable, &uses, &event, "value", 1, writes)?;
    Some(Rewrite {
        title: format!("Log `{}` instead of keeping it", variable.name),
        note: "it can no longer be read on chain, and its getter goes; indexers have it from the event. Variables that \
               follow it move in the layout"
            .to_owned(),
        edits,
    })
}

/// The edits of the writes, and of the declaration that becomes an event's.
fn recorded(
    project: &Project,
    variable: &StateVariable,
    uses: &Uses<'_>,
    event: &str,
    parameter: &str,
    length_of_type: usize,
    mut edits: Vec<(SourceSpan, String)>,
) -> Option<Vec<(SourceSpan, String)>> {
    let specifiers = uses.specifiers(length_of_type);
    let is_simple = matches!(specifiers.as_slice(), [] | ["public" | "internal" | "private"]);
    let is_known = uses.is_reached(project, &variable.name) || !uses.is_free(project, event);
    if !is_simple || is_known || uses.initial().is_some() || edits.is_empty() {
        return None;
    }
    let kind = uses.code.text(uses.declared.0);
    let declared = uses.code.span(uses.declared.0, uses.declared.1);
    edits.push((declared, format!("event {event}({kind} {parameter})")));
    Some(edits)
}

/// `_allPairs` and `Added` are `AllPairsAdded`.
fn event_name(variable: &str, suffix: &str) -> String {
    let bare = variable.trim_start_matches('_');
    let mut letters = bare.chars();
    let first = letters.next().map(|it| it.to_ascii_uppercase());
    first.into_iter().chain(letters).collect::<String>() + suffix
}

/// An event says what is added instead of what it comes to.
pub(super) fn of_the_change(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let variable = declaration(project, diagnostic)?;
    let uses = Uses::of(project, variable)?;
    let added = only_addition(&uses)?;
    let code = &uses.code;
    let whole = whole_source(project, variable.span.source);
    // All events that tell the sum; more than one are for the user to take apart.
    let mut told: Vec<&str> = Vec::new();
    for one in uses.all.iter().filter(|it| it.deed == Deed::Read) {
        let first = code.beginning(one.at);
        if code.text(first) == "emit" && !told.contains(&code.text(first + 1)) {
            told.push(code.text(first + 1));
        }
    }
    let [event] = told.as_slice() else { return None };
    let (mut declared, mut emitted) = (Vec::new(), Vec::new());
    for at in code.find(whole, event) {
        match code.before(at) {
            "event" => declared.push(code.list(at + 1)?),
            "emit" => emitted.push(code.list(at + 1)?),
            _ => return None,
        }
    }
    // An event of the contract's own is one for its heirs as well; one outside is for whoever imports it.
    let own = project.definitions.iter().find(|it| it.span == uses.contract)?;
    let mut heirs = super::heirs(project, own).filter(|span| span.source != whole.source);
    let is_own = code.find(own.span, event).iter().any(|&at| code.before(at) == "event");
    let elsewhere =
        heirs.any(|span| !project.mentions(span, event).is_empty()) || !reached(project, event).is_empty();
    let [parameters] = declared.as_slice() else { return None };
    if !is_own || elsewhere || emitted.iter().any(|it| it.len() != parameters.len()) {
        return None;
    }
    let said = |list: &[(usize, usize)], at: usize| code.texts(list[at].0, list[at].1);
    let place = (0..parameters.len())
        .find(|&at| emitted.iter().all(|list| said(list, at) == [variable.name.as_str()]))?;
    let is_told = emitted.iter().all(|list| (0..list.len()).any(|at| said(list, at) == added));
    let edits = if is_told {
        let lists = emitted.iter().chain([parameters]);
        lists.map(|list| (entry(code, list, place), String::new())).collect()
    } else {
        let mut edits: Vec<_> = emitted
            .iter()
            .map(|list| (code.span(list[place].0, list[place].1 - 1), added.concat()))
            .collect();
        let (from, to) = parameters[place];
        // A parameter may have no name.
        if to - from > 1 && code.text(to - 1) != "indexed" {
            edits.push((code.span(to - 1, to - 1), "added".to_owned()));
        }
        edits
    };
    Some(Rewrite {
        title: format!("Let `{event}` say what is added, not what `{}` comes to", variable.name),
        note: "indexers have to follow: they add up what they are told".to_owned(),
        edits,
    })
}

/// What every addition to a sum adds, in the same words, if that can be said again in the event.
fn only_addition<'a>(uses: &Uses<'a>) -> Option<Vec<&'a str>> {
    let mut added = None;
    for one in &uses.all {
        if let Deed::Assign { operator, semicolon, .. } = one.deed {
            let value = match uses.code.text(operator) {
                "+=" => uses.value(operator, semicolon),
                "++" => vec!["1"],
                _ => return None,
            };
            if added.as_ref().is_some_and(|it| *it != value) || !is_plain(&value) {
                return None;
            }
            added = Some(value);
        }
    }
    added
}

/// An entry of a list, with the comma that sets it apart.
fn entry(code: &Code<'_>, list: &[(usize, usize)], at: usize) -> SourceSpan {
    let (from, to) = list[at];
    let own = code.span(from, to - 1);
    if at > 0 {
        let before = code.span(from - 1, from - 1);
        SourceSpan { start: before.start, ..own }
    } else if let Some(&(next, _)) = list.get(1) {
        SourceSpan { end: code.span(next, next).start, ..own }
    } else {
        own
    }
}

#[cfg(test)]
mod tests {
    use super::event_name;

    #[test]
    fn events_are_called_after_what_they_record() {
        assert_eq!(event_name("_allPairs", "Added"), "AllPairsAdded");
        assert_eq!(event_name("last", "Set"), "LastSet");
    }
}
