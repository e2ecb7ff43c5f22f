//! Compiling changed sources in the background, without touching the project.
//!
//! In: a project's folder and the sources that have changed. Out: an [`Outcome`]. The compilers are tried in the order
//! that the documentation gives: the one that is configured, `forge` with an output folder of the server's own, `solc`
//! on the search path, the project's `node_modules/solc`, which stays resident. What is compiled are the changed sources
//! and those that import them, however indirectly. Everything that is written goes to the server's own folder.

mod imports;
mod build;
mod forge;
mod input;
mod resident;
mod run;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use deconflict_lints::{Project, load_build};
use serde::Deserialize;
use serde_json::value::RawValue;

use build::Build;
use imports::Imports;
use resident::Resident;

/// What became of a compilation.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done.
    Compiled {
        /// The result.
        project: Project,
        /// The files whose contracts are in it.
        targets: BTreeSet<PathBuf>,
        /// The compiler, for the log.
        by: String,
    },
    /// No contract depends on what has changed.
    Nothing,
    /// The sources do not compile.
    Broken {
        /// The compiler, for the log.
        by: String,
    },
    /// There is no compiler that would do.
    NoCompiler {
        /// What to do about it.
        advice: String,
    },
}

/// The compilers that are at hand.
#[derive(Debug)]
pub(super) struct Compiler {
    folder: PathBuf,
    resident: Option<Resident>,
}

/// One way to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Candidate {
    /// A program that reads standard JSON.
    Program(PathBuf),
    /// `forge`.
    Forge(PathBuf),
    /// `node` with a package of the project.
    Package(PathBuf),
}

impl Candidate {
    fn name(&self) -> String {
        match self {
            Self::Program(path) | Self::Forge(path) | Self::Package(path) => path.display().to_string(),
        }
    }
}

/// What one way came to.
enum Attempt {
    Done(Box<Project>),
    /// The compiler says that the sources are wrong.
    Broken,
    /// It is the wrong compiler, or does not run.
    Unsuitable(String),
}

impl Compiler {
    /// A compiler that keeps its files in this folder.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, resident: None }
    }

    /// Compiles `changed` and what depends on it, or everything. `checked` are the files whose contracts are known so
    /// far, `known` what was read of the project.
    pub(super) fn compile(
        &mut self,
        root: &Path,
        changed: Option<&BTreeSet<PathBuf>>,
        checked: &BTreeSet<PathBuf>,
        known: &[&Project],
        preferred: Option<&Path>,
    ) -> Outcome {
        let build = Build::read(root, known);
        let mut imports = Imports::new(root, &build.remappings, &build.libraries);
        let targets = match changed {
            Some(changed) => imports.dependents(changed, checked),
            None => build.sources(root),
        };
        if targets.is_empty() {
            return Outcome::Nothing;
        }
        let candidates = build.candidates(root, preferred);
        if candidates.is_empty() {
            return Outcome::NoCompiler { advice: advice(root, &[]) };
        }
        let mut reasons = Vec::new();
        for candidate in candidates {
            match self.attempt(&candidate, root, &build, &mut imports, &targets) {
                Attempt::Done(project) => {
                    return Outcome::Compiled { project: *project, targets, by: candidate.name() };
                }
                Attempt::Broken => return Outcome::Broken { by: candidate.name() },
                Attempt::Unsuitable(reason) => reasons.push(format!("{}: {reason}", candidate.name())),
            }
        }
        Outcome::NoCompiler { advice: advice(root, &reasons) }
    }

    fn attempt(
        &mut self,
        candidate: &Candidate,
        root: &Path,
        build: &Build,
        imports: &mut Imports,
        targets: &BTreeSet<PathBuf>,
    ) -> Attempt {
        let output = match candidate {
            Candidate::Forge(_) => {
                return match forge::compile(root, &self.folder) {
                    forge::Forged::Project(project) => Attempt::Done(project),
                    forge::Forged::Broken => Attempt::Broken,
                    forge::Forged::Unsuitable(reason) => Attempt::Unsuitable(reason),
                };
            }
            Candidate::Program(program) => {
                let input = input::standard_json(root, build, imports, targets);
                run::standard_json(program, &input).map(|output| (input, output))
            }
            Candidate::Package(package) => {
                let input = input::standard_json(root, build, imports, targets);
                self.resident(package, &input).map(|output| (input, output))
            }
        };
        match output {
            Ok((input, output)) => judge(root, &input, &output),
            Err(reason) => Attempt::Unsuitable(reason),
        }
    }

    /// Compiles in a process that stays, since loading the compiler takes longer than compiling.
    fn resident(&mut self, package: &Path, input: &str) -> Result<String, String> {
        if self.resident.as_ref().is_none_or(|it| !it.serves(package)) {
            self.resident = Some(Resident::start(package)?);
        }
        let resident = self.resident.as_mut().expect("it was started above");
        resident.compile(input).inspect_err(|_| self.resident = None)
    }
}

/// Reads a compiler's output.
fn judge(root: &Path, input: &str, output: &str) -> Attempt {
    #[derive(Deserialize)]
    struct Output<'a> {
        #[serde(default)]
        errors: Vec<Message>,
        #[serde(borrow, default)]
        contracts: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        severity: String,
        #[serde(default)]
        error_code: Option<String>,
        #[serde(default, rename = "message")]
        text: String,
    }
    /// `Source file requires different compiler version`.
    const WRONG_VERSION: &str = "5333";
    let Some(start) = output.find('{') else {
        return Attempt::Unsuitable("it wrote no JSON".to_owned());
    };
    let output = output[start..].trim_end();
    let parsed: Output<'_> = match serde_json::from_str(output) {
        Ok(parsed) => parsed,
        Err(error) => return Attempt::Unsuitable(format!("it wrote no JSON ({error})")),
    };
    let mut errors = parsed.errors.iter().filter(|message| message.severity == "error").peekable();
    if let Some(first) = errors.peek() {
        let wrong = parsed.errors.iter().find(|it| it.error_code.as_deref() == Some(WRONG_VERSION));
        return match wrong {
            Some(message) => Attempt::Unsuitable(message.text.clone()),
            // Settings that a compiler of that version does not know are not the user's mistake.
            None if first.text.contains("settings") || first.text.contains("EVM version") => {
                Attempt::Unsuitable(first.text.clone())
            }
            None => Attempt::Broken,
        };
    }
    if parsed.contracts.is_none() {
        return Attempt::Unsuitable("it compiled nothing".to_owned());
    }
    let document = format!("{{\"input\":{input},\"output\":{output}}}");
    match load_build(root, "the background build", document.as_bytes()) {
        Ok(project) => Attempt::Done(Box::new(project)),
        Err(error) => Attempt::Unsuitable(error.to_string()),
    }
}

fn advice(root: &Path, reasons: &[String]) -> String {
    let mut text = format!(
        "deconflict found no compiler for {}, so findings change only when the project is built: install Foundry, put \
         `solc` on the PATH, run `npm install --save-dev solc` in the project, or set `deconflict.solc`",
        root.display()
    );
    if !reasons.is_empty() {
        text += " (tried ";
        text += &reasons.join("; ");
        text.push(')');
    }
    text
}
