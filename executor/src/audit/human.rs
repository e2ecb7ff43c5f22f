//! An audit as text: a row a block, the sum, what was unsound, and where predictions fell short most often.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{BlockAudit, Environment, Figures, StateMode};

/// The most rows of a list of offenders.
const OFFENDERS: usize = 10;
/// The most accesses that are shown of a transaction.
const ACCESSES: usize = 5;

/// The text of an audit. Predictions were made in this environment, if it is not that of each block.
pub fn render(blocks: &[BlockAudit], mode: StateMode, environment: Option<&Environment>) -> String {
    let total = Figures::total(blocks);
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(blocks.iter().map(|block| row(&block.number.to_string(), &block.figures)));
    rows.push(row("total", &total));
    let mut text = table(&rows);
    text.push('\n');
    text.push_str(&summary(&total, mode, environment));
    text.push_str(&unsound(blocks));
    text.push_str(&offenders(
        "incomplete predictions, by code, selector and reason",
        "transactions",
        blocks.iter().flat_map(|block| &block.shortfalls).map(|((code, selector, reason), count)| {
            (format!("{code} {selector} {}", reason.name()), *count)
        }),
    ));
    text.push_str(&offenders(
        "accesses that were not predicted, by code and selector",
        "accesses",
        blocks
            .iter()
            .flat_map(|block| &block.missed_by)
            .map(|((code, selector), count)| (format!("{code} {selector}"), *count)),
    ));
    text.push_str(&offenders(
        "accesses that were predicted and not made, by called account and selector",
        "accesses",
        blocks.iter().flat_map(|block| &block.extra_by).map(|((account, selector), count)| {
            let account = account.map_or_else(|| "creation".to_owned(), |account| account.to_string());
            (format!("{account} {selector}"), *count)
        }),
    ));
    text
}

const HEADINGS: [&str; 12] = [
    "block",
    "txs",
    "complete",
    "unsound",
    "stale",
    "accesses",
    "missed",
    "extra",
    "edges found",
    "predict µs",
    "execute µs",
    "share",
];

fn row(name: &str, figures: &Figures) -> [String; 12] {
    [
        name.to_owned(),
        figures.txs.to_string(),
        percent(figures.complete_txs, figures.txs),
        figures.unsound_txs.to_string(),
        figures.stale_txs.to_string(),
        figures.accesses.to_string(),
        percent(figures.missed, figures.accesses),
        percent(figures.extra, figures.predicted),
        percent(figures.found_edges, figures.true_edges),
        (figures.predict_ns / 1000).to_string(),
        (figures.execute_ns / 1000).to_string(),
        percent(figures.predict_ns, figures.execute_ns),
    ]
}

/// A share with one digit after the point that is never rounded to all or nothing; a dash where there is no whole.
fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let exact = part as f64 * 100.0 / whole as f64;
    let shown = if part < whole && exact > 99.9 {
        99.9
    } else if part > 0 && exact < 0.1 {
        0.1
    } else {
        exact
    };
    format!("{shown:.1} %")
}

/// Columns as wide as their widest cell, numbers to the right.
fn table(rows: &[[String; 12]]) -> String {
    let mut widths = [0; 12];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn summary(total: &Figures, mode: StateMode, environment: Option<&Environment>) -> String {
    let state = match mode {
        StateMode::Exact => "just before each transaction",
        StateMode::BlockStart => "at the start of the block",
    };
    let elsewhere =
        environment.map(|it| format!(", in the environment of block {}", it.number)).unwrap_or_default();
    let mut lines = vec![
        format!("predicted on the state {state}{elsewhere}"),
        format!(
            "{} of {} transactions complete, {} unsound, {} accesses missed in them",
            total.complete_txs, total.txs, total.unsound_txs, total.missed_in_complete
        ),
        format!(
            "{} of {} accesses predicted, {} of {} predicted accesses not made (median transaction: {})",
            total.accesses - total.missed,
            total.accesses,
            total.extra,
            total.predicted,
            total.median_extra()
        ),
        format!(
            "median prediction of a transaction that runs code: {} ns; analysis of codes seen for the first time: {} ms",
            total.median_contract_predict_ns(),
            total.analyze_ns / 1_000_000
        ),
        format!(
            "read-after-write graph: {} of {} edges found, {} predicted",
            total.found_edges, total.true_edges, total.predicted_edges
        ),
    ];
    if mode == StateMode::BlockStart || environment.is_some() {
        lines.push(format!(
            "{} transactions announced stale, {} of the {} that run code",
            total.stale_txs, total.stale_contract_txs, total.contract_txs
        ));
    }
    if environment.is_some() {
        lines.push(format!(
            "{} of them because they depend on a word in which the environment differs",
            total.stale_environment_txs
        ));
    }
    let words: Vec<String> =
        total.environment.iter().map(|(word, count)| format!("{word} {count}")).collect();
    if !words.is_empty() {
        let count = total.environment_txs;
        lines.push(format!("{count} transactions depend on their environment: {}", words.join(", ")));
    }
    if !total.incomplete.is_empty() {
        let reasons: Vec<String> =
            total.incomplete.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        lines.push(format!("incomplete: {}", reasons.join(", ")));
    }
    lines.join("\n") + "\n"
}

fn unsound(blocks: &[BlockAudit]) -> String {
    let mut text = String::new();
    for block in blocks {
        for transaction in &block.unsound {
            let hash = transaction.hash.map(|hash| format!(" {hash}")).unwrap_or_default();
            let _ = writeln!(
                text,
                "\nUNSOUND block {} transaction {}{hash}: {} accesses were not predicted",
                block.number,
                transaction.index,
                transaction.missed.len()
            );
            for access in transaction.missed.iter().take(ACCESSES) {
                let _ = writeln!(
                    text,
                    "  {} of {} slot {:#x}, by code {} {} at pc {}",
                    if access.write { "write" } else { "read" },
                    access.address,
                    access.slot,
                    access.site.code_hash,
                    access.site.selector,
                    access.site.pc
                );
            }
            if transaction.missed.len() > ACCESSES {
                let _ = writeln!(text, "  and {} more", transaction.missed.len() - ACCESSES);
            }
        }
    }
    text
}

/// The most frequent entries of a list; equal ones in the order of their names.
fn offenders(heading: &str, unit: &str, counts: impl Iterator<Item = (String, u64)>) -> String {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (name, count) in counts {
        *sums.entry(name).or_default() += count;
    }
    if sums.is_empty() {
        return String::new();
    }
    let mut sorted: Vec<(String, u64)> = sums.into_iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut text = format!("\n{heading}:\n");
    for (name, count) in sorted.iter().take(OFFENDERS) {
        let _ = writeln!(text, "  {count:>6} {unit}  {name}");
    }
    if sorted.len() > OFFENDERS {
        let _ = writeln!(text, "  and {} more", sorted.len() - OFFENDERS);
    }
    text
}
