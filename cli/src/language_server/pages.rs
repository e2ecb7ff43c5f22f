//! The pages of the rules and of contracts, as files that an editor or a browser can open.
//!
//! In: a rule, or a page. Out: the URI of a file in a folder of the server's own, which goes when the server does.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use deconflict_lints::{find_rule, report::rule_page};
use gen_lsp_types::Uri;

use super::uri;

/// The folder with the pages.
#[derive(Debug)]
pub(super) struct Pages {
    folder: PathBuf,
    written: Mutex<BTreeMap<String, Uri>>,
}

impl Pages {
    /// Pages that are written when they are first asked for.
    pub(super) fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("deconflict-lsp-{}", std::process::id()));
        Self { folder, written: Mutex::default() }
    }

    /// The server's own folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
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
        let path = self.folder.join(file).with_extension("md");
        fs::create_dir_all(&self.folder).and_then(|()| fs::write(&path, text)).ok()?;
        let uri = uri::from_path(&path);
        self.written.lock().ok()?.insert(name.to_owned(), uri.clone());
        Some(uri)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // What is left of it belongs to the system's temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
