//! Running the project's own build.
//!
//! In: a project folder and the tool that builds it. Out: nothing but the artifacts the tool writes, or an error with
//! the command to run by hand. Nothing is ever downloaded on our account: the tool has to be there.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::error::Error;

/// A build command.
pub(super) struct Tool {
    /// The program.
    pub(super) program: &'static str,
    /// Its arguments.
    pub(super) arguments: &'static [&'static str],
    /// The command as a person types it.
    pub(super) command: &'static str,
}

/// `forge build`, with what source lines and variable names need.
pub(super) const FORGE: Tool = Tool {
    program: "forge",
    arguments: &["build", "--build-info", "--ast", "--extra-output", "storageLayout"],
    command: "forge build --build-info --ast --extra-output storageLayout",
};

/// `npx hardhat compile`.
pub(super) const HARDHAT: Tool =
    Tool { program: "hardhat", arguments: &["compile"], command: "npx hardhat compile" };

/// Runs the build, or says which command to run.
pub(super) fn build(tool: &Tool, root: &Path, no_build: bool) -> Result<(), Error> {
    let not_built = || Error::NotBuilt { root: root.to_owned(), command: tool.command.to_owned() };
    if no_build {
        return Err(not_built());
    }
    let program = find(tool.program, root).ok_or_else(not_built)?;
    let failed = |output: String| Error::BuildFailed {
        root: root.to_owned(),
        command: tool.command.to_owned(),
        output,
    };
    let mut command = Command::new(program);
    command.args(tool.arguments).current_dir(root).stdin(Stdio::null());
    // Neither may stop to ask a person something.
    command.env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true").env("NO_COLOR", "1");
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(failed(tail(&String::from_utf8_lossy(&text))))
}

/// The program in the project's own packages, else on the search path.
fn find(program: &str, root: &Path) -> Option<PathBuf> {
    let absolute = root.canonicalize().ok()?;
    let local = absolute.ancestors().map(|folder| folder.join("node_modules/.bin").join(program));
    let path = env::var_os("PATH").unwrap_or_default();
    let global: Vec<PathBuf> = env::split_paths(&path).map(|folder| folder.join(program)).collect();
    local.chain(global).find(|candidate| candidate.is_file())
}

/// The end of a tool's output, where compilers say what is wrong.
fn tail(text: &str) -> String {
    const LINES: usize = 20;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
