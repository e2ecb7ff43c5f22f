//! The identifiers of a piece of source.
//!
//! In: Solidity or Vyper text. Out: every word with its offset, without those in comments and strings. This is no
//! parser: what a word means is not known here.

/// The words of `text`, in order.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(first) = text[at..].chars().next() {
            let rest = &text[at..];
            let length = if rest.starts_with("//") || first == '#' {
                rest.find('\n').unwrap_or(rest.len())
            } else if let Some(comment) = rest.strip_prefix("/*") {
                comment.find("*/").map_or(rest.len(), |end| end + 4)
            } else if first == '"' || first == '\'' {
                string_length(rest, first)
            } else if is_word(first) {
                let length = rest.find(|it| !is_word(it)).unwrap_or(rest.len());
                at += length;
                return Some((at - length, &rest[..length]));
            } else {
                first.len_utf8()
            };
            at += length;
        }
        None
    })
}

/// How long the string is that `text` starts with; one that does not end on its line ends there.
fn string_length(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            '\n' => return at,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '$'
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_outside_comments_and_strings() {
        let text = "a.b1 /* c */ += \"d \\\" e\" 日 // f\n$g; 'h";
        assert_eq!(words(text).map(|(_, word)| word).collect::<Vec<_>>(), ["a", "b1", "$g"]);
        assert!(words(text).all(|(at, word)| text[at..].starts_with(word)));
        assert_eq!(words("/* open").count(), 0);
        assert_eq!(words("/*/").count(), 0);
    }
}
