//! `deconflict.toml`, or `[profile.<name>.deconflict]` in `foundry.toml`.
//!
//! In: the text of the file. Out: a [`Configuration`], or an error that says on which line what is wrong, with the nearest
//! name that there is. No key is ever ignored. The file is read by whoever calls.

use std::path::{Path, PathBuf};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{Level, Levels, Patterns, Scope, UnknownSelector};
use crate::{
    settings::{Profile, Settings},
    source_map::SourceId,
    unit::Project,
};

/// What the file is called.
pub const FILE_NAME: &str = "deconflict.toml";

/// The version of the format that is read.
const VERSION: i64 = 1;

/// The keys at the top.
pub(super) const KEYS: &[&str] = &[
    "version",
    "profile",
    "calls",
    "hot",
    "admin",
    "exclude",
    "baseline",
    "budget",
    "require-reason",
    "rules",
    "override",
];
/// The keys of an `[[override]]`.
pub(super) const OVERRIDE_KEYS: &[&str] = &["paths", "contracts", "rules"];

/// What a project says about how it is to be checked.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The file that says it; `None` where there is none.
    pub file: Option<PathBuf>,
    /// What rules go by beside the code.
    pub settings: Settings,
    /// Levels, those for some places after those for all.
    pub(crate) levels: Vec<OnlyHere>,
    /// Files in which nothing is reported.
    pub(crate) exclude: Option<Patterns>,
    /// The baseline to use where the command line names none.
    pub baseline: Option<PathBuf>,
    /// The budget to use where the command line names none.
    pub budget: Option<PathBuf>,
    /// Whether a suppression has to say why.
    pub require_reason: bool,
}

/// A level that holds in some places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OnlyHere {
    /// Where.
    pub scope: Scope,
    /// For which rules.
    pub selector: String,
    /// How loudly.
    pub level: Level,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// It is no TOML.
    #[error("{file} is not valid TOML: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong and where.
        message: String,
    },
    /// A newer version of Deconflict wrote it.
    #[error(
        "{file}:{line}: this configuration has version {version}, and this version of Deconflict reads {VERSION}: install a newer one"
    )]
    Newer {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// Its version.
        version: i64,
    },
    /// A key that means nothing.
    #[error("{file}:{line}: there is no key `{key}`{} (`deconflict init` writes a file with all keys)", super::suggest(suggestion.as_deref()))]
    UnknownKey {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The key.
        key: String,
        /// The nearest key.
        suggestion: Option<String>,
    },
    /// A rule that does not exist.
    #[error("{file}:{line}: {unknown}")]
    UnknownRule {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// Which one. No source of the error: its text is part of this one's already.
        unknown: UnknownSelector,
    },
    /// A value of the wrong kind.
    #[error("{file}:{line}: `{key}` has to be {expected}")]
    Value {
        /// The file.
        file: String,
        /// The line.
        line: usize,
        /// The key.
        key: String,
        /// What it has to be.
        expected: String,
    },
}

impl Configuration {
    /// Whether nothing in the file is reported, nor any contract in it judged.
    pub fn excludes(&self, project: &Project, source: SourceId) -> bool {
        self.exclude.as_ref().is_some_and(|patterns| patterns.matches(project.source(source)))
    }

    /// Reads the text of `deconflict.toml`.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use deconflict_lints::Configuration;
    ///
    /// let text = "[rules]\nglobal-counter = \"deny\"\n";
    /// assert!(Configuration::parse(Path::new("deconflict.toml"), text).is_ok());
    /// let error = Configuration::parse(Path::new("deconflict.toml"), "levles = 1").unwrap_err();
    /// assert!(error.to_string().contains("levles"));
    /// ```
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigurationError> {
        let file = path.display().to_string();
        let table = DeTable::parse(text)
            .map_err(|error| ConfigurationError::Syntax { file: file.clone(), message: error.to_string() })?;
        let reader = Reader { file, text, folder: path.parent().unwrap_or(Path::new("")) };
        let mut configuration = reader.configuration(table.get_ref())?;
        configuration.file = Some(path.to_owned());
        Ok(configuration)
    }

    /// Reads `[profile.<profile>.deconflict]` of the text of `foundry.toml`, or that of the default profile; `None` where
    /// there is neither. A file that does not parse is for whoever reads the project to complain about.
    pub fn parse_foundry(path: &Path, text: &str, profile: &str) -> Result<Option<Self>, ConfigurationError> {
        let Ok(table) = DeTable::parse(text) else { return Ok(None) };
        let profiles = table.get_ref().get("profile").and_then(as_table);
        let section = |name: &str| as_table(as_table(profiles?.get(name)?)?.get("deconflict")?);
        let Some(section) = section(profile).or_else(|| section("default")) else { return Ok(None) };
        let file = path.display().to_string();
        let reader = Reader { file, text, folder: path.parent().unwrap_or(Path::new("")) };
        let mut configuration = reader.configuration(section)?;
        configuration.file = Some(path.to_owned());
        Ok(Some(configuration))
    }

