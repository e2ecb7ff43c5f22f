//! `forge build` into a folder of the server's own.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use deconflict_lints::{Project, load_forge_output};

/// What became of it.
pub(super) enum Forged {
    /// It is done.
    Project(Box<Project>),
    /// The sources do not compile.
    Broken,
    /// It cannot run here.
    Unsuitable(String),
}

/// Builds the project at `root`; outputs and cache go below `folder`.
pub(super) fn compile(program: &Path, root: &Path, folder: &Path) -> Forged {
    let own = own_folder(root, folder);
    let mut command = Command::new(program);
    command.current_dir(root).stdin(Stdio::null()).env("NO_COLOR", "1").env("FOUNDRY_DENY", "never");
    command.args(["build", "--offline", "--build-info", "--ast", "--extra-output", "storageLayout"]);
    command.arg("--out").arg(own.join("out")).arg("--cache-path").arg(own.join("cache"));
    command.arg("--build-info-path").arg(own.join("out/build-info"));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => return Forged::Unsuitable(format!("it does not start ({error})")),
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    // The package of npm ends well however the compiler ended.
    if text.contains("Compiler run failed") {
        return Forged::Broken;
    }
    if !output.status.success() {
        let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed");
        return Forged::Unsuitable(last.trim().to_owned());
    }
    match load_forge_output(root, &own.join("out")) {
        Ok(project) => Forged::Project(Box::new(project)),
        Err(error) => Forged::Unsuitable(error.to_string()),
    }
}

/// A folder for this project alone.
fn own_folder(root: &Path, folder: &Path) -> PathBuf {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    folder.join("forge").join(root.to_string_lossy().chars().map(plain).collect::<String>())
}
