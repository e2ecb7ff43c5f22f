//! Lays a tree out as one stream of steps.
//!
//! In: a [`Tree`]. Out: a [`Program`] that answers what the tree does. An expression is computed where something first
//! needs it, never where it came up: what no key, no account and no decision needs is not computed at all.

use alloy_primitives::U256;
use rustc_hash::FxHashMap;

use super::super::node::{CALL_DATA, NodeId, Piece, RecipeNode, Test};
use super::program::{BalanceQuery, Bytes, Leaf, Operand, PrecompileCall, Program, RecipeStep, Source, Span};
use super::trail::Effect;
use super::tree::{NextCase, SegmentId, Tree};

impl Program {
    /// Lays out a tree.
    pub(super) fn new(tree: &Tree) -> Self {
        let mut layout = Layout { tree, program: Self::default(), ..Layout::empty(tree) };
        if tree.segments.is_empty() {
            layout.program.steps.push(RecipeStep::Missing);
        } else {
            layout.run();
        }
        layout.program
    }
}

/// Work that is left while a tree is laid out.
enum Task {
    Segment(SegmentId),
    /// The case of a decision at the segment, from the one of this number on; a step waits to be told where it is.
    Cases {
        segment: SegmentId,
        case: usize,
        from: Option<u32>,
    },
    /// A segment that is gone to from elsewhere; the step at `from` waits to be told where it is.
    Arm {
        segment: SegmentId,
        from: u32,
    },
    /// Forgets what came up since.
    Forget {
        nodes: usize,
        computed: usize,
        stores: usize,
    },
}

struct Layout<'a> {
    tree: &'a Tree,
    program: Program,
    numbers: FxHashMap<U256, u32>,
    /// The expressions on the path, by number.
    nodes: Vec<&'a RecipeNode>,
    /// The words that have been computed on the path, by expression.
    computed: Vec<Option<u32>>,
    /// The expressions that have been computed on the path, in order.
    order: Vec<u32>,
    /// The places of the stores on the path.
    stores: Vec<[NodeId; 2]>,
}

impl<'a> Layout<'a> {
    fn empty(tree: &'a Tree) -> Self {
        Self {
            tree,
            program: Program::default(),
            numbers: FxHashMap::default(),
            nodes: Vec::new(),
            computed: Vec::new(),
            order: Vec::new(),
            stores: Vec::new(),
        }
    }

