//! Where an access, a declaration or a contract stands in the sources.
//!
//! In: the project and one of its contracts. Out: byte spans, the project's own line before the library's. The only
//! module between rules and source maps; it never decides whether something is worth reporting beyond whose code it is.

use deconflict_analyzer::{Pc, Position, Summary};

use crate::{
    source_map::{SourceMap, SourceSpan, Trail},
    unit::{Contract, ContractDefinition, FunctionDefinition, Origin, Project, StateVariable},
};

/// Where an access is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// How much the line says.
    pub(crate) precision: Precision,
    /// The line to show: one of the project's own.
    pub(crate) primary: SourceSpan,
    /// The library's line, where the project's line only leads to it.
    pub(crate) library: Option<SourceSpan>,
}

/// How much a line says of what happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Precision {
    /// The statement or expression.
    Statement,
    /// The function, because the compiler says no more.
    Function,
    /// The contract, because the compiler says no more or all of it is inherited from a library.
    Contract,
}

/// How an access is located.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlacedName {
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

impl<'a> Places<'a> {
    /// Finds the line of an access: the innermost one in the project's own code, else, for a contract of the project
    /// that inherits everything from a library, the base in its header that brings it in.
    pub(crate) fn locate(&self, summary: &Summary, position: &Position) -> PlacedName {
        let own = |span| self.project.is_own(span);
        let Some(map) = &self.contract.source_map else { return self.without_line(None) };
        let (pc, calls) = match self.trail(map, summary, position) {
            Some(Trail { calls, returned }) => {
                let shared = returned.filter(|&call| self.is_tail_of_another(map, call, position.pc));
                (shared.unwrap_or(position.pc), calls)
            }
            None => (position.pc, map.open_calls(&position.call_sites)),
        };
        let Some(found) = map.attribute(pc, &calls, own) else { return self.without_line(None) };
        if !found.preferred {
            return self.without_line(Some(found.primary));
        }
        let library = found.inner.filter(|&inner| !own(inner)).map(|span| self.narrow(span).1);
        let (precision, primary) = self.narrow(found.primary);
        if precision == Precision::Function {
            let lines = std::iter::once(&pc).chain(calls.iter().rev()).filter_map(|&pc| map.exact(pc));
            if let Some(word) = lines.filter(|&line| !own(line)).find_map(|line| self.invoked(primary, line))
            {
                return PlacedName::At(Place { precision: Precision::Statement, primary: word, library });
            }
        }
        PlacedName::At(Place { precision, primary, library })
    }

    /// The word in a function's header that brings in a library's line: the name of the modifier that the line stands in,
    /// or that calls the function that it stands in.
    fn invoked(&self, header: SourceSpan, line: SourceSpan) -> Option<SourceSpan> {
        let holder = self.project.function_at(line)?;
        let calls = |modifier: &&FunctionDefinition| {
            modifier.contract == holder.contract
                && modifier.span.source == holder.span.source
                && !self.project.mentions(modifier.span, &holder.name).is_empty()
        };
        let modifiers = self.project.functions.iter().filter(|it| it.is_modifier);
        let own = std::iter::once(holder).filter(|it| it.is_modifier);
        own.chain(modifiers.filter(calls))
            .find_map(|modifier| self.project.mentions(header, &modifier.name).into_iter().next_back())
    }

    /// The calls on the way to a position. Via-IR code is inlined so freely that its kinds of jumps mislead.
    fn trail(&self, map: &SourceMap, summary: &Summary, position: &Position) -> Option<Trail> {
        let via_ir = self.contract.compiler.as_ref().is_some_and(|compiler| compiler.via_ir);
        if via_ir { None } else { map.follow(&summary.way_to(position)) }
    }

    /// Whether the code at `pc`, behind a call that has returned, carries the lines of a function that the one which made
    /// the call has nothing to do with: of blocks that are equal the optimiser keeps one, with the lines of one.
    fn is_tail_of_another(&self, map: &SourceMap, call: Pc, pc: Pc) -> bool {
        let function = |pc| self.project.function_at(map.exact(pc)?).filter(|function| !function.is_modifier);
        match (function(call), function(pc)) {
            (Some(caller), Some(other)) => caller.span != other.span && !self.project.may_run(caller, other),
            _ => false,
        }
    }

    /// The declaration of the state variable called `label`.
    pub(crate) fn declaration(&self, label: &'a str) -> Option<&'a StateVariable> {
        self.project.declarations_of(self.contract, label).next()
    }

    fn without_line(&self, library: Option<SourceSpan>) -> PlacedName {
        if self.contract.origin != Origin::Project {
            return PlacedName::Foreign;
        }
        match self.project.definition_of(self.contract) {
            Some(definition) if library.is_some() => {
                let library = library.filter(|&span| !self.project.is_own(span));
                let library = library.map(|span| self.narrow(span).1);
                let header = self.header(definition.span);
                let primary = library.and_then(|library| self.brought_in(header, library)).unwrap_or(header);
                PlacedName::At(Place { precision: Precision::Contract, primary, library })
            }
            _ => PlacedName::OnlyPc,
        }
    }

    /// The base in the contract's own header that brings in the library's line: the contract that it stands in, else
    /// the one that inherits that contract.
    fn brought_in(&self, header: SourceSpan, library: SourceSpan) -> Option<SourceSpan> {
        let inherited = self.project.definition_at(library)?;
        let is_inherited = |name: &str, source| name == inherited.name && source == inherited.span.source;
        let brings = |definition: &&ContractDefinition| {
            definition.bases.iter().any(|base| is_inherited(&base.name, base.source))
        };
        let own = self.project.definition_of(self.contract)?;
        let listed = |name: &str| {
            let mut mentions = self.project.mentions(header, name).into_iter();
            // The contract's own name is no base, even where a base is called the same.
            mentions.find(|span| name != own.name || span.start > header.start + "contract".len() as u32 + 1)
        };
        let direct = own.bases.iter().find(|base| is_inherited(&base.name, base.source));
        direct.and_then(|base| listed(&base.name)).or_else(|| {
            let bases = own.bases.iter().filter(|base| base.name != own.name);
            let mut bringing = bases.filter(|base| {
                let mut all = self.project.definitions.iter();
                all.any(|it| it.name == base.name && it.span.source == base.source && brings(&it))
            });
            bringing.find_map(|base| listed(&base.name))
        })
    }

    /// A span that covers a whole function or contract says no more than its header does.
    fn narrow(&self, span: SourceSpan) -> (Precision, SourceSpan) {
        if self.project.function_at(span).is_some_and(|function| function.span == span) {
            (Precision::Function, self.header(span))
        } else if self.project.definition_at(span).is_some_and(|definition| definition.span == span) {
            (Precision::Contract, self.header(span))
        } else {
            (Precision::Statement, span)
        }
    }

    fn header(&self, span: SourceSpan) -> SourceSpan {
        let text = self.project.text(span);
        let header = text.split('{').next().unwrap_or(text).trim_end();
        SourceSpan { end: span.start + header.len() as u32, ..span }
    }
}
