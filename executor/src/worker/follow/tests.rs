//! Random programs, executed on one word and, where the comparisons say that nothing else would change, on another.

use alloy_primitives::{Address, Bytes, TxKind, U256};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use revm::{
    bytecode::{Bytecode, opcode},
    context::{BlockEnv, CfgEnv, TxEnv},
    context_interface::result::ExecutionResult,
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

use super::FxBuildHasher;
use crate::{
    store::{Answers, Fees, Store},
    view::{Effects, Side},
    worker::{BlockRules, Worker},
};
use std::hash::BuildHasher as _;

const OUTER: Address = Address::repeat_byte(0xaa);
const INNER: Address = Address::repeat_byte(0xbb);
const SENDER: Address = Address::repeat_byte(0x11);

/// What a program leaves on the stack at most.
const DEEPEST: usize = 10;

/// Turns choices into a program that never reaches below its stack. `calls` says whether it may run the other code.
fn program(choices: &[u16], calls: bool) -> Vec<u8> {
    let mut code = Vec::new();
    let mut depth = 0_usize;
    let push = |code: &mut Vec<u8>, number: u16| match number % 8 {
        0..=3 => code.extend([opcode::PUSH1, (number / 8 % 4) as u8]),
        4 => code.extend([opcode::PUSH1, (number / 8) as u8]),
        5 => code.extend([opcode::PUSH0, opcode::NOT]),
        6 => code.extend([opcode::PUSH1, 1, opcode::PUSH1, 255, opcode::SHL]),
        _ => code.extend([opcode::PUSH2, (number >> 8) as u8, number as u8]),
    };
    // Where a jump leads that goes over the next few instructions, and how deep the stack has to be there.
    let mut label: Option<(usize, usize, u16)> = None;
    for choice in choices {
        let (kind, detail) = ((choice % 48).min(39), choice / 48);
        if let Some((place, deep, left)) = label {
            if left == 0 {
                // Both ways have to leave as much.
                while depth > deep {
                    code.push(opcode::POP);
                    depth -= 1;
                }
                while depth < deep {
                    code.push(opcode::PUSH0);
                    depth += 1;
                }
                let target = u16::try_from(code.len()).expect("programs are short");
                code[place..place + 2].copy_from_slice(&target.to_be_bytes());
                code.push(opcode::JUMPDEST);
                label = None;
            } else {
                label = Some((place, deep, left - 1));
            }
        }
        // What lies below a jump stays, so that both ways find it.
        let floor = label.map_or(0, |(_, deep, _)| deep);
        let free = depth - floor.min(depth);
        match kind {
            0..=7 if depth < DEEPEST => {
                code.extend([opcode::PUSH1, (detail % 2) as u8, opcode::SLOAD]);
                depth += 1;
            }
            8..=11 if depth < DEEPEST => {
                push(&mut code, detail);
                depth += 1;
            }
            12..=15 if depth > 0 && depth < DEEPEST => {
                code.push(opcode::DUP1 + (usize::from(detail) % depth) as u8);
                depth += 1;
            }
            16..=17 if free > 1 => code.push(opcode::SWAP1 + (usize::from(detail) % (free - 1)) as u8),
            18..=21 if free > 1 => {
                code.push([opcode::ADD, opcode::SUB][usize::from(detail) % 2]);
                depth -= 1;
            }
            22..=23 if free > 1 => {
                code.push([opcode::LT, opcode::GT, opcode::EQ][usize::from(detail) % 3]);
                depth -= 1;
            }
            24 if free > 1 => {
                let all = [opcode::AND, opcode::OR, opcode::MUL, opcode::DIV, opcode::SHL, opcode::SHR];
                code.push(all[usize::from(detail) % all.len()]);
                depth -= 1;
            }
            25 if free > 0 => code.push([opcode::ISZERO, opcode::NOT][usize::from(detail) % 2]),
            26 if free > 0 => {
                code.push(opcode::POP);
                depth -= 1;
            }
            27..=31 if free > 0 => {
                code.extend([opcode::PUSH1, (detail % 2) as u8, opcode::SSTORE]);
                depth -= 1;
            }
            32..=34 if free > 0 && label.is_none() => {
                code.push(opcode::PUSH2);
                label = Some((code.len(), depth - 1, 2 + detail % 4));
                code.extend([0, 0, opcode::JUMPI]);
                depth -= 1;
            }
            35 if free > 0 => {
                code.extend([opcode::PUSH0, opcode::MSTORE]);
                depth -= 1;
            }
            36 => code.extend([opcode::PUSH1, 32, opcode::PUSH0, opcode::LOG0]),
            37 if calls && depth < DEEPEST => {
                code.extend([opcode::PUSH0; 4]);
                code.push(opcode::PUSH20);
                code.extend_from_slice(INNER.as_slice());
                code.extend([opcode::GAS, opcode::DELEGATECALL]);
                depth += 1;
            }
            // The usual form: load, add or subtract, compare, store.
            39 if depth + 2 < DEEPEST => {
                let slot = (detail % 2) as u8;
                code.extend([opcode::PUSH1, slot, opcode::SLOAD]);
                push(&mut code, detail / 2);
                code.push([opcode::ADD, opcode::SUB][usize::from(detail / 16) % 2]);
                if detail % 3 > 0 {
                    code.push(opcode::DUP1);
                    push(&mut code, detail / 5);
                    let compare = [opcode::LT, opcode::GT, opcode::EQ][usize::from(detail / 32) % 3];
                    // The way on is the same, but the comparison decides what lies in memory.
                    code.extend([compare, opcode::PUSH0, opcode::MSTORE]);
                }
                code.extend([opcode::PUSH1, slot, opcode::SSTORE]);
            }
            38 if detail % 4 == 0 && label.is_some() => {
                code.extend([opcode::PUSH0, opcode::PUSH0, opcode::REVERT]);
            }
            _ => {}
        }
    }
    if let Some((place, _, _)) = label {
        let target = u16::try_from(code.len()).expect("programs are short");
        code[place..place + 2].copy_from_slice(&target.to_be_bytes());
        code.push(opcode::JUMPDEST);
    }
    code.extend([opcode::PUSH1, 32, opcode::PUSH0, opcode::RETURN]);
    code
}

fn state(codes: &[(Address, Vec<u8>)], words: [U256; 2]) -> CacheDB<EmptyDB> {
    let mut state = CacheDB::new(EmptyDB::default());
    for (address, code) in codes {
        let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
        let info = AccountInfo { code_hash: code.hash_slow(), code: Some(code), ..AccountInfo::default() };
        state.insert_account_info(*address, info);
    }
    for (slot, word) in words.into_iter().enumerate() {
        state.insert_account_storage(OUTER, U256::from(slot), word).expect("it is in memory");
    }
    state.insert_account_info(SENDER, AccountInfo { balance: U256::MAX >> 1, ..AccountInfo::default() });
    state
}

/// Executes a call, following all words or none.
fn run(
    codes: &[(Address, Vec<u8>)],
    words: [U256; 2],
    spec: SpecId,
    follows: bool,
) -> (ExecutionResult, Box<Effects>) {
    let state = state(codes, words);
    let rules = BlockRules {
        block: BlockEnv::default(),
        cfg: CfgEnv::new_with_spec(spec),
        answers: Answers::default(),
    };
    let (store, fees) = (Store::default(), Fees::new(Address::ZERO));
    let mut worker = Worker::new(&rules, &state, &store, &fees);
    let call = TxEnv {
        caller: SENDER,
        kind: TxKind::Call(OUTER),
        data: Bytes::from_static(&[1]),
        gas_limit: 1_000_000,
        ..TxEnv::default()
    };
    let executed = if follows {
        let all = codes.iter().flat_map(|(address, code)| (0..=code.len()).map(move |pc| (*address, pc)));
        worker.watch(all.map(|site| FxBuildHasher.hash_one(site)));
        worker.run_ahead(0, &call)
    } else {
        worker.run_in_turn(0, &call)
    };
    let executed = executed.unwrap_or_else(|failure| panic!("{failure:?}"));
    (executed.result, executed.effects)
}

fn slots(effects: &Effects) -> Vec<(Address, U256, U256)> {
    let mut slots = effects.writes.slots.clone();
    slots.sort_unstable();
    slots
}

/// A word near those that the comparisons tell apart, or anywhere.
fn another(choice: u16, word: U256, sides: &[Side]) -> U256 {
    let near = |number: U256| number.wrapping_add(U256::from(choice / 16 % 3)).wrapping_sub(U256::ONE);
    match choice % 16 {
        0..=3 => near(U256::ZERO),
        4..=6 => near(word),
        7 => near(U256::ONE << 255),
        _ => match sides.get(usize::from(choice / 64) % sides.len().max(1)) {
            Some(Side::Plus(offset)) => near(U256::ZERO.wrapping_sub(*offset)),
            Some(Side::Minus(offset) | Side::Number(offset)) => near(*offset),
            None => near(U256::from(choice)),
        },
    }
}

#[test]
fn what_only_adds_to_a_word_does_the_same_to_another() {
    let specs = [SpecId::BYZANTIUM, SpecId::ISTANBUL, SpecId::LONDON, SpecId::OSAKA];
    let config = ProptestConfig { cases: 20_000, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let (deltas, others, added) =
        (std::cell::Cell::new(0_u32), std::cell::Cell::new(0_u32), std::cell::Cell::new(0_u32));
    let strategy = (
        vec(any::<u16>(), 0..40),
        vec(any::<u16>(), 0..20),
        any::<[u16; 2]>(),
        0..specs.len(),
        any::<[u16; 8]>(),
    );
    let outcome = runner.run(&strategy, |(outer, inner, words, spec, tries)| {
        // PUSH0 and shifts are not there in all forks; what fails for that reason fails in all runs.
        let spec = specs[spec];
        let codes = [(OUTER, program(&outer, true)), (INNER, program(&inner, false))];
        let words = words.map(|word| another(word, U256::from(word), &[]));
        let (result, effects) = run(&codes, words, spec, true);
        let (plain, plain_effects) = run(&codes, words, spec, false);
        prop_assert_eq!(&result, &plain);
        let reads = &effects.reads;
        for (number, delta) in reads.deltas.iter().enumerate().filter(|(_, delta)| !delta.exact) {
            deltas.set(deltas.get() + 1);
            let checks: Vec<_> = reads.checks.iter().filter(|it| it.delta as usize == number).collect();
            prop_assert!(checks.iter().all(|check| check.is_same(delta.read.word)));
            let sides: Vec<Side> = checks.iter().flat_map(|it| [it.left, it.right]).collect();
            for choice in tries {
                let word = another(choice, delta.read.word, &sides);
                if !checks.iter().all(|check| check.is_same(word)) {
                    continue;
                }
                others.set(others.get() + u32::from(word != delta.read.word));
                let mut changed = words;
                changed[delta.read.slot.to::<usize>()] = word;
                let (again, effects_again) = run(&codes, changed, spec, false);
                prop_assert_eq!(&result, &again, "with {} instead of {}", word, delta.read.word);
                let key = (delta.read.address, delta.read.slot);
                let addition = effects.writes.deltas.iter().find(|it| (it.0, it.1) == key).map(|it| it.2);
                let mut expected = slots(&plain_effects);
                expected.retain(|it| (it.0, it.1) != key);
                if let Some(addition) = addition.filter(|it| !it.is_zero()) {
                    added.set(added.get() + u32::from(word != delta.read.word));
                    expected.push((key.0, key.1, word.wrapping_add(addition)));
                }
                expected.sort_unstable();
                prop_assert_eq!(expected, slots(&effects_again));
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    // The programs must be ones of which something is to be learnt.
    assert!(deltas.get() > 1_000, "{} deltas", deltas.get());
    assert!(others.get() > 2_000, "{} other words", others.get());
    assert!(added.get() > 500, "{} additions", added.get());
}
