//! Templates for people and programs to read: what each function of a code reads and writes, as expressions.
//!
//! In: codes. Out: `deconflict/templates/1`, one JSON document with a template for each code and selector, found by the hash
//! of its own text. The same codes always make the same document. The structs here are the format: their fields may be
//! added to, never renamed. Nothing here is needed to make hints.

use alloy_primitives::{B256, Bytes, keccak256};
use deconflict_analyzer::{
    Access, Analysis, CallKind, Effect, Entry, Options, Permission, Plain, Render, Space, Summary, WriteForm,
    analyze,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::block_words;

/// The name and version of the format.
pub const SCHEMA: &str = "deconflict/templates/1";

/// The document.
#[derive(Serialize, Deserialize)]
struct Document {
    schema: String,
    analyzer: String,
    templates: Vec<Addressed>,
}

/// A template by the Keccak hash of its text.
#[derive(Serialize, Deserialize)]
struct Addressed {
    content: B256,
    template: Box<RawValue>,
}

/// What one entry of a code does.
#[derive(Serialize)]
struct Template {
    code_hash: B256,
    selector: Option<String>,
    entry: &'static str,
    complete: bool,
    incomplete: Vec<Incomplete>,
    always_reverts: bool,
    restricted_to: Option<String>,
    requires: Vec<String>,
    reads: Vec<StorageAccess>,
    writes: Vec<StorageAccess>,
    calls: Vec<Call>,
    balances: Vec<String>,
    creates: bool,
    depends_on_environment: Vec<&'static str>,
}

#[derive(Serialize)]
struct Incomplete {
    reason: &'static str,
    pc: u32,
}

#[derive(Serialize)]
struct StorageAccess {
    expression: String,
    slot: Option<String>,
    bytes: [u8; 2],
    kind: &'static str,
    transient: bool,
    when: Vec<String>,
    repeated: bool,
    reverts: bool,
    pc: u32,
}

#[derive(Serialize)]
struct Call {
    kind: &'static str,
    target: String,
    selector: Option<String>,
    pc: u32,
}

/// What of a template says whose it is.
#[derive(Deserialize)]
struct Owner {
    code_hash: B256,
}

/// The document of these codes, by all threads of rayon's pool, in the order of the codes. Each code is given once.
pub(super) fn render(codes: &[&Bytes]) -> String {
    let templates = codes.par_iter().flat_map_iter(|code| {
        let analysis = analyze(Bytes::clone(code), &Options::default());
        let code_hash = keccak256(code);
        let of_entry = |summary: &Summary| addressed(&template(code_hash, summary, &analysis));
        analysis.summaries.iter().map(of_entry).collect::<Vec<_>>()
    });
    let document = Document {
        schema: SCHEMA.to_owned(),
        analyzer: env!("CARGO_PKG_VERSION").to_owned(),
        templates: templates.collect(),
    };
    serde_json::to_string(&document).expect("strings and numbers are written to memory")
}

/// The hashes of the codes that a document has templates of, sorted, each once. None if it is no such document, or a template
/// in it is not what its hash names.
pub(super) fn owners(text: &str) -> Option<Vec<B256>> {
    let document: Document = serde_json::from_str(text).ok().filter(|it: &Document| it.schema == SCHEMA)?;
    let owner = |it: &Addressed| {
        let text = it.template.get();
        let owner: Owner = serde_json::from_str(text).ok()?;
        (keccak256(text) == it.content).then_some(owner.code_hash)
    };
    let mut owners = document.templates.par_iter().map(owner).collect::<Option<Vec<_>>>()?;
    owners.sort_unstable();
    owners.dedup();
    Some(owners)
}

fn addressed(template: &Template) -> Addressed {
    let template = serde_json::value::to_raw_value(template).expect("strings and numbers make JSON");
    Addressed { content: keccak256(template.get()), template }
}

fn template(code_hash: B256, summary: &Summary, analysis: &Analysis) -> Template {
    let render =
        Render { expressions: &analysis.expressions, names: &Plain, entry: summary.entry, prefix: "" };
    let (entry, selector) = match summary.entry {
        Entry::Function(selector) => ("function", Some(selector.to_string())),
        Entry::Receive => ("receive", None),
        Entry::Fallback => ("fallback", None),
    };
    let restricted_to = match &summary.permission {
        Permission::Anyone => None,
        Permission::Restricted(any) => Some(render.any_of(any)),
    };
    let accesses = |writes: bool| {
        let all = summary.accesses.iter();
        let some = all.filter(move |it| matches!(it.effect, Effect::Write { .. }) == writes);
        some.map(move |it| access(it, render)).collect()
    };
    Template {
        code_hash,
        selector,
        entry,
        complete: summary.is_complete(),
        incomplete: summary
            .incomplete
            .iter()
            .map(|it| Incomplete { reason: it.reason.name(), pc: it.pc.0 })
            .collect(),
        always_reverts: summary.always_reverts,
        restricted_to,
        requires: distinct(summary.requires.iter().map(|condition| render.condition(*condition))),
        reads: accesses(false),
        writes: accesses(true),
        calls: summary.calls.iter().map(|it| call(it, render)).collect(),
        balances: distinct(summary.balance_reads.iter().map(|read| render.expression(read.address))),
        creates: !summary.creations.is_empty(),
        depends_on_environment: block_words::names(summary, analysis),
    }
}

fn access(access: &Access, render: Render<'_>) -> StorageAccess {
    let kind = match &access.effect {
        Effect::Read { .. } => "read",
        Effect::Write { form, .. } => match form {
            WriteForm::Plain => "write",
            WriteForm::ReadModifyWrite | WriteForm::Increment { .. } => "read_modify_write",
            WriteForm::Delta { .. } => "delta",
            WriteForm::NetZero(_) => "net_zero",
        },
    };
    StorageAccess {
        expression: render.access_slot(access.space, &access.slot, access.bytes),
        slot: access.slot.number().map(|slot| format!("{slot:#x}")),
        bytes: [access.bytes.from, access.bytes.to],
        kind,
        transient: access.space == Space::Transient,
        when: distinct(access.circumstance.when.iter().map(|condition| render.condition(*condition))),
        repeated: access.circumstance.repeated,
        reverts: access.circumstance.reverts,
        pc: access.position.pc.0,
    }
}

fn call(call: &deconflict_analyzer::Call, render: Render<'_>) -> Call {
    let kind = match call.kind {
        CallKind::Call => "call",
        CallKind::CallCode => "callcode",
        CallKind::DelegateCall => "delegatecall",
        CallKind::StaticCall => "staticcall",
    };
    let selector = call.selector.map(alloy_primitives::hex::encode_prefixed);
    Call { kind, target: render.expression(call.target), selector, pc: call.position.pc.0 }
}

/// Each text once, in the order in which they come.
fn distinct(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all
}
