//! What `inspect` shows of one contract: its functions with the storage they touch, and when two calls conflict.
//!
//! In: a contract and its analysis. Out: an [`Inspection`], plain data with every expression already in words, for the
//! writers in `report`. It judges nothing: what is worth changing is the rules' business.

use std::collections::BTreeSet;

use alloy_primitives::{B256, U256};
use deconflict_analyzer::{
    Access, Alias, ByteRange, CallKind, Cause, Condition, Conflict, ConflictKind, Effect, Entry, Names as _,
    Pc, Permission, Reason, Render, Selector, Space, Summary, Verdict, WriteForm,
};

use crate::{
    check::{Analyzed, analyze_contract},
    naming::ContractNames,
    text::without_parameters,
    unit::{Contract, Project},
};

/// One contract.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Its name.
    pub name: String,
    /// The source it comes from, or the input's name.
    pub source: String,
    /// Keccak-256 of the runtime code that was analysed.
    pub code_hash: B256,
    /// Its entry points: functions by selector, then receive and fallback.
    pub functions: Vec<FunctionInspection>,
    /// The conflict matrix over all entry points.
    pub conflicts: Vec<Cell>,
}

/// One entry point.
#[derive(Clone, Debug)]
pub struct FunctionInspection {
    /// Its signature, or its selector where it has no name.
    pub name: String,
    /// Its selector.
    pub selector: Option<Selector>,
    /// What the caller has to be, if not everybody can call it.
    pub restricted_to: Option<String>,
    /// No call succeeds.
    pub always_reverts: bool,
    /// Where the analysis stopped.
    pub incomplete: Vec<(Reason, Pc)>,
    /// Loads, in order of program counter.
    pub reads: Vec<AccessInspection>,
    /// Stores that a successful call may make, in order of program counter.
    pub writes: Vec<AccessInspection>,
    /// External calls.
    pub calls: Vec<CallInspection>,
}

/// One load or store.
#[derive(Clone, Debug)]
pub struct AccessInspection {
    /// The variable by its name, where the compiler's output has one.
    pub variable: Option<String>,
    /// The location in words: the variable, or the slot.
    pub expression: String,
    /// The slot number, where it is fixed.
    pub slot: Option<U256>,
    /// The bytes of the word.
    pub bytes: ByteRange,
    /// What it does.
    pub kind: AccessKind,
    /// What is added or subtracted, with its sign.
    pub amount: Option<String>,
    /// Whether it is transient storage.
    pub transient: bool,
    /// The instruction.
    pub pc: Pc,
    /// The conditions under which it happens; none if every successful call makes it.
    pub when: Vec<String>,
    /// Whether it may happen any number of times, in a loop.
    pub repeated: bool,
}

/// What an access does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessKind {
    /// A load.
    Read,
    /// A store of a value that does not depend on the old one.
    Write,
    /// A store of a value that does.
    ReadModifyWrite,
    /// A sum that commutes with other sums.
    Delta,
    /// A store that the call takes back.
    NetZero,
}

impl AccessKind {
    /// The stable `snake_case` name used in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadModifyWrite => "read_modify_write",
            Self::Delta => "delta",
            Self::NetZero => "net_zero",
        }
    }
}

/// One external call.
#[derive(Clone, Debug)]
pub struct CallInspection {
    /// The kind, as the opcode is called.
    pub kind: &'static str,
    /// The called address in words.
    pub target: String,
    /// The called function, where it is constant.
    pub selector: Option<[u8; 4]>,
    /// The instruction.
    pub pc: Pc,
}

/// One pair of entry points.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The first.
    pub a: String,
    /// The second.
    pub b: String,
    /// Whether they conflict.
    pub verdict: Verdict,
    /// When they conflict, where it depends on the calls: any of these. Where it is not known, when they do at least,
    /// and which side may touch more.
    pub conditions: Vec<String>,
    /// The locations they conflict on.
    pub variables: Vec<String>,
    /// Whether all of it goes away where commutative updates are merged.
    pub mergeable: bool,
    /// What the two sides do, sorted.
    pub kinds: Vec<&'static str>,
}

