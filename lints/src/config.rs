//! Which rules speak, where, and how loudly: `--allow`, `--warn` and `--deny` as cargo and clippy know them.
//!
//! In: the settings in the order in which they were given; later ones win. Out: for each rule and place its [`Level`]. A
//! selector is a rule's name or code, a group letter, a group (`default`, `pedantic`, `all`), or `warnings`: every rule
//! that warns at that point. `file` reads the same from `deconflict.toml`.

mod patterns;
mod file;
mod template;

use crate::{
    diagnostic::{Diagnostic, Severity},
    hygiene,
    rule::{Group, Rule},
    rules::RULES,
    unit::Project,
};

pub use file::{Configuration, ConfigurationError, FILE_NAME};
pub(crate) use patterns::Patterns;
pub use template::{effective, template};

/// What becomes of a rule's findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// They are not reported.
    Allow,
    /// They are reported.
    Warn,
    /// They are reported as errors, and the run fails.
    Deny,
}

impl Level {
    /// The stable lower-case name used in every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

/// A selector that selects nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule or group called `{selector}`{} (`deconflict rules` lists them)", suggest(suggestion.as_deref()))]
pub struct UnknownSelector {
    /// What was asked for.
    pub selector: String,
    /// The nearest name there is.
    pub suggestion: Option<String>,
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

/// Every rule: those that look at code, and those that look at suppressions.
pub fn all_rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().chain(hygiene::RULES)
}

/// The rule of that name or code.
pub fn find_rule(name: &str) -> Option<&'static Rule> {
    all_rules().find(|rule| rule.name == name || rule.code.eq_ignore_ascii_case(name))
}

/// Where a setting holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The files; `None` for all.
    pub paths: Option<Patterns>,
    /// The contracts; none for all.
    pub contracts: Vec<String>,
}

impl Scope {
    fn is_everywhere(&self) -> bool {
        self.paths.is_none() && self.contracts.is_empty()
    }

    fn holds(&self, project: &Project, diagnostic: &Diagnostic) -> bool {
        let path = || diagnostic.primary.as_ref().map(|label| project.source(label.span.source));
        let here = |patterns: &Patterns| path().is_some_and(|source| patterns.matches(source));
        (self.contracts.is_empty() || self.contracts.contains(&diagnostic.contract))
            && self.paths.as_ref().is_none_or(here)
    }
}

/// The level of every rule, everywhere.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    settings: Vec<Setting>,
}

#[derive(Clone, Debug)]
struct Setting {
    selector: String,
    level: Level,
    scope: Scope,
}

impl Setting {
    /// The level after this setting, where it was `before`.
    fn apply(&self, rule: &Rule, before: Level) -> Level {
        let selected =
            if self.selector == "warnings" { before == Level::Warn } else { selects(&self.selector, rule) };
        if selected { self.level } else { before }
    }
}

impl Levels {
    /// Applies one setting on top of those before it.
    pub fn set(&mut self, selector: &str, level: Level) -> Result<(), UnknownSelector> {
        self.set_within(Scope::default(), selector, level)
    }

    /// Applies one setting on top of those before it, in some places only.
    pub(crate) fn set_within(
        &mut self,
        scope: Scope,
        selector: &str,
        level: Level,
    ) -> Result<(), UnknownSelector> {
        if !is_selector(selector) {
            return Err(unknown(selector));
        }
        self.settings.push(Setting { selector: selector.to_owned(), level, scope });
        Ok(())
    }

    /// The level of a rule wherever no place is set apart.
    pub fn of(&self, rule: &str) -> Level {
        self.fold(rule, Scope::is_everywhere)
    }

    /// How a rule's findings are reported, or `None` if they are not. A pedantic rule speaks in notes until it is denied.
    pub fn severity(&self, rule: &str) -> Option<Severity> {
        severity(rule, self.of(rule))
    }

