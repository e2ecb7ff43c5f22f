//! Where an access, a declaration or a contract stands in the sources.
//!
//! In: the project and one of its contracts. Out: byte spans, the project's own line before the library's. The only
//! module between rules and source maps; it never decides whether something is worth reporting beyond whose code it is.

use deconflict_analyzer::Position;

use crate::{
    source_map::SourceSpan,
    unit::{Contract, Origin, Project},
};

/// Where an access is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The line to show: one of the project's own.
    pub(crate) primary: SourceSpan,
    /// The library's line, where the project's line only leads to it.
    pub(crate) library: Option<SourceSpan>,
}

/// How an access is located.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Located {
    /// On a line.
    At(Place),
    /// There are no sources or no source map: the program counter is all there is.
    OnlyPc,
    /// In code that is not the project's.
    Foreign,
}

/// The sources of one contract.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// All that was read.
    pub(crate) project: &'a Project,
    /// The contract.
    pub(crate) contract: &'a Contract,
}

impl Places<'_> {
    /// Finds the line of an access: the innermost one in the project's own code, else, for a contract of the project
    /// that inherits everything from a library, the contract itself.
    pub(crate) fn locate(&self, position: &Position) -> Located {
        let own = |span| self.project.is_own(span);
        let Some(map) = &self.contract.source_map else { return self.without_line(None) };
        let Some(found) = map.attribute(position.pc, &position.call_sites, own) else {
            return self.without_line(None);
        };
        if !found.preferred {
            return self.without_line(Some(found.primary));
        }
        let library = found.inner.filter(|&inner| !own(inner));
        Located::At(Place {
            primary: self.narrow(found.primary),
            library: library.map(|span| self.narrow(span)),
        })
    }

    /// The declaration of the state variable called `label`.
    pub(crate) fn declaration(&self, label: &str) -> Option<SourceSpan> {
        self.project.declarations_of(self.contract, label).next().map(|variable| variable.span)
    }

    fn without_line(&self, library: Option<SourceSpan>) -> Located {
        if self.contract.origin != Origin::Project {
            return Located::Foreign;
        }
        match self.project.definition_of(self.contract) {
            Some(definition) if library.is_some() => {
                let library =
                    library.filter(|&span| !self.project.is_own(span)).map(|span| self.narrow(span));
                Located::At(Place { primary: self.header(definition.span), library })
            }
            _ => Located::OnlyPc,
        }
    }

    /// A span that covers a whole function or contract says no more than its header.
    fn narrow(&self, span: SourceSpan) -> SourceSpan {
        let whole_function = self.project.function_at(span).is_some_and(|function| function.span == span);
        let whole_contract =
            self.project.definition_at(span).is_some_and(|definition| definition.span == span);
        if whole_function || whole_contract { self.header(span) } else { span }
    }

    fn header(&self, span: SourceSpan) -> SourceSpan {
        let text = self.project.text(span);
        let header = text.split('{').next().unwrap_or(text).trim_end();
        SourceSpan { end: span.start + header.len() as u32, ..span }
    }
}
