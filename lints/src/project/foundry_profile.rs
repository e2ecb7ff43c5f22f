//! Where a Foundry project keeps what.
//!
//! In: `foundry.toml` with what it extends, the variables that `forge` reads, and `.env`; or what `forge` itself says of
//! them. Out: a [`FoundryProfile`]. Nothing else of the configuration is looked at.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{read_text, toolchain};
use crate::error::Error;

/// The part of a profile that says where things are; relative to the project.
#[derive(Clone, Debug, Deserialize, Default, PartialEq, Eq)]
#[serde(default)]
pub(super) struct FoundryProfile {
    pub(super) src: Option<String>,
    pub(super) out: Option<PathBuf>,
    pub(super) libs: Option<Vec<String>>,
    pub(super) test: Option<String>,
    pub(super) script: Option<String>,
    pub(super) cache_path: Option<PathBuf>,
    pub(super) build_info_path: Option<PathBuf>,
}

impl FoundryProfile {
    /// Reads the profile that is chosen; asks `forge` where tools may be run.
    pub(super) fn read(root: &Path, asks: bool) -> Result<Self, Error> {
        if asks && let Some(profile) = ask(root) {
            return Ok(profile);
        }
        let variables = Variables::of(root);
        let name = variables.get("PROFILE").unwrap_or_else(|| "default".to_owned());
        let mut profile = Self::default();
        let file = root.join("foundry.toml");
        for table in with_bases(&file)? {
            let own = take(&file, &table, &name)?;
            let default = if name == "default" { Self::default() } else { take(&file, &table, "default")? };
            profile = profile.over(own.over(default));
        }
        Ok(Self::of_variables(&variables).over(profile))
    }

    /// This profile, with what it leaves out taken from `base`.
    fn over(self, base: Self) -> Self {
        Self {
            src: self.src.or(base.src),
            out: self.out.or(base.out),
            libs: self.libs.or(base.libs),
            test: self.test.or(base.test),
            script: self.script.or(base.script),
            cache_path: self.cache_path.or(base.cache_path),
            build_info_path: self.build_info_path.or(base.build_info_path),
        }
    }

    fn of_variables(variables: &Variables) -> Self {
        let path = |name: &str| variables.get(name).map(PathBuf::from);
        let libs = variables.get("LIBS").map(|text| {
            let names = text.trim_matches(['[', ']']).split(',');
            names.map(|name| name.trim().trim_matches(['"', '\'']).to_owned()).collect()
        });
        Self {
            src: variables.get("SRC"),
            out: path("OUT"),
            libs,
            test: variables.get("TEST"),
            script: variables.get("SCRIPT"),
            cache_path: path("CACHE_PATH"),
            build_info_path: path("BUILD_INFO_PATH"),
        }
    }
}

/// The variables of the environment, and those of `.env` that it does not have.
struct Variables(BTreeMap<String, String>);

impl Variables {
    fn of(root: &Path) -> Self {
        let text = read_text(&root.join(".env")).unwrap_or_default();
        let mut all: BTreeMap<String, String> = text.lines().filter_map(assignment).collect();
        all.extend(
            env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Self(all)
    }

    /// What `FOUNDRY_` or `DAPP_` and this name are set to.
    fn get(&self, name: &str) -> Option<String> {
        let value =
            ["FOUNDRY_", "DAPP_"].into_iter().find_map(|prefix| self.0.get(&format!("{prefix}{name}")));
        value.filter(|value| !value.is_empty()).cloned()
    }
}

/// A line `NAME=value`, as shells write it.
fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|it| it.split(quote).next());
    let value = quoted('"')
        .or_else(|| quoted('\''))
        .unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim());
    Some((name.trim().to_owned(), value.to_owned()))
}

/// The configuration and those that it extends, its own first.
fn with_bases(file: &Path) -> Result<Vec<toml::Table>, Error> {
    /// More is a circle.
    const MAX_BASES: usize = 8;
    let mut tables = Vec::new();
    let mut next = Some(file.to_owned());
    while let Some(path) = next.filter(|_| tables.len() < MAX_BASES) {
        let text = read_text(&path)?;
        let table: toml::Table =
            text.parse().map_err(|error: toml::de::Error| wrong(&path, error.to_string()))?;
        let profiles = table.get("profile").and_then(toml::Value::as_table);
        let extends = profiles.and_then(|it| it.values().find_map(|profile| profile.get("extends")));
        let extends = extends.or_else(|| table.get("extends"));
        // Either a path, or a table with one.
        let base = extends.and_then(|it| it.as_str().or_else(|| it.get("path")?.as_str()));
        next = base.map(|base| path.parent().unwrap_or(Path::new("")).join(base));
        tables.push(table);
    }
    Ok(tables)
}

fn take(file: &Path, table: &toml::Table, name: &str) -> Result<FoundryProfile, Error> {
    let profiles = match table.get("profile") {
        Some(toml::Value::Table(profiles)) => profiles,
        Some(_) => return Err(wrong(file, "`profile` is no table".to_owned())),
        None => return Ok(FoundryProfile::default()),
    };
    match profiles.get(name) {
        Some(profile) => {
            profile.clone().try_into().map_err(|error: toml::de::Error| wrong(file, error.to_string()))
        }
        None => Ok(FoundryProfile::default()),
    }
}

fn wrong(path: &Path, message: String) -> Error {
    Error::Configuration { path: path.to_owned(), message }
}

/// What `forge` makes of the configuration; none where it is not there, or says nothing that can be read.
fn ask(root: &Path) -> Option<FoundryProfile> {
    let forge = toolchain::find(toolchain::FORGE.program, root)?;
    let mut command = Command::new(forge);
    command.args(["config", "--json"]).current_dir(root).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    serde_json::from_slice(&output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_env_files_are_read() {
        let read = |line: &str| assignment(line).map(|(name, value)| format!("{name}|{value}"));
        for (line, expected) in [
            ("FOUNDRY_OUT=elsewhere", Some("FOUNDRY_OUT|elsewhere")),
            ("export FOUNDRY_OUT = \"else where\" # why", Some("FOUNDRY_OUT|else where")),
            ("A='b#c'", Some("A|b#c")),
            ("A=b # c", Some("A|b")),
            ("# A=b", None),
            ("nothing", None),
        ] {
            assert_eq!(read(line).as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn what_a_profile_leaves_out_is_that_of_what_it_extends() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).expect("a file can be written");
        };
        write("base.toml", "[profile.default]\nout = \"base-out\"\nsrc = \"base-src\"\n");
        write("foundry.toml", "[profile.default]\nextends = \"base.toml\"\nsrc = \"contracts\"\n");
        let profile = FoundryProfile::read(folder.path(), false).expect("it can be read");
        assert_eq!(profile.src.as_deref(), Some("contracts"));
        assert_eq!(profile.out.as_deref(), Some(Path::new("base-out")));
        write(".env", "FOUNDRY_OUT=of-env\n");
        let profile = FoundryProfile::read(folder.path(), false).expect("it can be read");
        assert_eq!(profile.out.as_deref(), Some(Path::new("of-env")));
    }

    #[test]
    fn a_circle_of_configurations_ends() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let text = "[profile.default]\nextends = \"foundry.toml\"\nout = \"here\"\n";
        std::fs::write(folder.path().join("foundry.toml"), text).expect("a file can be written");
        let profile = FoundryProfile::read(folder.path(), false).expect("it can be read");
        assert_eq!(profile.out.as_deref(), Some(Path::new("here")));
    }
}
