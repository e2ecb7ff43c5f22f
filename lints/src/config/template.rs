//! `deconflict.toml` as text: the commented file that `init` writes, and what is in force for `--show-config`.
//!
//! In: nothing, or a configuration and the levels that came of it. Out: TOML that the reader of this crate reads.

use std::fmt::Write as _;

use super::{Configuration, Levels, all_rules};
use crate::settings::Profile;

/// A file with every key and what it means, in which nothing is changed.
pub fn template() -> String {
    let mut text = r#"# How Deconflict checks this project. Every key may be left out; commented ones show what holds without them.
version = 1

# What counts as a write on the chain that this project runs on. "net-change": a slot that ends a transaction as it
# began was only read (engines that compare values). "write-key": every stored key is a write.
# profile = "net-change"

# How many calls of one function the scenario of a finding has.
# calls = 100

# Functions that users call all the time, even where the code restricts who may call them:
# "f", "f(uint256)", "Contract.f" or "Contract.f(uint256)".
# hot = []

# Functions that only an administrator or keeper calls, even where the code does not say so; written as above.
# admin = []

# Files in which nothing is reported, as patterns of .gitignore.
# exclude = []

# Findings that are known and do not count; `deconflict check --write-baseline` writes the file.
# baseline = "deconflict-baseline.json"

# Which functions may conflict; `deconflict budget --write` writes the file.
# budget = "deconflict-budget.json"

# Whether every suppression in a comment has to say why.
# require-reason = false

# The level of a rule, code, group letter or group: "allow", "warn" or "deny". What selects fewer rules wins.
[rules]
# warnings = "deny"
"#
    .to_owned();
    for rule in all_rules() {
        let level = super::default_level(rule).name();
        let _ = writeln!(text, "# {} = \"{level}\"  # {}: {}", rule.name, rule.code, rule.summary);
    }
    text.push_str(
        r#"
# Levels for some files or contracts only.
# [[override]]
# paths = ["src/periphery/"]
# contracts = ["Faucet"]
# rules = { global-counter = "allow" }
"#,
    );
    text
}

/// What is in force, as a file that would say the same.
pub fn effective(configuration: &Configuration, levels: &Levels) -> String {
    let mut text = match &configuration.file {
        Some(file) => format!("# From {} and the command line.\n", file.display()),
        None => "# There is no configuration file; this is what holds without one.\n".to_owned(),
    };
    let settings = &configuration.settings;
    let strings = |list: &[String]| toml::Value::from(list.to_vec()).to_string();
    let _ = writeln!(text, "version = 1");
    let profile: Profile = settings.profile;
    let _ = writeln!(text, "profile = \"{}\"", profile.name());
    let _ = writeln!(text, "calls = {}", settings.calls);
    let _ = writeln!(text, "hot = {}", strings(&settings.hot));
    let _ = writeln!(text, "admin = {}", strings(&settings.restricted));
    let exclude = configuration.exclude.as_ref().map(super::Patterns::lines).unwrap_or_default();
    let _ = writeln!(text, "exclude = {}", strings(exclude));
    for (key, path) in [("baseline", &configuration.baseline), ("budget", &configuration.budget)] {
        if let Some(path) = path {
            let _ = writeln!(text, "{key} = {}", toml::Value::from(path.to_string_lossy().into_owned()));
        }
    }
    let _ = writeln!(text, "require-reason = {}", configuration.require_reason);
    text.push_str("\n[rules]\n");
    for rule in all_rules() {
        let _ = writeln!(text, "{} = \"{}\"", rule.name, levels.of(rule.name).name());
    }
    for setting in configuration.levels.iter().filter(|setting| !setting.scope.is_everywhere()) {
        text.push_str("\n[[override]]\n");
        if let Some(paths) = &setting.scope.paths {
            let _ = writeln!(text, "paths = {}", strings(paths.lines()));
        }
        if !setting.scope.contracts.is_empty() {
            let _ = writeln!(text, "contracts = {}", strings(&setting.scope.contracts));
        }
        let _ = writeln!(text, "rules = {{ {} = \"{}\" }}", setting.selector, setting.level.name());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Level, file};

    #[test]
    fn the_template_names_every_key_and_every_rule() {
        let text = template();
        let plain = Configuration::parse(Path::new("deconflict.toml"), &text).expect("it reads as it stands");
        assert!(plain.levels.is_empty());
        // Each commented line is a setting that reads as well.
        let uncommented: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.contains(" = ") || setting.starts_with("[[") => {
                    format!("{setting}\n")
                }
                Some(_) => "\n".to_owned(),
                None => format!("{line}\n"),
            })
            .collect();
        let all = Configuration::parse(Path::new("deconflict.toml"), &uncommented)
            .unwrap_or_else(|error| panic!("{error}\n{uncommented}"));
        assert_eq!(all.settings, crate::settings::Settings::default());
        for key in file::KEYS.iter().chain(file::OVERRIDE_KEYS) {
            let shown = text.contains(&format!("\n{key} = ")) || text.contains(&format!("\n# {key} = "));
            assert!(shown || text.contains(&format!("[{key}]")), "{key}");
        }
        assert_eq!(all.levels.iter().filter(|it| it.scope.is_everywhere()).count(), all_rules().count() + 1);
    }

    #[test]
    fn what_is_in_force_reads_back() {
        let text = "calls = 7\n[rules]\nall = \"deny\"\n[[override]]\ncontracts = [\"A\"]\nrules = { C = \"allow\" }\n";
        let configuration = Configuration::parse(Path::new("deconflict.toml"), text).expect("a good file");
        let levels = configuration.levels().expect("rules that exist");
        let shown = effective(&configuration, &levels);
        let again = Configuration::parse(Path::new("deconflict.toml"), &shown).expect("it reads back");
        assert_eq!(again.settings, configuration.settings);
        let again_levels = again.levels().expect("rules that exist");
        assert_eq!(again_levels.of("false-sharing"), Level::Deny);
        assert_eq!(again.levels.last(), configuration.levels.last());
    }
}