    /// The levels that it sets, for the command line to be applied on top.
    pub fn levels(&self) -> Result<Levels, UnknownSelector> {
        let mut levels = Levels::default();
        for OnlyHere { scope, selector, level } in &self.levels {
            levels.set_within(scope.clone(), selector, *level)?;
        }
        Ok(levels)
    }
}

fn as_table<'a, 'i>(value: &'a Spanned<DeValue<'i>>) -> Option<&'a DeTable<'i>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

type Key<'i> = Spanned<DeString<'i>>;
type Value<'i> = Spanned<DeValue<'i>>;

struct Reader<'a> {
    file: String,
    text: &'a str,
    folder: &'a Path,
}

impl Reader<'_> {
    fn configuration(&self, table: &DeTable<'_>) -> Result<Configuration, ConfigurationError> {
        let mut configuration = Configuration::default();
        // A newer version may have keys and values that this one does not know: it is named first.
        if let Some((key, value)) = table.get_key_value("version") {
            let version = self.integer(key, value)?;
            if version > VERSION {
                let (file, line) = (self.file.clone(), self.line(key.span().start));
                return Err(ConfigurationError::Newer { file, line, version });
            }
        }
        let mut elsewhere = Vec::new();
        for (key, value) in table {
            match &**key.get_ref() {
                "version" => {}
                "profile" => {
                    let name = self.string(key, value)?;
                    let names = Profile::ALL.map(|profile| format!("\"{}\"", profile.name()));
                    configuration.settings.profile =
                        Profile::find(&name).ok_or_else(|| self.wrong(key, &names.join(" or ")))?;
                }
                "calls" => {
                    let calls = self.integer(key, value)?;
                    let calls = u32::try_from(calls).ok().filter(|&calls| calls >= 2);
                    configuration.settings.calls =
                        calls.ok_or_else(|| self.wrong(key, "a number from 2 on"))?;
                }
                "hot" => configuration.settings.hot = self.strings(key, value)?,
                "admin" => configuration.settings.restricted = self.strings(key, value)?,
                "exclude" => configuration.exclude = Some(self.patterns(key, value)?),
                "baseline" => configuration.baseline = Some(self.folder.join(self.string(key, value)?)),
                "budget" => configuration.budget = Some(self.folder.join(self.string(key, value)?)),
                "require-reason" => configuration.require_reason = self.boolean(key, value)?,
                "rules" => configuration.levels = self.rules(key, value, &Scope::default())?,
                "override" => {
                    let DeValue::Array(entries) = value.get_ref() else {
                        return Err(self.wrong(key, "written as `[[override]]`"));
                    };
                    for entry in entries {
                        let table =
                            as_table(entry).ok_or_else(|| self.wrong(key, "written as `[[override]]`"))?;
                        elsewhere.extend(self.overriding(key, table)?);
                    }
                }
                _ => return Err(self.unknown(key, KEYS)),
            }
        }
        configuration.levels.extend(elsewhere);
        Ok(configuration)
    }

    fn overriding(&self, at: &Key<'_>, table: &DeTable<'_>) -> Result<Vec<OnlyHere>, ConfigurationError> {
        let mut scope = Scope::default();
        for (key, value) in table {
            match &**key.get_ref() {
                "paths" => scope.paths = Some(self.patterns(key, value)?),
                "contracts" => scope.contracts = self.strings(key, value)?,
                "rules" => {}
                _ => return Err(self.unknown(key, OVERRIDE_KEYS)),
            }
        }
        if scope == Scope::default() {
            return Err(self.wrong(at, "limited by `paths` or `contracts`"));
        }
        match table.get_key_value("rules") {
            Some((key, value)) => self.rules(key, value, &scope),
            None => Ok(Vec::new()),
        }
    }

    /// Levels by selector. A table has no order, so what selects fewer rules wins.
    fn rules(
        &self,
        key: &Key<'_>,
        value: &Value<'_>,
        scope: &Scope,
    ) -> Result<Vec<OnlyHere>, ConfigurationError> {
        let table = as_table(value).ok_or_else(|| self.wrong(key, "a table of rules and their levels"))?;
        let mut levels = Vec::new();
        for (key, value) in table {
            let selector = key.get_ref().to_string();
            if !super::is_selector(&selector) {
                let unknown = super::unknown(&selector);
                let line = self.line(key.span().start);
                return Err(ConfigurationError::UnknownRule { file: self.file.clone(), line, unknown });
            }
            let level = match self.string(key, value)?.as_str() {
                "allow" => Level::Allow,
                "warn" => Level::Warn,
                "deny" => Level::Deny,
                _ => return Err(self.wrong(key, "\"allow\", \"warn\" or \"deny\"")),
            };
            levels.push(OnlyHere { scope: scope.clone(), selector, level });
        }
        levels.sort_by_key(|setting| specificity(&setting.selector));
        Ok(levels)
    }

    fn patterns(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Patterns, ConfigurationError> {
        let lines = self.strings(key, value)?;
        // Sources are known by their real path.
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.to_owned());
        Patterns::new(lines, &folder)
            .map_err(|error| self.wrong(key, &format!("a list of patterns ({error})")))
    }

    fn string(&self, key: &Key<'_>, value: &Value<'_>) -> Result<String, ConfigurationError> {
        match value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(self.wrong(key, "a string")),
        }
    }

    fn strings(&self, key: &Key<'_>, value: &Value<'_>) -> Result<Vec<String>, ConfigurationError> {
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.wrong(key, "a list of strings"));
        };
        let items = items.iter().map(|item| match item.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(self.wrong(key, "a list of strings")),
        });
        items.collect()
    }

    fn boolean(&self, key: &Key<'_>, value: &Value<'_>) -> Result<bool, ConfigurationError> {
        match value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.wrong(key, "true or false")),
        }
    }

    fn integer(&self, key: &Key<'_>, value: &Value<'_>) -> Result<i64, ConfigurationError> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        number.ok_or_else(|| self.wrong(key, "a whole number"))
    }

    fn wrong(&self, key: &Key<'_>, expected: &str) -> ConfigurationError {
        ConfigurationError::Value {
            file: self.file.clone(),
            line: self.line(key.span().start),
            key: key.get_ref().to_string(),
            expected: expected.to_owned(),
        }
    }

    fn unknown(&self, key: &Key<'_>, known: &[&str]) -> ConfigurationError {
        let name = key.get_ref().to_string();
        ConfigurationError::UnknownKey {
            file: self.file.clone(),
            line: self.line(key.span().start),
            suggestion: super::nearest(&name, known.iter().copied()),
            key: name,
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.as_bytes().iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
    }
}

