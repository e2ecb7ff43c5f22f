//! Where and why the analysis does not know: the only way in which a summary may fall short.
//!
//! Every budget and every unresolved construct ends here as a value; nothing in this crate may drop an access silently.

use crate::code::Pc;

/// One reason why a summary may miss accesses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incomplete {
    /// What stopped the analysis.
    pub reason: Reason,
    /// The instruction at which it stopped.
    pub pc: Pc,
}

/// What can stop the analysis of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A jump whose target is not a set of constants, such as a function pointer held in storage.
    UnresolvedJump,
    /// More (block, context) pairs than the budget allows: deep recursion or very large code.
    NodeBudget,
    /// More interpreted instructions than the budget allows.
    StepBudget,
    /// More expressions than the budget allows.
    ExpressionBudget,
    /// The code is an EOF container or another format starting with `0xEF` that is not legacy EVM bytecode.
    UnsupportedFormat,
}

impl Reason {
    /// The stable kebab-case name used in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnresolvedJump => "unresolved-jump",
            Self::NodeBudget => "node-budget",
            Self::StepBudget => "step-budget",
            Self::ExpressionBudget => "expression-budget",
            Self::UnsupportedFormat => "unsupported-format",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
