//! Files that are written whole or not at all.
//!
//! In: a path and what is to stand there. Out: the file with exactly that, or, whatever goes wrong on the way, what was
//! there before. The new file is made beside the old one and renamed, so that a full disk or a killed process leaves the
//! old one; it has the permissions of the old one, and a link goes on pointing to it. What is no file but takes what is
//! written to it (a pipe, a terminal, `/dev/stdout`) is written to as it is. Never: half a file, or an input under what was
//! made of it.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// How many links are followed from one to the next.
const LINKS: usize = 40;

/// A file that is written, and not yet where it belongs.
#[derive(Debug)]
pub(crate) struct Prepared {
    file: NamedTempFile,
    /// Where it belongs, without links.
    target: PathBuf,
    /// How messages call that.
    name: PathBuf,
}

/// Puts these bytes into the file of this name.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let stream = stream(path).with_context(|| cannot(path))?;
    match stream {
        Some(mut stream) => stream.write_all(bytes).with_context(|| cannot(path)),
        None => Prepared::new(path, bytes)?.put(),
    }
}

/// Makes a file of this name with these bytes. False if something of that name is there: it stays.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> anyhow::Result<bool> {
    // A link to nothing counts as something: what it names is not what was asked for.
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let prepared = Prepared::new(path, bytes)?;
    match prepared.file.persist_noclobber(&prepared.target) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error).with_context(|| cannot(path)),
    }
}

/// Refuses an output that is one of the inputs: it would be lost if what is made of it turned out wrong.
#[cfg(feature = "execute")]
pub(crate) fn keep_apart<'p>(
    output: &Path,
    inputs: impl IntoIterator<Item = &'p Path>,
) -> anyhow::Result<()> {
    // Pipes and terminals are read and written at the same time.
    let Some(whole) = output.canonicalize().ok().filter(|it| it.is_file()) else { return Ok(()) };
    if inputs.into_iter().any(|input| input.canonicalize().is_ok_and(|input| input == whole)) {
        anyhow::bail!(
            "{} is read here and is not written over: name another file for the output",
            output.display()
        );
    }
    Ok(())
}

impl Prepared {
    /// Writes a new file beside the one that it will replace.
    pub(crate) fn new(path: &Path, bytes: &[u8]) -> anyhow::Result<Self> {
        Self::with(path, |file| file.write_all(bytes))
    }

