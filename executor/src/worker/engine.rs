//! The types of which an engine is made: revm's, on a view.
//!
//! Nothing runs here.

use revm::{
    DatabaseRef,
    context::Evm,
    handler::{EthFrame, MainnetContext, instructions::EthInstructions},
    interpreter::{InstructionContext, instructions::InstructionTable, interpreter::EthInterpreter},
};

use super::precompiles::Remembering;
use crate::view::View;

/// The context that instructions find.
pub(super) type Host<'a, D> = MainnetContext<View<'a, D>>;

/// What runs transactions on a view.
pub(crate) type Engine<'a, D> = Evm<
    Host<'a, D>,
    (),
    EthInstructions<EthInterpreter, Host<'a, D>>,
    Remembering<'a>,
    EthFrame<EthInterpreter>,
>;

pub(super) type At<'i, 'a, D> = InstructionContext<'i, Host<'a, D>, EthInterpreter>;

/// A table of instructions, for those of them that go on to execute others.
pub(super) trait InstructionSet<'a, D: DatabaseRef + 'a> {
    /// The instructions, by opcode.
    const TABLE: InstructionTable<EthInterpreter, Host<'a, D>>;
}
