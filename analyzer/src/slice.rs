//! Access slices: what is left of a code when only its accesses are of interest.
//!
//! In: runtime (or creation) bytecode. Out: a [`Slice`], register code that computes which storage slots the code
//! touches, what it calls with which data, and what it returns, when it is run on concrete words. Stack shuffling is
//! gone, internal functions are inlined into the traces that reach them, what the selector decides is decided, and
//! everything is deleted that reaches no key, no branch between arms that differ in accesses, no call and no returned
//! word: logs, and in the [`Variant::Lean`] form also the guards of arms that only revert. A slice must never touch less
//! than the code does: it may touch more where the code would have reverted before.
//!
//! Invariant: what a slice can touch behind a selector, the summary of that selector describes, or one of the two is
//! incomplete. `tests/oracle/cross.rs` holds them against each other.

mod program;
mod values;
mod revert;
mod trace;
mod allocate;

pub use program::{
    BinaryOp, CallSite, CopySource, CreateSite, FrameWord, Op, Operand, QueryOp, Slice, TraceId, UnaryOp,
    Variant,
};

use std::collections::VecDeque;

use alloy_primitives::Bytes;
use revm_bytecode::opcode;
use rustc_hash::FxHashMap;

use self::allocate::Pool;
use self::trace::Workshop;
use crate::code::Code;
use crate::fold::Folder;

/// How many operations a slice may have before its traces are kept short, so that no code, however it repeats itself,
/// takes more time and memory than its size warrants.
const MAX_OPERATIONS: usize = 400_000;

/// How many selectors get a trace of their own.
const MAX_SELECTORS: usize = 1_000;

impl Slice {
    /// Compiles a code. Total: any byte string is code.
    ///
    /// Every trace that the code is seen to reach is compiled. `all_destinations` adds one for every valid jump
    /// destination: for codes that turn out to compute jump targets in ways that are not seen.
    ///
    /// ```
    /// use deconflict_analyzer::{Slice, Variant};
    ///
    /// let code = vec![0x60, 0x01, 0x33, 0x55, 0x00];
    /// let slice = Slice::compile(code.into(), Variant::Lean, false);
    /// assert!(slice.size() > 0);
    /// ```
    pub fn compile(bytes: Bytes, variant: Variant, all_destinations: bool) -> Self {
        let slice = Self::compile_until(bytes, variant, all_destinations, &|| false);
        slice.expect("nothing says that it is enough")
    }

    /// The same, unless `stop` says that it is enough. It is asked every few instructions, so that little is done after it
    /// has said so; what was done before is lost.
    pub fn compile_until(
        bytes: Bytes,
        variant: Variant,
        all_destinations: bool,
        stop: &dyn Fn() -> bool,
    ) -> Option<Self> {
        let code = Code::new(bytes);
        let keeps_memory_size = code.instructions.iter().any(|it| it.opcode == opcode::MSIZE);
        let mut compiler = Compiler {
            code: &code,
            folder: Folder::default(),
            variant,
            keeps_memory_size,
            reverting: FxHashMap::default(),
            pool: Pool::default(),
            traces: Vec::new(),
            ids: FxHashMap::default(),
            pending: VecDeque::new(),
            operations: 0,
            computes_targets: false,
            destinations: FxHashMap::default(),
            stop,
            stopped: false,
        };
        let entry = compiler.id(0);
        let selectors = candidates(&code);
        let selectors: FxHashMap<_, _> = selectors
            .into_iter()
            .map(|selector| {
                let id = compiler.reserve();
                if !compiler.stopped {
                    compiler.compile(id, 0, Some(selector));
                }
                (selector, id)
            })
            .collect();
        compiler.run();
        if all_destinations || compiler.computes_targets {
            for instruction in &code.instructions {
                if code.destination(&alloy_primitives::U256::from(instruction.pc.0)).is_some() {
                    compiler.land(instruction.pc.0);
                }
            }
            compiler.run();
        }
        if compiler.stopped {
            return None;
        }
        let all_destinations = all_destinations || compiler.computes_targets;
        let Compiler { pool, traces, destinations, .. } = compiler;
        let (ops, starts) = lay_out(&traces);
        let start = |id: TraceId| TraceId(starts[id.0 as usize]);
        Some(Self {
            variant,
            code: code.bytes.clone(),
            hash: code.hash,
            constants: pool.constants,
            ops,
            calls: pool.calls,
            creates: pool.creates,
            selectors: map_values(selectors, start),
            entry: start(entry),
            destinations: map_values(destinations, start),
            all_destinations,
        })
    }
}

