//! Precompiles whose results are remembered for as long as a block is executed.
//!
//! In: calls. Out: what revm's precompiles answer. Those that work on curves, signatures and large numbers take longer than
//! all else that a block does, and what they answer depends on their input alone: a transaction that runs again, or one
//! that competes with another for the same proof, need not wait for them twice. A result is found by all bytes of its
//! input; what fails is not remembered.

use alloy_primitives::map::AddressSet;
use revm::{
    DatabaseRef,
    context_interface::ContextTr as _,
    handler::{EthPrecompiles, MainnetContext, PrecompileProvider, precompile_output_to_interpreter_result},
    interpreter::{CallInputs, InstructionResult, InterpreterResult},
    precompile::{PrecompileOutput, PrecompileSpecId},
    primitives::hardfork::SpecId,
};

use crate::{
    predict::Returned,
    store::{Answers, lock},
    tuning::QUICK_PRECOMPILES,
    view::View,
};

/// Precompiles that remember.
#[derive(Debug)]
pub(crate) struct Remembering<'a> {
    pub(crate) usual: EthPrecompiles,
    pub(crate) answers: &'a Answers,
}

impl<'a, D: DatabaseRef> PrecompileProvider<MainnetContext<View<'a, D>>> for Remembering<'_> {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: SpecId) -> bool {
        PrecompileProvider::<MainnetContext<View<'a, D>>>::set_spec(&mut self.usual, spec)
    }

    fn run(
        &mut self,
        context: &mut MainnetContext<View<'a, D>>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        let (rest, number) = inputs.bytecode_address.0.split_at(18);
        let number = u16::from_be_bytes([number[0], number[1]]);
        let is_usual = self.usual.contains(&inputs.bytecode_address) && rest.iter().all(|byte| *byte == 0);
        if !is_usual || QUICK_PRECOMPILES.contains(&number) {
            return self.usual.run(context, inputs);
        }
        let spec = PrecompileSpecId::from_spec_id(self.usual.spec);
        let input = inputs.input.bytes_local(context.local());
        let known = lock(&self.answers.0).precompile(spec, number, &input).cloned();
        if let Some(Returned { bytes, gas_used }) = known.filter(|it| it.gas_used <= inputs.gas_limit) {
            let output = PrecompileOutput::new(gas_used, bytes, inputs.reservoir);
            return Ok(Some(precompile_output_to_interpreter_result(output, inputs.gas_limit)));
        }
        let result = self.usual.run(context, inputs)?;
        if let Some(result) = &result
            && result.result == InstructionResult::Return
        {
            let gas_used = inputs.gas_limit.saturating_sub(result.gas.remaining());
            let returned = Returned { bytes: result.output.clone(), gas_used };
            lock(&self.answers.0).keep_precompile(spec, number, &input, returned);
        }
        Ok(result)
    }

    fn warm_addresses(&self) -> &AddressSet {
        self.usual.warm_addresses()
    }
}
