//! Arithmetic: what the analyzer folds and simplifies is what the EVM computes.
//!
//! Every pure opcode on constants, and random expressions over constants and two words of calldata, are stored to a slot:
//! the stored expression of the summary must have the value that revm stored.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "oracle/evaluate.rs"]
mod evaluate;
#[path = "oracle/random.rs"]
mod random;
#[path = "oracle/words.rs"]
mod words;
#[expect(dead_code, reason = "only the end of an execution matters here, not what it touched on the way")]
#[path = "oracle/world.rs"]
mod world;

use alloy_primitives::{Bytes, U256, hex};
use deconflict_analyzer::{Analysis, Effect, ExprId, Options, analyze};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use revm::bytecode::{OpCode, opcode as op};
use std::collections::BTreeMap;

use evaluate::{Evaluator, selected};
use random::Random;
use words::{PURE, constant};
use world::{CALLER, Message, World, likely_word};

fn seed() -> u64 {
    std::env::var("DECONFLICT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_262)
}

fn config(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(seed()), failure_persistence: None, ..Config::default() }
}

/// An expression as a program computes it.
#[derive(Clone, Debug)]
enum Word {
    Constant(U256),
    /// A word of calldata.
    Input(u8),
    Caller,
    Operation(u8, Vec<Word>),
}

impl Word {
    /// Code that leaves the word on the stack.
    fn emit(&self, code: &mut Vec<u8>) {
        match self {
            Word::Constant(word) => {
                let length = word.byte_len();
                code.push(op::PUSH0 + length as u8);
                code.extend_from_slice(&word.to_be_bytes::<32>()[32 - length..]);
            }
            Word::Input(index) => code.extend_from_slice(&[op::PUSH1, 32 * index, op::CALLDATALOAD]),
            Word::Caller => code.push(op::CALLER),
            Word::Operation(opcode, operands) => {
                for operand in operands.iter().rev() {
                    operand.emit(code);
                }
                code.push(*opcode);
            }
        }
    }

    /// Code that stores the word to slot 0.
    fn store(&self) -> Bytes {
        let mut code = Vec::new();
        self.emit(&mut code);
        code.extend_from_slice(&[op::PUSH0, op::SSTORE, op::STOP]);
        code.into()
    }
}

/// The expression that the summary of the message's entry says is stored.
fn stored(analysis: &Analysis, message: &Message) -> ExprId {
    let accesses = &selected(analysis, message).expect("the program does not revert").accesses;
    let mut writes = accesses.iter().filter_map(|access| match access.effect {
        Effect::Write { value, .. } => Some(value),
        Effect::Read { .. } => None,
    });
    writes.next().expect("the program stores")
}

fn execute(code: &Bytes, inputs: &[U256; 2]) -> (World, Message, U256) {
    let world = World { code: code.clone(), seed: 1, palette: Vec::new() };
    let calldata = inputs.iter().flat_map(U256::to_be_bytes::<32>).collect();
    let message = Message { calldata, value: U256::ZERO };
    let trace = world.run(&message);
    assert!(trace.success, "0x{} runs to its end", hex::encode(code));
    let stored = trace.touches.last().and_then(|touch| touch.stored).expect("the program stores");
    (world, message, stored)
}

fn operand() -> impl Strategy<Value = U256> {
    prop_oneof![
        3 => constant(),
        1 => (0usize..256).prop_map(|bit| U256::MAX << bit),
        1 => (0usize..256, 0u64..3).prop_map(|(bit, less)| (U256::from(1) << bit).wrapping_sub(U256::from(less))),
    ]
}

#[test]
fn every_pure_opcode_folds_as_the_evm_computes() {
    for opcode in PURE {
        let inputs = OpCode::new(opcode).unwrap().inputs();
        let operands = prop::collection::vec(operand(), usize::from(inputs));
        let result = TestRunner::new(config(256)).run(&operands, |operands| {
            let word = Word::Operation(opcode, operands.into_iter().map(Word::Constant).collect());
            let code = word.store();
            let analysis = analyze(code.clone(), &Options::default());
            let (_, message, concrete) = execute(&code, &[U256::ZERO; 2]);
            // On constants nothing may be left to evaluate.
            prop_assert_eq!(
                analysis.expressions.constant(stored(&analysis, &message)),
                Some(concrete),
                "0x{}",
                hex::encode(&code)
            );
            Ok(())
        });
        if let Err(failure) = result {
            panic!("{} (seed {}): {failure}", OpCode::new(opcode).unwrap(), seed());
        }
    }
}

fn word() -> impl Strategy<Value = Word> {
    let leaf = prop_oneof![
        3 => operand().prop_map(Word::Constant),
        4 => (0u8..2).prop_map(Word::Input),
        1 => Just(Word::Caller),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        (prop::sample::select(PURE.to_vec()), prop::collection::vec(inner, 3)).prop_map(
            |(opcode, mut operands)| {
                operands.truncate(usize::from(OpCode::new(opcode).map_or(0, |op| op.inputs())));
                Word::Operation(opcode, operands)
            },
        )
    })
}

#[test]
fn simplified_expressions_keep_their_value() {
    let inputs = prop::collection::vec([operand(), operand()], 4);
    let result =
        TestRunner::new(config(2_000)).run(&(word(), inputs, any::<u64>()), |(word, mut inputs, more)| {
            let code = word.store();
            let analysis = analyze(code.clone(), &Options::default());
            let mut random = Random(more);
            inputs.extend((0..4).map(|_| {
                [likely_word(&mut random, &[CALLER.into_word().into()]), likely_word(&mut random, &[])]
            }));
            for input in &inputs {
                let (world, message, concrete) = execute(&code, input);
                let value = stored(&analysis, &message);
                let immutables = BTreeMap::new();
                let mut evaluator = Evaluator::new(&analysis.expressions, &world, &message, &immutables);
                let evaluated = evaluator.word(value);
                prop_assert_eq!(evaluated, Some(concrete), "0x{} on {:x?}", hex::encode(&code), input);
                let mask = analysis.expressions.mask(value);
                prop_assert_eq!(
                    concrete & !mask,
                    U256::ZERO,
                    "the mask of 0x{} on {:x?}",
                    hex::encode(&code),
                    input
                );
            }
            Ok(())
        });
    if let Err(failure) = result {
        panic!("seed {}: {failure}", seed());
    }
}
