//! Inspections for machines: `deconflict/inspect/1`.
//!
//! In: [`Inspection`]s. Out: one JSON document. The structs here are the format: their fields may be added to, never
//! renamed.

use deconflict_analyzer::Verdict;
use serde::Serialize;

use crate::{
    inspect::{AccessInspection, Cell, FunctionInspection, Inspection},
    unit::{Notice, Project},
};

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    contracts: Vec<Contract<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    followed: Vec<Hop<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// One proxy that was followed.
#[derive(Serialize)]
pub(super) struct Hop<'a> {
    from: &'a str,
    to: &'a str,
    by: &'a str,
}

/// The proxies that were followed to the code of a project.
pub(super) fn hops(project: &Project) -> impl Iterator<Item = Hop<'_>> {
    project.notices.iter().filter_map(|notice| match notice {
        Notice::Forwarded { from, to, by } => Some(Hop { from, to, by }),
        _ => None,
    })
}

#[derive(Serialize)]
struct Contract<'a> {
    name: &'a str,
    source: &'a str,
    code_hash: String,
    functions: Vec<Function<'a>>,
    conflicts: Vec<Conflict<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    selector: Option<String>,
    complete: bool,
    incomplete: Vec<Incomplete>,
    restricted_to: Option<&'a str>,
    always_reverts: bool,
    reads: Vec<Access<'a>>,
    writes: Vec<Access<'a>>,
    calls: Vec<Call<'a>>,
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
    pc: u32,
}

#[derive(Serialize)]
struct Access<'a> {
    variable: Option<&'a str>,
    expression: &'a str,
    slot: Option<String>,
    bytes: [u8; 2],
    kind: &'static str,
    amount: Option<&'a str>,
    transient: bool,
    pc: u32,
    when: Option<String>,
    repeated: bool,
}

#[derive(Serialize)]
struct Call<'a> {
    kind: &'static str,
    target: &'a str,
    selector: Option<String>,
    pc: u32,
}

#[derive(Serialize)]
struct Conflict<'a> {
    a: &'a str,
    b: &'a str,
    verdict: &'static str,
    condition: Option<String>,
    variables: &'a [String],
    mergeable: bool,
    kinds: &'a [&'static str],
}

/// The whole document, with a line break at its end.
pub fn render(inspections: &[Inspection]) -> String {
    render_of(&Project::default(), inspections)
}

/// The same, with what is to be known of how the project was read.
pub fn render_of(project: &Project, inspections: &[Inspection]) -> String {
    let notes = project.notices.iter().filter(|notice| notice.is_note());
    let document = Document {
        schema: "deconflict/inspect/1",
        contracts: inspections.iter().map(contract).collect(),
        followed: hops(project).collect(),
        notes: notes.map(ToString::to_string).collect(),
    };
    let mut text =
        serde_json::to_string_pretty(&document).expect("the document holds strings and numbers only");
    text.push('\n');
    text
}

fn contract(inspection: &Inspection) -> Contract<'_> {
    Contract {
        name: &inspection.name,
        source: &inspection.source,
        code_hash: inspection.code_hash.to_string(),
        functions: inspection.functions.iter().map(function).collect(),
        conflicts: inspection.conflicts.iter().map(conflict).collect(),
    }
}

fn function(function: &FunctionInspection) -> Function<'_> {
    Function {
        name: &function.name,
        selector: function.selector.map(|selector| selector.to_string()),
        complete: function.incomplete.is_empty(),
        incomplete: function
            .incomplete
            .iter()
            .map(|&(reason, pc)| Incomplete { reason: reason.name(), pc: pc.0 })
            .collect(),
        restricted_to: function.restricted_to.as_deref(),
        always_reverts: function.always_reverts,
        reads: function.reads.iter().map(access).collect(),
        writes: function.writes.iter().map(access).collect(),
        calls: function
            .calls
            .iter()
            .map(|call| Call {
                kind: call.kind,
                target: &call.target,
                selector: call.selector.map(|bytes| format!("0x{}", alloy_primitives::hex::encode(bytes))),
                pc: call.pc.0,
            })
            .collect(),
    }
}

fn access(access: &AccessInspection) -> Access<'_> {
    Access {
        variable: access.variable.as_deref(),
        expression: &access.expression,
        slot: access.slot.map(|slot| format!("{slot:#x}")),
        bytes: [access.bytes.from, access.bytes.to],
        kind: access.kind.name(),
        amount: access.amount.as_deref(),
        transient: access.transient,
        pc: access.pc.0,
        when: (!access.when.is_empty()).then(|| access.when.join(" && ")),
        repeated: access.repeated,
    }
}

fn conflict(cell: &Cell) -> Conflict<'_> {
    Conflict {
        a: &cell.a,
        b: &cell.b,
        verdict: verdict(cell.verdict),
        condition: (!cell.conditions.is_empty()).then(|| cell.conditions.join(" || ")),
        variables: &cell.variables,
        mergeable: cell.mergeable,
        kinds: &cell.kinds,
    }
}

/// The stable name used in every output.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Never => "never",
        Verdict::When => "when",
        Verdict::Unknown => "unknown",
        Verdict::Always => "always",
    }
}
