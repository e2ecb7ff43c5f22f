//! Variables that share a slot are set apart.
//!
//! In: a finding on a variable that is packed with others. Out: slots that are never used before it and behind it, as far
//! as it has neighbours there.

use super::{Rewrite, declaration, indent, whole_source};
use crate::{diagnostic::Diagnostic, source_map::SourceSpan, unit::Project};

/// The variable gets a slot of its own.
pub(super) fn another_slot(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let variable = declaration(project, diagnostic)?;
    let whole = whole_source(project, variable.span.source);
    let own = |it: &&crate::unit::Contract| {
        it.name == diagnostic.contract
            && project.declarations_of(it, &variable.name).any(|it| it.span == variable.span)
    };
    let contract = project.contracts.iter().find(own)?;
    let layout = contract.storage_layout.as_ref()?;
    let at = layout.storage.iter().position(|it| it.label == variable.name)?;
    let slot = layout.storage[at].slot;
    // A structure has slots of its own already; what it holds is packed by its own declaration.
    let neighbour = |at: usize| layout.storage.get(at).filter(|it| it.slot == slot);
    let before = at.checked_sub(1).and_then(neighbour).map(|_| variable.name.as_str());
    let behind = neighbour(at + 1).map(|it| it.label.as_str());
    let mut edits = Vec::new();
    for name in before.into_iter().chain(behind) {
        let span = project.declarations_of(contract, name).next()?.span;
        let unused = format!("_slotBefore_{name}");
        if span.source != whole.source || !project.mentions(whole, &unused).is_empty() {
            return None;
        }
        let indent = indent(project, span)?;
        let place = SourceSpan { end: span.start, ..span };
        edits.push((place, format!("uint256 private {unused};\n{indent}")));
    }
    (!edits.is_empty()).then(|| Rewrite {
        title: format!("Give `{}` a slot of its own", variable.name),
        note: "slots that are never used come between it and its neighbours: variables that follow move in the layout, \
               so not for a contract that is deployed behind a proxy"
            .to_owned(),
        edits,
    })
}
