//! The compiler that a project has among its packages, in a process that stays.
//!
//! In: standard JSON. Out: the compiler's output. The process ends with its standard input, so that it cannot outlive
//! the server.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// So many compilations, and a new process is started: the compiler never gives memory back.
const COMPILATIONS: usize = 200;

/// The program that the process runs.
const SCRIPT: &str = include_str!("resident.js");

/// The process.
#[derive(Debug)]
pub(super) struct Resident {
    package: PathBuf,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    left: usize,
}

impl Resident {
    /// Starts the compiler in the folder `package`.
    pub(super) fn start(package: &Path) -> Result<Self, String> {
        let mut command = Command::new("node");
        command.arg("-e").arg(SCRIPT).arg(package);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("node does not start ({error})"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        Ok(Self { package: package.to_owned(), child, input, output, left: COMPILATIONS })
    }

    /// Whether this is the compiler in the folder `package`, and it can go on.
    pub(super) fn serves(&self, package: &Path) -> bool {
        self.package == package && self.left > 0
    }

    /// Compiles.
    pub(super) fn compile(&mut self, input: &str) -> Result<String, String> {
        self.left = self.left.saturating_sub(1);
        let stdin = self.input.as_mut().expect("it is taken when the process is dropped");
        let sent = stdin
            .write_all(input.as_bytes())
            .and_then(|()| stdin.write_all(b"\n"))
            .and_then(|()| stdin.flush());
        sent.map_err(|error| format!("node has stopped ({error})"))?;
        loop {
            let mut line = String::new();
            match self.output.read_line(&mut line) {
                Ok(0) => return Err("node has stopped: is the package complete?".to_owned()),
                Err(error) => return Err(format!("node cannot be read ({error})")),
                // Packages print things of their own.
                Ok(_) if !line.starts_with('{') => {}
                Ok(_) if line.starts_with("{\"failure\"") => return Err(line.trim().to_owned()),
                Ok(_) => return Ok(line),
            }
        }
    }
}

impl Drop for Resident {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may be compiling for nobody.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
