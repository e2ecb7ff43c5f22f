//! Where output goes: results to standard output, everything else to standard error.

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use deconflict_lints::{
    Notice,
    report::{self, FORMATS},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::arguments::{Arguments, Color, Command, Format};

/// How to talk to the user.
#[derive(Debug)]
pub(crate) struct Console {
    /// The format of results, where there are but two.
    pub(crate) format: Format,
    /// The format of what `check` reports.
    pub(crate) report: &'static report::Format,
    /// Whether results may hold escape sequences.
    pub(crate) color: bool,
    quiet: bool,
    verbose: bool,
}

impl Console {
    /// Decides once for the whole run.
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let output = &arguments.output;
        let color = match output.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
        };
        let name = if output.json { "json" } else { output.format.as_str() };
        let format = if name == "json" { Format::Json } else { Format::Human };
        let report = FORMATS.iter().find(|format| format.name == name).unwrap_or(&FORMATS[0]);
        Self { format, report, color, quiet: output.quiet, verbose: output.verbose }
    }

    /// Whether the command can write the format that was asked for.
    pub(crate) fn fits(&self, command: &Command) -> anyhow::Result<()> {
        let name = self.report.name;
        let known = match command {
            Command::Check(_) => true,
            Command::Budget(_) => ["human", "json", "markdown"].contains(&name),
            _ => ["human", "json"].contains(&name),
        };
        if !known {
            bail!("`--format {name}` is a format of `check`: give `human` or `json` here");
        }
        Ok(())
    }

    /// Prints a result. A reader who has gone away has seen enough.
    #[expect(clippy::unused_self, reason = "a console that is not at hand must not be written to")]
    pub(crate) fn result(&self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("cannot write to standard output"),
        }
    }

    /// Prints what went wrong, with its causes. Whoever asked for JSON gets a document that says so, and not nothing.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.say(&format!("error: {error:#}"));
        if self.format == Format::Json {
            failure(&format!("{error:#}"));
        }
    }

    /// Prints what was done, unless told to be quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Prints something that the user should know, unless told to be quiet.
    pub(crate) fn warn(&self, text: &str) {
        if !self.quiet {
            self.say(&format!("warning: {text}"));
        }
    }

    /// Prints how inputs were read.
    pub(crate) fn notices(&self, notices: &[Notice]) {
        for notice in notices {
            if notice.is_warning() {
                self.warn(&notice.to_string());
            } else if self.verbose {
                self.say(&format!("note: {notice}"));
            }
        }
    }

    /// A bar for `total` steps that shows itself when the work turns out to be long.
    pub(crate) fn progress(&self, total: usize) -> Progress {
        let shown = !self.quiet && io::stderr().is_terminal();
        Progress { bar: shown.then(|| Mutex::new(Bar::new(total))) }
    }

    /// Standard error may be closed; there is nobody to tell then.
    #[expect(clippy::unused_self, reason = "a console that is not at hand must not be written to")]
    fn say(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Prints the document that stands in for one that cannot be written. There is nobody left to tell if this fails.
pub(crate) fn failure(error: &str) {
    let _ = io::stdout().lock().write_all(report::json::failure(error).as_bytes());
}

/// A progress bar, or nothing.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<Mutex<Bar>>,
}

#[derive(Debug)]
struct Bar {
    started: Instant,
    visible: bool,
    drawn: ProgressBar,
}

impl Bar {
    fn new(total: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("analysing {bar:40} {pos}/{len} contracts");
        bar.set_style(style.expect("the template is well-formed"));
        Self { started: Instant::now(), visible: false, drawn: bar }
    }
}

impl Progress {
    /// One step is done.
    pub(crate) fn step(&self) {
        const PATIENCE: Duration = Duration::from_millis(500);
        let Some(bar) = &self.bar else { return };
        let Ok(mut bar) = bar.lock() else { return };
        if !bar.visible && bar.started.elapsed() > PATIENCE {
            bar.visible = true;
            bar.drawn.set_draw_target(ProgressDrawTarget::stderr());
        }
        bar.drawn.inc(1);
    }

    /// All steps are done.
    pub(crate) fn finish(self) {
        if let Some(Ok(bar)) = self.bar.map(Mutex::into_inner) {
            bar.drawn.finish_and_clear();
        }
    }
}
