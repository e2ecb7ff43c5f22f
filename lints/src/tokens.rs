//! The tokens of a source.
//!
//! In: Solidity text. Out: [`Code`], its tokens without comments, and where statements and lists end. This is no parser:
//! what is not plainly one of the shapes that are asked for is none of them.

use crate::source_map::{SourceId, SourceSpan};

/// A source as tokens.
#[derive(Clone, Debug)]
pub(crate) struct Code<'a> {
    source: SourceId,
    tokens: Vec<(u32, &'a str)>,
}

/// Operators of more than one character, longer ones first.
const OPERATORS: [&str; 25] = [
    ">>>=", "<<=", ">>=", ">>>", "**", "++", "--", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "==",
    "!=", "<=", ">=", "=>", "->", "&&", "||", "<<", ">>",
];

impl<'a> Code<'a> {
    /// Takes a text apart.
    pub(crate) fn new(source: SourceId, text: &'a str) -> Self {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(first) = text[at..].chars().next() {
            let rest = &text[at..];
            let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == '$';
            let (length, counts) = if rest.starts_with("//") {
                (rest.find('\n').unwrap_or(rest.len()), false)
            } else if let Some(comment) = rest.strip_prefix("/*") {
                (comment.find("*/").map_or(rest.len(), |end| end + 4), false)
            } else if first == '"' || first == '\'' {
                (string_length(rest, first), true)
            } else if is_word(first) {
                (rest.find(|it| !is_word(it)).unwrap_or(rest.len()), true)
            } else if first.is_whitespace() {
                (first.len_utf8(), false)
            } else {
                let operator = OPERATORS.iter().find(|it| rest.starts_with(**it));
                (operator.map_or(first.len_utf8(), |it| it.len()), true)
            };
            if counts {
                tokens.push((at as u32, &rest[..length]));
            }
            at += length;
        }
        Self { source, tokens }
    }

    /// The text of a token; nothing outside the source.
    pub(crate) fn text(&self, index: usize) -> &'a str {
        self.tokens.get(index).map_or("", |(_, text)| text)
    }

    /// The text of the token before another.
    pub(crate) fn before(&self, index: usize) -> &'a str {
        index.checked_sub(1).map_or("", |it| self.text(it))
    }

    /// The texts of some tokens.
    pub(crate) fn texts(&self, from: usize, to: usize) -> Vec<&'a str> {
        (from..to).map(|index| self.text(index)).collect()
    }

    /// From the start of one token to the end of another, which is the last one.
    pub(crate) fn span(&self, first: usize, last: usize) -> SourceSpan {
        let (start, _) = self.tokens[first];
        let (end, text) = self.tokens[last];
        SourceSpan { source: self.source, start, end: end + text.len() as u32 }
    }

    /// The tokens that lie in a span, as the first one and the one after the last.
    pub(crate) fn within(&self, span: SourceSpan) -> (usize, usize) {
        let first = self.tokens.partition_point(|(start, _)| *start < span.start);
        let end = self.tokens.partition_point(|(start, _)| *start < span.end);
        (first, end)
    }

    /// The tokens in a span with this text.
    pub(crate) fn find(&self, span: SourceSpan, text: &str) -> Vec<usize> {
        let (first, end) = self.within(span);
        (first..end).filter(|&index| self.text(index) == text).collect()
    }

    /// Whether a statement can begin with this token: behind another one, or as the body of a control structure.
    pub(crate) fn begins_statement(&self, index: usize) -> bool {
        ["{", "}", ";", ")", "else"].contains(&self.before(index))
    }

    /// Whether the statement that begins here stands in a block, so that it may also be left out.
    pub(crate) fn may_be_left_out(&self, index: usize) -> bool {
        ["{", "}", ";"].contains(&self.before(index))
    }

    /// The semicolon that ends what begins here.
    pub(crate) fn semicolon(&self, from: usize) -> Option<usize> {
        self.closing(from, ";")
    }

    /// The bracket that closes the one at `open`.
    pub(crate) fn bracket(&self, open: usize) -> Option<usize> {
        let closing = match self.text(open) {
            "(" => ")",
            "[" => "]",
            "{" => "}",
            _ => return None,
        };
        self.closing(open + 1, closing)
    }

    /// The first token from here on that is `wanted` and closes what was open before.
    pub(crate) fn closing(&self, from: usize, wanted: &str) -> Option<usize> {
        let mut depth = 0_usize;
        for index in from..self.tokens.len() {
            match self.text(index) {
                text if depth == 0 && text == wanted => return Some(index),
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        None
    }

    /// The entries of the list in the brackets at `open`, each as its first token and the one after its last.
    pub(crate) fn list(&self, open: usize) -> Option<Vec<(usize, usize)>> {
        let close = self.bracket(open)?;
        let mut entries = Vec::new();
        let (mut start, mut depth) = (open + 1, 0_usize);
        for index in open + 1..close {
            match self.text(index) {
                "," if depth == 0 => {
                    entries.push((start, index));
                    start = index + 1;
                }
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        if start < close {
            entries.push((start, close));
        }
        Some(entries)
    }

    /// The first token of the statement or declaration around another one.
    pub(crate) fn beginning(&self, index: usize) -> usize {
        let parts = (0..index).rev().find(|&it| ["{", "}", ";"].contains(&self.text(it)));
        parts.map_or(0, |it| it + 1)
    }
}

/// Whether a value can be told without running anything: names, members and literals.
pub(crate) fn is_plain(value: &[&str]) -> bool {
    let is_name = |it: &str| it.chars().all(|it| it.is_alphanumeric() || it == '_' || it == '$');
    !value.is_empty()
        && value.iter().enumerate().all(|(at, text)| if at % 2 == 0 { is_name(text) } else { *text == "." })
}

/// How long the string is that `text` starts with; one that does not end on its line ends there.
fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_statements_and_lists() {
        let text = "f(a, g(b, c)); /* x; */ x+=1; if (y) x ++; s = \"ü;\";";
        let code = Code::new(SourceId(0), text);
        let open = code.within(SourceSpan { source: SourceId(0), start: 1, end: 2 }).0;
        let list = code.list(open).expect("a list");
        let texts: Vec<_> = list.iter().map(|&(from, to)| code.texts(from, to).concat()).collect();
        assert_eq!(texts, ["a", "g(b,c)"]);
        let whole = SourceSpan { source: SourceId(0), start: 0, end: text.len() as u32 };
        let found = code.find(whole, "x");
        assert_eq!(found.len(), 2, "none in the comment");
        assert!(code.begins_statement(found[0]) && code.may_be_left_out(found[0]));
        assert!(code.begins_statement(found[1]) && !code.may_be_left_out(found[1]));
        let end = code.semicolon(found[0]).expect("it ends");
        let span = code.span(found[0], end);
        assert_eq!(&text[span.start as usize..span.end as usize], "x+=1;");
        assert_eq!(code.text(code.find(whole, "s")[0] + 2), "\"ü;\"");
        assert_eq!(code.bracket(code.find(whole, "g")[0]), None);
    }

    #[test]
    fn what_can_be_told_without_running_anything() {
        assert!(is_plain(&["msg", ".", "value"]) && is_plain(&["1"]));
        assert!(!is_plain(&["f", "(", ")"]) && !is_plain(&["a", "+", "b"]) && !is_plain(&[]));
    }
}
