//! From a rule's verdict to a diagnostic: picks the line, gathers the related ones, and words the evidence.
//!
//! In: the accesses that take part and what the rule has to say. Out: a [`Finding`], or nothing where all of it lies in
//! code that is not the project's. Everything that reads the same in all rules is worded here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
};

use deconflict_analyzer::{Alias, Cause, Condition, Conflict, ConflictKind, Position, Render, Slot};

use crate::{
    diagnostic::{Confidence, Diagnostic, Effect, Label, Severity, fingerprint},
    place::{Place, PlacedName, Precision},
    rule::{Finding, Rule},
    source_map::SourceSpan,
    text::without_parameters,
    view::{ContractView, Field, Touch},
};

/// Something that happens at one place in the code of one entry point.
#[derive(Clone, Debug)]
pub(crate) struct Spot<'a> {
    /// The index of the entry's summary.
    pub(crate) function: usize,
    /// Where.
    pub(crate) position: &'a Position,
    /// What the entry does there, as a verb with its object: `writes it`.
    pub(crate) does: String,
    /// May be the line that the finding is shown on, and how well it is suited: the lowest number wins.
    pub(crate) rank: Option<u8>,
}

impl<'a> Spot<'a> {
    /// An access to the reported location. Additions are shown before subtractions and both before other stores, reads
    /// only beside writes.
    pub(crate) fn of(touch: &Touch<'a>) -> Self {
        let does = if touch.is_write() { "writes it" } else { "reads it" };
        let rank = touch.is_write().then(|| touch.sum().map_or(2, |(_, subtract)| u8::from(subtract)));
        Self { function: touch.function, position: &touch.access.position, does: does.to_owned(), rank }
    }
}

/// What a rule knows about its finding before it is worded.
pub(crate) struct Subject<'v, 'a> {
    /// The contract.
    pub(crate) view: &'v ContractView<'a>,
    /// The storage at the centre of the finding, if it is about storage.
    pub(crate) field: Option<Field>,
    /// What takes part.
    pub(crate) spots: Vec<Spot<'a>>,
}

/// Functions, as a sentence names them: `` `buy` and `sell` ``, or with `#` each of their calls that takes part: `` every call
/// to `buy` ``, `` every call to `buy` that gets there ``.
pub(crate) struct Actors {
    names: String,
    /// Whether each of their calls takes part.
    are_all: bool,
}

impl Display for Actors {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (f.alternate(), self.are_all) {
            (false, _) => f.write_str(&self.names),
            (true, true) => write!(f, "every call to {}", self.names),
            (true, false) => write!(f, "every call to {} that gets there", self.names),
        }
    }
}

/// What a rule says.
pub(crate) struct Story {
    /// What happens: lower case, no full stop.
    pub(crate) message: String,
    /// What happens on the shown line.
    pub(crate) label: String,
    /// The rewrite.
    pub(crate) help: String,
    /// The rule's own evidence; what the conflict matrix says is added to it.
    pub(crate) notes: Vec<String>,
    /// How sure the rule is when the summaries are complete.
    pub(crate) confidence: Confidence,
}

impl<'v, 'a> Subject<'v, 'a> {
    /// A finding about `field` and all accesses of users to it.
    pub(crate) fn storage(view: &'v ContractView<'a>, field: &Field) -> Self {
        let spots = view.touching(field).iter().map(Spot::of).collect();
        Self { view, field: Some(field.clone()), spots }
    }

    /// The variable's name, or the slot in words.
    pub(crate) fn variable(&self) -> String {
        let entry = self.spots.first().map(|spot| self.view.analysis.summaries[spot.function].entry);
        match (&self.field, entry) {
            (Some(field), Some(entry)) => self.view.render(entry).slot(&field.slot, field.bytes),
            _ => String::new(),
        }
    }

    /// The list that the variable is the length of, or the variable where it is none.
    pub(crate) fn list(&self) -> String {
        let variable = self.variable();
        variable.strip_suffix(".length").map(str::to_owned).unwrap_or(variable)
    }

