//! `human`: how much of a block can run side by side, and what is in the way.
//!
//! In: hints. Out: a few lines of text. Everything that it says is counted from the hints.

use std::fmt::Write as _;

use super::BlockHints;

pub(super) fn render(hints: &BlockHints) -> Vec<u8> {
    let mut text = String::new();
    let all = &hints.transactions;
    let complete = all.iter().filter(|hint| hint.is_complete()).count();
    let slots: usize = all.iter().map(|hint| hint.slots().len()).sum();
    let number = hints.number.map(|number| format!("block {number}: ")).unwrap_or_default();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "{number}{} transactions, {complete} with every access known, {slots} storage slots touched",
        all.len()
    );
    if let Some(plan) = &hints.plan {
        let free = plan.dependencies.iter().filter(|list| list.is_empty()).count();
        let edges: usize = plan.dependencies.iter().map(Vec::len).sum();
        let _ = writeln!(text, "{free} wait for nobody, {edges} dependencies, {} lanes", plan.lanes.len());
        let _ = writeln!(
            text,
            "critical path {} of {} gas: at most {:.2} times as fast as one after the other",
            plan.critical_path_gas,
            plan.gas,
            plan.gas as f64 / plan.critical_path_gas.max(1) as f64
        );
        if !plan.serial.is_empty() {
            let _ = writeln!(text, "{} may touch anything", plan.serial.len());
        }
    }
    text.into_bytes()
}
