//! JSON that belongs to a build but holds no code: says what it is and what to give instead.

use super::{Format, assembly::Assembly, document::Document};
use crate::error::Error;

/// Documents of known kinds without code.
pub(super) const FORMAT: Format = Format { accepts: |document| describe(document).is_some(), read };

fn read(document: &Document<'_>, _: &mut Assembly) -> Result<(), Error> {
    let (what, advice) = describe(document).expect("only called for what is described");
    Err(Error::WrongKind { name: document.name.to_owned(), what: what.to_owned(), advice: advice.to_owned() })
}

fn describe(document: &Document<'_>) -> Option<(&'static str, &'static str)> {
    let format = document.text("_format");
    if format.starts_with("hh-sol-dbg") {
        return Some(("a Hardhat debug file", "give the artifact beside it, or the project's folder"));
    }
    if format.contains("cache") || (document.has_object("files") && document.has("paths")) {
        return Some(("a build cache", "give the project's folder"));
    }
    if document.has_object("source_id_to_path") {
        return Some(("the index of a Foundry build", "give the project's folder or an artifact"));
    }
    if document.has_text("language") && document.has_object("sources") {
        return Some((
            "a compiler's standard-JSON input",
            "compile it and give the output, or both as {\"input\": …, \"output\": …}",
        ));
    }
    if document.has("storage_layout") || (document.has("storage") && document.has("types")) {
        return Some(("a storage layout", "give the artifact that it belongs to"));
    }
    None
}
