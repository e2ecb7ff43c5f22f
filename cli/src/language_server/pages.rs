//! The pages of the rules and of contracts, as files that an editor or a browser can open.
//!
//! In: a rule, or a page. Out: the URI of a file in a folder of the server's own, which goes when the server does.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Mutex};

use deconflict_lints::{find_rule, report::rule_page};
use gen_lsp_types::Uri;
use tempfile::TempDir;

use super::uri;

/// What the names of the folders begin with.
const PREFIX: &str = "deconflict-lsp-";

/// The folder with the pages.
#[derive(Debug)]
pub(super) struct Pages {
    /// None where there is no room for temporary files.
    folder: Option<TempDir>,
    written: Mutex<BTreeMap<String, Uri>>,
}

impl Pages {
    /// Pages that are written when they are first asked for.
    pub(super) fn new() -> Self {
        // Nobody else can have made it, and nobody else can put anything into it.
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir().ok();
        Self { folder, written: Mutex::default() }
    }

    /// The server's own folder.
    pub(super) fn folder(&self) -> PathBuf {
        // Where it cannot be made, nothing can be put into it either.
        self.folder.as_ref().map_or_else(|| std::env::temp_dir().join(PREFIX), |it| it.path().to_owned())
    }

    /// The page of a rule.
    pub(super) fn rule(&self, name: &str) -> Option<Uri> {
        if let Ok(written) = self.written.lock()
            && let Some(uri) = written.get(name)
        {
            return Some(uri.clone());
        }
        let page = rule_page::markdown(find_rule(name)?);
        self.write(name, &page)
    }

    /// Writes a page over an earlier one of that name.
    pub(super) fn write(&self, name: &str, text: &str) -> Option<Uri> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        let file: String = name.chars().map(|letter| if plain(letter) { letter } else { '-' }).collect();
        let path = self.folder.as_ref()?.path().join(file).with_extension("md");
        fs::write(&path, text).ok()?;
        let uri = uri::from_path(&path);
        self.written.lock().ok()?.insert(name.to_owned(), uri.clone());
        Some(uri)
    }
}
