//! Which stretch of a source a directive covers.
//!
//! In: a source. Out: its directives, each with the bytes that it is about, told by the code around the comment.

use std::ops::Range;

use super::{
    directive::{self, Directive},
    lexer::{Language, Lexed},
};
use crate::unit::Source;

/// The bytes that a directive is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cover {
    /// From and to.
    pub(super) range: Range<u32>,
    /// Whether it is one line or statement: a variable's declaration then stands for the variable.
    pub(super) is_statement: bool,
}

/// The directives of a source.
pub(super) fn directives(source: &Source) -> Vec<(Directive, Cover)> {
    // Most sources have none, and need not be looked at any closer.
    if !source.text.contains("deconflict") {
        return Vec::new();
    }
    let lexed = Lexed::new(&source.text, Language::of(&source.path));
    let mut found = Vec::new();
    for comment in &lexed.comments {
        for directive in directive::read(source.id, &source.text, comment.clone()) {
            let cover = cover(&lexed, comment, directive.whole_file);
            found.push((directive, cover));
        }
    }
    found
}

fn cover(lexed: &Lexed<'_>, comment: &Range<usize>, whole_file: bool) -> Cover {
    let whole = Cover { range: 0..lexed.text.len() as u32, is_statement: false };
    if whole_file {
        return whole;
    }
    let line = lexed.line(comment.start);
    let before = lexed.code(line.start..comment.start).find(|(_, byte)| !byte.is_ascii_whitespace());
    let of_line = |at: usize| {
        let line = lexed.line(at);
        Cover { range: line.start as u32..line.end as u32, is_statement: true }
    };
    match (before, lexed.next_code(comment.end)) {
        (Some((at, _)), _) => item(lexed, at).unwrap_or_else(|| of_line(at)),
        (None, Some(at)) => {
            let first = lexed.next_code(0) == Some(at);
            let opens = ["pragma", "import"].iter().any(|word| starts_with_word(&lexed.text[at..], word));
            if first && opens && lexed.language == Language::Solidity {
                return whole;
            }
            item(lexed, at).unwrap_or_else(|| statement(lexed, at))
        }
        (None, None) => Cover { range: 0..0, is_statement: false },
    }
}

/// The function, modifier or contract that starts at `at`.
fn item(lexed: &Lexed<'_>, at: usize) -> Option<Cover> {
    let text = &lexed.text[at..];
    let end = match lexed.language {
        Language::Solidity => {
            let named = ["function", "modifier", "contract", "library", "interface", "abstract"];
            let bare = ["constructor", "receive", "fallback"];
            let is_named = named.iter().any(|word| starts_with_word(text, word));
            let is_bare = bare
                .iter()
                .any(|word| starts_with_word(text, word) && text[word.len()..].trim_start().starts_with('('));
            if !is_named && !is_bare {
                return None;
            }
            closing_brace(lexed, at)
        }
        Language::Vyper => {
            let at_margin = lexed.line(at).start == at;
            if !at_margin || !(text.starts_with('@') || starts_with_word(text, "def")) {
                return None;
            }
            block_end(lexed, at)
        }
    };
    Some(Cover { range: at as u32..end as u32, is_statement: false })
}

fn starts_with_word(text: &str, word: &str) -> bool {
    let after = text.strip_prefix(word).map(|rest| rest.bytes().next());
    after.is_some_and(|next| next.is_none_or(|it| !it.is_ascii_alphanumeric() && it != b'_' && it != b'$'))
}

/// The end of the braces that open after `at`, or of the declaration where none do.
fn closing_brace(lexed: &Lexed<'_>, at: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, byte) in lexed.code(at..lexed.text.len()) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return offset + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return offset + 1,
            _ => {}
        }
    }
    lexed.text.len()
}

/// The end of a Vyper function: the next line at the margin after its body began.
fn block_end(lexed: &Lexed<'_>, at: usize) -> usize {
    let mut seen_header = false;
    let mut line = lexed.line(at);
    loop {
        let text = &lexed.text[line.clone()];
        let at_margin = text.starts_with(|it: char| !it.is_whitespace() && it != '#' && it != ')');
        if at_margin && seen_header {
            return line.start;
        }
        seen_header |= starts_with_word(text, "def");
        if line.end >= lexed.text.len() {
            return lexed.text.len();
        }
        line = lexed.line(line.end + 1);
    }
}

