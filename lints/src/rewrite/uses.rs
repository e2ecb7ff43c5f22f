//! Where a state variable is mentioned, and how.
//!
//! In: a project and a declaration. Out: [`Uses`], or nothing where a mention may be one of something else. Whoever can
//! see the variable is looked at: the contract that declares it and all that inherit it.

use crate::{
    source_map::SourceSpan,
    tokens::Code,
    unit::{FunctionDefinition, Project, StateVariable},
};

/// A variable with everything that is done with it.
#[derive(Debug)]
pub(super) struct Uses<'a> {
    /// The source.
    pub(super) code: Code<'a>,
    /// The declaration, as the first of its tokens and the one of its name.
    pub(super) declared: (usize, usize),
    /// The semicolon behind the declaration.
    pub(super) semicolon: usize,
    /// The contract that declares it.
    pub(super) contract: SourceSpan,
    /// What is done, in order of place.
    pub(super) all: Vec<Use<'a>>,
}

/// One mention.
#[derive(Debug)]
pub(super) struct Use<'a> {
    /// The token.
    pub(super) at: usize,
    /// The function around it.
    pub(super) function: Option<&'a FunctionDefinition>,
    /// What is done.
    pub(super) deed: Deed,
}

/// What is done with a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A statement that assigns: its first token, that of the operator, and its semicolon. For `++`, `--` and `delete`
    /// the operator is that word.
    Assign { first: usize, operator: usize, semicolon: usize },
    /// `.push(…)` as a statement: the opening bracket and the semicolon.
    Push { open: usize, semicolon: usize },
    /// Its value is read.
    Read,
}

impl<'a> Uses<'a> {
    /// Looks at all mentions.
    pub(super) fn of(project: &'a Project, variable: &'a StateVariable) -> Option<Self> {
        let source = project.source(variable.span.source);
        let code = Code::new(source.id, &source.text);
        let (first, end) = code.within(variable.span);
        let value = (first..end).find(|&it| code.text(it) == "=").unwrap_or(end);
        let name = (first..value).rev().find(|&it| code.text(it) == variable.name)?;
        let semicolon = (code.text(end) == ";").then_some(end)?;
        let own = project.definitions.iter().find(|it| it.span.contains(&variable.span))?;
        let is_private = code.texts(first, name).contains(&"private");
        let mut family: Vec<SourceSpan> = vec![own.span];
        family.extend(super::heirs(project, own).filter(|_| !is_private));
        let mut all = Vec::new();
        for span in family {
            if span.source != source.id {
                // An edit changes one file.
                if !project.mentions(span, &variable.name).is_empty() {
                    return None;
                }
                continue;
            }
            for at in code.find(span, &variable.name) {
                let is_declaration = (first..end).contains(&at);
                // Parameters of events have names of their own.
                if is_declaration || ["event", "error"].contains(&code.text(code.beginning(at))) {
                    continue;
                }
                let deed = deed(&code, at)?;
                all.push(Use { at, function: project.function_at(code.span(at, at)), deed });
            }
        }
        all.sort_by_key(|it| it.at);
        Some(Self { code, declared: (first, name), semicolon, contract: own.span, all })
    }

    /// The value of an assignment.
    pub(super) fn value(&self, operator: usize, semicolon: usize) -> Vec<&'a str> {
        self.code.texts(operator + 1, semicolon)
    }

    /// Whether a name is free in this source.
    pub(super) fn is_free(&self, project: &Project, name: &str) -> bool {
        let whole = super::whole_source(project, self.contract.source);
        project.mentions(whole, name).is_empty()
    }

    /// Whether other code may know the variable by its getter.
    pub(super) fn is_reached(&self, project: &Project, name: &str) -> bool {
        super::reached(project, name).into_iter().any(|span| {
            let ours = |at: usize| self.code.span(at, at) == span;
            !ours(self.declared.1) && !self.all.iter().any(|it| ours(it.at))
        })
    }

    /// The declaration's words before the name, without the type that it begins with.
    pub(super) fn specifiers(&self, length_of_type: usize) -> Vec<&'a str> {
        self.code.texts(self.declared.0 + length_of_type, self.declared.1)
    }

    /// The value that the declaration gives.
    pub(super) fn initial(&self) -> Option<Vec<&'a str>> {
        (self.code.text(self.declared.1 + 1) == "=").then(|| self.value(self.declared.1 + 1, self.semicolon))
    }
}

/// What a mention is; `None` where it may be one of something else of that name.
fn deed(code: &Code<'_>, at: usize) -> Option<Deed> {
    let (before, after) = (code.before(at), code.text(at + 1));
    if ["++", "--", "delete"].contains(&before) && code.begins_statement(at - 1) && after == ";" {
        return Some(Deed::Assign { first: at - 1, operator: at - 1, semicolon: at + 1 });
    }
    if code.begins_statement(at) {
        match after {
            "=" | "+=" | "-=" => {
                let semicolon = code.semicolon(at + 2)?;
                return Some(Deed::Assign { first: at, operator: at + 1, semicolon });
            }
            "++" | "--" if code.text(at + 2) == ";" => {
                return Some(Deed::Assign { first: at, operator: at + 1, semicolon: at + 2 });
            }
            "." if code.text(at + 2) == "push" && code.text(at + 3) == "(" => {
                let close = code.bracket(at + 3)?;
                return (code.text(close + 1) == ";")
                    .then_some(Deed::Push { open: at + 3, semicolon: close + 1 });
            }
            _ => return None,
        }
    }
    // Assembly, and the left side of an assignment of several values.
    let is_place = after == "." && ["slot", "offset"].contains(&code.text(at + 2));
    let is_target = code.closing(at + 1, ")").is_some_and(|close| code.text(close + 1) == "=");
    if is_place || is_target {
        return None;
    }
    // A name in front of a colon is that of an argument, and one behind another name is a declaration.
    let is_argument = after == ":" && ["{", ","].contains(&before);
    let is_value = ["return", "emit"].contains(&before)
        || before.chars().all(|it| it.is_ascii_punctuation() && !"_$)].\"'".contains(it));
    let is_changed = ["=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "++", "--", "<<=", ">>="]
        .contains(&after)
        || ["++", "--"].contains(&before);
    (!is_argument && is_value && !is_changed).then_some(Deed::Read)
}
