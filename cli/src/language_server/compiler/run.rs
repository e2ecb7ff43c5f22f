//! Running a compiler that reads standard JSON.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
};

/// Gives a program its input and returns what it writes. What goes wrong is said in a few words.
pub(super) fn standard_json(program: &Path, input: &str) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--standard-json").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("it does not start ({error})"))?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let mut stdout = child.stdout.take().expect("it was asked for");
    let mut output = String::new();
    let read = thread::scope(|scope| {
        // A compiler that stops reading has its reasons, which it writes.
        scope.spawn(move || stdin.write_all(input.as_bytes()));
        stdout.read_to_string(&mut output)
    });
    let ended = child.wait().map_err(|error| error.to_string())?;
    read.map_err(|error| error.to_string())?;
    if output.trim().is_empty() {
        return Err(format!("it wrote nothing ({ended})"));
    }
    Ok(output)
}
