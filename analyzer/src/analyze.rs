//! The entries of a contract, found by running its dispatcher.
//!
//! In: code. Out: one summary an entry. There is no pattern for any compiler's dispatcher: the fallback is explored with
//! a selector that is left open, every constant that the code compares it with becomes an entry, and each entry is
//! explored again from the first instruction with its selector known.

use std::rc::Rc;

use alloy_primitives::{Bytes, U256};
use revm_bytecode::opcode as op;
use rustc_hash::FxHashSet;

use crate::{
    code::{Code, Pc, Selector},
    explore::{Budget, Failures, Room, Shared, Start, explore},
    expression::{Environment, Expressions, Node as Word},
    facts::Facts,
    immutable::{Immutable, placeholder},
    incomplete::{Incomplete, Reason},
    net_zero, permission,
    simplify::Builder,
    slot::{FoldedEntries, element_behind, see_slot},
    state::State,
    summarize::{SummaryDraft, summarize},
    summary::{Entry, Permission, Summary},
};

/// What the caller knows beside the code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Selectors that the ABI names; those that the dispatcher compares with are found without it.
    pub selectors: Vec<Selector>,
    /// Placeholders in code that has not been deployed: what is pushed or copied from there is not known.
    pub immutables: Vec<Immutable>,
    /// Slots that the storage layout names. Slots that the code loads or stores are found without it.
    pub slots: Vec<U256>,
    /// One function answers all calldata that no other does, empty calldata too: it is one entry, [`Entry::Fallback`].
    pub one_default: bool,
}

/// All that is known about one runtime code.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The decoded code.
    pub code: Code,
    /// The arena that every [`crate::ExprId`] below lives in.
    pub expressions: Expressions,
    /// One summary an entry: functions by selector, then receive, then fallback.
    pub summaries: Vec<Summary>,
    /// Instructions interpreted, repetitions included: what the analysis cost, whatever the machine.
    pub steps: u64,
}

/// Work allowed for one entry.
const ENTRY_BUDGET: Budget = Budget { steps: 250_000, nodes: 20_000, expressions: 2_000_000 };

/// Instructions allowed for all entries of a contract together.
const CONTRACT_STEPS: u64 = 3_000_000;

/// Instructions that every entry may use, whatever the ones before it took.
const LEAST_STEPS: u64 = 20_000;

/// Constants tried as keys of folded mapping entries.
const MAX_CONSTANT_KEYS: usize = 61;

/// Constants tried as slots of the lengths of lists.
const MAX_LONG_CONSTANTS: usize = 512;

/// Entries beyond this are not explored: no compiler makes so many, and hostile code must not hold us up.
const MAX_ENTRIES: usize = 2_000;

/// Analyses runtime code. Total: any bytes give an analysis, whose summaries say what they do not cover.
///
/// The work is bounded in instructions, never in time, so that a code has the same analysis on every machine.
///
/// ```
/// use deconflict_analyzer::{Entry, Options, analyze};
///
/// // slot[caller] = 1 for whatever calldata: PUSH1 1, CALLER, SSTORE, STOP.
/// let code = [0x60, 0x01, 0x33, 0x55, 0x00];
/// let analysis = analyze(code.into(), &Options::default());
/// let summary = analysis.summaries.iter().find(|summary| summary.entry == Entry::Fallback).unwrap();
/// assert!(summary.is_complete());
/// assert_eq!(summary.accesses.len(), 1);
/// ```
pub fn analyze(code: Bytes, options: &Options) -> Analysis {
    let code = Code::new(code);
    if code.bytes.first() == Some(&0xef) {
        return Analysis {
            expressions: Expressions::default(),
            summaries: vec![unsupported()],
            code,
            steps: 0,
        };
    }
    let mut builder = Builder::default();
    let immediates = code
        .instructions
        .iter()
        .map(|instruction| {
            let is_push = (op::PUSH1..=op::PUSH32).contains(&instruction.opcode);
            let width = if is_push { u32::from(instruction.opcode - op::PUSH0) } else { 0 };
            match placeholder(&options.immutables, instruction.pc.0 + 1, width) {
                Some(id) => builder.leaf(Word::Immutable(id)),
                None => builder.constant(instruction.immediate),
            }
        })
        .collect();
    let mut shared = Shared {
        code: &code,
        immediates,
        immutables: &options.immutables,
        folded: FoldedEntries::new(constant_keys(&code), long_constants(&code)),
        classes: Vec::new(),
        failures: Failures::default(),
        room: Room::default(),
        builder,
        recovered: FxHashSet::default(),
        next_node: 0,
        selectors: Vec::new(),
    };

    for slot in &options.slots {
        see_slot(&mut shared.builder, *slot, &mut shared.folded);
    }

    let mut steps = 0;
    let fallback = explore_entry(&mut shared, Entry::Fallback, options, &mut steps);
    let mut selectors: Vec<Selector> =
        shared.selectors.iter().map(|selector| Selector(selector.to_be_bytes())).collect();
    selectors.extend_from_slice(&options.selectors);
    selectors.sort_unstable();
    selectors.dedup();

    let mut drafts = Vec::new();
    let cut = selectors.len() > MAX_ENTRIES;
    for selector in selectors.into_iter().take(MAX_ENTRIES) {
        drafts.push(explore_entry(&mut shared, Entry::Function(selector), options, &mut steps));
    }
    if !options.one_default {
        let receive = explore_entry(&mut shared, Entry::Receive, options, &mut steps);
        if !receive.summary.always_reverts {
            drafts.push(receive);
        }
    }
    let mut fallback = fallback;
    if cut {
        fallback.summary.incomplete.push(Incomplete { reason: Reason::StepBudget, pc: Pc(0) });
    }
    if !fallback.summary.always_reverts || drafts.is_empty() {
        drafts.push(fallback);
    }

    let mut builder = shared.builder;
    name_elements(&mut builder, &mut drafts);
    net_zero::mark_net_zero(&mut builder, &mut drafts);
    permission::decide(&mut builder, &mut drafts);
    let summaries = drafts.into_iter().map(|draft| draft.summary).collect();
    Analysis { code, expressions: builder.expressions, summaries, steps }
}

