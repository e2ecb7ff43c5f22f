//! What the client's user has set for the server.
//!
//! In: `initializationOptions`, the `deconflict` section of the client's configuration. Out: [`Settings`]. What cannot be
//! read keeps its default, and is said once.

use std::{collections::BTreeMap, path::PathBuf};

use deconflict_lints::Level;
use serde::Deserialize;

/// All settings.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Settings {
    /// Whether slots are shown behind declarations.
    pub(super) inlay_hints: bool,
    /// Whether a line is shown above each function.
    pub(super) code_lens: bool,
    /// Whether changed sources are compiled in the background.
    pub(super) compile: bool,
    /// The Solidity compiler to use before all others.
    pub(super) solc: Option<PathBuf>,
    /// Levels on top of those of the project's configuration.
    pub(super) rules: BTreeMap<String, RuleLevel>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { inlay_hints: false, code_lens: true, compile: true, solc: None, rules: BTreeMap::new() }
    }
}

/// A level as it is written.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum RuleLevel {
    /// Not reported.
    Allow,
    /// Reported.
    Warn,
    /// Reported as an error.
    Deny,
}

impl RuleLevel {
    /// The level that it is.
    pub(super) fn level(self) -> Level {
        match self {
            Self::Allow => Level::Allow,
            Self::Warn => Level::Warn,
            Self::Deny => Level::Deny,
        }
    }
}

impl Settings {
    /// Reads the section, or the whole that the section is in. `null` is what a client without settings sends.
    pub(super) fn read(value: &serde_json::Value) -> Result<Self, String> {
        let section = value.get("deconflict").unwrap_or(value);
        if section.is_null() {
            return Ok(Self::default());
        }
        Self::deserialize(section).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_may_be_anywhere_or_missing() {
        assert_eq!(Settings::read(&json!(null)), Ok(Settings::default()));
        assert_eq!(Settings::read(&json!({})), Ok(Settings::default()));
        let set =
            Settings::read(&json!({ "deconflict": { "inlayHints": true, "rules": { "C101": "deny" } } }));
        let set = set.expect("settings as documented");
        assert!(set.inlay_hints && set.code_lens);
        assert_eq!(set.rules["C101"].level(), Level::Deny);
        assert!(Settings::read(&json!({ "rules": { "C101": "loud" } })).is_err());
    }
}
