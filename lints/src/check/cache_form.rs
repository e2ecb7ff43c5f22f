//! What one contract adds to the report as bytes, so that a later process need not analyse it again.
//!
//! In: a [`Checked`] and all that it was made from. Out: bytes and back, and the key that they are found under: two
//! contracts have the same key only if every part of the project that a rule may look at is the same. Bytes that are
//! not those of a [`Checked`] are no answer, never a wrong one. Nothing here opens a file.

use std::hash::{DefaultHasher, Hash, Hasher};

use alloy_primitives::U256;
use deconflict_analyzer::{ByteRange, ExprId, Pc, Projection, Root, Slot};
use serde::{Deserialize, Serialize};

use super::{
    Checked,
    links::{Argument, LinkedCall, LinkedFunction, LinkedWrite, Links, Target},
};
use crate::{
    diagnostic::{Confidence, Diagnostic, Effect, Label, Severity},
    place::{Place, Precision},
    rule::Finding,
    rules,
    settings::Settings,
    source_map::{SourceId, SourceSpan},
    unit::{Contract, Project},
    view::{Field, Needs},
};

/// What a stored result depends on beside the contract itself.
#[derive(Clone, Copy, Debug)]
pub struct ProjectKey(u128);

/// Two hashes that start differently: together long enough that no two projects share them by chance.
struct Wide([DefaultHasher; 2]);

impl Wide {
    fn new() -> Self {
        let mut wide = Self([DefaultHasher::new(), DefaultHasher::new()]);
        wide.0[1].write_u8(1);
        // What wrote the bytes: the sources of the analyzer and of the rules.
        wide.write(env!("DECONFLICT_RULES").as_bytes());
        wide
    }

    fn wide(&self) -> u128 {
        u128::from(self.0[0].finish()) << 64 | u128::from(self.0[1].finish())
    }
}

impl Hasher for Wide {
    fn finish(&self) -> u64 {
        self.0[0].finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        for hasher in &mut self.0 {
            hasher.write(bytes);
        }
    }
}

impl ProjectKey {
    /// The key of all that is not one contract's own: sources, declarations and settings.
    pub fn new(project: &Project, settings: &Settings) -> Self {
        let mut hasher = Wide::new();
        for source in &project.sources {
            (source.id, &source.path, source.origin, &source.text).hash(&mut hasher);
        }
        for definition in &project.definitions {
            (&definition.name, definition.span).hash(&mut hasher);
            for base in &definition.bases {
                (base.source, &base.name).hash(&mut hasher);
            }
        }
        for function in &project.functions {
            (&function.name, &function.contract, function.span, function.selector).hash(&mut hasher);
        }
        for variable in &project.variables {
            (&variable.name, &variable.contract, &variable.type_name, variable.span).hash(&mut hasher);
        }
        (settings.profile, settings.calls, &settings.hot, &settings.restricted).hash(&mut hasher);
        Self(hasher.wide())
    }

    /// The key of one contract of the project.
    pub fn of(self, contract: &Contract) -> u128 {
        let mut hasher = Wide::new();
        hasher.write_u128(self.0);
        (contract.qualified_name(), contract.source, contract.origin, contract.kind).hash(&mut hasher);
        contract.runtime.hash(&mut hasher);
        for place in &contract.immutables {
            (place.id, &place.range).hash(&mut hasher);
        }
        contract.method_identifiers.hash(&mut hasher);
        // Debug text has every field of what is small.
        format!("{:?}{:?}", contract.storage_layout, contract.compiler).hash(&mut hasher);
        if let Some(abi) = &contract.abi {
            for function in abi.functions() {
                (function.signature(), function.state_mutability as u8).hash(&mut hasher);
                for input in &function.inputs {
                    format!("{input:?}").hash(&mut hasher);
                }
            }
        }
        if let Some(map) = &contract.source_map {
            map.instructions.hash(&mut hasher);
        }
        hasher.wide()
    }
}

