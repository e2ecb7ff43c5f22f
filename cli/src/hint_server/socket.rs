//! Unix sockets as files: making one where nothing but a socket that nobody listens on stands in the way.
//!
//! In: a path. Out: a listener there, or why not. A name is never freed by removing what stands under it: that is first
//! moved into a folder of our own, where nobody can exchange it any more, then looked at, and put back unless it is the
//! socket that nobody listens on. Never: anything that is no socket, removed.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use thiserror::Error;

/// Why there is no socket.
#[derive(Debug, Error)]
pub(crate) enum SocketError {
    /// Something else is there.
    #[error("{} is {what}, and no socket; it stays as it is: name another path, or move it away", path.display())]
    Other {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Somebody listens there.
    #[error("{} is in use: a server answers there; name another path, or end that server", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// What was moved away cannot be put back, because something new is there.
    #[error("{} was exchanged while it was looked at; what was there is now {}", path.display(), kept.display())]
    Exchanged {
        /// The path.
        path: PathBuf,
        /// Where what was there is kept.
        kept: PathBuf,
    },
    /// The system does not allow it.
    #[error("there can be no socket {}", path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// A socket by what the system knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// Listens at `path`, in the place of a socket that nobody listens on if there is one.
pub(super) fn listen(path: &Path) -> Result<(UnixListener, Identity), SocketError> {
    let system = |source| SocketError::System { path: path.to_owned(), source };
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if let Some(stale) = stale(path)? {
                remove(path, stale)?;
            }
            UnixListener::bind(path).map_err(|error| match error.kind() {
                // Another server was faster.
                io::ErrorKind::AddrInUse => SocketError::InUse { path: path.to_owned() },
                _ => system(error),
            })?
        }
        bound => bound.map_err(system)?,
    };
    listener.set_nonblocking(true).map_err(system)?;
    let there = fs::symlink_metadata(path).map_err(system)?;
    Ok((listener, identity(&there)))
}

/// Removes a socket, if it is the one at this path.
pub(super) fn remove(path: &Path, socket: Identity) -> Result<(), SocketError> {
    let system = |source| SocketError::System { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(there) if identity(&there) == socket => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system(error)),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Names of sockets have to be short.
    let own = tempfile::Builder::new().prefix(".d").rand_bytes(4).tempdir_in(folder).map_err(system)?;
    take_away(path, socket, own)
}

fn take_away(path: &Path, socket: Identity, own: TempDir) -> Result<(), SocketError> {
    let system = |source| SocketError::System { path: path.to_owned(), source };
    let taken = own.path().join("s");
    match fs::rename(path, &taken) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        moved => moved.map_err(system)?,
    }
    let there = fs::symlink_metadata(&taken).map_err(system)?;
    let is_it = there.file_type().is_socket() && identity(&there) == socket;
    // Numbers are given again: another server may have been faster.
    if is_it && UnixStream::connect(&taken).is_err() {
        return fs::remove_file(&taken).map_err(system);
    }
    // Neither of these writes over what may be there by now: a link is made only where nothing is, and a folder takes the
    // place of an empty one at most.
    let back = if there.is_dir() {
        fs::rename(&taken, path)
    } else {
        fs::hard_link(&taken, path).and_then(|()| fs::remove_file(&taken))
    };
    if back.is_err() {
        // The folder stays with what is in it.
        let kept = own.keep().join("s");
        return Err(SocketError::Exchanged { path: path.to_owned(), kept });
    }
    Err(match kind(&there) {
        Some(what) => SocketError::Other { path: path.to_owned(), what },
        None => SocketError::InUse { path: path.to_owned() },
    })
}

/// The socket at a path that nobody listens on; none if nothing is there.
fn stale(path: &Path) -> Result<Option<Identity>, SocketError> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        there => there.map_err(|source| SocketError::System { path: path.to_owned(), source })?,
    };
    if let Some(what) = kind(&there) {
        return Err(SocketError::Other { path: path.to_owned(), what });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(Some(identity(&there))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // One that speaks in other ways, or to others than us, is somebody's as well.
        Ok(_) | Err(_) => Err(SocketError::InUse { path: path.to_owned() }),
    }
}

/// What something is that is no socket.
fn kind(there: &fs::Metadata) -> Option<&'static str> {
    let kind = there.file_type();
    if kind.is_socket() {
        None
    } else if kind.is_symlink() {
        Some("a link")
    } else if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_file() {
        Some("a file")
    } else {
        Some("a device")
    }
}

fn identity(there: &fs::Metadata) -> Identity {
    Identity { device: there.dev(), inode: there.ino() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn left_behind(path: &Path) -> Identity {
        drop(UnixListener::bind(path).expect("room"));
        stale(path).expect("a socket").expect("it is there")
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_taken_over() {
        let folder = folder();
        let path = folder.path().join("socket");
        left_behind(&path);
        let (listener, identity) = listen(&path).expect("nobody listens");
        assert!(matches!(listen(&path), Err(SocketError::InUse { .. })));
        assert!(UnixStream::connect(&path).is_ok(), "the one that listens still does");
        drop(listener);
        remove(&path, identity).expect("it is ours");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = folder();
        let of = |name: &str| folder.path().join(name);
        fs::write(of("file"), "whole").expect("room");
        fs::create_dir(of("folder")).expect("room");
        std::os::unix::fs::symlink("file", of("link")).expect("room");
        std::os::unix::fs::symlink("nowhere", of("lost")).expect("room");
        left_behind(&of("socket"));
        std::os::unix::fs::symlink("socket", of("indirect")).expect("room");
        let cases = [
            ("file", "a file"),
            ("folder", "a folder"),
            ("link", "a link"),
            ("lost", "a link"),
            ("indirect", "a link"),
        ];
        for (name, what) in cases {
            let error = listen(&of(name)).expect_err(name).to_string();
            assert!(error.contains(what), "{error}");
            assert!(of(name).symlink_metadata().is_ok(), "{name}");
        }
        assert_eq!(fs::read_to_string(of("file")).expect("it is there"), "whole");
        assert!(of("socket").symlink_metadata().is_ok());
    }

    #[test]
    fn what_comes_between_the_look_and_the_removal_is_put_back() {
        let folder = folder();
        let path = folder.path().join("socket");
        let make: [&dyn Fn(); 3] =
            [&|| fs::write(&path, "whole").expect("room"), &|| fs::create_dir(&path).expect("room"), &|| {
                std::os::unix::fs::symlink("elsewhere", &path).expect("room");
            }];
        for make in make {
            let socket = left_behind(&path);
            // As if it were exchanged after everything that is looked at before it is moved.
            fs::remove_file(&path).expect("it is there");
            make();
            let before = fs::symlink_metadata(&path).expect("it is there");
            let own = tempfile::tempdir_in(folder.path()).expect("room");
            let error = take_away(&path, socket, own).expect_err("it is another");
            assert!(matches!(error, SocketError::Other { .. }), "{error}");
            let after = fs::symlink_metadata(&path).expect("it is there");
            assert_eq!(identity(&before), identity(&after));
            if after.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) }.expect("it is ours");
        }
        // A server that was faster goes on listening, even where its socket has the number of the old one.
        let listener = UnixListener::bind(&path).expect("room");
        let socket = identity(&fs::symlink_metadata(&path).expect("it is there"));
        let error = take_away(&path, socket, tempfile::tempdir_in(folder.path()).expect("room"));
        assert!(matches!(error, Err(SocketError::InUse { .. })));
        assert!(UnixStream::connect(&path).is_ok());
        drop(listener);
    }
}
