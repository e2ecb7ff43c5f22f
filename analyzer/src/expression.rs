//! Hash-consed symbolic 256-bit words.
//!
//! One [`Expressions`] arena holds every word that the analysis of one contract meets; equal words have equal
//! [`ExprId`]s. The arena only stores: simplification is in `simplify`, and nothing here may merge two words that can
//! differ in one execution. Each node carries an upper bound on its bit length and the set of sources it depends on.

use alloy_primitives::{U256, keccak256};
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::{BuildHasher, Hash};

use crate::{
    code::Pc,
    id::{BytesId, ConstantId, Epoch, ExprId, Site},
    location::Slot,
};

/// The two kinds of keyed storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// `SLOAD` and `SSTORE`.
    Storage,
    /// `TLOAD` and `TSTORE` (EIP-1153).
    Transient,
}

/// Words that the call or block environment supplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// `ADDRESS`.
    Address,
    /// `CALLER`.
    Caller,
    /// `ORIGIN`.
    Origin,
    /// `CALLVALUE`.
    CallValue,
    /// `CALLDATASIZE`.
    CalldataSize,
    /// `GASPRICE`.
    GasPrice,
    /// `COINBASE`.
    Coinbase,
    /// `TIMESTAMP`.
    Timestamp,
    /// `NUMBER`.
    Number,
    /// `PREVRANDAO` (`DIFFICULTY` before the merge).
    PrevRandao,
    /// `GASLIMIT`.
    GasLimit,
    /// `CHAINID`.
    ChainId,
    /// `BASEFEE`.
    BaseFee,
    /// `BLOBBASEFEE`.
    BlobBaseFee,
    /// `SLOTNUM` and other block words this crate has no name for.
    OtherBlock,
}

impl Environment {
    /// Whether every transaction of a block sees the same word.
    pub fn is_block_constant(self) -> bool {
        !matches!(self, Self::Caller | Self::Origin | Self::CallValue | Self::CalldataSize | Self::GasPrice)
    }
}

/// What an expression is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A constant; see [`Expressions::constant`].
    Constant(ConstantId),
    /// A word of the call or block environment.
    Environment(Environment),
    /// A word that the constructor wrote into the code; the number tells the contract's immutables apart.
    Immutable(u32),
    /// The 32 bytes of calldata at an offset.
    CalldataWord {
        /// Byte offset.
        offset: ExprId,
    },
    /// A loaded storage word.
    Load {
        /// Storage or transient.
        space: Space,
        /// The slot.
        slot: ExprId,
        /// The version of the storage.
        epoch: Epoch,
    },
    /// `ISZERO`, `NOT`, `CLZ`.
    Unary {
        /// The opcode.
        op: u8,
        /// Its operand.
        a: ExprId,
    },
    /// A pure opcode of two operands; `a` is the top of the stack.
    Binary {
        /// The opcode.
        op: u8,
        /// Top of the stack.
        a: ExprId,
        /// Second on the stack.
        b: ExprId,
    },
    /// `ADDMOD`, `MULMOD`.
    Ternary {
        /// The opcode.
        op: u8,
        /// Top of the stack.
        a: ExprId,
        /// Second on the stack.
        b: ExprId,
        /// Third on the stack.
        c: ExprId,
    },
    /// The Keccak-256 hash of a byte string that is not constant.
    Keccak(BytesId),
    /// A byte string standing as a mapping key.
    Bytes(BytesId),
    /// One of several values, depending on how a point was reached; see [`Expressions::phi_operands`].
    Phi {
        /// The graph node at which the values meet (unique in the arena).
        node: u32,
        /// Which of the node's values.
        variable: u32,
    },
    /// A word that the analysis does not know; see [`Expressions::sources`] for what it may depend on.
    Unknown(Site),
    /// Whether the call at the site succeeded.
    CallSuccess(Site),
    /// `RETURNDATASIZE` after the call at the site.
    ReturnSize(Site),
    /// 32 bytes of what the call at the site returned.
    ReturnWord {
        /// The call.
        site: Site,
        /// Byte offset into the return data.
        offset: ExprId,
    },
    /// The address created at the site, or zero.
    Created(Site),
    /// The balance of an address.
    Balance {
        /// The address.
        address: ExprId,
        /// The version of all balances.
        epoch: Epoch,
    },
    /// `EXTCODESIZE`.
    CodeSize(ExprId),
    /// `EXTCODEHASH`.
    CodeHash(ExprId),
    /// `BLOCKHASH`.
    BlockHash(ExprId),
    /// `BLOBHASH`.
    BlobHash(ExprId),
    /// `GAS`.
    Gas(Site),
    /// `MSIZE`.
    MemorySize(Site),
}