    fn run(&mut self) {
        let mut tasks = vec![Task::Segment(0)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Segment(id) => self.segment(id, &mut tasks),
                Task::Cases { segment, case, from } => self.case(segment, case, from, &mut tasks),
                Task::Arm { segment, from } => {
                    self.lead_here(from);
                    tasks.push(Task::Segment(segment));
                }
                Task::Forget { nodes, computed, stores } => {
                    self.stores.truncate(stores);
                    self.nodes.truncate(nodes);
                    self.computed.truncate(nodes);
                    for id in self.order.drain(computed..) {
                        if let Some(slot) = self.computed.get_mut(id as usize) {
                            *slot = None;
                        }
                    }
                }
            }
        }
    }

    fn forget(&self) -> Task {
        Task::Forget { nodes: self.nodes.len(), computed: self.order.len(), stores: self.stores.len() }
    }

    fn segment(&mut self, id: SegmentId, tasks: &mut Vec<Task>) {
        let segment = &self.tree.segments[id];
        self.nodes.extend(&segment.nodes);
        self.computed.resize(self.nodes.len(), None);
        for effect in &segment.effects {
            let step = match effect {
                Effect::Read { address, key, delta } => {
                    let [address, key] = self.operands([*address, *key]);
                    RecipeStep::Read { address, key, delta: *delta }
                }
                Effect::Write { address, key, delta } => {
                    self.stores.push([*address, *key]);
                    let [address, key] = self.operands([*address, *key]);
                    RecipeStep::Write { address, key, delta: *delta }
                }
                Effect::Attempt { address, key } => {
                    let [address, key] = self.operands([*address, *key]);
                    RecipeStep::Attempt { address, key }
                }
                Effect::Touch { kind, address } => {
                    let [address] = self.operands([*address]);
                    RecipeStep::Touch { kind: *kind, address }
                }
                Effect::Shortfall(shortfall) => {
                    self.program.shortfalls.push(*shortfall);
                    RecipeStep::Shortfall { index: self.program.shortfalls.len() as u32 - 1 }
                }
            };
            self.program.steps.push(step);
        }
        match &segment.next {
            NextCase::Unknown => self.program.steps.push(RecipeStep::Missing),
            NextCase::Open => self.program.steps.push(RecipeStep::Open),
            NextCase::Leaf { gas, bounds, zeros } => {
                self.program.leaves.push(Leaf { gas: *gas, bounds: *bounds, zeros: zeros.clone() });
                let index = self.program.leaves.len() as u32 - 1;
                self.program.steps.push(RecipeStep::Leaf { index });
            }
            NextCase::Fork(first, second) => {
                let from = self.push(RecipeStep::Fork { other: 0 });
                tasks.push(Task::Arm { segment: *second, from });
                tasks.push(self.forget());
                tasks.push(Task::Segment(*first));
            }
            NextCase::Decision(node, cases) => {
                self.operands([*node]);
                if cases.len() > 2 {
                    self.cases(*node, cases, tasks);
                } else {
                    self.case(id, 0, None, tasks);
                }
            }
        }
    }

    fn push(&mut self, step: RecipeStep) -> u32 {
        self.program.steps.push(step);
        self.program.steps.len() as u32 - 1
    }

    /// Tells a step that waits for it that the next one is where it leads.
    fn lead_here(&mut self, from: u32) {
        let here = self.program.steps.len() as u32;
        match &mut self.program.steps[from as usize] {
            RecipeStep::IfZero { otherwise: target, .. }
            | RecipeStep::IfSame { otherwise: target, .. }
            | RecipeStep::Fork { other: target } => *target = here,
            _ => {}
        }
    }

    /// The step that goes on where a word passes a test, or where it does not.
    fn test(&mut self, node: NodeId, test: &Test, passes: bool) -> RecipeStep {
        let a = self.operand(node);
        let otherwise = u32::MAX;
        match test {
            Test::Zero => RecipeStep::IfZero { a, zero: passes, otherwise },
            Test::NonZero => RecipeStep::IfZero { a, zero: !passes, otherwise },
            Test::Equals(value) => {
                RecipeStep::IfSame { a, b: self.constant(*value), same: passes, otherwise }
            }
        }
    }

    /// Lays out many cases of a decision: all their tests next to each other, because those that fail are fetched too.
    fn cases(&mut self, node: NodeId, cases: &[(Test, SegmentId)], tasks: &mut Vec<Task>) {
        let mut arms = Vec::with_capacity(cases.len());
        for (test, segment) in cases {
            let step = self.test(node, test, false);
            arms.push(Task::Arm { segment: *segment, from: self.push(step) });
        }
        self.push(RecipeStep::Missing);
        for arm in arms.into_iter().rev() {
            tasks.push(self.forget());
            tasks.push(arm);
        }
    }

    /// Lays out one case of a decision, and leaves the next for later.
    fn case(&mut self, segment: SegmentId, case: usize, from: Option<u32>, tasks: &mut Vec<Task>) {
        if let Some(from) = from {
            self.lead_here(from);
        }
        let NextCase::Decision(node, cases) = &self.tree.segments[segment].next else { return };
        let Some((test, next)) = cases.get(case) else {
            self.program.steps.push(RecipeStep::Missing);
            return;
        };
        let step = self.test(*node, test, true);
        let here = self.push(step);
        tasks.push(Task::Cases { segment, case: case + 1, from: Some(here) });
        tasks.push(self.forget());
        tasks.push(Task::Segment(*next));
    }

    fn constant(&mut self, value: U256) -> Operand {
        let constants = &mut self.program.constants;
        let number = *self.numbers.entry(value).or_insert_with(|| {
            constants.push(value);
            constants.len() as u32 - 1
        });
        Operand(number | Operand::CONSTANT)
    }

    /// The expression of this number; numbers start at one.
    fn node(&self, id: NodeId) -> &'a RecipeNode {
        self.nodes[id.0 as usize - 1]
    }

    /// Words that hold these expressions: those that have not been computed are.
    fn operands<const N: usize>(&mut self, ids: [NodeId; N]) -> [Operand; N] {
        let mut pending: Vec<NodeId> = ids.to_vec();
        let mut wanted = Vec::new();
        let mut seen = rustc_hash::FxHashSet::default();
        while let Some(id) = pending.pop() {
            let done = self.computed[id.0 as usize - 1].is_some()
                || matches!(self.node(id), RecipeNode::Constant(_));
            if done || !seen.insert(id) {
                continue;
            }
            wanted.push(id);
            for_each_operand(self.node(id), |operand| pending.push(operand));
        }
        // Operands have lower numbers than what they are operands of.
        wanted.sort_unstable();
        for id in wanted {
            let to = self.order.len() as u32;
            let step = self.step(self.node(id), to);
            self.program.steps.push(step);
            self.computed[id.0 as usize - 1] = Some(to);
            self.order.push(id.0 - 1);
            self.program.words = self.program.words.max(to + 1);
        }
        ids.map(|id| self.operand(id))
    }

    fn operand(&mut self, id: NodeId) -> Operand {
        match self.node(id) {
            RecipeNode::Constant(value) => self.constant(*value),
            _ => Operand(self.computed[id.0 as usize - 1].unwrap_or_default()),
        }
    }

    fn bytes(&mut self, pieces: &[Piece]) -> Span {
        let start = self.program.bytes.len() as u32;
        for piece in pieces {
            let of = (piece.of != CALL_DATA).then(|| self.operand(piece.of));
            self.program.bytes.push(Bytes { of, from: piece.from, length: piece.length });
        }
        Span { start, length: pieces.len() as u32 }
    }

    /// The stores among these that a replay has to hold against a place.
    fn ranges(&mut self, ranges: &[(u32, u32)], place: [NodeId; 2]) -> Span {
        let start = self.program.ranges.len();
        for store in ranges.iter().flat_map(|(from, to)| *from..*to) {
            if self.stores.get(store as usize).is_some_and(|other| self.are_apart(place, *other)) {
                continue;
            }
            match self.program.ranges[start..].last_mut() {
                Some((_, end)) if *end == store => *end += 1,
                _ => self.program.ranges.push((store, store + 1)),
            }
        }
        Span { start: start as u32, length: (self.program.ranges.len() - start) as u32 }
    }

    /// Whether two places are never the same, whatever the transaction.
    fn are_apart(&self, one: [NodeId; 2], other: [NodeId; 2]) -> bool {
        one.into_iter().zip(other).any(|(one, other)| self.never_same(one, other))
    }

    fn never_same(&self, one: NodeId, other: NodeId) -> bool {
        if one == other {
            return false;
        }
        match (self.node(one), self.node(other)) {
            (RecipeNode::Constant(one), RecipeNode::Constant(other)) => one != other,
            // Hashes of different words differ: nobody finds a collision. Nor does anybody find a word that hashes to a
            // number as small as compilers give to variables.
            (RecipeNode::Pair(a, b), RecipeNode::Pair(c, d)) => {
                self.never_same(*a, *c) || self.never_same(*b, *d)
            }
            (RecipeNode::Pair(..), RecipeNode::Constant(number))
            | (RecipeNode::Constant(number), RecipeNode::Pair(..)) => number.bit_len() <= 64,
            _ => false,
        }
    }

    fn call(&mut self, number: u16, input: &[Piece]) -> u32 {
        let input = self.bytes(input);
        self.program.calls.push(PrecompileCall { number, input });
        self.program.calls.len() as u32 - 1
    }

    fn source(&mut self, source: Source) -> u32 {
        self.program.sources.push(source);
        self.program.sources.len() as u32 - 1
    }

    fn step(&mut self, node: &RecipeNode, to: u32) -> RecipeStep {
        match node {
            // Constants are operands, never steps.
            RecipeNode::Constant(_) => RecipeStep::Missing,
            RecipeNode::CallData(offset) => RecipeStep::CallData { to, offset: *offset },
            RecipeNode::CallDataSize => RecipeStep::CallDataSize { to },
            RecipeNode::To => RecipeStep::To { to },
            RecipeNode::Value => RecipeStep::Value { to },
            RecipeNode::Frame(word) => RecipeStep::Frame { to, word: *word },
            RecipeNode::Unary(op, a) => RecipeStep::Unary { op: *op, to, a: self.operand(*a) },
            RecipeNode::Binary(op, a, b) => {
                RecipeStep::Binary { op: *op, to, a: self.operand(*a), b: self.operand(*b) }
            }
            RecipeNode::Modular(multiply, operands) => {
                let operands = operands.map(|id| self.operand(id));
                self.program.triples.push(operands);
                let operands = self.program.triples.len() as u32 - 1;
                RecipeStep::Modular { multiply: *multiply, to, operands }
            }
            RecipeNode::Pair(first, second) => {
                RecipeStep::Pair { to, first: self.operand(*first), second: self.operand(*second) }
            }
            RecipeNode::Hash(pieces) => RecipeStep::Hash { to, bytes: self.bytes(pieces) },
            RecipeNode::Concat(pieces) => RecipeStep::Concat { to, bytes: self.bytes(pieces) },
            RecipeNode::Load { address, key, apart } => {
                let apart = self.ranges(apart, [*address, *key]);
                let (address, key) = (self.operand(*address), self.operand(*key));
                RecipeStep::Load { to, source: self.source(Source { address, key, same: None, apart }) }
            }
            RecipeNode::Forward { word, place, same, apart } => {
                let apart = self.ranges(apart, *place);
                let [address, key] = place.map(|id| self.operand(id));
                let same = Some([*word, same[0], same[1]].map(|id| self.operand(id)));
                RecipeStep::Load { to, source: self.source(Source { address, key, same, apart }) }
            }
            RecipeNode::Balance { address, transfers } => {
                let start = self.program.triples.len() as u32;
                for transfer in transfers {
                    let operands = transfer.map(|id| self.operand(id));
                    self.program.triples.push(operands);
                }
                let transfers = Span { start, length: transfers.len() as u32 };
                let address = self.operand(*address);
                self.program.balances.push(BalanceQuery { address, transfers });
                RecipeStep::Balance { to, balance: self.program.balances.len() as u32 - 1 }
            }
            RecipeNode::CodeHash(address) => RecipeStep::CodeHash { to, address: self.operand(*address) },
            RecipeNode::CodeSize(address) => RecipeStep::CodeSize { to, address: self.operand(*address) },
            RecipeNode::IsPrecompile(address) => {
                RecipeStep::IsPrecompile { to, address: self.operand(*address) }
            }
            RecipeNode::BlockHash(number) => RecipeStep::BlockHash { to, number: self.operand(*number) },
            RecipeNode::BlobHash(number) => RecipeStep::BlobHash { to, number: self.operand(*number) },
            RecipeNode::Precompile { number, input, word } => {
                RecipeStep::Precompile { to, word: *word, call: self.call(*number, input) }
            }
            RecipeNode::PrecompileLength { number, input } => {
                RecipeStep::PrecompileLength { to, call: self.call(*number, input) }
            }
        }
    }
}

