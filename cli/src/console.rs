//! Where output goes: results to standard output, everything else to standard error.

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
#[cfg(feature = "execute")]
use deconflict_executor::hints;
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
    /// The format of hints.
    #[cfg(feature = "execute")]
    pub(crate) hints: &'static hints::Format,
    /// Whether results may hold escape sequences.
    pub(crate) color: bool,
    /// The name of the format that was asked for, if one was.
    format_name: Option<String>,
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
        let format_name = if output.json { Some("json".to_owned()) } else { output.format.clone() };
        #[cfg(feature = "execute")]
        let of_hints = matches!(arguments.command, Command::Hints(_));
        #[cfg(not(feature = "execute"))]
        let of_hints = false;
        let name = format_name.as_deref().unwrap_or(if of_hints { "json" } else { "human" });
        let format = if name == "json" { Format::Json } else { Format::Human };
        let report = FORMATS.iter().find(|format| format.name == name).unwrap_or(&FORMATS[0]);
        Self {
            format,
            report,
            #[cfg(feature = "execute")]
            hints: hints::Format::named(name).unwrap_or(&hints::FORMATS[0]),
            color,
            format_name,
            quiet: output.quiet,
            verbose: output.verbose,
        }
    }

    /// Whether the command can write the format that was asked for.
    pub(crate) fn fits(&self, command: &Command) -> anyhow::Result<()> {
        let Some(name) = self.format_name.as_deref() else { return Ok(()) };
        let of_reports = FORMATS.iter().any(|format| format.name == name);
        #[cfg(feature = "execute")]
        let of_hints = hints::Format::named(name).is_some();
        #[cfg(not(feature = "execute"))]
        let of_hints = false;
        let known = match command {
            Command::Check(_) => of_reports,
            #[cfg(feature = "execute")]
            Command::Hints(_) => of_hints,
            Command::Budget(_) => ["human", "json", "markdown"].contains(&name),
            _ => ["human", "json"].contains(&name),
        };
        if !known {
            let owner = if of_reports || !of_hints { "check" } else { "hints" };
            bail!("`--format {name}` is a format of `{owner}`: give `human` or `json` here");
        }
        Ok(())
    }

    /// Prints a result. A reader who has gone away has seen enough.
    pub(crate) fn result(&self, text: &str) -> anyhow::Result<()> {
        self.bytes(text.as_bytes())
    }

    /// Writes a result that need not be text.
    #[expect(clippy::unused_self, reason = "a console that is not at hand must not be written to")]
    pub(crate) fn bytes(&self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
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

    /// Prints what is under way to somebody who waits for it at a terminal.
    pub(crate) fn progress_line(&self, text: &str) {
        if io::stderr().is_terminal() {
            self.note(&lower_first(text));
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
            } else if notice.is_note() {
                self.note(&format!("note: {notice}"));
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

    /// A line that says what is being done, for work whose length is not known; nothing where nobody looks.
    #[cfg(feature = "execute")]
    pub(crate) fn activity(&self, title: &str) -> Activity {
        let shown = !self.quiet && io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(
            ProgressStyle::with_template("{prefix} {spinner} {msg}").expect("the template is well-formed"),
        );
        bar.set_prefix(title.to_owned());
        Activity { bar }
    }

    /// Standard error may be closed; there is nobody to tell then.
    #[expect(clippy::unused_self, reason = "a console that is not at hand must not be written to")]
    fn say(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Says that the build lacks a command, in the form that was asked for.
pub(crate) fn left_out(reason: &str) {
    let _ = writeln!(io::stderr(), "error: {reason}");
    if crate::arguments::Invocation::wants_json() {
        failure(reason);
    }
}

/// Prints the document that stands in for one that cannot be written. There is nobody left to tell if this fails.
pub(crate) fn failure(error: &str) {
    let _ = io::stdout().lock().write_all(report::json::failure(error).as_bytes());
}

/// What is being done.
#[cfg(feature = "execute")]
#[derive(Debug)]
pub(crate) struct Activity {
    bar: ProgressBar,
}

#[cfg(feature = "execute")]
impl Activity {
    /// Shows a step, and how far it is.
    pub(crate) fn show(&self, doing: &str, done: usize) {
        self.bar.set_message(format!("{doing} {done}"));
        self.bar.tick();
    }

    /// It is done.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
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

/// What others say in a sentence of its own, as it stands in ours.
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