/// A part of a symbolic byte string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Piece {
    /// Bytes `[from, to)` of a word, counted from its most significant byte.
    Word {
        /// The word.
        word: ExprId,
        /// First byte.
        from: u8,
        /// One past the last byte.
        to: u8,
    },
    /// A slice of calldata.
    Calldata {
        /// Where it starts.
        offset: ExprId,
        /// How long it is, in bytes.
        length: ExprId,
    },
    /// Bytes that the analysis does not know, standing for the word `value` and its sources.
    Opaque {
        /// An unknown word that identifies the bytes.
        value: ExprId,
        /// How many, in bytes.
        length: ExprId,
    },
}

/// What a word may depend on; a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sources(pub u32);

impl Sources {
    /// Nothing: a constant.
    pub const NONE: Self = Self(0);
    /// Calldata or its size.
    pub const CALLDATA: Self = Self(1);
    /// `CALLER`.
    pub const CALLER: Self = Self(1 << 1);
    /// `ORIGIN` or `GASPRICE`.
    pub const TRANSACTION: Self = Self(1 << 2);
    /// `CALLVALUE`.
    pub const CALL_VALUE: Self = Self(1 << 3);
    /// `ADDRESS`.
    pub const ADDRESS: Self = Self(1 << 4);
    /// A storage word.
    pub const STORAGE: Self = Self(1 << 5);
    /// A transient storage word.
    pub const TRANSIENT: Self = Self(1 << 6);
    /// A block word that every transaction of the block shares.
    pub const BLOCK: Self = Self(1 << 7);
    /// `COINBASE`.
    pub const COINBASE: Self = Self(1 << 8);
    /// Remaining gas or memory size.
    pub const GAS: Self = Self(1 << 9);
    /// Data returned by, or the outcome of, an external call or creation.
    pub const RETURN_DATA: Self = Self(1 << 10);
    /// A balance.
    pub const BALANCE: Self = Self(1 << 11);
    /// Code size or hash of an account.
    pub const CODE: Self = Self(1 << 12);
    /// Something the analysis lost.
    pub const UNKNOWN: Self = Self(1 << 13);
    /// An immutable of the contract.
    pub const IMMUTABLE: Self = Self(1 << 15);
    /// The value of a loop variable or of a join of paths.
    pub const PHI: Self = Self(1 << 14);