    /// How a finding is reported, or `None` if it is not.
    pub fn severity_of(&self, project: &Project, diagnostic: &Diagnostic) -> Option<Severity> {
        let level = self.fold(diagnostic.rule, |scope| scope.holds(project, diagnostic));
        severity(diagnostic.rule, level)
    }

    fn fold(&self, rule: &str, holds: impl Fn(&Scope) -> bool) -> Level {
        let Some(rule) = find_rule(rule) else { return Level::Allow };
        let settings = self.settings.iter().filter(|setting| holds(&setting.scope));
        settings.fold(default_level(rule), |level, setting| setting.apply(rule, level))
    }
}

fn severity(rule: &str, level: Level) -> Option<Severity> {
    match level {
        Level::Allow => None,
        Level::Deny => Some(Severity::Error),
        Level::Warn => {
            let pedantic = find_rule(rule).is_some_and(|rule| rule.group == Group::Pedantic);
            Some(if pedantic { Severity::Note } else { Severity::Warning })
        }
    }
}

/// The level of a rule that nobody has set.
pub(crate) fn default_level(rule: &Rule) -> Level {
    match rule.group {
        Group::Default => Level::Warn,
        Group::Pedantic => Level::Allow,
    }
}

const GROUPS: &[&str] = &["default", "pedantic", "all", "warnings"];

/// Whether `selector` means anything.
pub(crate) fn is_selector(selector: &str) -> bool {
    GROUPS.contains(&selector) || all_rules().any(|rule| selects(selector, rule))
}

/// Whether `selector` selects the rule; `warnings` selects nothing by itself.
pub(crate) fn selects(selector: &str, rule: &Rule) -> bool {
    selector == "all"
        || selector == rule.group.name()
        || selector == rule.name
        || selector.eq_ignore_ascii_case(rule.code)
        || selector.eq_ignore_ascii_case(rule.letter())
}

/// The error for a name that selects nothing, with the nearest name that would.
pub fn unknown(selector: &str) -> UnknownSelector {
    let names = all_rules().flat_map(|rule| [rule.name, rule.code]).chain(GROUPS.iter().copied());
    UnknownSelector { selector: selector.to_owned(), suggestion: nearest(selector, names) }
}

/// The name that is most like `wanted`, if one is like it.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let near = names.map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name)).min();
    near.filter(|&(distance, name)| distance <= 1 + name.len() / 3).map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(settings: &[(&str, Level)]) -> Levels {
        let mut levels = Levels::default();
        for (selector, level) in settings {
            levels.set(selector, *level).expect("a selector that exists");
        }
        levels
    }

    #[test]
    fn later_settings_win() {
        let set = levels(&[("all", Level::Deny), ("C", Level::Allow), ("C105", Level::Warn)]);
        assert_eq!(set.of("global-counter"), Level::Allow);
        assert_eq!(set.of("sequential-id"), Level::Warn);
        assert_eq!(set.of("array-push"), Level::Deny);
        assert_eq!(set.severity("array-push"), Some(Severity::Error));
        assert_eq!(set.severity("global-counter"), None);
    }

    #[test]
    fn warnings_are_what_warns_by_then() {
        let set =
            levels(&[("false-sharing", Level::Allow), ("warnings", Level::Deny), ("c101", Level::Warn)]);
        assert_eq!(set.of("false-sharing"), Level::Allow);
        assert_eq!(set.of("pool-reserves"), Level::Deny);
        assert_eq!(set.of("global-counter"), Level::Warn);
    }

    #[test]
    fn unknown_names_come_with_a_suggestion() {
        let message = |selector: &str| {
            Levels::default().set(selector, Level::Deny).expect_err("no such rule").to_string()
        };
        assert!(message("global-conter").contains("did you mean `global-counter`?"));
        assert!(message("c1O1").contains("did you mean `C101`?"));
        assert!(!message("zzzzzzzzzzz").contains("did you mean"));
    }
}
