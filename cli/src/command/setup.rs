//! `deconflict init`, `completions` and `man`: what goes with an installation.

use std::{io::Write as _, process::ExitCode};

use anyhow::bail;
use clap::CommandFactory as _;
use deconflict_lints::{FILE_NAME, template};

use crate::{
    arguments::{Arguments, Completions, Init},
    console::Console,
    files,
};

/// Writes the commented configuration.
pub(crate) fn init(options: &Init, console: &Console) -> anyhow::Result<ExitCode> {
    let path = options.folder.join(FILE_NAME);
    if options.force {
        files::write(&path, template().as_bytes())?;
    } else if !files::create(&path, template().as_bytes())? {
        bail!("{} is there already: `--force` writes over it", path.display());
    }
    console.note(&format!("wrote {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Prints a shell's completions.
pub(crate) fn completions(options: &Completions, console: &Console) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "deconflict", &mut text);
    console.result(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the manual page: the command itself, then each of its own commands.
pub(crate) fn manual(console: &Console) -> anyhow::Result<ExitCode> {
    let mut text = Vec::new();
    let mut command = Arguments::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for part in command.get_subcommands().filter(|it| it.get_name() != "help") {
        let name = format!("deconflict {}", part.get_name());
        writeln!(text, ".SH \"{}\"", name.to_uppercase())?;
        let page = clap_mangen::Man::new(part.clone());
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
    }
    console.result(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}