impl Checked {
    /// The result as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain data of known types is always written; an empty result is read back as none.
        postcard::to_stdvec(&StoredChecked::from(self)).unwrap_or_default()
    }

    /// The result that the bytes hold, if they are those of one.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (stored, rest): (StoredChecked, _) = postcard::take_from_bytes(bytes).ok()?;
        rest.is_empty().then_some(())?;
        stored.checked()
    }
}

#[derive(Serialize, Deserialize)]
struct StoredChecked {
    findings: Vec<StoredFinding>,
    functions: usize,
    incomplete: usize,
    links: StoredLinks,
}

#[derive(Serialize, Deserialize)]
struct StoredFinding {
    rule: String,
    likely: bool,
    contract: String,
    functions: Vec<String>,
    slot: Option<String>,
    variable: String,
    message: String,
    primary: Option<StoredLabel>,
    pc: u32,
    related: Vec<StoredLabel>,
    notes: Vec<String>,
    help: String,
    effects: Vec<(String, u32, u32, u32, bool)>,
    fingerprint: String,
    claims: Vec<StoredField>,
    owner: String,
}

type StoredSpan = (u32, u32, u32);
type StoredLabel = (StoredSpan, String, bool);
type StoredField = (StoredSlot, u8, u8);

#[derive(Serialize, Deserialize)]
struct StoredSlot {
    root: StoredRoot,
    path: Vec<StoredStep>,
}

#[derive(Serialize, Deserialize)]
enum StoredRoot {
    Fixed([u64; 4]),
    Raw(u32),
    Unknown(u32),
}

#[derive(Serialize, Deserialize)]
enum StoredStep {
    Mapping(u32),
    Element(u32, u32),
    Index(u32, u32),
    Offset([u64; 4]),
}

#[derive(Serialize, Deserialize)]
struct StoredLinks {
    contract: String,
    settings: (bool, u32, Vec<String>, Vec<String>),
    functions: Vec<StoredFunction>,
}

#[derive(Serialize, Deserialize)]
struct StoredFunction {
    signature: String,
    selector: Option<[u8; 4]>,
    is_user: bool,
    at_once: u32,
    complete: bool,
    writes: Vec<(StoredField, String, StoredNeeds, Option<StoredSpan>)>,
    calls: Vec<StoredCall>,
}

/// Whether it may be the same, and for which caller and arguments.
type StoredNeeds = Option<(bool, u64)>;

#[derive(Serialize, Deserialize)]
struct StoredCall {
    variable: String,
    declared: Option<String>,
    selector: [u8; 4],
    arguments: Vec<(StoredNeeds, bool)>,
    place: Option<(u8, StoredSpan, Option<StoredSpan>)>,
    pc: u32,
}

fn span(span: SourceSpan) -> StoredSpan {
    (span.source.0, span.start, span.end)
}

fn read_span((source, start, end): StoredSpan) -> SourceSpan {
    SourceSpan { source: SourceId(source), start, end }
}

fn field(field: &Field) -> StoredField {
    let root = match field.slot.root {
        Root::Fixed(number) => StoredRoot::Fixed(*number.as_limbs()),
        Root::Raw(word) => StoredRoot::Raw(word.number()),
        Root::Unknown(word) => StoredRoot::Unknown(word.number()),
    };
    let step = |step: &Projection| match *step {
        Projection::Mapping { key } => StoredStep::Mapping(key.number()),
        Projection::Element { index, stride } => StoredStep::Element(index.number(), stride),
        Projection::Index { index, stride } => StoredStep::Index(index.number(), stride),
        Projection::Offset(offset) => StoredStep::Offset(*offset.as_limbs()),
    };
    let path = field.slot.path.iter().map(step).collect();
    (StoredSlot { root, path }, field.bytes.from, field.bytes.to)
}

