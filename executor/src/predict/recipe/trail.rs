//! Writes down how a path goes while it is followed.
//!
//! In: the words that operations combine, what they touch and what they decide. Out: expressions, effects and decisions
//! in the order in which they came. A word that is used where an expression will not do (an offset into memory, the
//! length of a copy) is made a decision: the path is then that of transactions that have the same word there. What
//! cannot be written down gives the trail up, never part of it.

use std::ops::Range;

use alloy_primitives::U256;
use deconflict_analyzer::{BinaryOp, FrameWord, UnaryOp};
use rustc_hash::{FxHashMap, FxHashSet};

use super::super::node::{CALL_DATA, Definition, NodeId, Piece, RecipeNode, Test, TouchKind};
use super::super::region::Region;
use super::super::touched_state::Word;
use crate::access_set::Shortfall;

/// A path with more expressions than this is not written down.
const MAX_NODES: usize = 24_000;

/// Something that a path does whatever its words are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Effect {
    /// It reads a slot.
    Read { address: NodeId, key: NodeId, delta: bool },
    /// It writes a slot.
    Write { address: NodeId, key: NodeId, delta: bool },
    /// It tries to write a slot and is refused.
    Attempt { address: NodeId, key: NodeId },
    /// It touches an account.
    Touch { kind: TouchKind, address: NodeId },
    /// What it does next may be incomplete.
    Shortfall(Shortfall),
}

/// A piece of a path, up to a decision.
#[derive(Clone, Debug, Default)]
pub(super) struct TrailSpan {
    /// The expressions that came up.
    pub nodes: Vec<RecipeNode>,
    /// What was done.
    pub effects: Vec<Effect>,
    /// The decision at its end; none where the path ends.
    pub decision: Option<(NodeId, Test)>,
}

/// How a trail ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The path was not followed any further.
    Open,
    /// The transaction ends, with an estimate of its gas.
    Ends { gas: u64 },
    /// An unknown word decides: both arms are taken, by the trails of these numbers.
    Forks(usize, usize),
}

/// How much gas a transaction may have for a path to be the one that it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct GasBounds {
    /// It has enough with this much, on any state.
    pub least: u64,
    /// It has enough with this much where stores find zeros only where they did when the path was written down.
    pub least_alike: u64,
    /// With more than this it would go on.
    pub most: u64,
}

/// What gave a slot its word.
#[derive(Clone, Copy, Debug)]
struct Defined {
    place: [NodeId; 2],
    word: NodeId,
    /// The stores that were made by then, this one included.
    stores: u32,
}

/// A point of a trail to which changes are taken back.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct TrailMark {
    live: u32,
    transfers: u32,
}

/// How a path went so far.
#[derive(Clone, Debug)]
pub(in super::super) struct Trail {
    /// Its number among the trails of the transaction.
    pub(super) number: usize,
    pub(super) spans: Vec<TrailSpan>,
    pub(super) end: End,
    /// The gas that the transaction has to have beyond what it costs before its first instruction.
    pub(super) gas: GasBounds,
    /// For each store, by number, whether its slot held zero before the transaction.
    zeros: Vec<bool>,
    span: TrailSpan,
    /// Every expression, by number; numbers start at one, because zero is that of every constant.
    nodes: Vec<RecipeNode>,
    numbers: FxHashMap<RecipeNode, NodeId>,
    constants: FxHashMap<NodeId, U256>,
    fixed: FxHashMap<NodeId, U256>,
    nonzero: FxHashSet<NodeId>,
    touched: FxHashSet<Effect>,
    defined: Vec<Defined>,
    stores: u32,
    /// The numbers of the stores that were not taken back.
    live: Vec<u32>,
    transfers: Vec<[NodeId; 3]>,
    /// Words on whose values the costs rest that are counted for other transactions.
    supposed: Vec<Word>,
    given_up: bool,
}

