//! Hostile code: whatever the bytes, the analysis ends after a bounded amount of work, and says where it was cut.
//!
//! Work is counted in interpreted instructions and made expressions, which do not depend on the machine.

#[path = "oracle/random.rs"]
mod random;

use alloy_primitives::Bytes;
use deconflict_analyzer::{Analysis, Options, Reason, Selector, analyze, conflicts};
use revm::bytecode::opcode as op;

use random::Random;

/// Instructions that all entries of one contract may take together: the contract's budget, and for each of at most 2,000
/// entries what every entry may use in any case.
const MOST_STEPS: u64 = 3_000_000 + 250_000 + 2_000 * 20_000;
/// Expressions of one contract.
const MOST_EXPRESSIONS: usize = 4_000_000;

/// Analyses, and checks what holds for any code.
fn survive(code: impl Into<Bytes>) -> Analysis {
    let analysis = analyze(code.into(), &Options::default());
    assert!(analysis.steps <= MOST_STEPS, "{} steps", analysis.steps);
    assert!(analysis.expressions.len() <= MOST_EXPRESSIONS, "{} expressions", analysis.expressions.len());
    assert!(!analysis.summaries.is_empty(), "there is always an entry");
    for summary in &analysis.summaries {
        assert!(summary.is_complete() || !summary.always_reverts, "what was cut may succeed");
    }
    let _ = conflicts(&analysis);
    analysis
}

fn is_cut(analysis: &Analysis) -> bool {
    analysis.summaries.iter().any(|summary| !summary.is_complete())
}

fn push2(code: &mut Vec<u8>, number: usize) {
    code.push(op::PUSH2);
    code.extend_from_slice(&(number as u16).to_be_bytes());
}

#[test]
fn empty_code() {
    let analysis = survive(Bytes::new());
    assert!(!is_cut(&analysis));
    assert!(analysis.summaries.iter().all(|summary| summary.accesses.is_empty() && !summary.always_reverts));
}

#[test]
fn one_byte() {
    for byte in 0..=u8::MAX {
        survive(vec![byte]);
    }
}

#[test]
fn other_formats() {
    for code in
        [vec![0xef], vec![0xef, 0x00, 0x01], [&[0xef, 0x01, 0x00][..], &[7; 20]].concat(), vec![0xef; 24_576]]
    {
        let analysis = analyze(code.into(), &Options::default());
        let delegates =
            analysis.summaries.iter().all(|summary| summary.is_complete() && !summary.calls.is_empty());
        let unsupported = analysis
            .summaries
            .iter()
            .all(|summary| summary.incomplete.iter().any(|cut| cut.reason == Reason::UnsupportedFormat));
        // A delegation designator either is followed, or said not to be.
        assert!(unsupported || (delegates && analysis.code.bytes.len() == 23));
    }
}

#[test]
fn random_bytes() {
    let mut random = Random(3);
    for _ in 0..20 {
        let code: Vec<u8> = (0..65_536).map(|_| random.bits() as u8).collect();
        survive(code);
    }
}

#[test]
fn random_opcodes_behind_jump_destinations() {
    let mut random = Random(4);
    let likely = [
        op::JUMPDEST,
        op::JUMP,
        op::JUMPI,
        op::DUP1,
        op::DUP2,
        op::SWAP1,
        op::CALLDATALOAD,
        op::SLOAD,
        op::SSTORE,
        op::MSTORE,
        op::MLOAD,
        op::KECCAK256,
        op::ADD,
        op::PUSH0,
        op::EQ,
        op::CALLER,
    ];
    for _ in 0..10 {
        let mut code = Vec::new();
        while code.len() < 24_576 {
            match random.below(3) {
                0 => push2(&mut code, random.below(24_576)),
                _ => code.push(likely[random.below(likely.len())]),
            }
        }
        survive(code);
    }
}

#[test]
fn endless_loops() {
    survive(vec![op::JUMPDEST, op::PUSH0, op::JUMP]);
    // Counts without end and stores what it counts.
    let counting = vec![
        op::PUSH0,
        op::JUMPDEST,
        op::PUSH1,
        1,
        op::ADD,
        op::DUP1,
        op::DUP1,
        op::SSTORE,
        op::PUSH1,
        1,
        op::JUMP,
    ];
    let analysis = survive(counting);
    let found = analysis
        .summaries
        .iter()
        .flat_map(|summary| &summary.accesses)
        .any(|access| access.position.pc.0 == 7);
    assert!(found || is_cut(&analysis), "the store in the loop is found");
    // The stack grows in every turn.
    survive(vec![op::JUMPDEST, op::CALLER, op::PUSH0, op::JUMP]);
    // Nested loops over calldata.
    let mut nested = Vec::new();
    for _ in 0..60 {
        nested.extend_from_slice(&[op::JUMPDEST, op::PUSH0, op::CALLDATALOAD]);
    }
    for target in (0..60).rev() {
        push2(&mut nested, 3 * target);
        nested.push(op::JUMPI);
    }
    survive(nested);
}

