//! What one contract calls and what its entry points write, in a form that outlives its analysis.
//!
//! In: the view of one contract. Out: [`Links`]: plain data without expressions, so that the contracts of a project can
//! be compared with each other after each of them has been analysed by itself. Nothing here looks at another contract.

use std::collections::BTreeSet;

use deconflict_analyzer::{Access, Call, CallKind, Effect, Environment, Node, Pc, Position, Root, Space};

use crate::{
    place::{Place, PlacedName},
    settings::Settings,
    source_map::SourceSpan,
    view::{ContractView, Field, Needs, Touch},
};

/// The entry points of one contract.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    /// `path:Name` of the contract.
    pub(super) contract: String,
    /// What the contract was checked with.
    pub(super) settings: Settings,
    /// The entry points.
    pub(super) functions: Vec<LinkedFunction>,
}

/// One entry point.
#[derive(Clone, Debug)]
pub(super) struct LinkedFunction {
    pub(super) signature: String,
    pub(super) selector: Option<[u8; 4]>,
    /// Whether anyone can call it, and it changes something.
    pub(super) is_user: bool,
    /// How many calls can run at once as far as the contract's own storage goes.
    pub(super) at_once: u32,
    /// Whether all that it touches is known.
    pub(super) complete: bool,
    pub(super) writes: Vec<LinkedWrite>,
    pub(super) calls: Vec<LinkedCall>,
}

/// A lasting store to a place that may be the same in all calls.
#[derive(Clone, Debug)]
pub(super) struct LinkedWrite {
    pub(super) field: Field,
    /// The variable in the words of the contract.
    pub(super) variable: String,
    pub(super) needs: Needs,
    pub(super) span: Option<SourceSpan>,
}

/// A call of another contract.
#[derive(Clone, Debug)]
pub(super) struct LinkedCall {
    pub(super) target: Target,
    pub(super) selector: [u8; 4],
    pub(super) arguments: Vec<Argument>,
    pub(super) place: Option<Place>,
    pub(super) pc: Pc,
}

/// One word of a call's input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    pub(super) needs: Needs,
    /// Whether it is the address of the calling contract.
    pub(super) is_caller: bool,
}

/// What holds the address of the called contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    /// The variable's name.
    pub(super) variable: String,
    /// Its type as it is declared, such as `contract IToken`.
    pub(super) declared: Option<String>,
}

/// Gathers what the contract calls and writes.
pub(super) fn links(view: &ContractView<'_>, contract: String) -> Links {
    let users: BTreeSet<usize> = view.users().map(|(function, _)| function).collect();
    let summaries = view.analysis.summaries.iter().enumerate();
    let functions = summaries.map(|(function, summary)| {
        let is_user = users.contains(&function);
        let calls: Vec<LinkedCall> = summary
            .calls
            .iter()
            .filter(|call| call.kind == CallKind::Call && !call.circumstance.reverts)
            .filter(|call| !view.is_restricted(&call.circumstance))
            .filter_map(|call| linked_call(view, function, call))
            .collect();
        let at_once = if is_user && !calls.is_empty() { view.at_once(function, &[]) } else { 1 };
        LinkedFunction {
            signature: view.names.signature(summary.entry),
            selector: view.selector(function),
            is_user,
            at_once,
            complete: summary.is_complete(),
            writes: summary.accesses.iter().filter_map(|it| linked_write(view, function, it)).collect(),
            calls,
        }
    });
    Links { contract, settings: view.settings.clone(), functions: functions.collect() }
}

fn linked_write(view: &ContractView<'_>, function: usize, access: &Access) -> Option<LinkedWrite> {
    let touch = Touch { function, access };
    let lasting = access.space == Space::Storage && !access.circumstance.reverts;
    if !lasting
        || !matches!(access.effect, Effect::Write { .. })
        || !matches!(access.slot.root, Root::Fixed(_))
    {
        return None;
    }
    let needs = access.slot.keys().map(|key| view.needs(key)).fold(Needs::NOTHING, Needs::and);
    let rare = || view.is_first_time(&touch) || view.is_once_per_block(&touch) || view.is_unrolled(&touch);
    if needs == Needs::Differs || touch.is_net_zero() || rare() {
        return None;
    }
    let entry = view.analysis.summaries[function].entry;
    Some(LinkedWrite {
        field: touch.field(),
        variable: view.render(entry).slot(&access.slot, access.bytes),
        needs,
        span: place(view, function, &access.position).map(|place| place.primary),
    })
}

fn place(view: &ContractView<'_>, function: usize, position: &Position) -> Option<Place> {
    match view.places.locate(&view.analysis.summaries[function], position) {
        PlacedName::At(place) => Some(place),
        PlacedName::OnlyPc | PlacedName::Foreign => None,
    }
}

fn linked_call(view: &ContractView<'_>, function: usize, call: &Call) -> Option<LinkedCall> {
    let expressions = &view.analysis.expressions;
    let is_caller = |word| matches!(expressions.node(word), Node::Environment(Environment::Address));
    let arguments = call.arguments.iter();
    let arguments = arguments.map(|&word| Argument { needs: view.needs(word), is_caller: is_caller(word) });
    Some(LinkedCall {
        target: target(view, call)?,
        selector: call.selector?,
        arguments: arguments.collect(),
        place: place(view, function, &call.position),
        pc: call.position.pc,
    })
}

/// The one variable that the target is loaded from.
fn target(view: &ContractView<'_>, call: &Call) -> Option<Target> {
    let expressions = &view.analysis.expressions;
    let mut found = BTreeSet::new();
    for part in view.parts(call.target) {
        match expressions.node(part) {
            Node::Immutable(id) => {
                let variable = view.names.immutable_name(id)?;
                let declared = view.places.declaration(variable).map(|it| it.type_name.clone());
                found.insert(Target { variable: variable.to_owned(), declared });
            }
            Node::Load { .. } => {
                let field = view.loads(call.target).into_iter().next().filter(|it| it.slot.is_fixed())?;
                let variable = view.names.variable(&field.slot, field.bytes)?;
                let declared = view.names.type_name(variable).map(str::to_owned);
                found.insert(Target { variable: variable.label.clone(), declared });
            }
            _ => {}
        }
    }
    let first = found.pop_first()?;
    found.is_empty().then_some(first)
}
