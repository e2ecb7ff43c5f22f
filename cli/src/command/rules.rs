//! `deconflict rules` and `deconflict explain`: the list of rules, and their pages.

use std::process::ExitCode;

use deconflict_lints::{find_rule, report::rule_page, unknown};

use crate::{
    arguments::{Explain, Format},
    console::Console,
};

/// Prints the list.
pub(crate) fn list(console: &Console) -> anyhow::Result<ExitCode> {
    console.result(&match console.format {
        Format::Human => rule_page::list(),
        Format::Json => rule_page::list_json(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one page.
pub(crate) fn explain(options: &Explain, console: &Console) -> anyhow::Result<ExitCode> {
    const WIDTH: usize = 80;
    let rule = find_rule(&options.rule).ok_or_else(|| unknown(&options.rule))?;
    console.result(&match console.format {
        Format::Human => rule_page::plain(rule, WIDTH),
        Format::Json => rule_page::page_json(rule),
    })?;
    Ok(ExitCode::SUCCESS)
}
