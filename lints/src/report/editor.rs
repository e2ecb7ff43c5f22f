//! Facts as an editor shows them: hovers in Markdown, one line above a function, a word behind a declaration.
//!
//! In: facts of one contract. Out: text. Lists are cut so that a hover stays readable; how many are left out is said.

use std::fmt::Write as _;

use deconflict_analyzer::Verdict;

use crate::{
    editor_facts::{Clash, FunctionFacts, VariableFacts},
    text::without_parameters,
};

/// How many entries of a list are shown.
const SHOWN: usize = 6;

/// What a hover says of a state variable.
pub fn variable(contract: &str, facts: &VariableFacts) -> String {
    let mut text = format!("```solidity\n{} {}\n```\n\n", facts.type_name, facts.name);
    let _ = writeln!(text, "Storage of `{contract}`: {}.", place(facts));
    if !facts.neighbours.is_empty() {
        let _ = writeln!(text, "Shares this slot with {}.", list(&facts.neighbours));
    }
    text.push('\n');
    let users = |verb: &str, names: &[String]| match names {
        [] => format!("- {verb} by no function\n"),
        names => format!("- {verb} by {}\n", list(names)),
    };
    text.push_str(&users("read", &facts.readers));
    text.push_str(&users("written", &facts.writers));
    if !facts.perhaps.is_empty() {
        let _ = writeln!(text, "- perhaps by {} too: not all that they touch is known", list(&facts.perhaps));
    }
    match facts.conflicts.as_slice() {
        [] if !facts.perhaps.is_empty() => text.push_str("\nWhether two calls conflict here is not known.\n"),
        [] => text.push_str("\nNo two calls conflict here.\n"),
        conflicts => {
            text.push_str("\nConflicts here:\n\n");
            for (a, clash) in conflicts.iter().take(SHOWN) {
                let _ = writeln!(
                    text,
                    "- `{}` × `{}`: {}",
                    without_parameters(a),
                    without_parameters(&clash.with),
                    verdict(clash)
                );
            }
            more(&mut text, conflicts.len());
        }
    }
    text
}

/// What a hover says of a function.
pub fn function(contract: &str, facts: &FunctionFacts) -> String {
    let mut text = format!("**{}** in `{contract}`\n\n", facts.name.replace('*', "\\*"));
    if facts.always_reverts {
        text.push_str("Every call reverts.\n");
        return text;
    }
    if let Some(condition) = &facts.restricted_to {
        let _ = writeln!(text, "Restricted to `{condition}`.\n");
    }
    let touched = |verb: &str, places: &[String]| match places {
        [] => format!("- {verb} no storage\n"),
        places => format!("- {verb} {}\n", list(places)),
    };
    text.push_str(&touched("reads", &facts.reads));
    text.push_str(&touched("writes", &facts.writes));
    if facts.is_view {
        text.push_str("\nA view: no transaction waits for it.\n");
    } else {
        match &facts.with_itself {
            None => text.push_str("\nTwo calls never conflict with each other.\n"),
            Some(clash) if clash.verdict == Verdict::Unknown => {
                let _ = writeln!(text, "\nWhether two calls conflict is {}{}.", verdict(clash), on(clash));
            }
            Some(clash) => {
                let _ = writeln!(text, "\nTwo calls conflict {}{}.", verdict(clash), on(clash));
            }
        }
        if !facts.with_others.is_empty() {
            text.push_str("\nConflicts with others (this call is `a`):\n\n");
            for clash in facts.with_others.iter().take(SHOWN) {
                let _ = writeln!(
                    text,
                    "- `{}`: {}{}",
                    without_parameters(&clash.with),
                    verdict(clash),
                    on(clash)
                );
            }
            more(&mut text, facts.with_others.len());
        }
    }
    match facts.incomplete.as_slice() {
        [] => text.push_str("\nEverything that it can touch is known.\n"),
        reasons => {
            let _ = writeln!(text, "\nIt may touch more than this: {}.", reasons.join("; "));
        }
    }
    text
}

/// The line above a function, such as `reads 3, writes 2 · conflicts with itself: same key · with 4 others`.
pub fn lens(facts: &FunctionFacts) -> String {
    if facts.always_reverts {
        return "always reverts".to_owned();
    }
    let mut text = format!("reads {}, writes {}", facts.reads.len(), facts.writes.len());
    if !facts.is_view {
        text.push_str(match &facts.with_itself {
            None => " · no conflict with itself",
            Some(clash) if clash.mergeable => " · conflicts with itself: sums only",
            Some(clash) if clash.verdict == Verdict::Always => " · conflicts with itself: always",
            Some(clash) if clash.verdict == Verdict::Unknown => " · with itself: unknown",
            Some(_) => " · conflicts with itself: same key",
        });
        // Of whom nothing is known but that not all is known, there is no conflict to count.
        match facts.with_others.iter().filter(|clash| !clash.variables.is_empty()).count() {
            0 => {}
            1 => text.push_str(" · with 1 other"),
            others => {
                let _ = write!(text, " · with {others} others");
            }
        }
    }
    if !facts.incomplete.is_empty() {
        text.push_str(" · incomplete");
    }
    text
}

/// What stands behind a declaration, such as `slot 3, bytes 12..32`.
pub fn place(facts: &VariableFacts) -> String {
    let end = alloy_primitives::U256::from(facts.offset) + facts.bytes;
    if facts.offset == 0 && facts.bytes >= alloy_primitives::U256::from(32) {
        format!("slot {}", number(facts.slot))
    } else {
        format!("slot {}, bytes {}..{end}", number(facts.slot), facts.offset)
    }
}