/// Calls `visit` with every operand of an expression.
fn for_each_operand(node: &RecipeNode, mut visit: impl FnMut(NodeId)) {
    let pieces = |pieces: &[Piece], visit: &mut dyn FnMut(NodeId)| {
        pieces.iter().filter(|piece| piece.of != CALL_DATA).for_each(|piece| visit(piece.of));
    };
    match node {
        RecipeNode::Constant(_)
        | RecipeNode::CallData(_)
        | RecipeNode::CallDataSize
        | RecipeNode::To
        | RecipeNode::Value
        | RecipeNode::Frame(_) => {}
        RecipeNode::Unary(_, a)
        | RecipeNode::CodeHash(a)
        | RecipeNode::CodeSize(a)
        | RecipeNode::IsPrecompile(a)
        | RecipeNode::BlockHash(a)
        | RecipeNode::BlobHash(a) => visit(*a),
        RecipeNode::Binary(_, a, b)
        | RecipeNode::Pair(a, b)
        | RecipeNode::Load { address: a, key: b, .. } => {
            visit(*a);
            visit(*b);
        }
        RecipeNode::Modular(_, operands) => operands.iter().copied().for_each(visit),
        RecipeNode::Hash(list)
        | RecipeNode::Concat(list)
        | RecipeNode::Precompile { input: list, .. }
        | RecipeNode::PrecompileLength { input: list, .. } => {
            pieces(list, &mut visit);
        }
        RecipeNode::Forward { word, place, same, .. } => {
            [*word, place[0], place[1], same[0], same[1]].into_iter().for_each(visit);
        }
        RecipeNode::Balance { address, transfers } => {
            visit(*address);
            transfers.iter().flatten().copied().for_each(visit);
        }
    }
}