    /// The functions that `pick` accepts, as `` `buy` and `sell` ``.
    pub(crate) fn functions(&self, pick: impl Fn(&Spot<'a>) -> bool) -> String {
        let names: BTreeSet<String> =
            self.spots.iter().filter(|spot| pick(spot)).map(|spot| self.view.short(spot.function)).collect();
        enumerate(names.iter().map(|name| format!("`{name}`")))
    }

    /// The functions that write.
    pub(crate) fn writers(&self) -> Actors {
        Actors { names: self.functions(|spot| spot.rank.is_some()), are_all: !self.is_partial() }
    }

    /// When it is written, where no call of any function always does.
    fn when(&self) -> Option<String> {
        let field = self.field.as_ref().filter(|_| self.is_partial())?;
        let mut notes: Vec<Option<String>> = self
            .view
            .touching(field)
            .iter()
            .filter(|touch| touch.is_write())
            .map(|touch| self.view.condition_note(touch, &format!("`{}` is written", self.variable())))
            .collect();
        notes.sort();
        notes.dedup();
        // One way is told; of several, none stands for the others.
        if notes.len() == 1 { notes.remove(0) } else { None }
    }

    /// Whether some function writes the storage on some of its ways only.
    fn is_partial(&self) -> bool {
        let Some(field) = &self.field else { return false };
        let writes: Vec<Touch<'_>> = self.view.touching(field).into_iter().filter(Touch::is_write).collect();
        let goes_by = |function: usize| {
            let mut own = writes.iter().filter(|touch| touch.function == function).peekable();
            own.peek().is_some() && !own.any(|touch| touch.access.circumstance.is_of_every_call())
        };
        let mut functions = self.spots.iter().filter(|spot| spot.rank.is_some()).map(|spot| spot.function);
        functions.any(goes_by)
    }

    /// Words the finding; `None` where it lies in foreign code alone. `claims` is the storage it accounts for.
    pub(crate) fn finding(self, rule: &Rule, claims: Vec<Field>, story: Story) -> Option<Finding> {
        let located: Vec<(&Spot<'a>, PlacedName)> =
            self.spots.iter().map(|spot| (spot, self.locate(spot))).collect();
        let culprits = located.iter().filter_map(|(spot, located)| Some((spot.rank?, *spot, *located)));
        let shown = culprits.filter(|(_, _, located)| *located != PlacedName::Foreign);
        let (_, culprit, located_culprit) = shown.min_by_key(|(rank, spot, located)| match located {
            PlacedName::At(place) => {
                (false, Some((place.precision, *rank, place.primary)), *rank, spot.position)
            }
            PlacedName::OnlyPc | PlacedName::Foreign => (true, None, *rank, spot.position),
        })?;
        let declared =
            self.field.as_ref().and_then(|field| self.view.names.variable(&field.slot, field.bytes));
        let declaration = declared.and_then(|variable| self.view.places.declaration(&variable.label));
        let primary = match (located_culprit, declaration) {
            // Where the compiler does not say which statement it is, the variable is the best that can be shown.
            (PlacedName::At(Place { precision: Precision::Contract, .. }), Some(variable))
                if self.view.places.project.is_own(variable.span) =>
            {
                Some(Label::new(variable.span, story.label))
            }
            (PlacedName::At(place), _) => Some(Label::new(place.primary, story.label)),
            (PlacedName::OnlyPc | PlacedName::Foreign, _) => None,
        };
        let variable = self.variable();
        let functions: BTreeSet<String> = self
            .spots
            .iter()
            .map(|spot| self.view.names.signature(self.view.analysis.summaries[spot.function].entry))
            .collect();
        let functions: Vec<String> = functions.into_iter().collect();
        let project = self.view.places.project;
        let defined = primary.as_ref().and_then(|label| project.definition_at(label.span));
        // The layout lists what a contract inherits as its own; the declaration tells who shares it.
        let qualified = |source, name: &str| format!("{}:{name}", project.source(source).path);
        let owner = match (declaration, defined) {
            (Some(variable), _) => qualified(variable.span.source, &variable.contract),
            (None, Some(definition)) => qualified(definition.span.source, &definition.name),
            (None, None) => self.view.contract.to_owned(),
        };
        let mut related = Vec::new();
        if let Some(shown) = &primary {
            related = self.related(&located, shown.span);
            if let Some(variable) = declaration.filter(|variable| !variable.span.contains(&shown.span)) {
                related.push(Label::declaration(variable.span, &variable.name));
            }
            related.sort();
        }
        let mut notes = story.notes;
        notes.extend(self.when());
        if let Some(field) = &self.field {
            notes.extend(self.view.conflict_notes(field, &variable));
        }
        let complete =
            self.spots.iter().all(|spot| self.view.analysis.summaries[spot.function].is_complete());
        let is_sure = complete && !self.is_partial();
        let confidence = if is_sure { story.confidence } else { Confidence::Likely };
        let number = self.field.as_ref().and_then(|field| field.slot.number());
        let effects = self.effects(&claims);
        notes.extend(effects.iter().take(SHOWN_EFFECTS).map(describe_effect));
        let diagnostic = Diagnostic {
            code: rule.code,
            rule: rule.name,
            severity: Severity::Warning,
            confidence,
            contract: self.view.contract.to_owned(),
            fingerprint: fingerprint(rule.name, &owner, &functions, &variable),
            functions,
            slot: number.map(|number| format!("{number:#x}")),
            variable,
            message: story.message,
            primary,
            pc: culprit.position.pc,
            related,
            notes,
            help: story.help,
            effects,
        };
        Some(Finding { diagnostic, claims, owner })
    }

    fn locate(&self, spot: &Spot<'_>) -> PlacedName {
        self.view.places.locate(&self.view.analysis.summaries[spot.function], spot.position)
    }

    /// What it changes for each function that takes part if the claimed storage is no longer shared, where it does.
    fn effects(&self, claims: &[Field]) -> Vec<Effect> {
        let functions: BTreeSet<usize> = self.spots.iter().map(|spot| spot.function).collect();
        let mut effects: Vec<Effect> =
            functions.into_iter().map(|function| self.view.effect(function, claims)).collect();
        effects.retain(|effect| effect.before < effect.calls);
        effects.sort();
        effects
    }

    /// All other places, one label a line: what writes there, else what reads there.
    fn related(&self, located: &[(&Spot<'a>, PlacedName)], shown: SourceSpan) -> Vec<Label> {
        let project = self.view.places.project;
        let line = |span: SourceSpan| (span.source, project.source(span.source).position(span.start).line);
        let mut lines: BTreeMap<_, Vec<(&Spot<'a>, SourceSpan)>> = BTreeMap::new();
        let mut library = BTreeSet::new();
        for (spot, located) in located {
            let PlacedName::At(Place { primary, library: inner, .. }) = *located else { continue };
            if primary == shown {
                library.extend(inner);
            } else if line(primary) != line(shown) {
                lines.entry(line(primary)).or_default().push((spot, primary));
            }
        }
        let mut labels = Vec::new();
        for spots in lines.into_values() {
            let chosen = spots.iter().min_by_key(|(spot, span)| (spot.rank.is_none(), *span));
            let Some((chosen, span)) = chosen else { continue };
            let same = spots.iter().filter(|(spot, _)| spot.does == chosen.does);
            let names: BTreeSet<String> = same.map(|(spot, _)| self.view.short(spot.function)).collect();
            let does = agree(&chosen.does, names.len());
            let text = format!("{} {does}", enumerate(names.iter().map(|name| format!("`{name}`"))));
            labels.push(Label::new(*span, text));
        }
        let library = library.into_iter().filter(|&span| line(span) != line(shown));
        labels.extend(library.map(|span| Label::new(span, "in library code, here".to_owned())));
        labels
    }
}

/// One finding for each field, worded by what `tell` makes of the variable and the functions that write it.
pub(crate) fn report_fields(
    rule: &Rule,
    view: &ContractView<'_>,
    fields: &[Field],
    tell: impl Fn(&str, &Actors) -> Story,
) -> Vec<Finding> {
    let report = |field: &Field| {
        let subject = Subject::storage(view, field);
        let (variable, writers) = (subject.variable(), subject.writers());
        subject.finding(rule, vec![field.clone()], tell(&variable, &writers))
    };
    fields.iter().filter_map(report).collect()
}

impl<'a> ContractView<'a> {
    /// The renderer for one entry point.
    pub(crate) fn render(&self, entry: deconflict_analyzer::Entry) -> Render<'a> {
        Render { expressions: &self.analysis.expressions, names: self.names, entry, prefix: "" }
    }

    /// The entry point as sentences name it.
    pub(crate) fn short(&self, function: usize) -> String {
        self.names.short(self.analysis.summaries[function].entry)
    }

    /// A note on the conditions under which an access happens, if it does not always.
    pub(crate) fn condition_note(&self, touch: &Touch<'_>, what: &str) -> Option<String> {
        const SHOWN: usize = 3;
        if ContractView::is_unconditional(&touch.access.circumstance) {
            return None;
        }
        let render = self.render(self.analysis.summaries[touch.function].entry);
        let conditions = touch.access.circumstance.when.iter().take(SHOWN);
        let texts: BTreeSet<String> =
            conditions.map(|&condition: &Condition| render.condition(condition)).collect();
        let texts: Vec<String> =
            texts.into_iter().filter(|text| !text.is_empty()).map(|text| format!("`{text}`")).collect();
        (!texts.is_empty()).then(|| format!("{what} only when {}", enumerate(texts)))
    }

    /// What the matrix says of `field`: which pairs of users conflict there, and when.
    pub(crate) fn conflict_notes(&self, field: &Field, variable: &str) -> Vec<String> {
        const SHOWN: usize = 6;
        let users: BTreeSet<usize> = self.users().map(|(function, _)| function).collect();
        let same = |slot: &Slot| *slot == field.slot;
        let mut always = BTreeSet::new();
        let mut sometimes = BTreeSet::new();
        let mut mergeable = true;
        for conflict in self.conflicts {
            let concerns = |cause: &&Cause| {
                (same(&cause.slot_a) && same(&cause.slot_b))
                    && cause.bytes.overlaps(field.bytes)
                    && cause.alias == Alias::Always
                    && self.settings.profile.counts(cause.kind)
            };
            let both_users = users.contains(&conflict.a) && users.contains(&conflict.b);
            for cause in conflict.causes.iter().filter(concerns).filter(|_| both_users) {
                let pair = (conflict.a, conflict.b);
                if self.is_of_every_call(conflict, cause) {
                    always.insert(pair)
                } else {
                    sometimes.insert(pair)
                };
                mergeable &= cause.kind == ConflictKind::Mergeable;
            }
        }
        let mut notes = Vec::new();
        sometimes.retain(|pair| !always.contains(pair));
        let of = |pairs: &BTreeSet<(usize, usize)>| -> BTreeSet<usize> {
            pairs.iter().flat_map(|&(a, b)| [a, b]).collect()
        };
        let functions = of(&always);
        let every = functions.len() * (functions.len() + 1) / 2 == always.len();
        let names = |functions: &BTreeSet<usize>| {
            let names: BTreeSet<String> = functions.iter().map(|&function| self.short(function)).collect();
            enumerate(names.iter().map(|name| format!("`{name}`")))
        };
        if !sometimes.is_empty() {
            notes.push(format!(
                "two calls to {} that get there conflict on `{variable}`, whoever sends them",
                names(&of(&sometimes))
            ));
        }
        match functions.len() {
            0 if sometimes.is_empty() => return notes,
            0 => {}
            1 => notes.push(format!(
                "two calls to {} always conflict on `{variable}`, whoever sends them",
                names(&functions)
            )),
            _ if every => notes.push(format!(
                "any two calls to {} conflict on `{variable}`, whoever sends them",
                names(&functions)
            )),
            _ => {
                let pairs: BTreeSet<String> = always
                    .iter()
                    .map(|&(a, b)| format!("`{}` × `{}`", self.short(a), self.short(b)))
                    .collect();
                let more = pairs.len().saturating_sub(SHOWN);
                let mut shown: Vec<String> = pairs.into_iter().take(SHOWN).collect();
                if more > 0 {
                    shown.push(format!("{more} more pairs"));
                }
                notes.push(format!(
                    "{} always conflict on `{variable}`, whoever sends them",
                    enumerate(shown)
                ));
            }
        }
        if mergeable {
            notes.push(
                "all of these only add to it or subtract from it: an executor that merges commutative updates can still run them side by side"
                    .to_owned(),
            );
        }
        notes
    }

    /// Whether two calls meet there whatever way they take.
    fn is_of_every_call(&self, conflict: &Conflict, cause: &Cause) -> bool {
        let surely = |function: usize, accesses: &[usize]| -> Vec<bool> {
            let of = &self.analysis.summaries[function].accesses;
            let sure =
                accesses.iter().filter_map(|&it| of.get(it)).filter(|it| it.circumstance.is_of_every_call());
            sure.map(|it| matches!(it.effect, deconflict_analyzer::Effect::Write { .. })).collect()
        };
        let (one, other) = (surely(conflict.a, &cause.accesses_a), surely(conflict.b, &cause.accesses_b));
        !one.is_empty() && !other.is_empty() && (one.contains(&true) || other.contains(&true))
    }
}

/// Effects worded in one finding.
const SHOWN_EFFECTS: usize = 3;

/// The scenario in words.
pub(crate) fn describe_effect(effect: &Effect) -> String {
    let side = |at_once| {
        let waves = effect.waves(at_once);
        format!("{waves} {} (score {})", if waves == 1 { "wave" } else { "waves" }, effect.score(at_once))
    };
    let short = without_parameters(&effect.function);
    if !effect.complete {
        return format!(
            "{} calls of `{short}` by distinct callers: {} have to be allowed for, since not all that `{short}` touches is known",
            effect.calls,
            side(effect.before)
        );
    }
    let after = if effect.after > effect.before {
        format!("{} once this is no longer shared", side(effect.after))
    } else {
        "no fewer without this, since they conflict elsewhere too".to_owned()
    };
    format!("{} calls of `{short}` by distinct callers: {} now, {after}", effect.calls, side(effect.before))
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn enumerate(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// Makes a verb in the third person agree with `count` subjects.
pub(crate) fn agree(verb: &str, count: usize) -> String {
    match verb.split_once(' ') {
        Some((verb, rest)) if count > 1 => format!("{} {rest}", verb.strip_suffix('s').unwrap_or(verb)),
        None if count > 1 => verb.strip_suffix('s').unwrap_or(verb).to_owned(),
        _ => verb.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_like_sentences() {
        let list = |items: &[&str]| enumerate(items.iter().map(ToString::to_string));
        assert_eq!(list(&[]), "");
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(agree("writes it", 2), "write it");
        assert_eq!(agree("writes it", 1), "writes it");
    }
}