/// A contract's functions and conflicts as a page of Markdown.
pub fn matrix(facts: &crate::editor_facts::ContractFacts) -> String {
    let mut text = format!("# {}\n\nWhich calls conflict, and when.\n\n", facts.name);
    text.push_str(
        "| Function | Reads | Writes | With itself | With others |\n| --- | --- | --- | --- | --- |\n",
    );
    for function in &facts.functions {
        let cell = |items: Vec<String>| match items.as_slice() {
            [] => "–".to_owned(),
            items => items.join("<br>").replace('|', "\\|"),
        };
        let code = |items: &[String]| items.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>();
        let itself = function.with_itself.as_ref().map_or_else(|| "never".to_owned(), verdict);
        let others = function.with_others.iter();
        let others =
            others.map(|it| format!("`{}`: {}", without_parameters(&it.with), verdict(it))).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            function.name,
            cell(code(&function.reads)),
            cell(code(&function.writes)),
            itself.replace('|', "\\|"),
            cell(others)
        );
    }
    text.push_str("\n## Storage\n\n| Variable | Type | Place | Read by | Written by |\n| --- | --- | --- | --- | --- |\n");
    for variable in &facts.variables {
        let names = |names: &[String]| match names {
            [] => "–".to_owned(),
            names => {
                names.iter().map(|it| format!("`{}`", without_parameters(it))).collect::<Vec<_>>().join(", ")
            }
        };
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {} | {} |",
            variable.name,
            variable.type_name,
            place(variable),
            names(&variable.readers),
            names(&variable.writers)
        );
    }
    text
}

/// Small numbers in decimal, hashes in hex.
fn number(slot: alloy_primitives::U256) -> String {
    if slot.bit_len() <= 64 { slot.to_string() } else { format!("{slot:#x}") }
}

fn verdict(clash: &Clash) -> String {
    let mut text = match clash.verdict {
        Verdict::Never => "never".to_owned(),
        Verdict::Always => "always".to_owned(),
        Verdict::When => format!("when {}", conditions(clash)),
        Verdict::Unknown => format!("unknown ({})", conditions(clash)),
    };
    if clash.mergeable {
        text.push_str(" (sums only, which an executor can merge)");
    }
    text
}

/// When it is so, as far as it is shown.
fn conditions(clash: &Clash) -> String {
    let shown = clash.when.iter().take(3);
    let mut conditions: Vec<String> = shown.map(|condition| format!("`{condition}`")).collect();
    if clash.when.len() > conditions.len() {
        conditions.push("…".to_owned());
    }
    conditions.join(" or ")
}

/// The locations, where there are any.
fn on(clash: &Clash) -> String {
    if clash.variables.is_empty() { String::new() } else { format!(", on {}", list(&clash.variables)) }
}

fn list(items: &[String]) -> String {
    let mut shown: Vec<String> = items.iter().take(SHOWN).map(|item| format!("`{item}`")).collect();
    if items.len() > SHOWN {
        shown.push(format!("{} more", items.len() - SHOWN));
    }
    shown.join(", ")
}

fn more(text: &mut String, all: usize) {
    if all > SHOWN {
        let _ = writeln!(text, "- {} more", all - SHOWN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clash(verdict: Verdict) -> Clash {
        let when = vec!["a.to == b.to".to_owned()];
        let variables = vec!["balances[to]".to_owned()];
        Clash { with: "pay(address)".to_owned(), verdict, when, variables, mergeable: false }
    }

    #[test]
    fn one_line_says_what_stands_in_the_way() {
        let mut facts = FunctionFacts {
            name: "pay(address)".to_owned(),
            span: None,
            is_view: false,
            restricted_to: None,
            always_reverts: false,
            incomplete: Vec::new(),
            reads: vec!["balances[to]".to_owned()],
            writes: vec!["balances[to]".to_owned()],
            with_itself: Some(clash(Verdict::When)),
            with_others: vec![clash(Verdict::Always)],
        };
        assert_eq!(lens(&facts), "reads 1, writes 1 · conflicts with itself: same key · with 1 other");
        assert!(
            function("Shop", &facts).contains("Two calls conflict when `a.to == b.to`, on `balances[to]`.")
        );
        let unknown = |variables: &[&str]| Clash {
            when: vec!["perhaps: pay(address) may touch more than is known".to_owned()],
            variables: variables.iter().map(ToString::to_string).collect(),
            ..clash(Verdict::Unknown)
        };
        let open = FunctionFacts {
            with_itself: Some(unknown(&[])),
            with_others: vec![unknown(&["total"]), unknown(&[])],
            ..facts.clone()
        };
        assert_eq!(lens(&open), "reads 1, writes 1 · with itself: unknown · with 1 other");
        let said =
            "Whether two calls conflict is unknown (`perhaps: pay(address) may touch more than is known`).";
        assert!(function("Shop", &open).contains(said), "{}", function("Shop", &open));
        facts.with_itself = None;
        facts.incomplete.push("a jump to nowhere".to_owned());
        assert_eq!(lens(&facts), "reads 1, writes 1 · no conflict with itself · with 1 other · incomplete");
        assert!(function("Shop", &facts).contains("It may touch more than this: a jump to nowhere."));
    }
}