#[test]
fn ten_thousand_jump_destinations() {
    survive(vec![op::JUMPDEST; 10_000]);
    // Each of them is a target of one computed jump.
    let mut code = vec![op::PUSH0, op::CALLDATALOAD, op::JUMP];
    code.extend(std::iter::repeat_n(op::JUMPDEST, 10_000));
    let analysis = survive(code);
    assert!(is_cut(&analysis), "a jump to calldata is not resolved");
    // Each of them branches to the next and to the one after.
    let mut chain = Vec::new();
    for index in 0..4_000usize {
        chain.extend_from_slice(&[op::JUMPDEST, op::PUSH1, index as u8, op::CALLDATALOAD]);
        push2(&mut chain, (8 * (index + 2)).min(8 * 4_000));
        chain.push(op::JUMPI);
    }
    chain.push(op::JUMPDEST);
    survive(chain);
}

#[test]
fn deep_recursion() {
    // Pushes a return address and calls itself while a word of calldata says so, then returns all the way.
    let mut code = vec![op::PUSH1, 24, op::JUMPDEST];
    code.extend_from_slice(&[op::MSIZE, op::CALLDATALOAD, op::ISZERO, op::PUSH1, 22, op::JUMPI]);
    code.extend_from_slice(&[op::PUSH1, 16, op::PUSH1, 2, op::JUMP, op::STOP, op::STOP]);
    code.extend_from_slice(&[op::JUMPDEST, op::MSIZE, op::DUP1, op::SSTORE, op::STOP, op::STOP]);
    code.extend_from_slice(&[op::JUMPDEST, op::JUMP, op::JUMPDEST, op::STOP]);
    assert!(!is_cut(&survive(code)), "a function that is open is explored once more and no deeper");
}

#[test]
fn branches_that_meet_again_in_the_wrong_order() {
    // Each adds one or two; the code of the first stands last.
    const BRANCHES: usize = 40;
    const SIZE: usize = 23;
    let start = |branch: usize| 8 + SIZE * (BRANCHES - branch);
    let mut code = vec![op::PUSH0];
    push2(&mut code, start(0));
    code.extend_from_slice(&[op::JUMP, op::STOP, op::STOP, op::STOP]);
    code.extend_from_slice(&[op::JUMPDEST, op::PUSH0, op::SSTORE, op::STOP]);
    code.resize(start(BRANCHES - 1), op::STOP);
    for branch in (0..BRANCHES).rev() {
        code.extend_from_slice(&[op::JUMPDEST, op::PUSH1, branch as u8, op::CALLDATALOAD]);
        push2(&mut code, start(branch) + 15);
        code.extend_from_slice(&[op::JUMPI, op::PUSH1, 2, op::ADD]);
        push2(&mut code, start(branch + 1));
        code.extend_from_slice(&[op::JUMP, op::JUMPDEST, op::PUSH1, 1, op::ADD]);
        push2(&mut code, start(branch + 1));
        code.push(op::JUMP);
    }
    let analysis = survive(code);
    assert!(!is_cut(&analysis), "the work does not double at every branch");
    assert!(analysis.summaries.iter().any(|summary| !summary.accesses.is_empty()), "the store is found");
}

#[test]
fn return_addresses_of_a_thousand_calls() {
    // One internal function, called a thousand times in a row, and inside it another one.
    let mut code = vec![op::PUSH1, 12, op::JUMP];
    code.extend_from_slice(&[
        op::JUMPDEST,
        op::CALLER,
        op::SLOAD,
        op::POP,
        op::JUMP,
        op::STOP,
        op::STOP,
        op::STOP,
        op::STOP,
    ]);
    code.push(op::JUMPDEST);
    for _ in 0..1_000 {
        let back = code.len() + 6;
        push2(&mut code, back);
        code.extend_from_slice(&[op::PUSH1, 3, op::JUMP, op::JUMPDEST]);
    }
    let analysis = survive(code);
    let loads = analysis.summaries.iter().map(|summary| summary.accesses.len()).max();
    assert!(loads >= Some(1) || is_cut(&analysis));
}