fn map_values<K: std::hash::Hash + Eq>(
    map: FxHashMap<K, TraceId>,
    start: impl Fn(TraceId) -> TraceId,
) -> FxHashMap<K, TraceId> {
    map.into_iter().map(|(key, id)| (key, start(id))).collect()
}

/// Puts traces into one stream, those that run after one another near one another, and says where each starts.
fn lay_out(traces: &[Vec<Op>]) -> (Vec<Op>, Vec<u32>) {
    let mut order = Vec::with_capacity(traces.len());
    let mut placed = vec![false; traces.len()];
    let mut pending: Vec<usize> = (0..traces.len()).rev().collect();
    while let Some(index) = pending.pop() {
        if std::mem::replace(&mut placed[index], true) {
            continue;
        }
        order.push(index);
        match traces[index].last() {
            Some(Op::Jump { to }) => pending.push(to.0 as usize),
            Some(Op::Branch { taken, fallthrough, .. }) => {
                pending.extend([taken.0 as usize, fallthrough.0 as usize]);
            }
            Some(Op::DynamicBranch { fallthrough, .. }) => pending.push(fallthrough.0 as usize),
            _ => {}
        }
    }
    let mut starts = vec![0; traces.len()];
    let mut at = 0;
    for index in &order {
        starts[*index] = at;
        at += traces[*index].len() as u32;
    }
    let start = |id: TraceId| TraceId(starts[id.0 as usize]);
    let ops = order.iter().flat_map(|index| &traces[*index]).map(|op| match *op {
        Op::Jump { to } => Op::Jump { to: start(to) },
        Op::Branch { condition, taken, fallthrough } => {
            Op::Branch { condition, taken: start(taken), fallthrough: start(fallthrough) }
        }
        Op::DynamicBranch { condition, target, fallthrough } => {
            Op::DynamicBranch { condition, target, fallthrough: start(fallthrough) }
        }
        other => other,
    });
    (ops.collect(), starts)
}

fn halted() -> Vec<Op> {
    vec![Op::Enter { needs: 0, leaves: 0, registers: 0, gas: 0, pc: u32::MAX }, Op::Halt]
}

struct Compiler<'a> {
    code: &'a Code,
    folder: Folder,
    variant: Variant,
    keeps_memory_size: bool,
    reverting: FxHashMap<usize, bool>,
    pool: Pool,
    traces: Vec<Vec<Op>>,
    /// The trace that starts at a program counter.
    ids: FxHashMap<u32, TraceId>,
    pending: VecDeque<(TraceId, u32)>,
    operations: usize,
    computes_targets: bool,
    destinations: FxHashMap<u32, TraceId>,
    /// Says whether it is enough.
    stop: &'a dyn Fn() -> bool,
    /// Whether it has said so; nothing that is made then is whole.
    stopped: bool,
}