fn read_field((slot, from, to): StoredField) -> Field {
    let root = match slot.root {
        StoredRoot::Fixed(limbs) => Root::Fixed(U256::from_limbs(limbs)),
        StoredRoot::Raw(word) => Root::Raw(ExprId::numbered(word)),
        StoredRoot::Unknown(word) => Root::Unknown(ExprId::numbered(word)),
    };
    let step = |step: StoredStep| match step {
        StoredStep::Mapping(key) => Projection::Mapping { key: ExprId::numbered(key) },
        StoredStep::Element(index, stride) => Projection::Element { index: ExprId::numbered(index), stride },
        StoredStep::Index(index, stride) => Projection::Index { index: ExprId::numbered(index), stride },
        StoredStep::Offset(limbs) => Projection::Offset(U256::from_limbs(limbs)),
    };
    let path = slot.path.into_iter().map(step).collect();
    Field { slot: Slot { root, path }, bytes: ByteRange { from, to } }
}

fn needs(needs: Needs) -> StoredNeeds {
    match needs {
        Needs::Differs => None,
        Needs::Same { caller, arguments } => Some((caller, arguments)),
    }
}

fn read_needs(stored: StoredNeeds) -> Needs {
    stored.map_or(Needs::Differs, |(caller, arguments)| Needs::Same { caller, arguments })
}

impl From<&Checked> for StoredChecked {
    fn from(checked: &Checked) -> Self {
        Self {
            findings: checked.findings.iter().map(StoredFinding::from).collect(),
            functions: checked.functions,
            incomplete: checked.incomplete,
            links: StoredLinks::from(&checked.links),
        }
    }
}

impl StoredChecked {
    fn checked(self) -> Option<Checked> {
        Some(Checked {
            findings: self.findings.into_iter().map(StoredFinding::finding).collect::<Option<_>>()?,
            functions: self.functions,
            incomplete: self.incomplete,
            links: self.links.links()?,
        })
    }
}

impl From<&Finding> for StoredFinding {
    fn from(finding: &Finding) -> Self {
        let it = &finding.diagnostic;
        let label = |label: &Label| (span(label.span), label.text.clone(), label.is_declaration);
        let effect = |it: &Effect| (it.function.clone(), it.calls, it.before, it.after, it.complete);
        Self {
            rule: it.rule.to_owned(),
            likely: it.confidence == Confidence::Likely,
            contract: it.contract.clone(),
            functions: it.functions.clone(),
            slot: it.slot.clone(),
            variable: it.variable.clone(),
            message: it.message.clone(),
            primary: it.primary.as_ref().map(label),
            pc: it.pc.0,
            related: it.related.iter().map(label).collect(),
            notes: it.notes.clone(),
            help: it.help.clone(),
            effects: it.effects.iter().map(effect).collect(),
            fingerprint: it.fingerprint.clone(),
            claims: finding.claims.iter().map(field).collect(),
            owner: finding.owner.clone(),
        }
    }
}

impl StoredFinding {
    fn finding(self) -> Option<Finding> {
        let rule = rules::find(&self.rule)?;
        let label =
            |(span, text, is_declaration): StoredLabel| Label { span: read_span(span), text, is_declaration };
        let effect =
            |(function, calls, before, after, complete)| Effect { function, calls, before, after, complete };
        let diagnostic = Diagnostic {
            code: rule.code,
            rule: rule.name,
            // What the levels make of it is decided when results are put together.
            severity: Severity::Warning,
            confidence: if self.likely { Confidence::Likely } else { Confidence::Proved },
            contract: self.contract,
            functions: self.functions,
            slot: self.slot,
            variable: self.variable,
            message: self.message,
            primary: self.primary.map(label),
            pc: Pc(self.pc),
            related: self.related.into_iter().map(label).collect(),
            notes: self.notes,
            help: self.help,
            effects: self.effects.into_iter().map(effect).collect(),
            fingerprint: self.fingerprint,
        };
        let claims = self.claims.into_iter().map(read_field).collect();
        Some(Finding { diagnostic, claims, owner: self.owner })
    }
}

