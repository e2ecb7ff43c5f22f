//! The formats, in one list.
//!
//! In: hints. Out: their bytes in the format of a name. A format is a file of its own and a line here.

use super::{
    BlockHints, bep592, binary, eip2930, format::FormatError, human, json, pip16, prefetch, reth, txdag,
    used_state,
};

use Write::{Always, IfFit};

/// A format of hints.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The name by which it is asked for.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Whether it only says something of a plan.
    pub needs_plan: bool,
    /// Whether its bytes are text; what is not text is written as it is.
    pub is_text: bool,
    write: Write,
}

/// How hints are written.
#[derive(Clone, Copy, Debug)]
enum Write {
    /// Whatever they are.
    Always(fn(&BlockHints) -> Vec<u8>),
    /// If they fit the format.
    IfFit(fn(&BlockHints) -> Result<Vec<u8>, FormatError>),
}

/// All formats.
pub const FORMATS: [Format; 11] = [
    text("json", "One document, `deconflict/hints/1`", Always(json::render)),
    text("jsonl", "One transaction a line", Always(json::render_lines)),
    text(
        "eip2930",
        "The access list of each transaction, as `eth_createAccessList` answers",
        Always(eip2930::render),
    ),
    of_plan("txdag", "The dependency graph of BEP-396, in hexadecimal", IfFit(txdag::render)),
    of_plan("pip16", "The dependency part of PIP-16, in hexadecimal", IfFit(pip16::render)),
    text("bep592", "The block access list of BEP-592, not signed, in hexadecimal", IfFit(bep592::render)),
    text("reth", "Hashed accounts and slots, as reth's `StateAccessHint`", Always(reth::render)),
    text(
        "used-state",
        "The shape of rbuilder's `UsedStateTrace`, without values",
        Always(used_state::render),
    ),
    text("prefetch", "Accounts and slots to read ahead, each once", Always(prefetch::render)),
    Format {
        name: "bin",
        summary: "Everything in the compact layout of docs/hints.md",
        needs_plan: false,
        is_text: false,
        write: Always(binary::render),
    },
    text("human", "A summary for people", Always(human::render)),
];

const fn text(name: &'static str, summary: &'static str, write: Write) -> Format {
    Format { name, summary, needs_plan: false, is_text: true, write }
}

const fn of_plan(name: &'static str, summary: &'static str, write: Write) -> Format {
    Format { needs_plan: true, ..text(name, summary, write) }
}

impl Format {
    /// Writes hints in this format.
    pub fn render(&self, hints: &BlockHints) -> Result<Vec<u8>, FormatError> {
        match self.write {
            Always(write) => Ok(write(hints)),
            IfFit(write) => write(hints),
        }
    }

    /// The format of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        const { &FORMATS }.iter().find(|format| format.name == name)
    }
}