/// Analyses and describes a contract.
///
/// ```
/// use std::path::Path;
///
/// use deconflict_lints::{LoadOptions, inspect, load};
///
/// let artifact = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/artifacts/global-counter/Ticketing.json");
/// let project = load(Path::new(artifact), LoadOptions::default())?;
/// let inspection = inspect(&project, &project.contracts[0]);
/// assert!(inspection.functions.iter().all(|function| !function.name.is_empty()));
/// # Ok::<(), deconflict_lints::Error>(())
/// ```
pub fn inspect(project: &Project, contract: &Contract) -> Inspection {
    let names = ContractNames::new(project, contract);
    inspect_analyzed(contract, &names, &analyze_contract(contract, &names))
}

/// Describes a contract whose code has been analysed before.
pub(crate) fn inspect_analyzed(
    contract: &Contract,
    names: &ContractNames<'_>,
    analyzed: &Analyzed,
) -> Inspection {
    let Analyzed { analysis, conflicts } = analyzed;
    let functions = analysis.summaries.iter();
    let functions = functions.map(|summary| {
        let render = Render { expressions: &analysis.expressions, names, entry: summary.entry, prefix: "" };
        function(summary, names, render)
    });
    Inspection {
        name: contract.name.clone(),
        source: contract.source_path.clone(),
        code_hash: alloy_primitives::keccak256(&contract.runtime),
        functions: functions.collect(),
        conflicts: conflicts.iter().map(|conflict| describe_conflict(conflict, names, analyzed)).collect(),
    }
}

/// Describes one cell of the matrix, or a part of one.
pub(crate) fn describe_conflict(conflict: &Conflict, names: &ContractNames<'_>, analyzed: &Analyzed) -> Cell {
    let analysis = &analyzed.analysis;
    let render = |entry, prefix| Render { expressions: &analysis.expressions, names, entry, prefix };
    let (a, b) = (analysis.summaries[conflict.a].entry, analysis.summaries[conflict.b].entry);
    let mut described =
        cell(conflict, (names.signature(a), names.signature(b)), (render(a, "a."), render(b, "b.")));
    if conflict.verdict == Verdict::Unknown {
        described.conditions.extend(not_known(conflict, names, analyzed));
    }
    described
}

/// Which sides of a pair may touch more than is known.
fn not_known(conflict: &Conflict, names: &ContractNames<'_>, analyzed: &Analyzed) -> Vec<String> {
    let sides = BTreeSet::from([conflict.a, conflict.b]);
    let open = sides.into_iter().map(|side| &analyzed.analysis.summaries[side]);
    open.filter(|summary| !summary.is_complete())
        .map(|summary| may_touch_more(&names.signature(summary.entry)))
        .collect()
}

/// What is said of a function that was not analysed in full.
fn may_touch_more(signature: &str) -> String {
    format!("perhaps: {signature} may touch more than is known")
}

/// Whether `name` (a name, a signature or a selector) means this function.
pub fn is_called(function: &FunctionInspection, name: &str) -> bool {
    let selector = function.selector.is_some_and(|selector| selector.to_string().eq_ignore_ascii_case(name));
    function.name == name || without_parameters(&function.name) == name || selector
}

fn function(summary: &Summary, names: &ContractNames<'_>, render: Render<'_>) -> FunctionInspection {
    let is_write = |access: &&Access| matches!(access.effect, Effect::Write { .. });
    let selector = match summary.entry {
        Entry::Function(selector) => Some(selector),
        Entry::Receive | Entry::Fallback => None,
    };
    let restricted_to = match &summary.permission {
        Permission::Anyone => None,
        Permission::Restricted(any) => Some(render.any_of(any)),
    };
    let accesses = || summary.accesses.iter();
    let writes = accesses().filter(is_write).filter(|access| !access.circumstance.reverts);
    FunctionInspection {
        name: names.signature(summary.entry),
        selector,
        restricted_to,
        always_reverts: summary.always_reverts,
        incomplete: summary.incomplete.iter().map(|it| (it.reason, it.pc)).collect(),
        reads: accesses().filter(|it| !is_write(it)).map(|it| access(it, names, render)).collect(),
        writes: writes.map(|it| access(it, names, render)).collect(),
        calls: summary
            .calls
            .iter()
            .map(|call| CallInspection {
                kind: call_kind(call.kind),
                target: render.expression(call.target),
                selector: call.selector,
                pc: call.position.pc,
            })
            .collect(),
    }
}

