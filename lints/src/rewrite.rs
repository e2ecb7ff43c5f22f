//! Rewrites that an editor can offer.
//!
//! In: a finding and its project. Out: [`Rewrite`]s, edits of the source that the finding is shown in. Nothing is offered
//! unless every mention of the variable has one of the shapes that the rewrite knows, and every rewrite says what it
//! changes beside the finding: the user reads before anything is applied.

mod apart;
mod calls;
mod comment;
mod creation;
mod uses;
mod events;
mod transient;
mod guard;
mod shards;

use crate::{
    diagnostic::Diagnostic,
    hygiene::UNUSED_SUPPRESSION,
    rule::Rule,
    rules,
    source_map::{SourceId, SourceSpan},
    unit::{Contract, ContractDefinition, DefinitionKind, Origin, Project, StateVariable},
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

/// One way to rewrite.
type Way = fn(&Project, &Diagnostic) -> Option<Rewrite>;

/// What is known for the findings of each rule, the best first.
const WAYS: &[(&Rule, &[Way])] = &[
    (
        &rules::storage_reentrancy_guard::RULE,
        &[guard::of_the_package, transient::cleared, guard::with_states, guard::turned_round],
    ),
    (
        &rules::guard_in_packed_slot::RULE,
        &[transient::cleared, guard::with_states, guard::turned_round, apart::another_slot],
    ),
    (&rules::temp_in_storage::RULE, &[transient::cleared]),
    (&rules::flash_balance_before::RULE, &[transient::cleared]),
    (&rules::create_nonce_address::RULE, &[creation::with_salt]),
    (&rules::false_sharing::RULE, &[apart::another_slot]),
    (&rules::config_beside_hot_field::RULE, &[apart::another_slot]),
    (&rules::global_counter::RULE, &[shards::by_sender]),
    (&rules::global_accumulator::RULE, &[shards::by_sender]),
    (&rules::array_push::RULE, &[events::instead_of_list]),
    (&rules::factory_registry::RULE, &[events::instead_of_list]),
    (&rules::last_touched::RULE, &[events::instead_of_last]),
    (&rules::event_only_read::RULE, &[events::of_the_change]),
    (&rules::redundant_hot_check::RULE, &[calls::without_check]),
    (&rules::return_only_read::RULE, &[calls::without_result]),
    (&UNUSED_SUPPRESSION, &[comment::useless]),
];

/// The rewrites that are known for a finding.
pub fn rewrites(project: &Project, diagnostic: &Diagnostic) -> Vec<Rewrite> {
    let own = WAYS.iter().filter(|(rule, _)| rule.has_found(diagnostic)).flat_map(|(_, ways)| *ways);
    let found = own.filter_map(|way| way(project, diagnostic));
    found
        .map(|mut rewrite| {
            rewrite.edits.sort();
            rewrite.edits.dedup();
            rewrite
        })
        .collect()
}

/// A piece of text with the line that it leaves empty, or with the blanks before it.
fn without_gap(project: &Project, span: SourceSpan) -> SourceSpan {
    let text = &project.source(span.source).text;
    let (before, after) = (&text[..span.start as usize], &text[span.end as usize..]);
    let line = before.trim_end_matches([' ', '\t']);
    let rest = after.find('\n').map_or(after, |end| &after[..=end]);
    if (line.is_empty() || line.ends_with('\n')) && rest.trim().is_empty() {
        return SourceSpan { start: line.len() as u32, end: span.end + rest.len() as u32, ..span };
    }
    if rest.trim().is_empty() {
        return SourceSpan { start: line.len() as u32, ..span };
    }
    span
}

/// The one state variable that the finding's labels point at.
fn declaration<'a>(project: &'a Project, diagnostic: &Diagnostic) -> Option<&'a StateVariable> {
    let source = diagnostic.primary.as_ref()?.span.source;
    let mut found = declarations(project, diagnostic);
    found.dedup();
    match found.as_slice() {
        [one] if one.span.source == source => Some(one),
        _ => None,
    }
}

/// The state variables that the finding's labels point at.
fn declarations<'a>(project: &'a Project, diagnostic: &Diagnostic) -> Vec<&'a StateVariable> {
    let labels = diagnostic.related.iter().chain(&diagnostic.primary);
    let declared = labels.filter_map(|label| project.variables.iter().find(|it| it.span == label.span));
    declared.collect()
}

/// The contracts that inherit another one.
fn heirs<'a>(
    project: &'a Project,
    own: &'a ContractDefinition,
) -> impl Iterator<Item = SourceSpan> + use<'a> {
    let inherits = |it: &&ContractDefinition| {
        it.bases.iter().any(|base| base.source == own.span.source && base.name == own.name)
    };
    project.definitions.iter().filter(inherits).map(|it| it.span).filter(|span| *span != own.span)
}

/// Where a name is used from outside, as `….name`, or declared for others to use in an interface.
fn reached(project: &Project, name: &str) -> Vec<SourceSpan> {
    let own = project.sources.iter().filter(|it| it.origin != Origin::Library);
    let mentioned = own.flat_map(|it| project.mentions(whole_source(project, it.id), name));
    let is_reached = |span: &SourceSpan| {
        let before = project.source(span.source).text[..span.start as usize].trim_end();
        let is_interface =
            || project.definition_at(*span).is_some_and(|it| it.kind == DefinitionKind::Interface);
        before.ends_with('.') || (before.ends_with("function") && is_interface())
    };
    mentioned.filter(is_reached).collect()
}

fn whole_source(project: &Project, source: SourceId) -> SourceSpan {
    SourceSpan { source, start: 0, end: project.source(source).text.len() as u32 }
}

/// The white space that the line of a span begins with; `None` where something else stands before the span.
fn indent(project: &Project, span: SourceSpan) -> Option<&str> {
    let before = &project.source(span.source).text[..span.start as usize];
    let line = &before[before.rfind('\n').map_or(0, |at| at + 1)..];
    line.trim().is_empty().then_some(line)
}

/// Whether the finding's contract was compiled by this patch version of 0.8 or a later one, for a chain with transient
/// storage.
fn has_transient_storage(project: &Project, diagnostic: &Diagnostic, patch: u32) -> bool {
    const WITHOUT: [&str; 11] = [
        "homestead",
        "tangerineWhistle",
        "spuriousDragon",
        "byzantium",
        "constantinople",
        "petersburg",
        "istanbul",
        "berlin",
        "london",
        "paris",
        "shanghai",
    ];
    let contract: Option<&Contract> = project.contracts.iter().find(|it| it.name == diagnostic.contract);
    let Some(compiler) = contract.and_then(|it| it.compiler.as_ref()) else { return false };
    let version = compiler.version.strip_prefix("0.8.").and_then(|it| it.parse::<u32>().ok());
    let older = compiler.evm_version.as_deref().is_some_and(|it| WITHOUT.contains(&it));
    version.is_some_and(|it| it >= patch) && !older
}
