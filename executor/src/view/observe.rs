//! Instructions that see a balance, or pay from one, say so; what they do stays revm's.
//!
//! An account that is merely loaded, because it is called or paid to, has its balance read by revm as well. Only with
//! the reports from here can an execution tell that its outcome does not depend on it.

use alloy_primitives::{Address, B256, U256};
use revm::{
    DatabaseRef,
    bytecode::opcode,
    context::Evm,
    handler::{EthFrame, MainnetContext, instructions::EthInstructions},
    interpreter::{
        Instruction, InstructionContext, InstructionExecResult,
        instructions::{contract, host},
        interpreter::EthInterpreter,
        interpreter_types::InputsTr as _,
    },
};

use super::{View, hashes::keccak256};
use crate::precompiles::Remembering;

type Host<'a, D> = MainnetContext<View<'a, D>>;

/// What runs transactions on a view.
pub(crate) type Engine<'a, D> = Evm<
    Host<'a, D>,
    (),
    EthInstructions<EthInterpreter, Host<'a, D>>,
    Remembering<'a>,
    EthFrame<EthInterpreter>,
>;

pub(super) type At<'i, 'a, D> = InstructionContext<'i, Host<'a, D>, EthInterpreter>;

/// Lets the instructions of an engine report to its view.
pub(crate) fn listen<'a, D: DatabaseRef>(evm: &mut Engine<'a, D>) {
    let gas = *evm.instruction.gas_table();
    let mut replace = |opcode: u8, instruction: Instruction<EthInterpreter, Host<'a, D>>| {
        evm.instruction.insert_instruction(opcode, instruction, gas[opcode as usize]);
    };
    replace(opcode::KECCAK256, Instruction::new(keccak256));
    replace(opcode::BALANCE, Instruction::new(balance));
    replace(opcode::SELFBALANCE, Instruction::new(own_balance));
    replace(opcode::CALL, Instruction::new(call));
    replace(opcode::CALLCODE, Instruction::new(call_code));
    replace(opcode::CREATE, Instruction::new(create));
    replace(opcode::CREATE2, Instruction::new(create2));
    replace(opcode::SELFDESTRUCT, Instruction::new(destroy));
}

fn balance<D: DatabaseRef>(at: At<'_, '_, D>) -> InstructionExecResult {
    if let Some(word) = operand(&at, 0) {
        at.host.journaled_state.database.log.seen.push(Address::from_word(B256::from(word)));
    }
    host::balance(at)
}

fn own_balance<D: DatabaseRef>(at: At<'_, '_, D>) -> InstructionExecResult {
    let own = at.interpreter.input.target_address();
    at.host.journaled_state.database.log.seen.push(own);
    host::selfbalance(at)
}

fn call<D: DatabaseRef>(mut at: At<'_, '_, D>) -> InstructionExecResult {
    pays(&mut at, 2);
    contract::call::<{ opcode::CALL }, _, _>(at)
}

fn call_code<D: DatabaseRef>(mut at: At<'_, '_, D>) -> InstructionExecResult {
    pays(&mut at, 2);
    contract::call::<{ opcode::CALLCODE }, _, _>(at)
}

fn create<D: DatabaseRef>(mut at: At<'_, '_, D>) -> InstructionExecResult {
    pays(&mut at, 0);
    at.host.journaled_state.database.log.nonces = true;
    contract::create::<false, _, _>(at)
}

fn create2<D: DatabaseRef>(mut at: At<'_, '_, D>) -> InstructionExecResult {
    pays(&mut at, 0);
    at.host.journaled_state.database.log.nonces = true;
    contract::create::<true, _, _>(at)
}

fn destroy<D: DatabaseRef>(at: At<'_, '_, D>) -> InstructionExecResult {
    let own = at.interpreter.input.target_address();
    at.host.journaled_state.database.log.seen.push(own);
    host::selfdestruct(at)
}

/// The operand that lies under `above` others on the stack.
fn operand<D: DatabaseRef>(at: &At<'_, '_, D>, above: usize) -> Option<U256> {
    at.interpreter.stack.data().iter().rev().nth(above).copied()
}

/// Says that the running account may pay what the stack says.
fn pays<D: DatabaseRef>(at: &mut At<'_, '_, D>, above: usize) {
    let Some(value) = operand(at, above).filter(|value| !value.is_zero()) else { return };
    let own = at.interpreter.input.target_address();
    let journal = &mut at.host.journaled_state;
    let balance = journal.inner.state.get(&own).map_or(U256::ZERO, |account| account.info.balance);
    match balance.checked_sub(value) {
        Some(left) => journal.database.log.paid.push((own, left)),
        None => journal.database.log.seen.push(own),
    }
}