    /// The union.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `other` is in this set.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing outside `other` is in this set.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

#[derive(Clone, Copy, Debug)]
struct Meta {
    /// Bits that can be set.
    mask: U256,
    sources: Sources,
    depth: u16,
    /// The bit length of the mask.
    bits: u16,
}

impl Meta {
    fn new(mask: U256) -> Self {
        Self { mask, sources: Sources::NONE, depth: 0, bits: mask.bit_len() as u16 }
    }
}

/// The arena.
#[derive(Clone, Debug, Default)]
pub struct Expressions {
    nodes: Vec<Node>,
    metas: Vec<Meta>,
    index: HashTable<u32>,
    constants: Vec<U256>,
    constant_nodes: FxHashMap<U256, ExprId>,
    bytes: Vec<Box<[Piece]>>,
    bytes_index: FxHashMap<Box<[Piece]>, BytesId>,
    sites: Vec<(u32, Pc)>,
    site_index: FxHashMap<(u32, Pc), Site>,
    phis: FxHashMap<ExprId, Vec<ExprId>>,
    preimages: FxHashMap<ExprId, BytesId>,
    slots: FxHashMap<ExprId, Slot>,
}

fn hash_node(node: &Node) -> u64 {
    FxBuildHasher.hash_one(node)
}

/// Expressions that almost every contract needs.
const ROOM: usize = 2048;

impl Expressions {
    /// An empty arena with room for a small contract.
    pub(crate) fn with_room() -> Self {
        let mut expressions = Self::default();
        expressions.nodes.reserve(ROOM);
        expressions.metas.reserve(ROOM);
        expressions.constants.reserve(ROOM / 2);
        expressions.constant_nodes.reserve(ROOM / 2);
        expressions.index.reserve(ROOM, |_| 0);
        expressions
    }

    /// What the expression is made of.
    pub fn node(&self, id: ExprId) -> Node {
        self.nodes[id.0 as usize]
    }

    /// The value of a constant expression.
    pub fn constant(&self, id: ExprId) -> Option<U256> {
        match self.nodes[id.0 as usize] {
            Node::Constant(constant) => Some(self.constants[constant.0 as usize]),
            _ => None,
        }
    }

    pub(crate) fn is_constant(&self, id: ExprId) -> bool {
        matches!(self.nodes[id.0 as usize], Node::Constant(_))
    }

    /// What the word may depend on.
    pub fn sources(&self, id: ExprId) -> Sources {
        self.metas[id.0 as usize].sources
    }

    /// The word is below `2^bits`.
    pub fn bits(&self, id: ExprId) -> u32 {
        u32::from(self.metas[id.0 as usize].bits)
    }

    /// The bits of the word that can be set in some execution.
    pub fn mask(&self, id: ExprId) -> U256 {
        self.metas[id.0 as usize].mask
    }

    /// The longest way down to a leaf.
    pub fn depth(&self, id: ExprId) -> u32 {
        u32::from(self.metas[id.0 as usize].depth)
    }

    /// The parts of a byte string.
    pub fn pieces(&self, id: BytesId) -> &[Piece] {
        &self.bytes[id.0 as usize]
    }

    /// What is known to have been hashed into this word: for a [`Node::Keccak`], and for a constant that arose from hashing.
    pub fn preimage(&self, id: ExprId) -> Option<&[Piece]> {
        match self.node(id) {
            Node::Keccak(bytes) => Some(self.pieces(bytes)),
            _ => self.preimages.get(&id).map(|&bytes| self.pieces(bytes)),
        }
    }

    /// The values that a [`Node::Phi`] can take; they may contain the phi itself, in a loop.
    pub fn phi_operands(&self, id: ExprId) -> &[ExprId] {
        match self.node(id) {
            Node::Phi { .. } => self.phis.get(&id).map_or(&[], Vec::as_slice),
            _ => &[],
        }
    }

