//! `file:` URIs and paths.

use std::{
    fmt::Write as _,
    path::{Component, Path, PathBuf},
};

use gen_lsp_types::Uri;

/// The path of a `file:` URI, brought to the form in which projects know it: without links, if the file exists, else without
/// dots. All spellings that RFC 8089 and RFC 3986 allow are one path: the scheme and escapes in any case, with and without
/// an authority, `localhost` as the authority. Files of another host are none of this machine's.
pub(super) fn to_path(uri: &Uri) -> Option<PathBuf> {
    let (host, path) = parts(uri)?;
    if !is_ours(host) {
        return None;
    }
    let text = String::from_utf8(decode(path)).ok()?;
    // A name cannot hold what ends it.
    if !text.starts_with('/') || text.contains('\0') {
        return None;
    }
    Some(canonical(Path::new(if cfg!(windows) { of_drive(&text) } else { &text })))
}

/// Whether a URI names a file, and one of another host.
pub(super) fn is_of_another_host(uri: &Uri) -> bool {
    parts(uri).is_some_and(|(host, _)| !is_ours(host))
}

/// The host and the path of a `file:` URI, as they are written.
fn parts(uri: &Uri) -> Option<(&str, &str)> {
    let (scheme, rest) = uri.0.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    match rest.strip_prefix("//") {
        Some(rest) => Some(rest.split_at(rest.find('/').unwrap_or(rest.len()))),
        None => Some(("", rest)),
    }
}

fn is_ours(host: &str) -> bool {
    let host = decode(host);
    host.is_empty() || host.eq_ignore_ascii_case(b"localhost")
}

/// `/C:/folder` is `C:/folder` where drives have letters.
fn of_drive(path: &str) -> &str {
    match path.as_bytes() {
        [b'/', drive, b':' | b'|', ..] if drive.is_ascii_alphabetic() => &path[1..],
        _ => path,
    }
}

/// A path without links; for a file that is gone, what is left of its folders without links.
pub(super) fn canonical(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    // Nothing that is not there is a link, so that dots can be taken by their letter.
    let path = without_dots(path);
    for folder in path.ancestors().skip(1) {
        if let Ok(whole) = folder.canonicalize()
            && let Ok(rest) = path.strip_prefix(folder)
        {
            return whole.join(rest);
        }
    }
    path
}

fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            // There is nothing above the root.
            Component::ParentDir => {
                plain.pop();
            }
            _ => plain.push(part),
        }
    }
    plain
}

/// The URI of a path.
pub(super) fn from_path(path: &Path) -> Uri {
    let text = path.to_string_lossy().replace('\\', "/");
    let text = text.strip_prefix("//?/").unwrap_or(&text);
    let mut uri = "file://".to_owned();
    if !text.starts_with('/') {
        uri.push('/');
    }
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,;=".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    Uri(uri)
}

fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|it| std::str::from_utf8(it).ok());
        if let Some(byte) = hex.and_then(|it| u8::from_str_radix(it, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_the_way_there_and_back() {
        for path in ["/no such/folder/a.sol", "/x/ü€😀%41.sol", "/a#b?c.sol"] {
            assert_eq!(to_path(&from_path(Path::new(path))), Some(PathBuf::from(path)), "{path}");
        }
        assert_eq!(to_path(&Uri("file:///x/%C3%BC.sol".to_owned())), Some(PathBuf::from("/x/ü.sol")));
        assert_eq!(to_path(&Uri("untitled:Untitled-1".to_owned())), None);
        assert_eq!(to_path(&Uri("file://host".to_owned())), None);
    }

    #[test]
    fn all_spellings_are_one_path() {
        let spellings = [
            "file:///no%20such/~x/a.sol",
            "file:/no%20such/~x/a.sol",
            "FILE:///no%20such/~x/a.sol",
            "File:/no%20such/%7Ex/a.sol",
            "file://localhost/no%20such/%7ex/a.sol",
            "file://LocalHost/no%20such/~x/a.sol",
            "file://local%68ost/no%20such/~x/a.sol",
            "file:///no%20such/./~x/b/../a.sol",
            "file:///no%20such//~x/%61.sol",
            "file:///../no%20such/~x/%2e/a.sol",
            "file:///no%20such/~x/a.sol#L3",
            "file:///no%20such/~x/a.sol?x=/y",
            "file:///no%20such/~x/a%2Esol",
            "file:///no such/~x/a.sol",
        ];
        for uri in spellings {
            let path = to_path(&Uri(uri.to_owned()));
            assert_eq!(path, Some(PathBuf::from("/no such/~x/a.sol")), "{uri}");
        }
        let others = [
            "file://host/no/a.sol",
            "file://127.0.0.1/no/a.sol",
            "file:",
            "file:a.sol",
            "file://",
            "file",
            "/no/a.sol",
            "files:///no/a.sol",
            "file:///no/%ff.sol",
            "file:///no/%00.sol",
            "git:/no/a.sol",
            "untitled:a.sol",
            "vscode-notebook-cell:/no/a.sol#X",
            "",
        ];
        for uri in others {
            assert_eq!(to_path(&Uri(uri.to_owned())), None, "{uri}");
        }
        let is_of_another = |uri: &str| is_of_another_host(&Uri(uri.to_owned()));
        assert!(is_of_another("file://host/share/a.sol") && is_of_another("FILE://127.0.0.1/a.sol"));
        assert!(!is_of_another("file://localhost/a.sol") && !is_of_another("git://host/a.sol"));
    }

    #[test]
    fn drives_have_letters() {
        assert_eq!(of_drive("/C:/a.sol"), "C:/a.sol");
        assert_eq!(of_drive("/c|/a.sol"), "c|/a.sol");
        assert_eq!(of_drive("/x/a.sol"), "/x/a.sol");
    }
}
