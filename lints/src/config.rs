//! Which rules speak, and how loudly: `--allow`, `--warn` and `--deny` as cargo and clippy know them.
//!
//! In: the settings in the order in which they were given; later ones win. Out: for each rule its [`Level`]. A selector
//! is a rule's name or code, a group letter, a group (`default`, `pedantic`, `all`), or `warnings`: every rule that
//! warns at that point.

use std::collections::BTreeMap;

use crate::{
    diagnostic::Severity,
    rule::{Group, Rule},
    rules::{self, RULES},
};

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
#[error("there is no rule or group called `{selector}`{}: `deconflict rules` lists them", suggest(suggestion.as_deref()))]
pub struct UnknownSelector {
    /// What was asked for.
    pub selector: String,
    /// The nearest name there is.
    pub suggestion: Option<String>,
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

/// The level of every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    by_rule: BTreeMap<&'static str, Level>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { by_rule: RULES.iter().map(|rule| (rule.name, default_level(rule))).collect() }
    }
}

impl Levels {
    /// Applies one setting on top of those before it.
    pub fn set(&mut self, selector: &str, level: Level) -> Result<(), UnknownSelector> {
        if selector == "warnings" {
            for current in self.by_rule.values_mut().filter(|current| **current == Level::Warn) {
                *current = level;
            }
            return Ok(());
        }
        let selected: Vec<&Rule> = RULES.iter().filter(|rule| selects(selector, rule)).collect();
        if selected.is_empty() && !GROUPS.contains(&selector) {
            return Err(unknown(selector));
        }
        self.by_rule.extend(selected.into_iter().map(|rule| (rule.name, level)));
        Ok(())
    }

    /// The level of a rule.
    pub fn of(&self, rule: &str) -> Level {
        self.by_rule.get(rule).copied().unwrap_or(Level::Allow)
    }

    /// How a rule's findings are reported, or `None` if they are not. A pedantic rule speaks in notes until it is denied.
    pub fn severity(&self, rule: &str) -> Option<Severity> {
        match self.of(rule) {
            Level::Allow => None,
            Level::Deny => Some(Severity::Error),
            Level::Warn => {
                let pedantic = rules::find(rule).is_some_and(|rule| rule.group == Group::Pedantic);
                Some(if pedantic { Severity::Note } else { Severity::Warning })
            }
        }
    }
}

/// The level of a rule that nobody has set.
pub fn default_level(rule: &Rule) -> Level {
    match rule.group {
        Group::Default => Level::Warn,
        Group::Pedantic => Level::Allow,
    }
}

const GROUPS: &[&str] = &["default", "pedantic", "all", "warnings"];

fn selects(selector: &str, rule: &Rule) -> bool {
    selector == "all"
        || selector == rule.group.name()
        || selector == rule.name
        || selector.eq_ignore_ascii_case(rule.code)
        || selector.eq_ignore_ascii_case(rule.letter())
}

/// The error for a name that selects nothing, with the nearest name that would.
pub fn unknown(selector: &str) -> UnknownSelector {
    let names = RULES.iter().flat_map(|rule| [rule.name, rule.code]).chain(GROUPS.iter().copied());
    let wanted = selector.to_lowercase();
    let near = names.map(|name| (strsim::damerau_levenshtein(&wanted, &name.to_lowercase()), name)).min();
    let suggestion =
        near.filter(|&(distance, name)| distance <= 1 + name.len() / 3).map(|(_, name)| name.to_owned());
    UnknownSelector { selector: selector.to_owned(), suggestion }
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