impl From<&Links> for StoredLinks {
    fn from(links: &Links) -> Self {
        let settings = &links.settings;
        let by_key = settings.profile == crate::settings::Profile::WriteKey;
        Self {
            contract: links.contract.clone(),
            settings: (by_key, settings.calls, settings.hot.clone(), settings.restricted.clone()),
            functions: links.functions.iter().map(StoredFunction::from).collect(),
        }
    }
}

impl StoredLinks {
    fn links(self) -> Option<Links> {
        use crate::settings::Profile;
        let (by_key, calls, hot, restricted) = self.settings;
        let profile = if by_key { Profile::WriteKey } else { Profile::NetChange };
        Some(Links {
            contract: self.contract,
            settings: Settings { profile, calls, hot, restricted },
            functions: self.functions.into_iter().map(StoredFunction::function).collect::<Option<_>>()?,
        })
    }
}

impl From<&LinkedFunction> for StoredFunction {
    fn from(it: &LinkedFunction) -> Self {
        let write =
            |it: &LinkedWrite| (field(&it.field), it.variable.clone(), needs(it.needs), it.span.map(span));
        let argument = |it: &Argument| (needs(it.needs), it.is_caller);
        let call = |it: &LinkedCall| StoredCall {
            variable: it.target.variable.clone(),
            declared: it.target.declared.clone(),
            selector: it.selector,
            arguments: it.arguments.iter().map(argument).collect(),
            place: it.place.map(|it| (it.precision as u8, span(it.primary), it.library.map(span))),
            pc: it.pc.0,
        };
        Self {
            signature: it.signature.clone(),
            selector: it.selector,
            is_user: it.is_user,
            at_once: it.at_once,
            complete: it.complete,
            writes: it.writes.iter().map(write).collect(),
            calls: it.calls.iter().map(call).collect(),
        }
    }
}

impl StoredFunction {
    fn function(self) -> Option<LinkedFunction> {
        let write =
            |(field, variable, needs, span): (StoredField, String, StoredNeeds, Option<StoredSpan>)| {
                LinkedWrite {
                    field: read_field(field),
                    variable,
                    needs: read_needs(needs),
                    span: span.map(read_span),
                }
            };
        let argument = |(needs, is_caller)| Argument { needs: read_needs(needs), is_caller };
        let call = |it: StoredCall| {
            let place = match it.place {
                None => None,
                Some((precision, primary, library)) => Some(Place {
                    precision: read_precision(precision)?,
                    primary: read_span(primary),
                    library: library.map(read_span),
                }),
            };
            Some(LinkedCall {
                target: Target { variable: it.variable, declared: it.declared },
                selector: it.selector,
                arguments: it.arguments.into_iter().map(argument).collect(),
                place,
                pc: Pc(it.pc),
            })
        };
        Some(LinkedFunction {
            signature: self.signature,
            selector: self.selector,
            is_user: self.is_user,
            at_once: self.at_once,
            complete: self.complete,
            writes: self.writes.into_iter().map(write).collect(),
            calls: self.calls.into_iter().map(call).collect::<Option<_>>()?,
        })
    }
}

fn read_precision(stored: u8) -> Option<Precision> {
    [Precision::Statement, Precision::Function, Precision::Contract]
        .into_iter()
        .find(|it| *it as u8 == stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_result_are_none() {
        let bytes = Checked::default().to_bytes();
        assert!(Checked::from_bytes(&bytes).is_some());
        assert!(Checked::from_bytes(&bytes[..bytes.len() - 1]).is_none());
        assert!(Checked::from_bytes(&[]).is_none());
        assert!(Checked::from_bytes(&[0xff; 40]).is_none());
        let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
        assert!(Checked::from_bytes(&longer).is_none());
    }
}
