//! Inspections for people: functions with what they read and write, then the pairs that conflict.
//!
//! In: [`Inspection`]s. Out: text without colour. Nothing may parse it.

use std::fmt::Write as _;

use deconflict_analyzer::Verdict;

use super::inspect_json::verdict;
use crate::inspect::{AccessInspection, Cell, FunctionInspection, Inspection};

/// All contracts, one after the other.
pub fn render(inspections: &[Inspection]) -> String {
    let parts: Vec<String> = inspections.iter().map(contract).collect();
    parts.join("\n")
}

fn contract(inspection: &Inspection) -> String {
    let mut text = format!("{} ({})\n", inspection.name, inspection.source);
    for function in &inspection.functions {
        text.push_str(&describe(function));
    }
    let counted = |verdict| inspection.conflicts.iter().filter(|cell| cell.verdict == verdict).count();
    // Of a pair that nothing at all is known of, there is nothing to show.
    let is_hot = |cell: &&Cell| cell.verdict != Verdict::Never && !cell.variables.is_empty();
    let hot: Vec<&Cell> = inspection.conflicts.iter().filter(is_hot).collect();
    let never = counted(Verdict::Never);
    let unknown = inspection.conflicts.len() - hot.len() - never;
    if !hot.is_empty() {
        text.push_str("\n  conflicts\n");
        let names: Vec<String> = hot.iter().map(|cell| format!("{} × {}", cell.a, cell.b)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
        let verdicts = hot.iter().map(|cell| verdict(cell.verdict).len());
        let verdicts = verdicts.max().unwrap_or_default().max("always".len());
        for (cell, name) in hot.iter().zip(&names) {
            let mergeable = if cell.mergeable { ", mergeable" } else { "" };
            let pad = " ".repeat(width - name.chars().count());
            let _ = write!(
                text,
                "    {name}{pad}  {:<verdicts$} on {}{mergeable}",
                verdict(cell.verdict),
                cell.variables.join(", ")
            );
            for (number, condition) in cell.conditions.iter().enumerate() {
                let word = if number == 0 { "if" } else { "or" };
                let _ = write!(text, "\n{:8}{word} {condition}", "");
            }
            text.push('\n');
        }
    }
    let other = if hot.is_empty() { "" } else { "other " };
    if unknown > 0 {
        let pairs = if unknown == 1 { "pair" } else { "pairs" };
        let open = inspection.functions.iter().filter(|function| !function.incomplete.is_empty());
        let open: Vec<&str> = open.map(|function| function.name.as_str()).collect();
        let _ =
            writeln!(text, "\n  {unknown} {other}{pairs} unknown: not all is known of {}", open.join(", "));
    }
    if never > 0 {
        let pairs = if never == 1 { "pair never conflicts" } else { "pairs never conflict" };
        let _ = writeln!(text, "\n  {never} {other}{pairs}");
    }
    text
}

fn describe(function: &FunctionInspection) -> String {
    let mut text = format!("\n  {}", function.name);
    if let Some(selector) = function.selector
        && selector.to_string() != function.name
    {
        let _ = write!(text, "  {selector}");
    }
    if let Some(condition) = &function.restricted_to {
        let _ = write!(text, "  only if {condition}");
    }
    if function.always_reverts {
        text.push_str("  always reverts");
    }
    text.push('\n');
    for (reason, pc) in &function.incomplete {
        let _ = writeln!(text, "    incomplete: {reason} at {pc}");
    }
    let mut lines: Vec<String> = Vec::new();
    for (verb, accesses) in [("reads", &function.reads), ("writes", &function.writes)] {
        for access in accesses {
            let line = format!("    {verb:<7} {}\n", line(access));
            // The same access in several contexts reads the same.
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    for call in &function.calls {
        let selector = call.selector.map(|bytes| format!(".0x{}", alloy_primitives::hex::encode(bytes)));
        lines.push(format!(
            "    {:<7} {} {}{}\n",
            "calls",
            call.kind,
            call.target,
            selector.unwrap_or_default()
        ));
    }
    if lines.is_empty() {
        lines.push("    touches no storage\n".to_owned());
    }
    text.push_str(&lines.concat());
    text
}

fn line(access: &AccessInspection) -> String {
    let mut text = access.expression.clone();
    let mut flags = Vec::new();
    match access.kind.name() {
        "read" | "write" => {}
        kind => flags.push(kind.replace('_', "-")),
    }
    if let (Some(last), Some(amount)) = (flags.last_mut(), &access.amount) {
        let _ = write!(last, " {amount}");
    }
    if access.transient {
        flags.push("transient".to_owned());
    }
    if access.repeated {
        flags.push("repeated".to_owned());
    }
    if !flags.is_empty() {
        let _ = write!(text, "  [{}]", flags.join(", "));
    }
    if !access.when.is_empty() {
        let _ = write!(text, "  if {}", access.when.join(" && "));
    }
    text
}
