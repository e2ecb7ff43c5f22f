//! Running a project's own build.
//!
//! In: a project folder and the tool that builds it. Out: nothing but the artifacts that the tool writes to the folder that
//! it was given, or an error with the command to run by hand. The tool has to be there; what it gets for itself is what
//! it would get for the user.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use crate::{
    error::Error,
    unit::{Notice, Project},
};

/// A build command.
pub(super) struct Tool {
    /// The program.
    pub(super) program: &'static str,
    /// Its arguments.
    pub(super) arguments: &'static [&'static str],
    /// What is run, for messages.
    pub(super) name: &'static str,
    /// The command as a person types it to have in the project's own folder what is needed here.
    pub(super) command: &'static str,
}

/// `forge build`, with what source lines and variable names need. What is built already is not built with more than it has
/// unless it is told to.
pub(super) const FORGE: Tool = Tool {
    program: "forge",
    arguments: &["build", "--build-info", "--ast", "--extra-output", "storageLayout"],
    name: "forge build",
    command: "forge build --force --build-info --ast --extra-output storageLayout",
};

/// `npx hardhat compile`.
pub(super) const HARDHAT: Tool = Tool {
    program: "hardhat",
    arguments: &["compile"],
    name: "hardhat compile",
    command: "npx hardhat compile --force",
};

/// What became of a build of ours.
pub(super) enum BuildOutcome {
    /// It is done.
    Built(Box<Project>),
    /// The tool is not there.
    Missing,
    /// It cannot run, or leaves nothing: what it said.
    Unsuitable(String),
}

impl BuildOutcome {
    /// What was built; else the project's own build, with a word on why.
    pub(super) fn or_own(
        self,
        own: Result<Project, Error>,
        root: &Path,
        tool: &Tool,
    ) -> Result<Project, Error> {
        let reason = match (self, &own) {
            (Self::Built(project), _) => return Ok(*project),
            (Self::Missing, Err(_)) => return own,
            (Self::Unsuitable(output), Err(_)) => {
                let command = tool.name.to_owned();
                return Err(Error::BuildFailed { root: root.to_owned(), command, output });
            }
            (Self::Missing, Ok(_)) => format!("`{}` is not there", tool.program),
            (Self::Unsuitable(said), Ok(_)) => {
                let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
                last.trim().to_owned()
            }
        };
        own.map(|mut project| {
            let command = tool.command.to_owned();
            project.notices.push(Notice::NotCompiled { root: root.to_owned(), reason, command });
            project
        })
    }
}

/// What became of running a tool.
pub(super) enum ToolRun {
    /// It is done, and has said this.
    Done(String),
    /// It is not there.
    Missing,
    /// It cannot run, for whatever reason that is none of the sources: what it said.
    Unsuitable(String),
}

/// Runs the build for the project at `root`, which writes to `folder`; an error if its sources do not compile. Two builds
/// into one folder wait for each other.
pub(super) fn build(
    tool: &Tool,
    root: &Path,
    folder: &Path,
    more: &[OsString],
    progress: &(dyn Fn(&str) + Sync),
) -> Result<ToolRun, Error> {
    let Some(program) = find(tool.program, root) else {
        return Ok(ToolRun::Missing);
    };
    let lock = fs::create_dir_all(folder).and_then(|()| fs::File::create(folder.join("lock")));
    let lock = match lock.and_then(|lock| lock.lock().map(|()| lock)) {
        Ok(lock) => lock,
        Err(error) => {
            return Ok(ToolRun::Unsuitable(format!("{} cannot be used: {error}", folder.display())));
        }
    };
    let mut command = Command::new(program);
    command.args(tool.arguments).args(more).current_dir(root).stdin(Stdio::null());
    // None may stop to ask a person something, and warnings are nothing that a build should fail for.
    command.env("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true").env("NO_COLOR", "1").env("FOUNDRY_DENY", "never");
    let said = say(command, progress);
    drop(lock);
    let (success, text) = match said {
        Ok(said) => said,
        Err(error) => return Ok(ToolRun::Unsuitable(format!("`{}` does not start: {error}", tool.program))),
    };
    // What npm packages as `forge` ends well however the compiler ended.
    if let Some(output) = complaint(&text) {
        let command = tool.name.to_owned();
        return Err(Error::BuildFailed { root: root.to_owned(), command, output });
    }
    Ok(if success { ToolRun::Done(tail(&text)) } else { ToolRun::Unsuitable(tail(&text)) })
}

/// Runs a program and gathers what it says; what it says of compiling is told at once.
fn say(mut command: Command, progress: &(dyn Fn(&str) + Sync)) -> std::io::Result<(bool, String)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (said, complained) = thread::scope(|scope| {
        let complained = scope.spawn(move || {
            let mut bytes = Vec::new();
            // What cannot be read is not shown.
            let _ = stderr.map(|mut it| it.read_to_end(&mut bytes));
            bytes
        });
        let mut said = Vec::new();
        if let Some(stdout) = stdout {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&line);
                if text.trim_start().starts_with("Compiling ") {
                    progress(text.trim());
                }
                said.extend(line);
                said.push(b'\n');
            }
        }
        (said, complained.join().unwrap_or_default())
    });
    let success = child.wait()?.success();
    Ok((success, String::from_utf8_lossy(&[said, complained].concat()).into_owned()))
}

/// The program in the project's own packages, else on the search path.
pub(super) fn find(program: &str, root: &Path) -> Option<PathBuf> {
    let absolute = root.canonicalize().ok()?;
    let local = absolute.ancestors().map(|folder| folder.join("node_modules/.bin").join(program));
    let path = env::var_os("PATH").unwrap_or_default();
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    let global: Vec<PathBuf> = env::split_paths(&path).map(|folder| folder.join(&name)).collect();
    local.chain(global).find(|candidate| candidate.is_file())
}

/// What a tool says of sources that do not compile.
fn complaint(text: &str) -> Option<String> {
    const LINES: usize = 40;
    // forge says it and then why, Hardhat the other way round.
    let start = match text.find("Compiler run failed") {
        Some(start) => start,
        None => ["Compilation failed", "HH600", "HHE905"].iter().any(|it| text.contains(it)).then_some(0)?,
    };
    let is_of_use = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("at ");
    let lines: Vec<&str> = text[start..].lines().filter(is_of_use).take(LINES).collect();
    Some(lines.join("\n"))
}

/// The end of a tool's output, where it says what is wrong.
fn tail(text: &str) -> String {
    const LINES: usize = 20;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
