//! Dispatchers of every kind: tables in the code, and the ways to ask how long calldata is.
//!
//! The code is put together by hand; what each entry touches is known beforehand. revm agrees in `soundness.rs`, which
//! goes through compiled contracts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use alloy_primitives::{Bytes, U256};
use deconflict_analyzer::{Analysis, Entry, Options, Selector, Summary, Verdict, analyze, conflicts};
use revm::bytecode::opcode as op;

/// Code with labels: a label stands for two bytes that are known only when all code has been written.
#[derive(Default)]
struct Assembler {
    code: Vec<u8>,
    labels: Vec<(&'static str, usize)>,
    holes: Vec<(&'static str, usize)>,
}

impl Assembler {
    fn op(&mut self, opcodes: &[u8]) -> &mut Self {
        self.code.extend_from_slice(opcodes);
        self
    }

    fn push(&mut self, number: u64) -> &mut Self {
        self.code.push(op::PUSH8);
        self.code.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn push_label(&mut self, label: &'static str) -> &mut Self {
        self.code.push(op::PUSH2);
        self.hole(label)
    }

    fn hole(&mut self, label: &'static str) -> &mut Self {
        self.holes.push((label, self.code.len()));
        self.op(&[0, 0])
    }

    /// A place in data.
    fn place(&mut self, label: &'static str) -> &mut Self {
        self.labels.push((label, self.code.len()));
        self
    }

    /// A place to jump to.
    fn label(&mut self, label: &'static str) -> &mut Self {
        self.place(label).op(&[op::JUMPDEST])
    }

    /// `slot += 1`, and the end.
    fn count(&mut self, slot: u64) -> &mut Self {
        self.push(slot).op(&[op::SLOAD, op::PUSH1, 1, op::ADD]).push(slot).op(&[op::SSTORE, op::STOP])
    }

    /// The selector of the call.
    fn selector(&mut self) -> &mut Self {
        self.op(&[op::PUSH0, op::CALLDATALOAD, op::PUSH1, 224, op::SHR])
    }

    fn bytes(&mut self) -> Bytes {
        for (label, hole) in std::mem::take(&mut self.holes) {
            let place = self.labels.iter().find(|it| it.0 == label).unwrap().1;
            self.code[hole..hole + 2].copy_from_slice(&(place as u16).to_be_bytes());
        }
        self.code.clone().into()
    }
}

fn summary(analysis: &Analysis, entry: Entry) -> &Summary {
    let found = analysis.summaries.iter().find(|it| it.entry == entry);
    found.unwrap_or_else(|| {
        panic!(
            "{entry:?} is not among {:?}",
            analysis.summaries.iter().map(|it| it.entry).collect::<Vec<_>>()
        )
    })
}

/// The plain slots that an entry touches.
fn slots(analysis: &Analysis, entry: Entry) -> Vec<u64> {
    let summary = summary(analysis, entry);
    assert!(summary.is_complete(), "{entry:?}: {:?}", summary.incomplete);
    let mut slots: Vec<u64> =
        summary.accesses.iter().map(|it| it.slot.number().unwrap().to::<u64>()).collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

fn function(selector: u32) -> Entry {
    Entry::Function(Selector(selector.to_be_bytes()))
}

const FIRST: u32 = 0xaabb_ccdd;
const SECOND: u32 = 0x1122_3344;

/// A dispatcher that goes on to functions with any calldata; each asks for itself whether there is a selector. `asks`
/// leaves a word that is zero where the call is too short, and goes on to the end with the fallback there.
fn asking(asks: &[u8]) -> Bytes {
    let mut code = Assembler::default();
    for (selector, label) in [(FIRST, "first"), (SECOND, "second")] {
        code.selector().op(&[op::PUSH4]).op(&selector.to_be_bytes()).op(&[op::EQ]);
        code.push_label(label).op(&[op::JUMPI]);
    }
    code.label("fallback").count(9);
    for (label, slot) in [("first", 1), ("second", 2)] {
        code.label(label).op(asks).op(&[op::ISZERO]).push_label("fallback").op(&[op::JUMPI]).count(slot);
    }
    code.bytes()
}

#[test]
fn there_are_four_bytes_however_it_is_asked() {
    let questions: &[&[u8]] = &[
        &[op::PUSH1, 4, op::CALLDATASIZE, op::LT, op::ISZERO],
        &[op::CALLDATASIZE, op::PUSH1, 4, op::GT, op::ISZERO],
        &[op::CALLDATASIZE, op::PUSH1, 3, op::LT],
        &[op::PUSH1, 3, op::CALLDATASIZE, op::GT],
        &[op::CALLDATASIZE, op::PUSH1, 3, op::SLT],
        &[op::PUSH1, 3, op::CALLDATASIZE, op::SGT],
        &[op::PUSH1, 4, op::CALLDATASIZE, op::SLT, op::ISZERO],
        &[op::CALLDATASIZE, op::PUSH1, 2, op::SHR],
        &[op::CALLDATASIZE, op::PUSH1, 2, op::SAR],
        &[op::PUSH1, 4, op::CALLDATASIZE, op::DIV],
        &[op::PUSH1, 4, op::CALLDATASIZE, op::SDIV],
        &[op::CALLDATASIZE],
        &[op::CALLDATASIZE, op::ISZERO, op::ISZERO],
        &[op::PUSH0, op::CALLDATASIZE, op::EQ, op::ISZERO],
        &[op::PUSH1, 3, op::CALLDATASIZE, op::SUB],
        &[op::PUSH1, 3, op::CALLDATASIZE, op::EQ, op::ISZERO],
        &[op::PUSH1, 3, op::CALLDATASIZE, op::XOR],
        &[op::PUSH1, 3, op::NOT, op::CALLDATASIZE, op::AND],
        &[op::PUSH1, 3, op::PUSH4, 0xff, 0xff, 0xff, 0xff, op::CALLDATASIZE, op::AND, op::GT],
        &[op::PUSH1, 4, op::CALLDATASIZE, op::SUB, op::PUSH0, op::SGT, op::ISZERO],
    ];
    for asks in questions {
        let analysis = analyze(asking(asks), &Options::default());
        assert_eq!(slots(&analysis, function(FIRST)), [1], "{asks:x?}");
        assert_eq!(slots(&analysis, function(SECOND)), [2], "{asks:x?}");
        let all = conflicts(&analysis);
        let index = |entry| analysis.summaries.iter().position(|it| it.entry == entry).unwrap();
        let (a, b) = (index(function(SECOND)), index(function(FIRST)));
        let cell = all.iter().find(|cell| (cell.a, cell.b) == (a.min(b), a.max(b))).unwrap();
        assert_eq!(cell.verdict, Verdict::Never, "{asks:x?}");
    }
    // A mask that more than short calldata gets through says nothing.
    let five: &[u8] = &[op::PUSH1, 3, op::PUSH1, 0xff, op::CALLDATASIZE, op::AND, op::GT];
    assert_eq!(slots(&analyze(asking(five), &Options::default()), function(FIRST)), [1, 9]);
    // Nor is it known that there are five bytes.
    let five: &[u8] = &[op::CALLDATASIZE, op::PUSH1, 4, op::LT];
    assert_eq!(slots(&analyze(asking(five), &Options::default()), function(FIRST)), [1, 9]);
}

/// Calldata that ends within a selector reads as if zeros followed: it can get into a function, and is no call of it.
#[test]
fn calldata_that_is_cut_short_falls_to_the_fallback() {
    let code = |selector: u32, asks: bool| {
        let mut code = Assembler::default();
        if asks {
            code.op(&[op::PUSH1, 4, op::CALLDATASIZE, op::LT]).push_label("fallback").op(&[op::JUMPI]);
        }
        code.selector().op(&[op::PUSH4]).op(&selector.to_be_bytes()).op(&[op::EQ]);
        code.push_label("function").op(&[op::JUMPI]);
        code.label("fallback").count(9).label("function").count(1);
        analyze(code.bytes(), &Options::default())
    };
    let analysis = code(0xaabb_0000, false);
    assert_eq!(slots(&analysis, function(0xaabb_0000)), [1]);
    assert_eq!(slots(&analysis, Entry::Fallback), [1, 9]);
    assert_eq!(slots(&analysis, Entry::Receive), [9]);
    let analysis = code(0xaabb_0000, true);
    assert_eq!(slots(&analysis, function(0xaabb_0000)), [1]);
    assert_eq!(slots(&analysis, Entry::Fallback), [9]);
    let analysis = code(0xaabb_00cc, false);
    assert_eq!(slots(&analysis, Entry::Fallback), [9]);
    let analysis = code(0, false);
    assert_eq!(slots(&analysis, Entry::Receive), [1], "nothing reads as zeros");
}

/// A table of places to jump to, by the selector's remainder; each place compares with its own selectors, by `EQ` or by
/// an opcode that leaves zero where both are the same.
fn sparse(modulus: &[u8], differs: u8) -> Bytes {
    let mut code = Assembler::default();
    code.op(modulus).selector().op(&[op::MOD, op::PUSH1, 1, op::SHL]).push_label("table").op(&[op::ADD]);
    code.op(&[op::PUSH1, 2, op::SWAP1, op::PUSH1, 30, op::CODECOPY, op::PUSH0, op::MLOAD, op::JUMP]);
    for (bucket, selectors) in [("zero", [(3u32, "three"), (6, "six")]), ("one", [(7, "seven"), (10, "ten")])]
    {
        code.label(bucket);
        for (selector, label) in selectors {
            code.selector().op(&[op::PUSH4]).op(&selector.to_be_bytes()).op(&[differs]);
            if differs != op::EQ {
                code.op(&[op::ISZERO]);
            }
            code.push_label(label).op(&[op::JUMPI]);
        }
        code.push_label("fallback").op(&[op::JUMP]);
    }
    code.label("fallback").count(9);
    for (label, slot) in [("three", 3), ("six", 6), ("seven", 7), ("ten", 10)] {
        code.label(label).count(slot);
    }
    code.place("table").hole("zero").hole("one").hole("fallback");
    code.bytes()
}

#[test]
fn a_table_of_places_is_followed() {
    for compares in [op::EQ, op::XOR, op::SUB] {
        let analysis = analyze(sparse(&[op::PUSH1, 3], compares), &Options::default());
        for selector in [3, 6, 7, 10] {
            assert_eq!(slots(&analysis, function(selector)), [u64::from(selector)]);
        }
        assert_eq!(slots(&analysis, Entry::Fallback), [9]);
        assert_eq!(analysis.summaries.len(), 6, "four functions, receive and fallback");
    }
    // Where it is not known how far into the code the place is, neither is where control goes.
    let analysis = analyze(sparse(&[op::CALLER], op::EQ), &Options::default());
    assert!(!summary(&analysis, Entry::Fallback).is_complete());
}

/// A function stands behind the jump that is taken where the selector is another one.
#[test]
fn the_fallback_is_behind_what_differs() {
    for differs in [&[op::XOR][..], &[op::SUB], &[op::EQ, op::ISZERO], &[op::EQ, op::PUSH1, 1, op::XOR]] {
        let mut code = Assembler::default();
        code.selector().op(&[op::PUSH4]).op(&FIRST.to_be_bytes()).op(differs);
        code.push_label("fallback").op(&[op::JUMPI]).count(1).label("fallback").count(9);
        let analysis = analyze(code.bytes(), &Options::default());
        assert_eq!(slots(&analysis, function(FIRST)), [1], "{differs:x?}");
        assert_eq!(slots(&analysis, Entry::Fallback), [9], "{differs:x?}");
    }
}

/// A table of rows of four bytes of selector and two of place, found by way of a table of buckets with their own sizes.
fn dense() -> Bytes {
    const ROW: u8 = 6;
    let mut code = Assembler::default();
    // The bucket: two bytes of place, one of size.
    code.op(&[op::PUSH1, 2])
        .selector()
        .op(&[op::MOD, op::PUSH1, 3, op::MUL])
        .push_label("buckets")
        .op(&[op::ADD]);
    code.op(&[op::PUSH1, 3, op::SWAP1, op::PUSH1, 29, op::CODECOPY, op::PUSH0, op::MLOAD]);
    // The row: the selector's remainder by the size, after a shift.
    code.op(&[op::DUP1, op::PUSH1, 0xff, op::AND]).selector().op(&[op::PUSH1, 1, op::SHR, op::MOD]);
    code.op(&[op::PUSH1, ROW, op::MUL, op::SWAP1, op::PUSH1, 8, op::SHR, op::ADD]);
    code.op(&[op::PUSH1, ROW, op::SWAP1, op::PUSH1, 32 - ROW, op::CODECOPY, op::PUSH0, op::MLOAD]);
    // Whether it is that of the call, and there is a whole selector.
    code.op(&[op::DUP1, op::PUSH1, 16, op::SHR]).selector().op(&[op::EQ]);
    code.op(&[op::CALLDATASIZE, op::PUSH1, 3, op::LT, op::AND, op::ISZERO])
        .push_label("fallback")
        .op(&[op::JUMPI]);
    code.op(&[op::PUSH2, 0xff, 0xff, op::AND, op::JUMP]);
    code.label("fallback").count(9);
    for (label, slot) in [("four", 4), ("six", 6), ("eight", 8), ("one", 1), ("three", 3)] {
        code.label(label).count(slot);
    }
    // By remainder: (selector / 2) % 3 of 4, 6, 8 is 2, 0, 1; (selector / 2) % 2 of 1 and 3 is 0, 1.
    code.place("even");
    for (selector, label) in [(6u32, "six"), (8, "eight"), (4, "four")] {
        code.op(&selector.to_be_bytes()).hole(label);
    }
    code.place("odd");
    for (selector, label) in [(1u32, "one"), (3, "three")] {
        code.op(&selector.to_be_bytes()).hole(label);
    }
    code.place("buckets").hole("even").op(&[3]).hole("odd").op(&[2]);
    code.bytes()
}

#[test]
fn a_table_of_rows_names_its_functions() {
    let analysis = analyze(dense(), &Options::default());
    for selector in [1, 3, 4, 6, 8] {
        assert_eq!(slots(&analysis, function(selector)), [u64::from(selector)]);
    }
    assert_eq!(slots(&analysis, Entry::Fallback), [9]);
    assert_eq!(slots(&analysis, Entry::Receive), [9]);
    assert_eq!(analysis.summaries.len(), 7, "five functions, receive and fallback");
    let one = analyze(dense(), &Options { one_default: true, ..Options::default() });
    assert_eq!(slots(&one, Entry::Fallback), [9]);
    assert_eq!(one.summaries.len(), 6, "five functions and what answers everything else");
}

/// A constant slot that is an element of a list whose start the code computes, whatever comes first.
#[test]
fn a_constant_slot_is_an_element_of_a_list_that_is_found_later() {
    for (constant, computed) in [(1u32, 2u32), (2, 1)] {
        for length in [5u64, 300, 1 << 40] {
            let mut code = Assembler::default();
            for (selector, label) in [(constant, "constant"), (computed, "computed")] {
                code.selector().op(&[op::PUSH4]).op(&selector.to_be_bytes()).op(&[op::EQ]);
                code.push_label(label).op(&[op::JUMPI]);
            }
            code.op(&[op::PUSH0, op::PUSH0, op::REVERT]);
            let start = alloy_primitives::keccak256(U256::from(length).to_be_bytes::<32>());
            let element = U256::from_be_bytes(start.0) + U256::from(7);
            code.label("constant").op(&[op::PUSH1, 1, op::PUSH32]).op(&element.to_be_bytes::<32>());
            code.op(&[op::SSTORE, op::STOP]);
            code.label("computed").push(length).op(&[op::PUSH0, op::MSTORE, op::PUSH1, 4, op::CALLDATALOAD]);
            code.op(&[
                op::PUSH1,
                32,
                op::PUSH0,
                op::KECCAK256,
                op::ADD,
                op::PUSH1,
                1,
                op::SWAP1,
                op::SSTORE,
                op::STOP,
            ]);
            let analysis = analyze(code.bytes(), &Options::default());
            let cell = conflicts(&analysis).into_iter().find(|cell| cell.a != cell.b).unwrap();
            assert_eq!(cell.verdict, Verdict::When, "{length} {constant}");
        }
    }
}
