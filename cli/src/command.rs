//! The commands, one file each.

#[cfg(feature = "execute")]
pub(crate) mod audit;
pub(crate) mod budget;
pub(crate) mod check;
#[cfg(feature = "execute")]
pub(crate) mod hints;
#[cfg(feature = "execute")]
pub(crate) mod fetch;
pub(crate) mod inspect;
#[cfg(feature = "lsp")]
pub(crate) mod lsp;
pub(crate) mod rules;
#[cfg(feature = "execute")]
pub(crate) mod run;
#[cfg(feature = "serve")]
pub(crate) mod serve;
pub(crate) mod setup;
#[cfg(feature = "execute")]
pub(crate) mod simulate;

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use alloy_primitives::Address;
use anyhow::{Context, bail};
#[cfg(feature = "execute")]
use deconflict_executor::fetch::{Hop, code_of};
#[cfg(feature = "execute")]
use deconflict_lints::Notice;
use deconflict_lints::{Builds, LoadOptions, Project, load, load_bytes};

use crate::{arguments::Building, console::Console, files, results, text};
#[cfg(feature = "execute")]
use crate::{arguments::NodeOptions, node};

/// Reads one input and says how that went.
fn read(path: &Path, building: Building, console: &Console) -> anyhow::Result<Project> {
    let project = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
        load_bytes("standard input", &bytes)?
    } else {
        let folder = results::builds().filter(|_| !building.no_build && !building.fresh);
        let progress = |line: &str| console.progress_line(line);
        let builds = folder.as_deref().map(|folder| Builds { folder, offline: false, progress: &progress });
        load(path, LoadOptions { builds, fresh: building.fresh })?
    };
    console.notices(&project.notices);
    Ok(project)
}

/// Reads one input that may be an address: its code comes from the node that was named then, proxies followed.
fn read_or_ask(
    path: &Path,
    rpc_url: Option<&str>,
    building: Building,
    console: &Console,
) -> anyhow::Result<Project> {
    let text = path.to_string_lossy();
    let address = text.parse::<Address>().ok().filter(|_| text.starts_with("0x") && !path.exists());
    let Some(address) = address else { return read(path, building, console) };
    let Some(url) = rpc_url else {
        bail!("{address} is an address: name the node that has its code by `--rpc-url`");
    };
    ask(address, url, console)
}

/// Reads the code of an address from a node, proxies followed.
#[cfg(feature = "execute")]
fn ask(address: Address, url: &str, console: &Console) -> anyhow::Result<Project> {
    let node = node::connect(url, &NodeOptions::default(), node::BRIEF)?;
    let found = code_of(&node, address).with_context(|| format!("cannot get the code of {address}"))?;
    if found.code.is_empty() {
        bail!("{address} has no code on this chain");
    }
    let name = found.path.last().copied().unwrap_or(address).to_string();
    let mut project = load_bytes(&name, found.code.to_string().as_bytes())?;
    for Hop { from, to, standard } in found.hops {
        let (from, to, by) = (from.to_string(), to.to_string(), standard.to_string());
        project.notices.push(Notice::Forwarded { from, to, by });
    }
    if let Some(reason) = found.unfollowed {
        project.notices.push(Notice::HandsOn { account: name, reason: reason.to_string() });
    }
    console.notices(&project.notices);
    Ok(project)
}

/// Nodes are asked by what executes blocks.
#[cfg(not(feature = "execute"))]
fn ask(address: Address, url: &str, _: &Console) -> anyhow::Result<Project> {
    bail!(
        "{url} cannot be asked for the code of {address}: this build was made without the feature `execute`"
    )
}

/// Writes a file of ours, and never over one that is not: a slip on the command line must not cost an artifact.
fn replace(path: &Path, schema: &str, text: &str) -> anyhow::Result<()> {
    let name = path.display();
    let old = match fs::metadata(path) {
        // What can be read only once holds nothing that could be lost.
        Ok(there) if !there.is_file() => Vec::new(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        _ => fs::read(path).with_context(|| format!("cannot read {name}, which is to be written over"))?,
    };
    if !is_ours(&old, schema) {
        bail!("{name} is another kind of file and is not written over: name a new file");
    }
    files::write(path, text.as_bytes())
}

/// Whether a file of this content was written by us, whole or not: half a file, or one with the marks of two versions that
/// could not be merged, is to be written anew.
fn is_ours(old: &[u8], schema: &str) -> bool {
    let decoded = text::decode(old);
    let old = decoded.as_ref().map_or(old, |text| text.as_bytes()).trim_ascii();
    if let Ok(old) = serde_json::from_slice::<serde_json::Value>(old) {
        return old["schema"].as_str().is_some_and(|found| found.starts_with(schema));
    }
    let begins = old.starts_with(b"{") || old.starts_with(b"<<<<<<<");
    let named = format!("\"{schema}");
    old.is_empty() || begins && old.windows(named.len()).any(|part| part == named.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn what_is_not_ours_is_known() {
        let schema = "deconflict/baseline/";
        let ours: [&[u8]; 6] = [
            b"",
            b"\xef\xbb\xbf{\"schema\": \"deconflict/baseline/1\"}",
            b" \n",
            b"{\"schema\": \"deconflict/baseline/1\", \"findings\": []}",
            b"{\n  \"schema\": \"deconflict/baseline/1\",\n  \"findi",
            b"{\n  \"schema\": \"deconflict/baseline/1\",\n<<<<<<< ours\n=======\n>>>>>>> theirs\n}\n",
        ];
        for old in ours {
            assert!(is_ours(old, schema), "{}", String::from_utf8_lossy(old));
        }
        let others: [&[u8]; 7] = [
            b"{}",
            b"[]",
            b"0x6001",
            b"{\"abi\": [",
            b"{\"schema\": \"deconflict/budget/1\"}",
            b"see \"deconflict/baseline/1\"",
            b"\xff\xfe{",
        ];
        for old in others {
            assert!(!is_ours(old, schema), "{}", String::from_utf8_lossy(old));
        }
    }
}
