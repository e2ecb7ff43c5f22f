//! What a rule is: a declaration as data and one pure function.
//!
//! In: a [`ContractView`], all that a rule may see of one contract. Out: the [`Finding`]s. A rule never sees bytecode,
//! never formats a report and never reads a file; its documentation is the module comment of its own file.

use crate::{
    diagnostic::Diagnostic,
    view::{ContractView, Field},
};

/// One lint rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The stable code, such as `C101`.
    pub code: &'static str,
    /// The kebab-case name, such as `global-counter`.
    pub name: &'static str,
    /// Whether it runs by default.
    pub group: Group,
    /// One line on what it finds.
    pub summary: &'static str,
    /// The source of the rule's own file, whose module comment is the rule's page.
    pub source: &'static str,
    /// Finds the pattern in one contract.
    pub(crate) check: fn(&Rule, &ContractView<'_>) -> Vec<Finding>,
}

impl Rule {
    /// The group letter: what the rule is about, such as `C` for counters.
    pub fn letter(&self) -> &'static str {
        self.code.trim_end_matches(|c: char| c.is_ascii_digit())
    }

    /// Whether the finding is one of this rule's.
    pub fn has_found(&self, diagnostic: &Diagnostic) -> bool {
        diagnostic.rule == self.name
    }

    /// The rule's page in Markdown, without its title.
    pub fn documentation(&self) -> String {
        let lines = self.source.lines().map_while(|line| line.strip_prefix("//!"));
        let lines: Vec<&str> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        lines.join("\n") + "\n"
    }
}

/// Whether a rule runs without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Warns unless the user says otherwise.
    Default,
    /// Silent unless the user says otherwise.
    Pedantic,
}

impl Group {
    /// The name that selects the group on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Pedantic => "pedantic",
        }
    }
}

/// A diagnostic with the storage that it explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What is reported.
    pub diagnostic: Diagnostic,
    /// The storage that the finding accounts for: no less specific rule reports it again.
    pub claims: Vec<Field>,
    /// The contract that declares the storage, which is the same for every contract that inherits it.
    pub owner: String,
}
