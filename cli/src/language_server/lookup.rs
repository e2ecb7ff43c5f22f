//! What is known about a place in a file.
//!
//! In: a path and an offset or a word. Out: the facts, each with the layer that they are from. Facts about a text that is
//! no longer the one of the file are passed over.

use std::{path::Path, sync::Arc};

use deconflict_lints::{FunctionFacts, SourceId, SourceSpan, VariableFacts};

use super::{
    analysis::Known,
    snapshot::{Live, Snapshot},
};

/// A file as one layer has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'a> {
    /// The layer.
    pub(super) live: &'a Live,
    /// The file.
    pub(super) source: SourceId,
}

/// The layers that have `text` for a file, newest first.
pub(super) fn layers_with<'a>(snapshot: &'a Snapshot, path: &Path, text: &Arc<str>) -> Vec<Here<'a>> {
    let layers = snapshot.layers.iter().rev();
    let found = layers.filter_map(|live| {
        let sources = &live.layer.project.sources;
        let source = sources.iter().find(|it| it.absolute.as_deref() == Some(path) && it.text == *text)?;
        Some(Here { live, source: source.id })
    });
    found.collect()
}

impl<'a> Here<'a> {
    /// The name of the contract that a span lies in.
    pub(super) fn enclosing(&self, span: SourceSpan) -> Option<&'a str> {
        self.live.layer.project.definition_at(span).map(|it| it.name.as_str())
    }

    /// Contracts that are, or inherit, the contract around `offset`; that contract first.
    pub(super) fn seeing(&self, offset: usize) -> Vec<&'a Known> {
        let at = SourceSpan { source: self.source, start: offset as u32, end: offset as u32 };
        let project = &self.live.layer.project;
        let Some(around) = project.definition_at(at) else { return Vec::new() };
        let mut found: Vec<&Known> = self
            .live
            .known()
            .filter(|known| {
                let definition = project.definition_of(&project.contracts[known.index]);
                let bases = definition.map(|it| it.bases.as_slice()).unwrap_or_default();
                let is_base =
                    bases.iter().any(|it| it.name == around.name && it.source == around.span.source);
                is_base || definition.is_some_and(|it| it.span == around.span)
            })
            .collect();
        found.sort_by_key(|known| known.facts.name != around.name);
        found
    }

    /// Functions that are defined in this file, with the contract that they are a part of.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&'a Known, &'a FunctionFacts, SourceSpan)> {
        let source = self.source;
        self.live.known().flat_map(move |known| {
            let functions = known.facts.functions.iter();
            functions.filter_map(move |it| {
                let span = it.span.filter(|span| span.source == source)?;
                Some((known, it, span))
            })
        })
    }

    /// Variables that are declared in this file, with the contract that they are a part of.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&'a Known, &'a VariableFacts, SourceSpan)> {
        let source = self.source;
        self.live.known().flat_map(move |known| {
            let variables = known.facts.variables.iter();
            variables.filter_map(move |it| {
                let span = it.span.filter(|span| span.source == source)?;
                Some((known, it, span))
            })
        })
    }

    /// The first line of a span, which is what stands for all of it.
    pub(super) fn first_line(&self, span: SourceSpan) -> SourceSpan {
        let text = self.live.layer.project.text(span);
        let length = text.find(['\n', '{']).unwrap_or(text.len());
        SourceSpan { end: span.start + text[..length].trim_end().len() as u32, ..span }
    }
}

/// The identifier at a byte offset, or just before it, with where it starts.
pub(super) fn word_at(text: &str, offset: usize) -> Option<(usize, &str)> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$';
    let bytes = text.as_bytes();
    let offset = offset.min(bytes.len());
    let start = bytes[..offset].iter().rposition(|&it| !is_part(it)).map_or(0, |at| at + 1);
    let end = bytes[offset..].iter().position(|&it| !is_part(it)).map_or(bytes.len(), |at| offset + at);
    (start < end).then(|| (start, &text[start..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_from_within_and_from_their_end() {
        let text = "ü total_ += x;";
        assert_eq!(word_at(text, 5), Some((3, "total_")));
        assert_eq!(word_at(text, 9), Some((3, "total_")));
        assert_eq!(word_at(text, 11), None);
        assert_eq!(word_at(text, 999), None);
    }
}
