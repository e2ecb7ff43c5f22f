//! Where a finding stands, as other programs count it.
//!
//! In: a span and the folder that paths are to be relative to. Out: a [`Region`]: a path with forward slashes, lines, and
//! columns in the unit that each format asks for. Nothing here may show a path of the machine.

use std::path::{Path, PathBuf};

use crate::{
    diagnostic::Diagnostic,
    source_map::{LineColumn, SourceSpan},
    unit::{Project, Source},
};

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// The path of the file.
    pub(super) file: String,
    /// Where it starts, the column in UTF-8 bytes.
    pub(super) start: LineColumn,
    /// Where it ends, the column in UTF-8 bytes.
    pub(super) end: LineColumn,
    /// The column of the start in UTF-16 code units, which is what most programs count.
    pub(super) start_utf16: u32,
    /// The column of the end in UTF-16 code units.
    pub(super) end_utf16: u32,
}

/// The region of a span.
pub(super) fn region(project: &Project, span: SourceSpan, base: &Path) -> Region {
    let source = project.source(span.source);
    let (start, end) = (source.position(span.start), source.position(span.end));
    Region {
        file: file(source, base),
        start,
        end,
        start_utf16: utf16_column(source, span.start, start),
        end_utf16: utf16_column(source, span.end, end),
    }
}

/// The region of the line to blame, if there is one.
pub(super) fn primary(project: &Project, diagnostic: &Diagnostic, base: &Path) -> Option<Region> {
    diagnostic.primary.as_ref().map(|label| region(project, label.span, base))
}

/// The way from a folder to a file, for an editor or a terminal that runs in the folder.
pub(super) fn from_here(source: &Source, folder: &Path) -> String {
    let Some(path) = source.absolute.as_deref().filter(|_| folder.is_absolute()) else {
        return source.path.clone();
    };
    way(path, folder)
}

fn way(path: &Path, folder: &Path) -> String {
    let common = path.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
    let up = folder.components().skip(common).map(|_| Path::new(".."));
    let down = path.components().skip(common).map(|part| Path::new(part.as_os_str()));
    with_slashes(&up.chain(down).collect::<PathBuf>())
}

/// What to call the input of a finding without a line: the artifact, else the contract.
pub(super) fn artifact(project: &Project, diagnostic: &Diagnostic, base: &Path) -> String {
    let contract = project.contracts.iter().find(|contract| contract.name == diagnostic.contract);
    let Some(path) = contract.and_then(|contract| contract.artifact.as_deref()) else {
        return contract.map_or_else(|| diagnostic.contract.clone(), |contract| contract.source_path.clone());
    };
    let below = [base, &project.root].into_iter().find_map(|folder| path.strip_prefix(folder).ok());
    let shown = match below {
        None if path.is_absolute() => path.file_name().map_or(path, Path::new),
        None => path,
        Some(path) => path,
    };
    with_slashes(shown)
}

/// The path of a source relative to `base` where it lies below it, else as the project calls it, but never an absolute
/// one: what reads these formats resolves paths against its own checkout.
fn file(source: &Source, base: &Path) -> String {
    let below = source.absolute.as_deref().and_then(|path| path.strip_prefix(base).ok());
    let named = Path::new(&source.path);
    match below {
        Some(path) => with_slashes(path),
        None if named.is_absolute() && base.is_absolute() => way(named, base),
        None => source.path.clone(),
    }
}

fn with_slashes(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

fn utf16_column(source: &Source, offset: u32, place: LineColumn) -> u32 {
    let start = (offset + 1).saturating_sub(place.column) as usize;
    let before = source.text.get(start..offset as usize);
    before.map_or(place.column, |text| text.encode_utf16().count() as u32 + 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        source_map::{Lines, SourceId},
        unit::Origin,
    };

    #[test]
    fn ways_go_up_as_far_as_they_have_to() {
        let check = |path: &str, folder: &str| way(Path::new(path), Path::new(folder));
        assert_eq!(check("/a/b/src/C.sol", "/a/b"), "src/C.sol");
        assert_eq!(check("/a/b/src/C.sol", "/a/d/e"), "../../b/src/C.sol");
        assert_eq!(check("/a/C.sol", "/a"), "C.sol");
    }

    #[test]
    fn no_path_is_absolute() {
        let source = |path: &str, absolute: Option<&str>| Source {
            id: SourceId(0),
            path: path.to_owned(),
            absolute: absolute.map(PathBuf::from),
            text: Arc::from(""),
            lines: Lines::new(""),
            origin: Origin::Project,
        };
        let base = Path::new("/a/repository");
        assert_eq!(
            file(&source("src/C.sol", Some("/a/repository/packages/b/src/C.sol")), base),
            "packages/b/src/C.sol"
        );
        assert_eq!(file(&source("/a/shared/C.sol", Some("/a/shared/C.sol")), base), "../shared/C.sol");
        assert_eq!(file(&source("/a/shared/C.sol", None), base), "../shared/C.sol");
        assert_eq!(file(&source("src/C.sol", None), base), "src/C.sol");
    }
}
