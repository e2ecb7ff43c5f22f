//! Where configuration files are, and what the command line says on top of them.

use std::{env, path::Path};

use anyhow::Context;
use deconflict_lints::{Configuration, FILE_NAME, Level, Levels, Project, repository_of};

use crate::{arguments::Input, text};

/// The configuration for a project: the file that was named, else the nearest one at or above the project's folder. The
/// search ends at the repository's folder.
pub(crate) fn find(input: &Input, project: &Project) -> anyhow::Result<Configuration> {
    if input.no_config {
        return Ok(Configuration::default());
    }
    if let Some(path) = &input.config {
        return read(path)?
            .with_context(|| format!("{} holds no configuration of Deconflict", path.display()));
    }
    let folder = if project.root.as_os_str().is_empty() { env::current_dir()? } else { project.root.clone() };
    let repository = repository_of(&folder);
    for folder in folder.ancestors() {
        for name in [FILE_NAME, FOUNDRY] {
            let path = folder.join(name);
            if path.is_file()
                && let Some(configuration) = read(&path)?
            {
                return Ok(configuration);
            }
        }
        if repository.as_deref() == Some(folder) {
            break;
        }
    }
    Ok(Configuration::default())
}

/// The levels of a configuration with those of the command line on top.
pub(crate) fn levels(configuration: &Configuration, settings: &[(String, Level)]) -> anyhow::Result<Levels> {
    let mut levels = configuration.levels()?;
    for (selector, level) in settings {
        levels.set(selector, *level)?;
    }
    Ok(levels)
}

const FOUNDRY: &str = "foundry.toml";

fn read(path: &Path) -> anyhow::Result<Option<Configuration>> {
    let text = text::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if path.file_name().is_some_and(|name| name == FOUNDRY) {
        let profile = env::var("FOUNDRY_PROFILE").unwrap_or_else(|_| "default".to_owned());
        return Ok(Configuration::parse_foundry(path, &text, &profile)?);
    }
    Ok(Some(Configuration::parse(path, &text)?))
}