    /// The normal form of a slot expression that some access or some rendered load has.
    pub fn slot(&self, id: ExprId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub(crate) fn set_slot(&mut self, id: ExprId, slot: Slot) {
        self.slots.entry(id).or_insert(slot);
    }

    /// Gives a slot expression another normal form: more has become known of what it names.
    pub(crate) fn replace_slot(&mut self, id: ExprId, slot: Slot) {
        self.slots.insert(id, slot);
    }

    /// The instruction at which a fresh value arises.
    pub fn site_pc(&self, site: Site) -> Pc {
        Pc(self.sites[site.0 as usize].1.0 & !Self::JOIN)
    }

    /// The node of the graph in which a fresh value arises.
    pub(crate) fn site_node(&self, site: Site) -> u32 {
        self.sites[site.0 as usize].0
    }

    /// Marks the program counter of a site that stands for the join at the start of a block.
    pub(crate) const JOIN: u32 = 1 << 31;

    /// How many expressions there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether the arena is empty.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Direct operands of an expression (of a phi: none; see [`Self::phi_operands`]).
    pub fn operands(&self, id: ExprId) -> Vec<ExprId> {
        let mut operands = Vec::new();
        self.each_operand(id, |operand| operands.push(operand));
        operands
    }

    /// Calls `visit` with each direct operand of an expression, in order.
    pub(crate) fn each_operand(&self, id: ExprId, mut visit: impl FnMut(ExprId)) {
        match self.node(id) {
            Node::CalldataWord { offset: a }
            | Node::Unary { a, .. }
            | Node::Load { slot: a, .. }
            | Node::ReturnWord { offset: a, .. }
            | Node::Balance { address: a, .. }
            | Node::CodeSize(a)
            | Node::CodeHash(a)
            | Node::BlockHash(a)
            | Node::BlobHash(a) => visit(a),
            Node::Binary { a, b, .. } => {
                visit(a);
                visit(b);
            }
            Node::Ternary { a, b, c, .. } => {
                visit(a);
                visit(b);
                visit(c);
            }
            Node::Keccak(bytes) | Node::Bytes(bytes) => {
                for piece in self.pieces(bytes) {
                    match *piece {
                        Piece::Word { word, .. } => visit(word),
                        Piece::Calldata { offset: a, length: b } | Piece::Opaque { value: a, length: b } => {
                            visit(a);
                            visit(b);
                        }
                    }
                }
            }
            Node::Constant(_)
            | Node::Immutable(_)
            | Node::Environment(_)
            | Node::Phi { .. }
            | Node::Unknown(_)
            | Node::CallSuccess(_)
            | Node::ReturnSize(_)
            | Node::Created(_)
            | Node::Gas(_)
            | Node::MemorySize(_) => {}
        }
    }

    /// Whether `root`, or anything it is computed from (through joins as well), satisfies `predicate`.
    pub fn any(&self, root: ExprId, mut predicate: impl FnMut(ExprId) -> bool) -> bool {
        let mut seen = rustc_hash::FxHashSet::default();
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            if !seen.insert(id) {
                continue;
            }
            if predicate(id) {
                return true;
            }
            self.each_operand(id, |operand| stack.push(operand));
            stack.extend_from_slice(self.phi_operands(id));
        }
        false
    }

    /// Whether `root` is computed from `part`.
    pub fn contains(&self, root: ExprId, part: ExprId) -> bool {
        // Operands are older than what is made of them, unless a join stands between.
        let is_older = |id: ExprId| id < part && !self.sources(id).intersects(Sources::PHI);
        if root == part {
            return true;
        }
        if is_older(root) {
            return false;
        }
        let mut seen = rustc_hash::FxHashSet::default();
        let mut stack = vec![root];
        let mut found = false;
        while let Some(id) = stack.pop() {
            let mut add = |operand| {
                found |= operand == part;
                if !is_older(operand) && seen.insert(operand) {
                    stack.push(operand);
                }
            };
            self.each_operand(id, &mut add);
            self.phi_operands(id).iter().copied().for_each(add);
            if found {
                return true;
            }
        }
        false
    }

    pub(crate) fn intern_constant(&mut self, value: U256) -> ExprId {
        if let Some(&id) = self.constant_nodes.get(&value) {
            return id;
        }
        let constant = ConstantId(self.constants.len() as u32);
        self.constants.push(value);
        let id = self.push(Node::Constant(constant), Meta::new(value));
        self.constant_nodes.insert(value, id);
        id
    }

