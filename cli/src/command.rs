//! The commands, one file each.

pub(crate) mod audit;
pub(crate) mod budget;
pub(crate) mod check;
pub(crate) mod fetch;
pub(crate) mod hints;
pub(crate) mod inspect;
pub(crate) mod lsp;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod setup;
pub(crate) mod simulate;

use std::{fs, io::Read as _, path::Path};

use alloy_primitives::Address;
use anyhow::{Context, bail};
use deconflict_executor::fetch::code_of;
use deconflict_lints::{LoadOptions, Project, load, load_bytes};

use crate::{arguments::NodeOptions, console::Console, node};

/// Reads one input and says how that went.
fn read(path: &Path, no_build: bool, console: &Console) -> anyhow::Result<Project> {
    let project = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        load_bytes("standard input", &bytes)?
    } else {
        load(path, LoadOptions { no_build })?
    };
    console.notices(&project.notices);
    Ok(project)
}

/// Reads one input that may be an address: its code comes from the node that was named then, proxies followed.
fn read_or_ask(
    path: &Path,
    rpc_url: Option<&str>,
    no_build: bool,
    console: &Console,
) -> anyhow::Result<Project> {
    let text = path.to_string_lossy();
    let address = text.parse::<Address>().ok().filter(|_| text.starts_with("0x") && !path.exists());
    let Some(address) = address else { return read(path, no_build, console) };
    let Some(url) = rpc_url else {
        bail!("{address} is an address: name the node that has its code by `--rpc-url`");
    };
    let node = node::connect(url, &NodeOptions::default(), node::BRIEF)?;
    let found = code_of(&node, address).with_context(|| format!("cannot get the code of {address}"))?;
    if found.code.is_empty() {
        bail!("{address} has no code on this chain");
    }
    if let [_, behind @ ..] = found.path.as_slice()
        && !behind.is_empty()
    {
        let path: Vec<String> = behind.iter().map(ToString::to_string).collect();
        console.note(&format!("{address} forwards to {}", path.join(", which forwards to ")));
    }
    let name = found.path.last().copied().unwrap_or(address).to_string();
    let project = load_bytes(&name, found.code.to_string().as_bytes())?;
    console.notices(&project.notices);
    Ok(project)
}

/// Writes a file of ours, and never over JSON that is not: a slip on the command line must not cost an artifact.
fn replace(path: &Path, schema: &str, text: &str) -> anyhow::Result<()> {
    let old = fs::read(path).unwrap_or_default();
    if let Ok(old) = serde_json::from_slice::<serde_json::Value>(&old)
        && !old["schema"].as_str().is_some_and(|found| found.starts_with(schema))
    {
        bail!("{} is another kind of file and is not written over: name a new file", path.display());
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