#[test]
fn huge_immediates_and_offsets() {
    let mut code = vec![op::PUSH32; 24_576];
    code[24_575] = op::SSTORE;
    survive(code);
    for opcode in [
        op::MSTORE,
        op::MSTORE8,
        op::MLOAD,
        op::KECCAK256,
        op::CALLDATACOPY,
        op::CODECOPY,
        op::MCOPY,
        op::RETURN,
        op::REVERT,
        op::LOG4,
        op::CREATE2,
        op::CALL,
        op::DELEGATECALL,
        op::EXTCODECOPY,
        op::RETURNDATACOPY,
        op::EXP,
        op::SHL,
        op::SAR,
        op::BYTE,
        op::SIGNEXTEND,
        op::JUMP,
        op::BLOCKHASH,
        op::BLOBHASH,
    ] {
        for word in [[0xff; 32], [0x7f; 32], {
            let mut word = [0; 32];
            word[24..].fill(0xff);
            word
        }] {
            let mut code = Vec::new();
            for _ in 0..8 {
                code.push(op::PUSH32);
                code.extend_from_slice(&word);
            }
            code.extend_from_slice(&[opcode, op::PUSH0, op::SSTORE]);
            survive(code);
        }
    }
}

#[test]
fn jumpi_soup() {
    let mut random = Random(5);
    let mut code = vec![op::JUMPDEST];
    while code.len() < 24_570 {
        code.extend_from_slice(&[op::JUMPDEST, op::PUSH1, random.bits() as u8, op::CALLDATALOAD]);
        // Destinations stand at every eighth byte.
        push2(&mut code, 1 + 8 * random.below(3_071));
        code.push(op::JUMPI);
    }
    survive(code);
}

#[test]
fn selectors_without_end() {
    // A dispatcher with more selectors than any compiler makes.
    let mut code = vec![op::PUSH0, op::CALLDATALOAD, op::PUSH1, 224, op::SHR];
    for selector in 0..2_200u32 {
        code.extend_from_slice(&[op::DUP1, op::PUSH4]);
        code.extend_from_slice(&(0x1000_0000 + selector).to_be_bytes());
        code.extend_from_slice(&[op::EQ, op::PUSH1, 0xff, op::JUMPI]);
    }
    survive(code);
    // Selectors that the caller makes up.
    let selectors = (0..5_000u32).map(|number| Selector(number.to_be_bytes())).collect();
    let code = vec![op::PUSH0, op::SLOAD, op::STOP];
    let analysis = analyze(code.into(), &Options { selectors, ..Options::default() });
    assert!(is_cut(&analysis), "entries that were not explored are said to be");
}

#[test]
fn tables_without_end() {
    // Everywhere a row of a table that is all of the code, to compare with and to jump to.
    for jumps in [false, true] {
        let mut code = Vec::new();
        let mut number = 0;
        while code.len() < 24_000 {
            number += 1;
            code.push(op::JUMPDEST);
            push2(&mut code, number);
            code.extend_from_slice(&[op::CALLDATALOAD, op::PUSH2, 1, 0xff, op::AND]);
            push2(&mut code, 40 * number);
            code.extend_from_slice(&[op::ADD, op::PUSH1, 4, op::SWAP1, op::PUSH1, 28, op::CODECOPY]);
            code.extend_from_slice(&[op::PUSH0, op::MLOAD]);
            if jumps {
                code.extend_from_slice(&[op::PUSH2, 0xff, 0xff, op::AND, op::CALLER, op::SWAP1, op::JUMPI]);
            } else {
                code.extend_from_slice(&[op::PUSH0, op::CALLDATALOAD, op::PUSH1, 224, op::SHR, op::EQ]);
                code.extend_from_slice(&[op::PUSH0, op::JUMPI]);
            }
        }
        survive(code);
    }
}

#[test]
fn deep_expressions() {
    for step in [
        &[op::DUP1, op::MUL][..],
        &[op::DUP1, op::ADD],
        &[op::CALLER, op::XOR],
        &[op::PUSH0, op::MSTORE, op::PUSH1, 32, op::PUSH0, op::KECCAK256],
        &[op::SLOAD],
        &[op::CALLDATALOAD],
        &[op::ISZERO],
        &[op::NOT, op::ISZERO, op::CALLER, op::ADD],
        &[op::BALANCE],
    ] {
        let mut code = vec![op::PUSH0, op::CALLDATALOAD];
        while code.len() < 24_000 {
            code.extend_from_slice(step);
        }
        code.extend_from_slice(&[op::DUP1, op::SSTORE]);
        let analysis = survive(code.clone());
        let last = code.len() as u32 - 1;
        let found = analysis
            .summaries
            .iter()
            .any(|summary| summary.accesses.iter().any(|access| access.position.pc.0 == last));
        assert!(found || is_cut(&analysis), "the store behind {step:x?} is found");
    }
}