    /// Interns a node. `mask` holds the bits that can be set; its sources are `own` and those of its operands.
    pub(crate) fn intern(&mut self, node: Node, mask: U256, mut own: Sources) -> ExprId {
        debug_assert!(!matches!(node, Node::Constant(_)), "constants have their own index");
        let hash = hash_node(&node);
        let nodes = &self.nodes;
        if let Some(&id) = self.index.find(hash, |&id| nodes[id as usize] == node) {
            return ExprId(id);
        }
        let mut meta = Meta::new(mask);
        let mut absorb = |id: ExprId| {
            let operand = &self.metas[id.0 as usize];
            meta.sources = meta.sources.with(operand.sources);
            meta.depth = meta.depth.max(operand.depth.saturating_add(1));
        };
        match node {
            Node::Unary { a, .. }
            | Node::CalldataWord { offset: a }
            | Node::Load { slot: a, .. }
            | Node::ReturnWord { offset: a, .. }
            | Node::Balance { address: a, .. }
            | Node::CodeSize(a)
            | Node::CodeHash(a)
            | Node::BlockHash(a)
            | Node::BlobHash(a) => absorb(a),
            Node::Binary { a, b, .. } => {
                absorb(a);
                absorb(b);
            }
            Node::Ternary { a, b, c, .. } => {
                absorb(a);
                absorb(b);
                absorb(c);
            }
            Node::Keccak(bytes) | Node::Bytes(bytes) => {
                for piece in &self.bytes[bytes.0 as usize] {
                    match *piece {
                        Piece::Word { word, .. } => absorb(word),
                        Piece::Calldata { offset, length } => {
                            absorb(offset);
                            absorb(length);
                            own = own.with(Sources::CALLDATA);
                        }
                        Piece::Opaque { value, length } => {
                            absorb(value);
                            absorb(length);
                        }
                    }
                }
            }
            _ => {}
        }
        meta.sources = meta.sources.with(own);
        let id = self.push(node, meta);
        let nodes = &self.nodes;
        self.index.insert_unique(hash, id.0, |&id| hash_node(&nodes[id as usize]));
        id
    }

    fn push(&mut self, node: Node, meta: Meta) -> ExprId {
        let id = ExprId(self.nodes.len() as u32);
        self.nodes.push(node);
        self.metas.push(meta);
        id
    }

    /// The expression for `node`, if something already needed it.
    pub(crate) fn find(&self, node: Node) -> Option<ExprId> {
        self.index.find(hash_node(&node), |&id| self.nodes[id as usize] == node).map(|&id| ExprId(id))
    }

    pub(crate) fn find_constant(&self, value: &U256) -> Option<ExprId> {
        self.constant_nodes.get(value).copied()
    }

    pub(crate) fn intern_bytes(&mut self, pieces: Vec<Piece>) -> BytesId {
        if let Some(&id) = self.bytes_index.get(pieces.as_slice()) {
            return id;
        }
        let id = BytesId(self.bytes.len() as u32);
        let pieces = pieces.into_boxed_slice();
        self.bytes.push(pieces.clone());
        self.bytes_index.insert(pieces, id);
        id
    }

    /// The hash of constant `bytes`, remembering `pieces` as its preimage.
    pub(crate) fn intern_constant_hash(&mut self, bytes: &[u8], pieces: BytesId) -> ExprId {
        let id = self.intern_constant(U256::from_be_bytes(keccak256(bytes).0));
        self.preimages.insert(id, pieces);
        id
    }

    pub(crate) fn intern_site(&mut self, node: u32, pc: Pc) -> Site {
        *self.site_index.entry((node, pc)).or_insert_with(|| {
            self.sites.push((node, pc));
            Site(self.sites.len() as u32 - 1)
        })
    }

    /// Adds sources to an unknown word or a phi: they are found out as exploration goes on.
    pub(crate) fn add_sources(&mut self, id: ExprId, sources: Sources) {
        let meta = &mut self.metas[id.0 as usize];
        meta.sources = meta.sources.with(sources);
    }

    pub(crate) fn set_phi_operands(&mut self, id: ExprId, operands: Vec<ExprId>) {
        self.phis.insert(id, operands);
    }
}