/// The statement or declaration that starts at `at`.
fn statement(lexed: &Lexed<'_>, at: usize) -> Cover {
    let mut end = lexed.line(at).end;
    if lexed.language == Language::Solidity {
        let mut depth = 0_usize;
        for (offset, byte) in lexed.code(at..lexed.text.len()) {
            match byte {
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                b';' | b'{' | b'}' if depth == 0 => {
                    end = offset + 1;
                    break;
                }
                _ => {}
            }
        }
    }
    Cover { range: at as u32..end as u32, is_statement: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the only directive of `text` covers.
    fn covered(text: &str, language: Language) -> &str {
        let lexed = Lexed::new(text, language);
        let mut covers = Vec::new();
        for comment in &lexed.comments {
            for directive in directive::read(crate::SourceId(0), text, comment.clone()) {
                covers.push(cover(&lexed, comment, directive.whole_file));
            }
        }
        assert_eq!(covers.len(), 1);
        &text[covers[0].range.start as usize..covers[0].range.end as usize]
    }

    fn solidity(text: &str) -> &str {
        covered(text, Language::Solidity)
    }

    #[test]
    fn a_line_or_the_statement_below() {
        assert_eq!(solidity("a;\nb; // deconflict: allow(C)\nc;"), "b; // deconflict: allow(C)");
        assert_eq!(solidity("a;\n// deconflict: allow(C)\nb(\n  1;2\n);\nc;"), "b(\n  1;2\n);");
        assert_eq!(solidity("// deconflict: allow(C)\n// more\n\nuint256 total;\nb;"), "uint256 total;");
        assert_eq!(solidity("a;\r\n// deconflict: allow(C)\r\nb;\r\nc;"), "b;");
        assert_eq!(solidity("/* deconflict: allow(C) */ b; c;"), "b;");
    }

    #[test]
    fn functions_contracts_and_files() {
        let function = "function f() external {\n  if (a) { b; }\n  s = \"}\"; // }\n}";
        assert_eq!(solidity(&format!("x;\n/// @custom:deconflict allow C\n{function}\ny;")), function);
        assert_eq!(
            solidity("x;\n// deconflict: allow(C)\nfunction f() external;\ny;"),
            "function f() external;"
        );
        let contract = "abstract contract A is B {\n function f() {}\n}";
        assert_eq!(solidity(&format!("// deconflict: allow(C)\n{contract}\ncontract B {{}}")), contract);
        let trailing = "function f() { // deconflict: allow(C)\n  a;\n}";
        assert_eq!(solidity(&format!("x;\n{trailing}\ny;")), trailing);
        let receive = "receive() external payable { a; }";
        assert_eq!(solidity(&format!("// deconflict: allow(C)\n{receive} b;")), receive);
        let file = "// SPDX\n// deconflict: allow(C)\npragma solidity ^0.8;\ncontract A {}";
        assert_eq!(solidity(file), file);
        let file = "contract A {} // deconflict: allow-file(C)\n";
        assert_eq!(solidity(file), file);
        assert_eq!(
            solidity("a; function_pointer = b;\n// deconflict: allow(C)\nfunctions = 1; c;"),
            "functions = 1;"
        );
        assert_eq!(solidity("a;\n// deconflict: allow(C)\n"), "");
    }

    #[test]
    fn vyper_goes_by_its_margin() {
        let vyper = |text: &'static str| covered(text, Language::Vyper);
        assert_eq!(vyper("a: uint256\n# deconflict: allow(C)\nb: uint256\nc: uint256"), "b: uint256");
        let text = "# deconflict: allow(C)\n@external\ndef f(\n    a: uint256\n):\n    b\n\n    c\n@view\ndef g():\n    d\n";
        assert_eq!(vyper(text), "@external\ndef f(\n    a: uint256\n):\n    b\n\n    c\n");
        assert_eq!(
            vyper("@external\ndef f():\n    self.n += 1 # deconflict: allow(C)\n"),
            "    self.n += 1 # deconflict: allow(C)"
        );
    }
}
