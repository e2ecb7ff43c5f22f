//! Where a source's comments are.
//!
//! In: Solidity or Vyper text. Out: the byte range of each comment, in order. Quotation marks and comment marks inside
//! one another are told apart; nothing else of the language is known here.

use std::ops::Range;

/// A language by its comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    /// `//` and `/* */`; braces and semicolons.
    Solidity,
    /// `#`; indentation.
    Vyper,
}

impl Language {
    /// By the file's name.
    pub(super) fn of(path: &str) -> Self {
        let is_vyper = [".vy", ".vyi"].iter().any(|extension| path.ends_with(extension));
        if is_vyper { Self::Vyper } else { Self::Solidity }
    }
}

/// A text with its comments and strings.
pub(super) struct Lexed<'a> {
    /// The text.
    pub(super) text: &'a str,
    /// The language.
    pub(super) language: Language,
    /// The comments.
    pub(super) comments: Vec<Range<usize>>,
    /// The strings.
    strings: Vec<Range<usize>>,
}

impl<'a> Lexed<'a> {
    /// Finds the comments of `text`.
    pub(super) fn new(text: &'a str, language: Language) -> Self {
        let mut lexed = Self { text, language, comments: Vec::new(), strings: Vec::new() };
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let rest = &text.as_bytes()[at..];
            let line = || at + rest.iter().position(|&it| it == b'\n').unwrap_or(rest.len());
            let end = match (language, rest) {
                (Language::Solidity, [b'/', b'/', ..]) | (Language::Vyper, [b'#', ..]) => {
                    lexed.comments.push(at..line());
                    line()
                }
                (Language::Solidity, [b'/', b'*', ..]) => {
                    let end = find(bytes, at + 2, b"*/").map_or(bytes.len(), |end| end + 2);
                    lexed.comments.push(at..end);
                    end
                }
                (Language::Vyper, [b'"', b'"', b'"', ..] | [b'\'', b'\'', b'\'', ..]) => {
                    let end = find(bytes, at + 3, &rest[..3]).map_or(bytes.len(), |end| end + 3);
                    lexed.strings.push(at..end);
                    end
                }
                (_, [quote @ (b'"' | b'\''), ..]) => {
                    let end = string_end(bytes, at + 1, *quote);
                    lexed.strings.push(at..end);
                    end
                }
                _ => at + 1,
            };
            at = end;
        }
        lexed
    }

    /// The first byte of code at or after `at`.
    pub(super) fn next_code(&self, mut at: usize) -> Option<usize> {
        loop {
            at += self.text.as_bytes()[at..].iter().position(|it| !it.is_ascii_whitespace())?;
            match self.comment_at(at) {
                Some(comment) => at = comment.end,
                None => return Some(at),
            }
        }
    }

    /// The code of the bytes in `range`: comments and strings are left out.
    pub(super) fn code(&self, range: Range<usize>) -> impl Iterator<Item = (usize, u8)> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            while at < range.end {
                if let Some(skipped) = self.comment_at(at).or_else(|| within(&self.strings, at)) {
                    at = skipped.end;
                } else {
                    at += 1;
                    return Some((at - 1, self.text.as_bytes()[at - 1]));
                }
            }
            None
        })
    }

    /// Where the line of `at` starts and ends.
    pub(super) fn line(&self, at: usize) -> Range<usize> {
        let bytes = self.text.as_bytes();
        let start = bytes[..at].iter().rposition(|&it| it == b'\n').map_or(0, |it| it + 1);
        let end = bytes[at..].iter().position(|&it| it == b'\n').map_or(bytes.len(), |it| at + it);
        start..end
    }

    fn comment_at(&self, at: usize) -> Option<Range<usize>> {
        within(&self.comments, at)
    }
}

/// The range that holds `at`.
fn within(ranges: &[Range<usize>], at: usize) -> Option<Range<usize>> {
    let index = ranges.partition_point(|range| range.end <= at);
    ranges.get(index).filter(|range| range.contains(&at)).cloned()
}

fn find(bytes: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(needle.len()).position(|it| it == needle).map(|it| from + it)
}

/// Where a string ends; one that does not end on its line ends there.
fn string_end(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\n' => return at,
            b'\\' => at += 1,
            byte if byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comments(text: &str, language: Language) -> Vec<&str> {
        Lexed::new(text, language).comments.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn comments_are_told_from_strings() {
        let text = "a; // one\nb = \"// not \\\" one\"; /* two\n// still */ c = '/*'; // 日本";
        assert_eq!(comments(text, Language::Solidity), ["// one", "/* two\n// still */", "// 日本"]);
        assert_eq!(comments("/* open", Language::Solidity), ["/* open"]);
        assert_eq!(comments("\"cut \\", Language::Solidity), [""; 0]);
        let text = "a = 1 # one\n\"\"\" # not one \"\"\"\nb = '#' # two";
        assert_eq!(comments(text, Language::Vyper), ["# one", "# two"]);
    }

    #[test]
    fn code_is_what_is_left() {
        let lexed = Lexed::new("/* a */ b \"c\" // d\ne", Language::Solidity);
        let code: String = lexed.code(0..lexed.text.len()).map(|(_, byte)| char::from(byte)).collect();
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["b", "e"]);
        assert_eq!(lexed.next_code(0), Some(8));
        assert_eq!(lexed.next_code(13), Some(19));
        assert_eq!(Lexed::new("// a", Language::Solidity).next_code(0), None);
    }
}
