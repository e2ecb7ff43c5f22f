//! Rewrites that an editor can offer.
//!
//! In: a finding and its project. Out: [`Rewrite`]s, edits of the source that the finding is shown in. Only what a look
//! at the text can decide is offered, and every rewrite says what it changes: the user reads before anything is applied.

use crate::{
    diagnostic::Diagnostic,
    source_map::{SourceId, SourceSpan},
    unit::{Contract, Project, StateVariable},
};

/// A rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// What it does, in a few words.
    pub title: String,
    /// What to know before it is applied.
    pub note: String,
    /// The new texts, all in the source of the finding and in order.
    pub edits: Vec<(SourceSpan, String)>,
}

/// The rewrites that are known for a finding.
pub fn rewrites(project: &Project, diagnostic: &Diagnostic) -> Vec<Rewrite> {
    match diagnostic.rule {
        "storage-reentrancy-guard" => {
            [transient_guard(project, diagnostic), transient_flag(project, diagnostic)]
                .into_iter()
                .flatten()
                .collect()
        }
        "create-nonce-address" => salted_creation(project, diagnostic).into_iter().collect(),
        "false-sharing" => slots_apart(project, diagnostic).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The guard of `@openzeppelin/contracts` becomes the one in transient storage: another import, another name.
fn transient_guard(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    const OLD: &str = "ReentrancyGuard";
    const NEW: &str = "ReentrancyGuardTransient";
    const PATH: &str = "/ReentrancyGuard.sol";
    if version(project, diagnostic)? < 24 {
        return None;
    }
    let whole = whole_source(project, diagnostic.primary.as_ref()?.span.source);
    let text = project.text(whole);
    let import = text.lines().find(|line| {
        line.trim_start().starts_with("import")
            && line.contains("@openzeppelin/contracts")
            && line.contains(PATH)
    })?;
    let path = whole.start + text.find(import)? as u32 + import.find(PATH)? as u32 + 1;
    let mut edits: Vec<(SourceSpan, String)> =
        project.mentions(whole, OLD).into_iter().map(|span| (span, NEW.to_owned())).collect();
    edits.push((SourceSpan { start: path, end: path + OLD.len() as u32, ..whole }, NEW.to_owned()));
    edits.sort();
    edits.dedup();
    Some(Rewrite {
        title: format!("Use `{NEW}`"),
        note: "the chain needs transient storage (Cancun), and the slot of the old guard stays unused: variables that \
               follow it move in the layout"
            .to_owned(),
        edits,
    })
}

/// A flag of the contract's own becomes a transient one.
fn transient_flag(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    if version(project, diagnostic)? < 28 {
        return None;
    }
    let variable = declarations(project, diagnostic).into_iter().next()?;
    let text = project.text(variable.span);
    // Transient storage begins with zeros, and only a flag that is false when it is open can live with that.
    if variable.type_name != "bool" || text.contains('=') {
        return None;
    }
    let at = variable.span.start + "bool".len() as u32;
    let place = SourceSpan { start: at, end: at, ..variable.span };
    Some(Rewrite {
        title: format!("Keep `{}` in transient storage", variable.name),
        note: "the chain needs transient storage (Cancun); variables that follow it move in the layout"
            .to_owned(),
        edits: vec![(place, " transient".to_owned())],
    })
}

/// `new C(…)` becomes `new C{salt: …}(…)`.
fn salted_creation(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let span = diagnostic.primary.as_ref()?.span;
    let text = project.text(span);
    let (before, after) = text.split_once("new ")?;
    let name = after.find(|it: char| !(it.is_alphanumeric() || it == '_' || it == '.'))?;
    // Options that are there already would have to be merged, and more than one creation told apart.
    if !after[name..].starts_with('(') || after[name..].contains("new ") {
        return None;
    }
    let at = span.start + (before.len() + "new ".len() + name) as u32;
    let place = SourceSpan { start: at, end: at, ..span };
    Some(Rewrite {
        title: "Create with a salt of the sender's".to_owned(),
        note: "a second creation by the same sender with the same arguments would revert: add what tells them apart"
            .to_owned(),
        edits: vec![(place, "{salt: bytes32(uint256(uint160(msg.sender)))}".to_owned())],
    })
}

/// A whole slot between two variables that share one.
fn slots_apart(project: &Project, diagnostic: &Diagnostic) -> Option<Rewrite> {
    let declared = declarations(project, diagnostic);
    let source = diagnostic.primary.as_ref()?.span.source;
    let last = declared.into_iter().filter(|it| it.span.source == source).max_by_key(|it| it.span.start)?;
    let name = format!("_slotBefore_{}", last.name);
    let whole = whole_source(project, source);
    if !project.mentions(whole, &name).is_empty() {
        return None;
    }
    let text = project.text(SourceSpan { end: last.span.start, ..whole });
    let line = text.rfind('\n').map_or(0, |at| at + 1);
    let indent = &text[line..];
    if !indent.trim().is_empty() {
        return None;
    }
    let place = SourceSpan { start: last.span.start, end: last.span.start, ..whole };
    Some(Rewrite {
        title: format!("Give `{}` a slot of its own", last.name),
        note: "a slot that is never used comes between the two: variables that follow move in the layout, so not for \
               a contract that is deployed behind a proxy"
            .to_owned(),
        edits: vec![(place, format!("uint256 private {name};\n{indent}"))],
    })
}

/// The state variables that the finding's labels point at.
fn declarations<'a>(project: &'a Project, diagnostic: &Diagnostic) -> Vec<&'a StateVariable> {
    let labels = diagnostic.related.iter().chain(&diagnostic.primary);
    let declared = labels.filter_map(|label| project.variables.iter().find(|it| it.span == label.span));
    declared.collect()
}

fn whole_source(project: &Project, source: SourceId) -> SourceSpan {
    SourceSpan { source, start: 0, end: project.source(source).text.len() as u32 }
}

/// The patch version of the 0.8 compiler that the finding's contract was compiled with.
fn version(project: &Project, diagnostic: &Diagnostic) -> Option<u32> {
    let contract: &Contract = project.contracts.iter().find(|it| it.name == diagnostic.contract)?;
    contract.compiler.as_ref()?.version.strip_prefix("0.8.")?.parse().ok()
}