fn access(access: &Access, names: &ContractNames<'_>, render: Render<'_>) -> AccessInspection {
    let transient = access.space == Space::Transient;
    let key = &mut |id| render.expression(id);
    let variable = if transient { None } else { names.slot(&access.slot, access.bytes, key) };
    let (kind, amount) = match &access.effect {
        Effect::Read { .. } => (AccessKind::Read, None),
        Effect::Write { form, .. } => match *form {
            WriteForm::Plain => (AccessKind::Write, None),
            WriteForm::ReadModifyWrite => (AccessKind::ReadModifyWrite, None),
            WriteForm::Delta { amount, subtract, .. } => (AccessKind::Delta, Some((amount, subtract))),
            WriteForm::Increment { amount, subtract } => {
                (AccessKind::ReadModifyWrite, Some((amount, subtract)))
            }
            WriteForm::NetZero(_) => (AccessKind::NetZero, None),
        },
    };
    let signed =
        |(amount, subtract)| format!("{}{}", if subtract { "-" } else { "+" }, render.expression(amount));
    AccessInspection {
        variable,
        expression: render.access_slot(access.space, &access.slot, access.bytes),
        slot: access.slot.number(),
        bytes: access.bytes,
        kind,
        amount: amount.map(signed),
        transient,
        pc: access.position.pc,
        when: conditions(&access.circumstance.when, render),
        repeated: access.circumstance.repeated,
    }
}

fn conditions(conditions: &[Condition], render: Render<'_>) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for &condition in conditions {
        let text = render.condition(condition);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts
}

fn call_kind(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Call => "call",
        CallKind::CallCode => "callcode",
        CallKind::DelegateCall => "delegatecall",
        CallKind::StaticCall => "staticcall",
    }
}

fn cell(
    conflict: &Conflict,
    (a, b): (String, String),
    (render_a, render_b): (Render<'_>, Render<'_>),
) -> Cell {
    let mut conditions = Vec::new();
    let mut variables = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    for cause in &conflict.causes {
        variables.insert(plain(render_a).slot(&cause.slot_a, cause.bytes));
        variables.insert(plain(render_b).slot(&cause.slot_b, cause.bytes));
        kinds.insert(cause.kind);
        let text = condition(cause, render_a, render_b);
        let depends = matches!(conflict.verdict, Verdict::When | Verdict::Unknown);
        if depends && !conditions.contains(&text) {
            conditions.push(text);
        }
    }
    let mergeable = !kinds.is_empty() && kinds.iter().all(|&kind| kind == ConflictKind::Mergeable);
    Cell {
        a,
        b,
        verdict: conflict.verdict,
        conditions,
        variables: variables.into_iter().collect(),
        mergeable,
        kinds: kinds.into_iter().map(conflict_kind).collect(),
    }
}

/// A variable is named as its own function names it.
fn plain(render: Render<'_>) -> Render<'_> {
    Render { prefix: "", ..render }
}

fn condition(cause: &Cause, a: Render<'_>, b: Render<'_>) -> String {
    match &cause.alias {
        Alias::Always => "always".to_owned(),
        Alias::Unknown => "perhaps: a slot is not known".to_owned(),
        Alias::When(pairs) => {
            let sides = pairs
                .iter()
                .map(|&(left, right)| format!("{} == {}", a.expression(left), b.expression(right)));
            sides.collect::<Vec<_>>().join(" && ")
        }
    }
}

/// The stable name used in every output.
fn conflict_kind(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Mergeable => "mergeable",
        ConflictKind::ReadWrite => "read_write",
        ConflictKind::WriteWrite => "write_write",
        ConflictKind::FalseSharing => "false_sharing",
        ConflictKind::NetZero => "net_zero",
    }
}
