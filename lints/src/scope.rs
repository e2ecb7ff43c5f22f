//! Whether a word can be the name of something that the contract keeps or does.
//!
//! In: a word in a source. Out: its [`Meaning`], by the words around it: a local variable, a parameter or a member may
//! have the name of a state variable and is none.

use crate::{source_map::SourceSpan, tokens::Code, unit::Project};

/// What a word can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Something of the contract's, if it has something of that name.
    OfTheContract,
    /// A local variable, a parameter, or a name inside an event, an error or a structure.
    Local,
    /// A member of something else.
    Member,
}

/// What the word at a place can be.
pub fn meaning(project: &Project, word: SourceSpan) -> Meaning {
    let around =
        project.function_at(word).map(|it| it.span).or(project.definition_at(word).map(|it| it.span));
    let Some(around) = around else { return Meaning::OfTheContract };
    // Places count from the start of the piece from here on.
    let text = project.text(around);
    let place = SourceSpan { start: word.start - around.start, end: word.end - around.start, ..word };
    let code = Code::new(around.source, text);
    let (at, _) = code.within(place);
    let name = code.text(at);
    if code.before(at) == "." {
        let owner = at.checked_sub(2).map_or("", |it| code.text(it));
        let is_own =
            ["this", "super"].contains(&owner) || project.definitions.iter().any(|it| it.name == owner);
        return if is_own { Meaning::OfTheContract } else { Meaning::Member };
    }
    let is_declaration = |at: usize| declares(&code, at);
    let local = if project.function_at(word).is_some() {
        let whole = SourceSpan { start: 0, end: text.len() as u32, ..around };
        code.find(whole, name).into_iter().any(|it| is_declaration(it) && it <= at && at <= scope(&code, it))
    } else {
        let state = project.variables.iter().any(|it| it.name == name && it.span.contains(&word));
        !state && (is_declaration(at) || code.text(at + 1) == "=>")
    };
    if local { Meaning::Local } else { Meaning::OfTheContract }
}

/// Whether a name is declared here: behind a type or where the value is kept.
fn declares(code: &Code<'_>, at: usize) -> bool {
    const NO_TYPES: [&str; 13] = [
        "return", "emit", "delete", "new", "else", "do", "revert", "is", "using", "try", "assembly", "case",
        "function",
    ];
    let before = code.before(at);
    let is_word =
        before.chars().all(|it| it.is_alphanumeric() || it == '_' || it == '$') && !before.is_empty();
    let is_type = (is_word && !NO_TYPES.contains(&before)) || before == "]";
    let is_end = [";", "=", ",", ")"].contains(&code.text(at + 1)) || before == "let";
    is_type && is_end
}

/// The last token that sees what is declared at `at`.
fn scope(code: &Code<'_>, at: usize) -> usize {
    const EVERYWHERE: usize = usize::MAX;
    if let Some(end) = code.closing(at + 1, "}") {
        return end;
    }
    // In brackets: of the function, of a loop or a `catch`, or of a declaration of several variables.
    let Some(close) = code.closing(at + 1, ")") else { return EVERYWHERE };
    let is_header = code.closing(close + 1, "}").is_none();
    if is_header {
        return EVERYWHERE;
    }
    match code.text(close + 1) {
        "=" => code.closing(close + 1, "}").unwrap_or(EVERYWHERE),
        "{" => code.bracket(close + 1).unwrap_or(EVERYWHERE),
        _ => code.semicolon(close + 1).unwrap_or(EVERYWHERE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        source_map::{Lines, SourceId},
        unit::{
            ContractDefinition, DefinitionKind, FunctionDefinition, Origin, Source, StateVariable,
            VariablePlace, Visibility,
        },
    };

    const TEXT: &str = "contract C {
    uint256 public total;
    mapping(address total => uint256) sums;
    event Added(uint256 total);
    struct S { uint256 total; }
    function f(uint256 x) external returns (uint256) {
        S memory s;
        s.total = total;
        { uint256 total = x; x += total; }
        for (uint256 total = 0; total < 3; total++) { x += total; }
        (uint256 a, uint256 b) = (total, 1);
        assembly { let y := x }
        return this.total() + C.total + total;
    }
    function g(uint256 total) external pure returns (uint256) { return total; }
    function h() external { emit Added(total); delete total; }
}";

    fn project() -> Project {
        let source = SourceId(0);
        let span = |start: usize, text: &str| SourceSpan {
            source,
            start: start as u32,
            end: (start + text.len()) as u32,
        };
        let mut project = Project::default();
        project.sources.push(Source {
            id: source,
            path: "C.sol".to_owned(),
            absolute: None,
            text: TEXT.into(),
            lines: Lines::new(TEXT),
            origin: Origin::Project,
        });
        project.definitions.push(ContractDefinition {
            name: "C".to_owned(),
            span: span(0, TEXT),
            kind: DefinitionKind::Contract,
            bases: Vec::new(),
        });
        for name in ["f", "g", "h"] {
            let start = TEXT.find(&format!("function {name}")).expect("it is there");
            let end = TEXT[start..].find("\n    function").unwrap_or(TEXT.len() - 2 - start);
            project.functions.push(FunctionDefinition {
                name: name.to_owned(),
                contract: Some("C".to_owned()),
                span: span(start, &TEXT[start..start + end]),
                visibility: Visibility::External,
                selector: None,
                is_modifier: false,
            });
        }
        let declared = "uint256 public total";
        project.variables.push(StateVariable {
            name: "total".to_owned(),
            contract: "C".to_owned(),
            type_name: "uint256".to_owned(),
            span: span(TEXT.find(declared).expect("it is there"), declared),
            place: VariablePlace::Storage,
        });
        project
    }

    #[test]
    fn locals_and_members_are_told_from_what_the_contract_keeps() {
        use Meaning::{Local, Member, OfTheContract};
        let project = project();
        let found: Vec<Meaning> = TEXT
            .match_indices("total")
            .map(|(at, word)| {
                let span =
                    SourceSpan { source: SourceId(0), start: at as u32, end: (at + word.len()) as u32 };
                meaning(&project, span)
            })
            .collect();
        let wanted = [
            // The declaration; a key, a parameter and a member of that name.
            OfTheContract,
            Local,
            Local,
            Local,
            // `s.total = total`, then a block and a loop with a variable of their own.
            Member,
            OfTheContract,
            Local,
            Local,
            Local,
            Local,
            Local,
            Local,
            // Behind them it is the contract's again.
            OfTheContract,
            OfTheContract,
            OfTheContract,
            OfTheContract,
            // A parameter hides it, in the header and in the body; an event and `delete` do not.
            Local,
            Local,
            OfTheContract,
            OfTheContract,
        ];
        assert_eq!(found, wanted);
    }
}