/// The more rules a selector selects, the earlier it is applied; `warnings` is about what the others leave.
fn specificity(selector: &str) -> u8 {
    match selector {
        "all" => 0,
        "default" | "pedantic" => 1,
        "warnings" => 4,
        letter if letter.len() == 1 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Configuration, String> {
        Configuration::parse(Path::new("deconflict.toml"), text).map_err(|error| error.to_string())
    }

    fn wrong(text: &str, message: &str) {
        let error = parse(text).expect_err(text);
        assert!(error.contains(message), "{error}");
    }

    #[test]
    fn a_whole_file_is_read() {
        let configuration = parse(
            "version = 1\nprofile = \"write-key\"\ncalls = 1_000\nhot = [\"Token.transfer\"]\nadmin = [\"skim\"]\n\
             exclude = [\"src/legacy/\"]\nbaseline = \"known.json\"\nrequire-reason = true\n\
             [rules]\nC101 = \"warn\"\nall = \"deny\"\nC = \"allow\"\n\
             [[override]]\npaths = [\"src/a/\"]\nrules = { P301 = \"allow\" }\n",
        )
        .expect("a good file");
        assert_eq!(configuration.settings.profile, Profile::WriteKey);
        assert_eq!(configuration.settings.calls, 1000);
        assert_eq!(configuration.settings.hot, ["Token.transfer"]);
        assert_eq!(configuration.baseline.as_deref(), Some(Path::new("known.json")));
        let levels = configuration.levels().expect("rules that exist");
        assert_eq!(levels.of("global-counter"), Level::Warn);
        assert_eq!(levels.of("sequential-id"), Level::Allow);
        assert_eq!(levels.of("false-sharing"), Level::Deny, "the override is about one folder only");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        wrong("\nexlude = []", "deconflict.toml:2: there is no key `exlude`, did you mean `exclude`?");
        wrong(
            "[rules]\nglobal-conter = \"deny\"",
            "toml:2: there is no rule or group called `global-conter`, did you mean",
        );
        wrong("[rules]\nC101 = \"error\"", "toml:2: `C101` has to be \"allow\", \"warn\" or \"deny\"");
        wrong("[[override]]\nrules = { C101 = \"allow\" }", "limited by `paths` or `contracts`");
        wrong("[[override]]\npath = []", "did you mean `paths`?");
        wrong("version = 2\nshards = true", "has version 2");
        wrong("profile = \"fast\"", "has to be \"net-change\" or \"write-key\"");
        wrong("calls = 1", "a number from 2 on");
        wrong("hot = \"f\"", "a list of strings");
        wrong("exclude = [\"[z-a]\"]", "a list of patterns");
        wrong("= 1", "is not valid TOML");
    }

    #[test]
    fn foundry_profiles_may_hold_it() {
        let text = "[profile.default]\nsrc = \"src\"\n[profile.default.deconflict]\nexclude = [\"a\"]\n\
                    [profile.ci.deconflict.rules]\nall = \"deny\"\n";
        let read = |text: &str, profile: &str| {
            Configuration::parse_foundry(Path::new("foundry.toml"), text, profile)
                .map_err(|error| error.to_string())
        };
        let ci = read(text, "ci").expect("a good file").expect("a section");
        assert!(ci.exclude.is_none() && ci.levels.len() == 1);
        assert!(read(text, "other").expect("a good file").expect("the default's").exclude.is_some());
        assert!(read("[profile.default]\n", "default").expect("a good file").is_none());
        let error = read("[profile.default.deconflict]\nhott = []", "default").expect_err("a wrong key");
        assert!(error.starts_with("foundry.toml:2: there is no key `hott`, did you mean `hot`?"), "{error}");
    }
}
