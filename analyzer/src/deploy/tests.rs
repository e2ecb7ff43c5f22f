//! Creation codes written by hand, one for each way in which a runtime code comes about.

use alloy_primitives::{Bytes, hex};

use super::*;

fn run(code: &[u8]) -> Option<Deployment> {
    deployed(&Bytes::copy_from_slice(code))
}

fn runtime(code: &str) -> Deployed {
    match run(&hex::decode(code).expect("hexadecimal")) {
        Some(Deployment::Runtime(deployed)) => deployed,
        other => panic!("{code}: {other:?}"),
    }
}

#[test]
fn the_tail_is_copied_and_returned() {
    // PUSH1 6 DUP1 PUSH1 11 PUSH0 CODECOPY PUSH0 RETURN STOP, and the code of a counter.
    let found = runtime("60068060095f395ff36001545f5500");
    assert_eq!(found.code, hex!("6001545f5500")[..]);
    assert_eq!(found.copied, [CopiedBytes { range: 0..6, from: 9 }]);
    assert!(found.unknown.is_empty());
}

#[test]
fn a_constant_is_stored_and_returned() {
    // PUSH10 code PUSH1 0 MSTORE PUSH1 10 PUSH1 22 RETURN.
    let found = runtime("69602a60005260206000f3600052600a6016f3");
    assert_eq!(found.code, hex!("602a60005260206000f3")[..]);
    assert!(found.copied.is_empty());
}

/// Creation code that copies `runtime` to the start of its memory, does what `rest` says, and returns it.
fn creation(rest: &[u8], runtime: &[u8]) -> Vec<u8> {
    let length = runtime.len() as u8;
    let copy = [op::PUSH1, length, op::PUSH1, 0, op::PUSH0, op::CODECOPY];
    let end = [op::PUSH1, length, op::PUSH0, op::RETURN];
    let mut code = [&copy, rest, &end].concat();
    code[3] = code.len() as u8;
    [&code, runtime].concat()
}

/// `SSTORE(word, word)`, with zeros for the word.
fn stores_immutable() -> Vec<u8> {
    let push = [&[op::PUSH32][..], &[0; 32]].concat();
    [&push[..], &push, &[op::SSTORE, op::STOP]].concat()
}

#[test]
fn what_a_constructor_decides_is_unknown() {
    let rest = [op::CALLER, op::DUP1, op::PUSH1, 1, op::MSTORE, op::PUSH1, 34, op::MSTORE];
    let Some(Deployment::Runtime(found)) = run(&creation(&rest, &stores_immutable())) else {
        panic!("it deploys code")
    };
    assert_eq!(found.code, stores_immutable());
    let places = [UnknownBytes { id: 0, range: 1..33 }, UnknownBytes { id: 0, range: 34..66 }];
    assert_eq!(found.unknown, places, "both places hold the same word");
    assert_eq!(found.copied.first(), Some(&CopiedBytes { range: 0..1, from: 18 }));

    // A constant that the constructor writes is as good as one that the compiler has written.
    let rest = [op::PUSH1, 7, op::PUSH1, 1, op::MSTORE, op::CALLER, op::PUSH1, 34, op::MSTORE];
    let Some(Deployment::Runtime(found)) = run(&creation(&rest, &stores_immutable())) else {
        panic!("it deploys code")
    };
    assert_eq!(found.code[32], 7);
    assert_eq!(found.unknown, [UnknownBytes { id: 0, range: 34..66 }]);
}

#[test]
fn arguments_behind_the_code_are_unknown_and_enough() {
    // The word behind the code is an argument: without it the constructor reverts.
    let arguments = |end: u8, with: &[u8]| {
        let check = [op::PUSH1, 32, op::PUSH1, end, op::CODESIZE, op::SUB, op::LT, op::PUSH1, 0, op::JUMPI];
        let load = [op::PUSH1, 32, op::PUSH1, end, op::PUSH1, 0x80, op::CODECOPY, op::PUSH1, 0x80, op::MLOAD];
        let store = [op::DUP1, op::PUSH1, 1, op::MSTORE, op::PUSH1, 34, op::MSTORE];
        let code = creation(&[&check[..], &load, &store].concat(), &stores_immutable());
        (code.len() as u8, [&code, with].concat())
    };
    let (end, _) = arguments(0, &[]);
    let Some(Deployment::Runtime(found)) = run(&arguments(end, &[]).1) else { panic!("it deploys code") };
    assert_eq!(found.unknown.len(), 2);
    // Where the argument is there, as in a transaction that deploys, it is known.
    let Some(Deployment::Runtime(found)) = run(&arguments(end, &[9; 32]).1) else {
        panic!("it deploys code")
    };
    assert_eq!(found.code[1..33], [9; 32]);
    assert!(found.unknown.is_empty());
}

#[test]
fn what_another_contract_says_may_be_anything() {
    // Reverts unless a call has returned a word that is not zero, which the guess is not.
    let call = [op::PUSH1, 32, op::PUSH1, 0x80, op::PUSH0, op::PUSH0, op::CALLER, op::GAS, op::STATICCALL];
    let check =
        [op::PUSH1, 0x80, op::MLOAD, op::AND, op::PUSH1, 0, op::JUMPI, op::PUSH0, op::PUSH0, op::REVERT];
    let mut rest = [&call[..], &check, &[op::JUMPDEST]].concat();
    rest[14] = 6 + 19;
    assert!(run(&creation(&rest, &stores_immutable())).is_some());
}

#[test]
fn answers_are_no_code() {
    // A runtime code that answers every call by a word, by its own data, or by what another contract answered.
    assert_eq!(run(&hex!("602a60005260206000f3")), None);
    assert_eq!(
        run(&hex!("60208060095f395ff30000000000000000000000000000000000000000000000000000000000000001")),
        None
    );
    assert_eq!(
        run(&hex!(
            "363d3d373d3d3d363d73bebebebebebebebebebebebebebebebebebebebe5af43d82803e903d91602b57fd5bf3"
        )),
        None
    );
    assert_eq!(run(&[]), None);
    assert_eq!(run(&hex!("ef000101")), None);
}

#[test]
fn a_copy_of_another_code_is_named() {
    // EXTCODECOPY of what stands behind CALLER, and RETURN.
    assert_eq!(run(&hex!("333b805f5f333c5ff3")), Some(Deployment::Copy));
}