/// Names elements of lists as such where the list came to be known only after the function had been summarised.
fn name_elements(builder: &mut Builder, drafts: &mut [SummaryDraft]) {
    for access in drafts.iter_mut().flat_map(|draft| &mut draft.summary.accesses) {
        if let Some(slot) = element_behind(builder, &access.slot) {
            builder.expressions.replace_slot(access.expression, slot.clone());
            access.slot = slot;
        }
    }
}

fn explore_entry(shared: &mut Shared<'_>, entry: Entry, options: &Options, steps: &mut u64) -> SummaryDraft {
    shared.builder.selector = match entry {
        Entry::Function(selector) => Some(selector),
        Entry::Receive | Entry::Fallback => None,
    };
    shared.builder.empty_calldata = entry == Entry::Receive;
    let mut facts = Facts::default();
    let size = shared.builder.environment(Environment::CalldataSize);
    match entry {
        Entry::Function(_) => {
            let four = shared.builder.number(4);
            let short = shared.builder.binary(op::LT, size, four);
            facts.assume(&mut shared.builder, short, false);
            facts.assume(&mut shared.builder, size, true);
        }
        Entry::Fallback if options.one_default => {}
        Entry::Fallback => {
            facts.assume(&mut shared.builder, size, true);
        }
        Entry::Receive => {}
    }
    let given = facts.clone();
    let state = State { facts: Rc::new(facts), ..State::default() };
    let budget = Budget {
        steps: ENTRY_BUDGET.steps.min(CONTRACT_STEPS.saturating_sub(*steps).max(LEAST_STEPS)),
        ..ENTRY_BUDGET
    };
    let (mut graph, spent) = explore(shared, &Start { state, is_fallback: entry == Entry::Fallback }, budget);
    *steps += spent;
    let draft = summarize(&mut shared.builder, entry, &graph, &given);
    graph.nodes.clear();
    shared.room.nodes = graph.nodes;
    draft
}

/// Constants that a compiler may have folded into the hash of a mapping entry: addresses.
fn constant_keys(code: &Code) -> Vec<U256> {
    let mut keys: Vec<U256> = code
        .instructions
        .iter()
        .filter(|instruction| (op::PUSH1..=op::PUSH32).contains(&instruction.opcode))
        .map(|instruction| instruction.immediate)
        .filter(|value| {
            (65..=160).contains(&value.bit_len()) && *value != (U256::from(1) << 160) - U256::from(1)
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys.truncate(MAX_CONSTANT_KEYS);
    keys
}

/// The constants of the code that are as long as a hash.
fn long_constants(code: &Code) -> Vec<U256> {
    const SHORTEST: usize = 200;
    let pushed = code.instructions.iter().filter(|it| (op::PUSH26..=op::PUSH32).contains(&it.opcode));
    let mut found: Vec<U256> =
        pushed.map(|it| it.immediate).filter(|value| value.bit_len() > SHORTEST).collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(MAX_LONG_CONSTANTS);
    found
}

fn unsupported() -> Summary {
    Summary {
        entry: Entry::Fallback,
        accesses: Vec::new(),
        calls: Vec::new(),
        creations: Vec::new(),
        balance_reads: Vec::new(),
        self_destructs: Vec::new(),
        logs: 0,
        requires: Vec::new(),
        checks: Vec::new(),
        returned: Vec::new(),
        always_reverts: false,
        permission: Permission::Anyone,
        incomplete: vec![Incomplete { reason: Reason::UnsupportedFormat, pc: Pc(0) }],
        steps: Vec::new(),
    }
}