impl Compiler<'_> {
    fn reserve(&mut self) -> TraceId {
        self.traces.push(Vec::new());
        TraceId(self.traces.len() as u32 - 1)
    }

    /// The trace that starts at a program counter; it is compiled in time.
    fn id(&mut self, pc: u32) -> TraceId {
        trace_id(&mut self.ids, &mut self.traces, &mut self.pending, pc)
    }

    /// Lets computed jumps land at a program counter.
    fn land(&mut self, pc: u32) {
        let id = self.id(pc);
        self.destinations.insert(pc, id);
    }

    fn run(&mut self) {
        while !self.stopped
            && let Some((id, pc)) = self.pending.pop_front()
        {
            self.compile(id, pc, None);
        }
    }

    fn compile(&mut self, id: TraceId, pc: u32, selector: Option<[u8; 4]>) {
        let index = match self.code.instructions.binary_search_by_key(&pc, |it| it.pc.0) {
            Ok(index) => index,
            // A jump to nowhere halts; running past the end of the code stops.
            Err(_) if pc == u32::MAX => {
                self.traces[id.0 as usize] = halted();
                return;
            }
            Err(_) => self.code.instructions.len(),
        };
        let Self { code, folder, variant, reverting, traces, ids, pending, keeps_memory_size, stop, .. } =
            self;
        let mut trace_at = |pc: u32| trace_id(ids, traces, pending, pc);
        let mut workshop = Workshop {
            code,
            folder,
            variant: *variant,
            reverting,
            trace_at: &mut trace_at,
            keeps_memory_size: *keeps_memory_size,
            short: self.operations > MAX_OPERATIONS,
            stop: *stop,
        };
        let Some(draft) = trace::trace(&mut workshop, index, selector) else {
            self.stopped = true;
            return;
        };
        let trace = allocate::allocate(&draft, pc, &mut self.pool);
        self.operations += trace.len();
        self.traces[id.0 as usize] = trace;
        self.computes_targets |= draft.computes_targets;
        for pc in draft.destinations {
            self.land(pc);
        }
    }
}

fn trace_id(
    ids: &mut FxHashMap<u32, TraceId>,
    traces: &mut Vec<Vec<Op>>,
    pending: &mut VecDeque<(TraceId, u32)>,
    pc: u32,
) -> TraceId {
    *ids.entry(pc).or_insert_with(|| {
        traces.push(Vec::new());
        let id = TraceId(traces.len() as u32 - 1);
        pending.push_back((id, pc));
        id
    })
}

/// The selectors that a code may tell apart: four-byte words that it compares with something. One that is none costs
/// a trace that is never run.
fn candidates(code: &Code) -> Vec<[u8; 4]> {
    let mut found: Vec<[u8; 4]> = code
        .instructions
        .iter()
        .enumerate()
        .filter(|(index, it)| {
            (opcode::PUSH1..=opcode::PUSH4).contains(&it.opcode)
                && it.immediate > alloy_primitives::U256::from(0xffff)
                && code.instructions[index + 1..]
                    .iter()
                    .take(3)
                    .any(|next| matches!(next.opcode, opcode::EQ | opcode::XOR | opcode::SUB))
        })
        .filter_map(|(_, it)| u32::try_from(it.immediate).ok().map(u32::to_be_bytes))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.truncate(MAX_SELECTORS);
    found
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Branches on one word of calldata after the other, and loads a slot of its own on each way.
    fn code() -> Bytes {
        let mut code = Vec::new();
        for number in 0..40_u8 {
            let target = (u16::from(number) * 13 + 10).to_be_bytes();
            code.extend([
                0x60, number, 0x35, 0x61, target[0], target[1], 0x57, 0x60, number, 0x54, 0x5b, 0x50, 0x00,
            ]);
        }
        code.into()
    }

    #[test]
    fn what_is_enough_ends_at_once_and_makes_no_difference_before() {
        for variant in [Variant::Lean, Variant::Strict] {
            for all_destinations in [false, true] {
                let whole = Slice::compile(code(), variant, all_destinations);
                let asked = Cell::new(0);
                let count = || {
                    asked.set(asked.get() + 1);
                    false
                };
                let slice = Slice::compile_until(code(), variant, all_destinations, &count);
                let slice = slice.expect("it is never enough");
                assert_eq!(format!("{:?}", slice.ops), format!("{:?}", whole.ops));
                let all = asked.get();
                assert!(all > 1, "{all}");
                for last in [1, 2, all / 2, all] {
                    asked.set(0);
                    let stop = || {
                        asked.set(asked.get() + 1);
                        asked.get() >= last
                    };
                    assert!(Slice::compile_until(code(), variant, all_destinations, &stop).is_none());
                    assert_eq!(asked.get(), last, "nothing is begun after that");
                }
            }
        }
    }
}
