//! What the user says about a project that the code does not: which kind of engine runs it, which functions are hot, and
//! which are an administrator's.
//!
//! Plain data, from configuration to the filters of [`crate::view`]. Nothing here looks at a contract.

use deconflict_analyzer::ConflictKind;

use crate::text::without_parameters;

/// What counts as a write: engines differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// A slot that ends the transaction as it began was only read: engines that compare values.
    #[default]
    NetChange,
    /// Every stored key is a write: engines that track keys.
    WriteKey,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 2] = [Self::NetChange, Self::WriteKey];

    /// The stable kebab-case name used in configuration and every output.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetChange => "net-change",
            Self::WriteKey => "write-key",
        }
    }

    /// Whether two calls that meet in this way wait for each other on such an engine.
    pub(crate) fn counts(self, kind: ConflictKind) -> bool {
        self == Self::WriteKey || kind != ConflictKind::NetZero
    }

    /// What it means on such an engine that `what` ends each call as it began, though calls store into it.
    pub(crate) fn of_unchanged(self, what: &str) -> String {
        let outcome = match self {
            Self::NetChange => {
                "engines that compare values (profile net-change) run such calls side by side and lose the gas alone, \
                 those that track stored keys (write-key) run them one after the other"
            }
            Self::WriteKey => {
                "engines that track stored keys (profile write-key) take it for written all the same and run such calls \
                 one after the other"
            }
        };
        format!("{what} ends each call as it began: {outcome}")
    }

    /// The profile of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }
}

/// What rules go by beside the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What counts as a write.
    pub profile: Profile,
    /// How many calls a scenario has.
    pub calls: u32,
    /// Functions that users call all the time, even if the code restricts them: `f`, `f(uint256)`, `Contract.f` or
    /// `Contract.f(uint256)`.
    pub hot: Vec<String>,
    /// Functions that only an administrator calls, even if the code does not say so: written as [`Self::hot`] is.
    pub restricted: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let (hot, restricted) = (Vec::new(), Vec::new());
        Self { profile: Profile::default(), calls: 100, hot, restricted }
    }
}

impl Settings {
    /// Whether the user names the function among those that users call all the time.
    pub fn is_hot(&self, contract: &str, signature: &str) -> bool {
        names(&self.hot, contract, signature)
    }

    /// Whether the user names the function among an administrator's.
    pub fn is_restricted(&self, contract: &str, signature: &str) -> bool {
        names(&self.restricted, contract, signature)
    }
}

fn names(listed: &[String], contract: &str, signature: &str) -> bool {
    let short = without_parameters(signature);
    listed.iter().any(|name| {
        let own = match name.split_once('.') {
            Some((of, function)) if of == contract => function,
            Some(_) => return false,
            None => name.as_str(),
        };
        own == signature || own == short
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_with_or_without_contract_and_parameters() {
        let settings = Settings {
            hot: vec!["push".to_owned(), "Oracle.set(uint256)".to_owned()],
            restricted: vec!["Vault.skim".to_owned()],
            ..Settings::default()
        };
        assert!(settings.is_hot("Any", "push(int256)"));
        assert!(settings.is_hot("Oracle", "set(uint256)"));
        assert!(!settings.is_hot("Oracle", "set(int256)"));
        assert!(!settings.is_hot("Other", "set(uint256)"));
        assert!(settings.is_restricted("Vault", "skim(address,address)"));
        assert!(!settings.is_restricted("Pair", "skim(address,address)"));
    }

    #[test]
    fn profiles_have_names() {
        for profile in Profile::ALL {
            assert_eq!(Profile::find(profile.name()), Some(profile));
        }
        assert_eq!(Profile::find("optimistic"), None);
    }
}