    fn with(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> anyhow::Result<Self> {
        let made = || -> io::Result<Self> {
            let (target, old) = place(path)?;
            let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut builder = tempfile::Builder::new();
            builder.prefix(".deconflict-").suffix(".new");
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let mut file = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
            if let Some(old) = old {
                take_over(file.as_file(), &old)?;
            }
            fill(file.as_file_mut())?;
            // What is renamed has to be on the disk before its name is.
            file.as_file().sync_all()?;
            Ok(Self { file, target, name: path.to_owned() })
        };
        made().with_context(|| cannot(path))
    }

    /// Puts the file where it belongs, in the place of what is there.
    pub(crate) fn put(self) -> anyhow::Result<()> {
        let Self { file, target, name } = self;
        file.persist(&target).map_err(|error| error.error).with_context(|| cannot(&name))?;
        Ok(())
    }
}

fn cannot(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Where a file of this name is written, without links, and what is there of it.
fn place(path: &Path) -> io::Result<(PathBuf, Option<Metadata>)> {
    match fs::metadata(path) {
        Ok(old) if old.is_file() => {
            let target = path.canonicalize()?;
            // A file that may not be written is not replaced either, though its folder would allow it.
            OpenOptions::new().write(true).open(&target)?;
            Ok((target, Some(old)))
        }
        Ok(old) if old.is_dir() => Err(io::Error::other("it is a folder; name a file")),
        Ok(_) => Err(io::Error::other("it is no file, and nothing can be put in its place")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if path.symlink_metadata().is_ok() {
                return Err(io::Error::other(
                    "it is a link to something that is not there; remove the link, or name the file",
                ));
            }
            Ok((path.to_owned(), None))
        }
        Err(error) => Err(error),
    }
}

/// What can be written to as it is; none for files, and for what is not there yet.
fn stream(path: &Path) -> io::Result<Option<File>> {
    let Ok(there) = fs::metadata(path) else { return Ok(None) };
    if is_descriptor(path) {
        // It may be a file that somebody has opened to have more in it than this.
        return OpenOptions::new().append(true).open(path).map(Some);
    }
    if takes_bytes(&there) { OpenOptions::new().write(true).open(path).map(Some) } else { Ok(None) }
}

/// Whether something is a pipe, a terminal or the like.
#[cfg(unix)]
fn takes_bytes(there: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    there.file_type().is_fifo() || there.file_type().is_char_device()
}

#[cfg(not(unix))]
fn takes_bytes(_: &Metadata) -> bool {
    false
}

/// Whether a name stands for something that this process has open, as `/dev/stdout` does.
fn is_descriptor(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(folder) = folder.canonicalize() else { return false };
        if folder.ends_with("fd") && (folder.starts_with("/proc") || folder.starts_with("/dev")) {
            return true;
        }
        match path.read_link() {
            Ok(next) => path = folder.join(next),
            Err(_) => return false,
        }
    }
    false
}

/// Gives a file the permissions of the one that it replaces, and its owner where that is allowed.
fn take_over(file: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        // Only the system's own user may give files away; to whom they belong is no part of what is promised.
        let _ = std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid()));
    }
    file.set_permissions(old.permissions())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_writer_that_fails_half_way_leaves_the_old_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        fs::write(&path, "old").expect("room");
        let error = Prepared::with(&path, |file| {
            file.write_all(b"half of the n")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(format!("{:#}", error.expect_err("the disk is full")).contains("a.json: "));
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "old");
        // Whoever is ended between the two steps leaves the old file as well.
        let prepared = Prepared::new(&path, b"new").expect("room");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "old");
        drop(prepared);
        assert_eq!(names(folder.path()), ["a.json"]);
    }

    #[test]
    fn permissions_and_links_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("a.json"), folder.path().join("link"));
        fs::write(&path, "old").expect("room");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
        symlink("a.json", &link).expect("room");
        write(&link, b"new").expect("room");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "new");
        assert_eq!(path.metadata().expect("it is there").permissions().mode() & 0o777, 0o640);
        assert!(link.symlink_metadata().expect("it is there").is_symlink());
        assert_eq!(names(folder.path()), ["a.json", "link"]);
    }

    #[test]
    fn what_is_no_file_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str| folder.path().join(name);
        fs::create_dir(of("folder")).expect("room");
        symlink("nothing", of("link")).expect("room");
        let _socket = std::os::unix::net::UnixListener::bind(of("socket")).expect("room");
        for (name, why) in [("folder", "a folder"), ("link", "a link"), ("socket", "no file")] {
            let error = format!("{:#}", write(&of(name), b"new").expect_err(name));
            assert!(error.contains(why), "{name}: {error}");
            assert!(!create(&of(name), b"new").expect("it is seen"), "{name}");
        }
        assert_eq!(names(folder.path()), ["folder", "link", "socket"]);
        assert!(create(&of("new"), b"new").expect("room"));
        assert!(!create(&of("new"), b"newer").expect("it is seen"));
        assert_eq!(fs::read_to_string(of("new")).expect("it is there"), "new");
        write(Path::new("/dev/null"), b"new").expect("it takes everything");
    }

    #[test]
    #[cfg(feature = "execute")]
    fn an_input_is_no_output() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, link) = (folder.path().join("a.json"), folder.path().join("link"));
        fs::write(&path, "old").expect("room");
        symlink("a.json", &link).expect("room");
        let roundabout = folder.path().join(".").join("a.json");
        for output in [&path, &link, &roundabout] {
            let error = keep_apart(output, [link.as_path()]).expect_err("it is the same file");
            assert!(error.to_string().contains("is not written over"), "{error}");
        }
        keep_apart(&folder.path().join("b.json"), [path.as_path()]).expect("another file");
        keep_apart(Path::new("/dev/null"), [Path::new("/dev/null")]).expect("no file");
    }
}
