//! Instructions that see a balance, or pay from one, say so, and loops end when they are told to; what else they do stays
//! revm's.
//!
//! An account that is merely loaded, because it is called or paid to, has its balance read by revm as well. Only with
//! the reports from here can an execution tell that its outcome does not depend on it.

use std::sync::atomic::Ordering;

use alloy_primitives::{Address, B256, U256};
use revm::{
    DatabaseRef,
    bytecode::opcode,
    context_interface::context::ContextError,
    interpreter::{
        Instruction, InstructionExecResult, InstructionResult,
        instructions::{InstructionTable, contract, host, instruction_table},
        interpreter::EthInterpreter,
        interpreter_types::InputsTr as _,
    },
};

use super::{
    engine::{At, Engine, Host, InstructionSet},
    follow,
    hash::keccak256,
};

/// revm's instructions, those that report to a view in the place of what they stand for.
struct Instructions;

impl<'a, D: DatabaseRef + 'a> InstructionSet<'a, D> for Instructions {
    const TABLE: InstructionTable<EthInterpreter, Host<'a, D>> = {
        let mut table = instruction_table::<EthInterpreter, Host<'a, D>>();
        table[opcode::JUMPDEST as usize] = Instruction::new(jump_destination);
        table[opcode::KECCAK256 as usize] = Instruction::new(keccak256);
        table[opcode::SLOAD as usize] = Instruction::new(follow::load::<D, Self>);
        table[opcode::SSTORE as usize] = Instruction::new(follow::store);
        table[opcode::BALANCE as usize] = Instruction::new(balance);
        table[opcode::SELFBALANCE as usize] = Instruction::new(own_balance);
        table[opcode::CALL as usize] = Instruction::new(call);
        table[opcode::CALLCODE as usize] = Instruction::new(call_code);
        table[opcode::CREATE as usize] = Instruction::new(create);
        table[opcode::CREATE2 as usize] = Instruction::new(create2);
        table[opcode::SELFDESTRUCT as usize] = Instruction::new(destroy);
        table
    };
}

/// Lets the instructions of an engine report to its view.
pub(crate) fn listen<'a, D: DatabaseRef>(evm: &mut Engine<'a, D>) {
    *evm.instruction.instruction_table_mut() = <Instructions as InstructionSet<'a, D>>::TABLE;
    evm.ctx.journaled_state.database.following.gas = *evm.instruction.gas_table();
}

/// Code that goes on for long comes by here again and again: a transaction of a whole block's gas takes many times as
/// long as whoever calls an execution off is to wait.
#[expect(clippy::needless_pass_by_value, reason = "the table of instructions hands it over by value")]
fn jump_destination<D: DatabaseRef>(at: At<'_, '_, D>) -> InstructionExecResult {
    if at.host.journaled_state.database.stop.load(Ordering::Relaxed) {
        at.host.error = Err(ContextError::Custom("it was called off".to_owned()));
        return Err(InstructionResult::FatalExternalError);
    }
    Ok(())
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
