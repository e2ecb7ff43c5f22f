//! The documentation of rules: pages for `explain` and for the book, and the list.
//!
//! In: the registry. Out: Markdown or plain text. The words come from the rules' own files.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    config::{all_rules, default_level},
    rule::Rule,
};

/// The rule's page in the book.
pub fn markdown(rule: &Rule) -> String {
    let level = default_level(rule).name();
    format!(
        "# {} ({})\n\n{}.\n\nGroup `{}`, level `{level}` by default.\n\n{}",
        rule.name,
        rule.code,
        capitalise(rule.summary),
        rule.group.name(),
        one_sentence_a_line(rule.documentation().trim_start())
    )
}

/// Source files wrap their comments at a column, the book after each sentence.
fn one_sentence_a_line(page: &str) -> String {
    let mut text = String::new();
    let mut in_code = false;
    let mut continues = false;
    for line in page.lines() {
        in_code ^= line.starts_with("```");
        let prose = !in_code && !line.is_empty() && !line.starts_with('#') && !line.starts_with("```");
        if continues && prose {
            text.push(' ');
        } else if continues {
            text.push('\n');
        }
        if prose {
            text.push_str(&line.replace(". ", ".\n"));
        } else {
            text.push_str(line);
            text.push('\n');
        }
        let ends = line.ends_with(['.', ':', '?']);
        if prose && ends {
            text.push('\n');
        }
        continues = prose && !ends;
    }
    text
}

/// The index of the pages.
pub fn index() -> String {
    let mut text = "# Rules\n\n| Code | Name | Finds |\n| --- | --- | --- |\n".to_owned();
    for rule in by_code() {
        let _ = writeln!(text, "| {} | [{}]({}.md) | {} |", rule.code, rule.name, rule.name, rule.summary);
    }
    text
}

/// The rule's page for a terminal of `width` columns: code as it stands, everything else filled.
pub fn plain(rule: &Rule, width: usize) -> String {
    let mut text = String::new();
    let mut paragraph = String::new();
    let mut in_code = false;
    let page = markdown(rule);
    for line in page.lines() {
        let starts_block =
            line.is_empty() || line.starts_with('#') || line.starts_with("- ") || line.starts_with("```");
        if !in_code && starts_block {
            fill(&mut text, &paragraph, width);
            paragraph.clear();
        }
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
            let _ = writeln!(text, "{}", format!("    {line}").trim_end());
        } else if line.is_empty() {
            text.push('\n');
        } else if line.starts_with('#') {
            let _ = writeln!(text, "{}", line.trim_start_matches('#').trim_start());
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line);
        }
    }
    fill(&mut text, &paragraph, width);
    text
}

fn fill(text: &mut String, paragraph: &str, width: usize) {
    let mut column = 0;
    for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            text.push('\n');
            column = 0;
        }
        if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    if column > 0 {
        text.push('\n');
    }
}

fn capitalise(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

/// All rules in order of their codes.
pub fn by_code() -> Vec<&'static Rule> {
    let mut rules: Vec<&Rule> = all_rules().collect();
    rules.sort_by_key(|rule| rule.code);
    rules
}

/// The list of rules for people.
pub fn list() -> String {
    let mut text = String::new();
    for rule in by_code() {
        let level = default_level(rule).name();
        let _ = writeln!(text, "{:<6} {:<26} {level:<6} {}", rule.code, rule.name, rule.summary);
    }
    text
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    rules: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    code: &'static str,
    name: &'static str,
    group: &'static str,
    level: &'static str,
    summary: &'static str,
    docs: String,
}

/// The list of rules for machines: `deconflict/rules/1`.
pub fn list_json() -> String {
    let document =
        Document { schema: "deconflict/rules/1", rules: by_code().into_iter().map(entry).collect() };
    let mut text = serde_json::to_string_pretty(&document).expect("the document holds strings only");
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Page {
    schema: &'static str,
    #[serde(flatten)]
    rule: Entry,
    markdown: String,
}

/// One rule's page for machines: `deconflict/explain/1`.
pub fn page_json(rule: &Rule) -> String {
    let page = Page { schema: "deconflict/explain/1", rule: entry(rule), markdown: markdown(rule) };
    let mut text = serde_json::to_string_pretty(&page).expect("the document holds strings only");
    text.push('\n');
    text
}

fn entry(rule: &Rule) -> Entry {
    Entry {
        code: rule.code,
        name: rule.name,
        group: rule.group.name(),
        level: default_level(rule).name(),
        summary: rule.summary,
        docs: format!("docs/rules/{}.md", rule.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_filled_and_code_is_not() {
        for rule in all_rules() {
            let page = plain(rule, 80);
            let prose = page.lines().filter(|line| !line.starts_with("    "));
            // A word of code may be longer than what is left of a line, never longer than the line.
            assert!(prose.clone().all(|line| line.chars().count() <= 80), "{page}");
            assert!(!page.contains("```"), "{page}");
        }
    }
}