impl Trail {
    /// A trail that starts now.
    pub(in super::super) fn new() -> Self {
        Self {
            number: 0,
            spans: Vec::new(),
            end: End::Open,
            gas: GasBounds { least: 0, least_alike: 0, most: u64::MAX },
            zeros: Vec::new(),
            span: TrailSpan::default(),
            nodes: Vec::new(),
            numbers: FxHashMap::default(),
            constants: FxHashMap::default(),
            fixed: FxHashMap::default(),
            nonzero: FxHashSet::default(),
            touched: FxHashSet::default(),
            defined: Vec::new(),
            stores: 0,
            live: Vec::new(),
            transfers: Vec::new(),
            supposed: Vec::new(),
            given_up: false,
        }
    }

    /// Whether there is no use in going on.
    pub(in super::super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// Gives up: what happens now is not written down.
    pub(in super::super) fn give_up(&mut self) {
        if self.given_up {
            return;
        }
        // What is known so far is of no use to anyone, and may be large.
        *self = Self { number: self.number, given_up: true, ..Self::new() };
    }

    /// The number of an expression, the same for the same expression.
    pub(in super::super) fn node(&mut self, node: RecipeNode) -> NodeId {
        if let Some(id) = self.numbers.get(&node) {
            return *id;
        }
        if self.nodes.len() > MAX_NODES {
            self.give_up();
        }
        if self.given_up {
            return NodeId::UNKNOWN;
        }
        let id = NodeId(self.nodes.len() as u32 + 1);
        if let RecipeNode::Constant(value) = node {
            self.constants.insert(id, value);
        }
        self.numbers.insert(node.clone(), id);
        self.nodes.push(node.clone());
        self.span.nodes.push(node);
        id
    }

    fn constant(&mut self, value: U256) -> NodeId {
        self.node(RecipeNode::Constant(value))
    }

    /// Whether the word is the same for every transaction that goes this way.
    pub(in super::super) fn is_constant(&self, word: &Word) -> bool {
        word.node == NodeId::CONSTANT || self.fixed.contains_key(&word.node)
    }

    /// The word as an operand.
    pub(in super::super) fn operand(&mut self, word: &Word) -> NodeId {
        if word.node == NodeId::UNKNOWN {
            self.give_up();
            return self.constant(word.value);
        }
        if self.is_constant(word) { self.constant(word.value) } else { word.node }
    }

    /// The word as an operand that is an address: what is above the lowest 160 bits is cut off, as calls do.
    pub(in super::super) fn address(&mut self, word: &Word) -> NodeId {
        let mask = U256::MAX >> 96;
        if word.node == NodeId::UNKNOWN {
            self.give_up();
        }
        if word.node == NodeId::UNKNOWN || self.is_constant(word) {
            return self.constant(word.value & mask);
        }
        if self.bits(word) <= 160 {
            return word.node;
        }
        let mask = self.constant(mask);
        self.node(RecipeNode::Binary(BinaryOp::And, mask, word.node))
    }

    /// The expression of an operation on words, unless they are constant or unknown.
    fn apply<const N: usize>(
        &mut self,
        words: [&Word; N],
        node: impl FnOnce([NodeId; N]) -> RecipeNode,
    ) -> NodeId {
        if words.iter().any(|word| word.node == NodeId::UNKNOWN) {
            return NodeId::UNKNOWN;
        }
        if words.iter().all(|word| self.is_constant(word)) {
            return NodeId::CONSTANT;
        }
        let operands = words.map(|word| self.operand(word));
        self.node(node(operands))
    }

    /// A pure operation on one word.
    pub(in super::super) fn unary(&mut self, op: UnaryOp, a: &Word) -> NodeId {
        self.apply([a], |[a]| RecipeNode::Unary(op, a))
    }

    /// A pure operation on two words.
    pub(in super::super) fn binary(&mut self, op: BinaryOp, a: &Word, b: &Word) -> NodeId {
        // Addresses are masked again and again.
        if op == BinaryOp::And {
            for (mask, word) in [(a, b), (b, a)] {
                let keeps = self.is_constant(mask)
                    && mask.value.count_ones() == mask.value.bit_len()
                    && self.bits(word) <= mask.value.bit_len();
                if keeps {
                    return word.node;
                }
            }
        }
        self.apply([a, b], |[a, b]| RecipeNode::Binary(op, a, b))
    }

    /// An upper bound of the number of significant bits of a word.
    fn bits(&self, word: &Word) -> usize {
        if self.is_constant(word) {
            return word.value.bit_len();
        }
        let value_of = |id: &NodeId| self.constants.get(id);
        match self.known(word.node) {
            Some(RecipeNode::To | RecipeNode::Frame(FrameWord::Origin | FrameWord::Coinbase)) => 160,
            Some(RecipeNode::Binary(BinaryOp::And, a, b)) => {
                let bits = [a, b].into_iter().filter_map(value_of).map(U256::bit_len).min();
                bits.unwrap_or(256)
            }
            Some(RecipeNode::Binary(BinaryOp::Shr, shift, _)) => {
                let shift = value_of(shift).and_then(|shift| usize::try_from(*shift).ok());
                shift.map_or(256, |shift| 256_usize.saturating_sub(shift))
            }
            Some(
                RecipeNode::Unary(UnaryOp::IsZero, _)
                | RecipeNode::Binary(
                    BinaryOp::Eq | BinaryOp::Lt | BinaryOp::Gt | BinaryOp::SLt | BinaryOp::SGt,
                    ..,
                ),
            ) => 1,
            Some(RecipeNode::Concat(pieces)) => pieces.iter().map(|piece| 8 * piece.length as usize).sum(),
            _ => 256,
        }
    }

    /// The expression of this number.
    fn known(&self, id: NodeId) -> Option<&RecipeNode> {
        self.nodes.get((id.0 as usize).wrapping_sub(1))
    }

    /// `ADDMOD` or `MULMOD`.
    pub(in super::super) fn modular(&mut self, multiply: bool, words: [&Word; 3]) -> NodeId {
        self.apply(words, |operands| RecipeNode::Modular(multiply, operands))
    }

    /// The hash of two words.
    pub(in super::super) fn pair(&mut self, first: &Word, second: &Word) -> NodeId {
        self.apply([first, second], |[first, second]| RecipeNode::Pair(first, second))
    }

    /// The hash of one word.
    pub(in super::super) fn hash_of_word(&mut self, word: &Word) -> NodeId {
        self.apply([word], |[of]| RecipeNode::Hash(Box::new([Piece { of, from: 0, length: 32 }])))
    }

    /// A question about one word.
    pub(in super::super) fn question(
        &mut self,
        word: &Word,
        node: impl FnOnce(NodeId) -> RecipeNode,
    ) -> NodeId {
        if word.node == NodeId::UNKNOWN {
            return NodeId::UNKNOWN;
        }
        let operand = self.operand(word);
        self.node(node(operand))
    }

    /// A range of a region as pieces; none where all of it is constant, or some of it is not known.
    fn pieces(&mut self, region: &Region, range: Range<usize>) -> Result<Box<[Piece]>, NodeId> {
        if !region.has_nodes() {
            return Err(NodeId::CONSTANT);
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut all_constant = true;
        let mut at = range.start;
        while at < range.end {
            let (of, from) = region.node(at);
            if of == NodeId::UNKNOWN {
                return Err(NodeId::UNKNOWN);
            }
            let fixed = self.fixed.get(&of).copied();
            if of == NodeId::CONSTANT || fixed.is_some() {
                // Constant bytes are taken together, as many as fit a word.
                let mut bytes = [0; 32];
                let mut length = 0;
                while length < 32 && at + length < range.end {
                    let (of, _) = region.node(at + length);
                    if of != NodeId::CONSTANT && !self.fixed.contains_key(&of) {
                        break;
                    }
                    bytes[length] = region.byte(at + length);
                    length += 1;
                }
                let of = self.constant(U256::from_be_bytes(bytes));
                pieces.push(Piece { of, from: 0, length: length as u32 });
                at += length;
                continue;
            }
            all_constant = false;
            match pieces.last_mut() {
                Some(last) if last.of == of && last.from + last.length == from => last.length += 1,
                _ => pieces.push(Piece { of, from, length: 1 }),
            }
            at += 1;
        }
        if all_constant { Err(NodeId::CONSTANT) } else { Ok(pieces.into()) }
    }

    /// The word at an offset of a region, past its end zeros.
    pub(in super::super) fn word_of(&mut self, region: &Region, offset: usize) -> NodeId {
        self.bytes_as_word(region, offset, 32)
    }

    /// So many bytes of a region as a number.
    fn bytes_as_word(&mut self, region: &Region, offset: usize, length: usize) -> NodeId {
        match self.pieces(region, offset..offset.saturating_add(length)) {
            Err(id) => id,
            Ok(pieces) => match pieces[..] {
                [Piece { of: CALL_DATA, from, length: 32 }] => self.node(RecipeNode::CallData(from)),
                [Piece { of, from: 0, length: 32 }] => of,
                _ => self.node(RecipeNode::Concat(pieces)),
            },
        }
    }

    /// The hash of a range of a region.
    pub(in super::super) fn hash(&mut self, region: &Region, offset: usize, length: usize) -> NodeId {
        match self.pieces(region, offset..offset + length) {
            Err(id) => id,
            Ok(_) if length == 64 => {
                let (first, second) = (self.word_of(region, offset), self.word_of(region, offset + 32));
                let word = |node, at| Word { node, ..Word::clean(region.word(at)) };
                let (first, second) = (word(first, offset), word(second, offset + 32));
                self.pair(&first, &second)
            }
            Ok(pieces) => self.node(RecipeNode::Hash(pieces)),
        }
    }

    /// The words that a precompile returns for a range of a region, and the length of what it returns.
    pub(in super::super) fn precompile(
        &mut self,
        number: u16,
        region: &Region,
        range: Range<usize>,
        words: u32,
    ) -> (Vec<NodeId>, NodeId) {
        match self.pieces(region, range) {
            Err(id) => (vec![id; words as usize], id),
            Ok(input) => {
                let node = |word| RecipeNode::Precompile { number, input: input.clone(), word };
                let words = (0..words).map(|word| self.node(node(word))).collect();
                (words, self.node(RecipeNode::PrecompileLength { number, input: input.clone() }))
            }
        }
    }

    /// Makes a word a decision: from here on it is constant.
    pub(in super::super) fn fix(&mut self, word: &Word) {
        self.fix_node(word.node, word.value);
    }

    fn fix_node(&mut self, node: NodeId, value: U256) {
        if node == NodeId::CONSTANT || self.fixed.contains_key(&node) || self.constants.contains_key(&node) {
            return;
        }
        if node == NodeId::UNKNOWN {
            self.give_up();
            return;
        }
        self.fixed.insert(node, value);
        self.decide(node, Test::Equals(value));
    }

    /// Supposes that a word is the same for every transaction that goes this way, as long as only its cost rests on that.
    /// False if it cannot be made a decision.
    pub(in super::super) fn suppose(&mut self, word: &Word) -> bool {
        let known = word.node != NodeId::UNKNOWN;
        if known && !self.given_up && self.supposed.last().is_none_or(|last| last.node != word.node) {
            if self.supposed.len() > MAX_NODES {
                self.give_up();
                return false;
            }
            self.supposed.push(*word);
        }
        known
    }

    /// Makes decisions of what was supposed: something rests on what it costs.
    pub(in super::super) fn hold_to_costs(&mut self) {
        for word in std::mem::take(&mut self.supposed) {
            self.fix(&word);
        }
    }

    /// Makes bytes of a region a decision, up to 32 of them.
    pub(in super::super) fn fix_bytes(&mut self, region: &Region, offset: usize, length: usize) {
        let node = self.bytes_as_word(region, offset, length);
        let mut bytes = [0; 32];
        for (index, byte) in bytes[32 - length..].iter_mut().enumerate() {
            *byte = region.byte(offset + index);
        }
        self.fix_node(node, U256::from_be_bytes(bytes));
    }

    /// Makes it a decision that an expression has this value.
    pub(in super::super) fn require(&mut self, node: NodeId, value: U256) {
        self.fix_node(node, value);
    }

    /// Makes it a decision whether a word is zero.
    pub(in super::super) fn branch(&mut self, word: &Word) {
        if self.is_constant(word) || self.nonzero.contains(&word.node) {
            return;
        }
        if word.node == NodeId::UNKNOWN {
            self.give_up();
            return;
        }
        let (mut node, mut zero) = (word.node, word.value.is_zero());
        self.settle(node, zero);
        // Whether a word is zero says the same as whether that is false.
        while let Some(RecipeNode::Unary(UnaryOp::IsZero, inner)) = self.known(node) {
            (node, zero) = (*inner, !zero);
            if self.fixed.contains_key(&node) || self.nonzero.contains(&node) {
                return;
            }
            self.settle(node, zero);
        }
        self.decide(node, if zero { Test::Zero } else { Test::NonZero });
    }

    /// Notes that a word is zero on this path, or that it is not.
    fn settle(&mut self, node: NodeId, zero: bool) {
        if zero {
            self.fixed.insert(node, U256::ZERO);
        } else if matches!(self.known(node), Some(RecipeNode::Unary(UnaryOp::IsZero, _))) {
            self.fixed.insert(node, U256::from(1));
        } else {
            self.nonzero.insert(node);
        }
    }

    fn decide(&mut self, node: NodeId, test: Test) {
        if self.given_up || self.spans.len() > MAX_NODES {
            return self.give_up();
        }
        self.span.decision = Some((node, test));
        self.spans.push(std::mem::take(&mut self.span));
    }

    /// Notes an effect, once.
    pub(in super::super) fn effect(&mut self, effect: Effect) {
        if !self.given_up && self.touched.insert(effect.clone()) {
            self.span.effects.push(effect);
        }
    }

    /// Notes that an account is touched.
    pub(in super::super) fn touch(&mut self, kind: TouchKind, address: NodeId) {
        if address == NodeId::UNKNOWN {
            self.give_up();
        }
        self.effect(Effect::Touch { kind, address });
    }

    fn apart(&self, from: u32) -> Box<[(u32, u32)]> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let start = self.live.partition_point(|store| *store < from);
        for store in &self.live[start..] {
            match ranges.last_mut() {
                Some((_, end)) if *end == *store => *end += 1,
                _ => ranges.push((*store, *store + 1)),
            }
        }
        ranges.into()
    }

    /// A slot is loaded that nothing has defined yet.
    pub(in super::super) fn load(&mut self, place: [NodeId; 2]) -> (Definition, NodeId) {
        if self.given_up {
            return (Definition::default(), NodeId::UNKNOWN);
        }
        let [address, key] = place;
        let apart = self.apart(0);
        let word = self.node(RecipeNode::Load { address, key, apart });
        self.defined.push(Defined { place, word, stores: self.stores });
        (Definition(self.defined.len() as u32), word)
    }

    /// A slot is loaded that an access has defined before.
    pub(in super::super) fn forward(&mut self, definition: Definition, place: [NodeId; 2]) -> NodeId {
        let defined = self.defined.get((definition.0 as usize).wrapping_sub(1)).copied();
        let Some(defined) = defined.filter(|defined| defined.word != NodeId::UNKNOWN) else {
            return NodeId::UNKNOWN;
        };
        let apart = self.apart(defined.stores);
        if defined.place == place && apart.is_empty() {
            return if self.constants.contains_key(&defined.word) { NodeId::CONSTANT } else { defined.word };
        }
        self.node(RecipeNode::Forward { word: defined.word, place, same: defined.place, apart })
    }

    /// A slot is stored to.
    pub(in super::super) fn store(&mut self, place: [NodeId; 2], word: &Word, delta: bool) -> Definition {
        if self.given_up || self.stores as usize > MAX_NODES {
            self.give_up();
            return Definition::default();
        }
        let [address, key] = place;
        // Every store has a number, so that it is noted each time.
        self.span.effects.push(Effect::Write { address, key, delta });
        self.live.push(self.stores);
        self.stores += 1;
        let word = if word.node == NodeId::UNKNOWN { NodeId::UNKNOWN } else { self.operand(word) };
        self.defined.push(Defined { place, word, stores: self.stores });
        Definition(self.defined.len() as u32)
    }

    /// Value moves from one account to another.
    pub(in super::super) fn transfer(&mut self, from: NodeId, to: NodeId, value: &Word) {
        if self.given_up {
            return;
        }
        let value = if value.node == NodeId::UNKNOWN { value.node } else { self.operand(value) };
        self.transfers.push([from, to, value]);
    }

    /// The balance of an account.
    pub(in super::super) fn balance(&mut self, address: NodeId) -> NodeId {
        if self.transfers.iter().any(|[.., value]| *value == NodeId::UNKNOWN) {
            return NodeId::UNKNOWN;
        }
        let transfers = self.transfers.clone().into();
        self.node(RecipeNode::Balance { address, transfers })
    }

    /// A point to come back to.
    pub(in super::super) fn checkpoint(&self) -> TrailMark {
        TrailMark { live: self.live.len() as u32, transfers: self.transfers.len() as u32 }
    }

    /// Takes changes back to a point.
    pub(in super::super) fn revert(&mut self, to: TrailMark) {
        self.live.truncate(to.live as usize);
        self.transfers.truncate(to.transfers as usize);
    }

    /// The path relies on this much gas beyond what the transaction costs before its first instruction; on less where
    /// stores find zeros only where they did here.
    pub(in super::super) fn rely_on_gas(&mut self, gas: u64, alike: u64) {
        self.gas.least = self.gas.least.max(gas);
        self.gas.least_alike = self.gas.least_alike.max(alike);
    }

    /// The path ends because the gas does; with more it would go on.
    pub(in super::super) fn run_out(&mut self, gas: u64) {
        self.gas.most = gas;
    }

    /// Notes whether the slot of the latest store held zero before the transaction.
    pub(in super::super) fn stored(&mut self, zero: bool) {
        if !self.given_up {
            self.zeros.push(zero);
        }
    }

    /// As [`Trail::stored`], for every store so far.
    pub(super) fn zeros(&self) -> &[bool] {
        &self.zeros
    }

    /// Notes what the prediction said of itself since the last time.
    pub(in super::super) fn shortfalls(&mut self, new: &[Shortfall]) {
        for shortfall in new {
            self.effect(Effect::Shortfall(*shortfall));
        }
    }

    /// The path takes both arms of a branch: this trail ends, and these two go on from it.
    pub(in super::super) fn fork(&mut self, numbers: (usize, usize)) -> (Self, Self) {
        let arm = |number| Self { number, spans: Vec::new(), span: TrailSpan::default(), ..self.clone() };
        let arms = (arm(numbers.0), arm(numbers.1));
        self.spans.push(std::mem::take(&mut self.span));
        self.end = End::Forks(numbers.0, numbers.1);
        arms
    }

    /// The path ends, well or not.
    pub(in super::super) fn finish(&mut self, gas: u64) {
        self.end = End::Ends { gas };
    }

    /// Closes the last span.
    pub(super) fn close(&mut self) {
        if !matches!(self.end, End::Forks(..)) {
            self.spans.push(std::mem::take(&mut self.span));
        }
    }
}
