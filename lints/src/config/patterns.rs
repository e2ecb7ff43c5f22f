//! Patterns for paths, written as in `.gitignore`.
//!
//! In: the patterns and the folder that they are relative to. Out: whether a source is meant.

use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::unit::Source;

/// Some patterns for paths.
#[derive(Clone, Debug)]
pub(crate) struct Patterns {
    lines: Vec<String>,
    folder: PathBuf,
    matcher: Gitignore,
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        (&self.lines, &self.folder) == (&other.lines, &other.folder)
    }
}

impl Eq for Patterns {}

impl Patterns {
    /// Reads patterns that are relative to `folder`; the error says what is wrong with one of them.
    pub(crate) fn new(lines: Vec<String>, folder: &Path) -> Result<Self, String> {
        let mut builder = GitignoreBuilder::new("");
        for line in &lines {
            builder.add_line(None, line).map_err(|error| error.to_string())?;
        }
        let matcher = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { lines, folder: folder.to_owned(), matcher })
    }

    /// The patterns as written.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether a source is meant. One that does not lie below the folder goes by the path that it is shown with.
    pub(crate) fn matches(&self, source: &Source) -> bool {
        let below = source.absolute.as_deref().and_then(|path| path.strip_prefix(&self.folder).ok());
        self.matches_path(below.unwrap_or(Path::new(&source.path)))
    }

    fn matches_path(&self, path: &Path) -> bool {
        // The matcher wants a relative path without a leading point.
        let plain: PathBuf =
            path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
        self.matcher.matched_path_or_any_parents(&plain, false).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], path: &str) -> bool {
        let lines = lines.iter().map(ToString::to_string).collect();
        Patterns::new(lines, Path::new("")).expect("well-formed patterns").matches_path(Path::new(path))
    }

    #[test]
    fn patterns_read_as_in_gitignore() {
        assert!(check(&["src/legacy/"], "src/legacy/deep/Old.sol"));
        assert!(check(&["src/**/*Mock.sol"], "src/a/b/TokenMock.sol"));
        assert!(check(&["Old.sol"], "./src/Old.sol"));
        assert!(!check(&["src/legacy/"], "src/New.sol"));
        assert!(!check(&["/Old.sol"], "src/Old.sol"));
        assert!(!check(&["src/*", "!src/Kept.sol"], "src/Kept.sol"));
        assert!(check(&["src"], "/src/A.sol"), "an absolute path is no reason to panic");
        assert!(Patterns::new(vec!["[z-a]".to_owned()], Path::new("")).is_err());
    }
}
