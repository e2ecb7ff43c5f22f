//! Findings that show only where one contract of the project calls another.
//!
//! In: what each contract calls and writes. Out: findings on the callers' lines, where all calls of a user function
//! write one slot of another contract. A call is followed only where one contract of the project alone can be meant;
//! since another one may be deployed at that address, no finding here is more than likely.

use std::collections::{BTreeMap, BTreeSet};

use deconflict_analyzer::standards::{APPROVE, BALANCE_OF, TOTAL_SUPPLY, TRANSFER, TRANSFER_FROM};

use super::{
    Checked, check_contract,
    links::{LinkedCall, LinkedWrite, Target},
};
use crate::{
    diagnostic::{Confidence, Diagnostic, Effect, Label, Severity, fingerprint},
    finding::{agree, describe_effect, enumerate},
    rule::{Finding, Group, Rule},
    rules,
    settings::Settings,
    text::without_parameters,
    unit::{Contract, ContractKind, Project},
    view::Needs,
};

/// The functions of ERC-20.
const TOKEN: [[u8; 4]; 5] = [TOTAL_SUPPLY, BALANCE_OF, TRANSFER, TRANSFER_FROM, APPROVE];

/// How many contracts deep calls are followed.
const DEPTH: usize = 4;

/// Adds to each contract what its calls lead to.
pub(super) fn add(project: &Project, checked: &mut [Checked]) {
    let mut across = Across::new(project, checked);
    let mut found = Vec::new();
    for contract in 0..checked.len() {
        found.push(across.of_contract(contract));
    }
    for (checked, found) in checked.iter_mut().zip(found) {
        checked.findings.extend(found);
    }
}

/// What is the same in all calls of a function.
#[derive(Clone, Copy)]
struct Binding {
    caller: bool,
    arguments: u64,
}

impl Binding {
    fn holds(self, needs: Needs) -> bool {
        match needs {
            Needs::Differs => false,
            Needs::Same { caller, arguments } => (!caller || self.caller) && arguments & !self.arguments == 0,
        }
    }

    /// What is the same in all calls that `call` makes.
    fn of(self, call: &LinkedCall) -> Self {
        let mut arguments = 0;
        for (index, argument) in call.arguments.iter().enumerate().take(64) {
            arguments |= u64::from(self.holds(argument.needs)) << index;
        }
        Self { caller: true, arguments }
    }
}

/// One way from a call of a user function to a store in another contract.
struct Way<'a> {
    /// The contract that stores, and its function.
    callee: usize,
    function: usize,
    write: &'a LinkedWrite,
    /// The contract whose own entry the place is.
    holder: Option<usize>,
}

/// All ways from one contract to one thing that is shared elsewhere.
struct Hit<'a> {
    functions: BTreeSet<usize>,
    calls: Vec<(usize, &'a LinkedCall)>,
    callees: BTreeSet<usize>,
    way: Way<'a>,
    explained: Option<Finding>,
    rule: &'static Rule,
}

struct Across<'a> {
    project: &'a Project,
    checked: &'a [Checked],
    contracts: Vec<Option<&'a Contract>>,
    /// What called functions are found for that only the callers may call.
    hot: BTreeMap<usize, Vec<Finding>>,
}

impl<'a> Across<'a> {
    fn new(project: &'a Project, checked: &'a [Checked]) -> Self {
        let by_name: BTreeMap<String, &Contract> =
            project.contracts.iter().map(|contract| (contract.qualified_name(), contract)).collect();
        let contracts = checked.iter().map(|it| by_name.get(&it.links.contract).copied()).collect();
        Self { project, checked, contracts, hot: BTreeMap::new() }
    }

    fn of_contract(&mut self, contract: usize) -> Vec<Finding> {
        let checked = self.checked;
        let mut hits: BTreeMap<(usize, String), Hit<'a>> = BTreeMap::new();
        for (function, linked) in checked[contract].links.functions.iter().enumerate() {
            if !linked.is_user {
                continue;
            }
            for call in &linked.calls {
                let mut ways = Vec::new();
                let from_user = Binding { caller: false, arguments: 0 };
                self.follow(contract, call, from_user, &mut vec![contract], &mut ways);
                for way in ways {
                    let Some((rule, explained)) = self.explain(&way) else { continue };
                    // What one finding says of several fields of the callee is one finding here.
                    let key = explained.as_ref().map_or_else(
                        || self.place_of(&way),
                        |finding| finding.diagnostic.fingerprint.clone(),
                    );
                    let callee = way.callee;
                    let (called, hit) = (
                        way.function,
                        Hit {
                            functions: BTreeSet::new(),
                            calls: Vec::new(),
                            callees: BTreeSet::new(),
                            way,
                            explained,
                            rule,
                        },
                    );
                    let hit = hits.entry((callee, key)).or_insert(hit);
                    hit.functions.insert(function);
                    hit.callees.insert(called);
                    if !hit.calls.iter().any(|known| known.0 == function && known.1.pc == call.pc) {
                        hit.calls.push((function, call));
                    }
                }
            }
        }
        // What no rule knows the pattern of is told where nothing else is to be told of the same calls.
        let is_known = |hit: &Hit<'_>| hit.rule.name != rules::shared_state::RULE.name;
        let told: BTreeSet<(usize, usize)> = hits
            .values()
            .filter(|hit| is_known(hit))
            .flat_map(|hit| hit.functions.iter().map(|&function| (function, hit.way.callee)))
            .collect();
        let is_new = |hit: &&Hit<'_>| {
            is_known(hit) || !hit.functions.iter().all(|&it| told.contains(&(it, hit.way.callee)))
        };
        hits.values().filter(is_new).filter_map(|hit| self.report(contract, hit)).collect()
    }

    /// Follows one call; `chain` holds the contracts on the way here.
    fn follow(
        &self,
        contract: usize,
        call: &'a LinkedCall,
        binding: Binding,
        chain: &mut Vec<usize>,
        ways: &mut Vec<Way<'a>>,
    ) {
        let Some(callee) = self.resolve(contract, &call.target) else { return };
        if chain.contains(&callee) || chain.len() > DEPTH {
            return;
        }
        let functions = &self.checked[callee].links.functions;
        let Some(function) = functions.iter().position(|it| it.selector == Some(call.selector)) else {
            return;
        };
        let inner = binding.of(call);
        for write in functions[function].writes.iter().filter(|write| inner.holds(write.needs)) {
            let is_own = match write.needs {
                Needs::Same { caller, arguments } => {
                    let mut used = call.arguments.iter().enumerate().take(64);
                    caller || used.any(|(index, it)| it.is_caller && arguments >> index & 1 == 1)
                }
                Needs::Differs => false,
            };
            ways.push(Way { callee, function, write, holder: is_own.then_some(contract) });
        }
        chain.push(callee);
        for next in &functions[function].calls {
            self.follow(callee, next, inner, chain, ways);
        }
        chain.pop();
    }

    /// The one contract of the project that can be behind the variable.
    fn resolve(&self, contract: usize, target: &Target) -> Option<usize> {
        let calls = self.checked[contract].links.functions.iter().flat_map(|it| &it.calls);
        let used: BTreeSet<[u8; 4]> =
            calls.filter(|call| call.target == *target).map(|call| call.selector).collect();
        let answers = |&other: &usize| {
            let functions = &self.checked[other].links.functions;
            used.iter().all(|selector| functions.iter().any(|it| it.selector == Some(*selector)))
        };
        let deployed = |&other: &usize| {
            self.contracts[other].is_some_and(|it| it.kind == ContractKind::Contract) && other != contract
        };
        let candidates: Vec<usize> = (0..self.checked.len()).filter(deployed).filter(answers).collect();
        let declared = target.declared.as_deref().and_then(|name| name.strip_prefix("contract "));
        // What any token has tells none from another, and a function alone is easily had.
        let telling = used.iter().filter(|selector| !TOKEN.contains(*selector)).count();
        let Some(declared) = declared else {
            return if telling > 1 { single(&candidates) } else { None };
        };
        let inherits = |&other: &usize| {
            let contract = self.contracts[other]?;
            let definition = self.project.definition_of(contract)?;
            definition.bases.iter().any(|base| base.name == declared).then_some(other)
        };
        let named = candidates
            .iter()
            .copied()
            .find(|&other| self.contracts[other].is_some_and(|contract| contract.name == declared));
        let heirs: Vec<usize> = candidates.iter().filter_map(inherits).collect();
        // An interface need not be inherited by what it describes.
        named.or_else(|| match telling {
            0 => None,
            1 => single(&heirs),
            _ => single(if heirs.is_empty() { &candidates } else { &heirs }),
        })
    }

    /// Which rule the store falls under, and what that rule says of the callee.
    fn explain(&mut self, way: &Way<'a>) -> Option<(&'static Rule, Option<Finding>)> {
        let callee = &self.checked[way.callee];
        let signature = &callee.links.functions[way.function].signature;
        let claims = |finding: &&Finding| {
            finding.claims.iter().any(|claim| claim.overlaps(&way.write.field))
                && finding.diagnostic.functions.contains(signature)
        };
        let rank = |finding: &&Finding| {
            rules::find(finding.diagnostic.rule).is_none_or(|rule| rule.group != Group::Default)
        };
        let mut known = callee.findings.iter().filter(claims).min_by_key(rank).cloned();
        if known.is_none() && !callee.links.functions[way.function].is_user {
            let hot = self.hot.entry(way.callee).or_insert_with(|| {
                // To the project, a function that only its own contracts may call is one that users reach.
                let Some(contract) = self.contracts[way.callee] else { return Vec::new() };
                let mut settings: Settings = callee.links.settings.clone();
                let closed = callee.links.functions.iter().filter(|it| !it.is_user);
                settings.hot.extend(closed.map(|it| format!("{}.{}", contract.name, it.signature)));
                check_contract(self.project, contract, &settings).findings
            });
            known = hot.iter().filter(claims).min_by_key(rank).cloned();
        }
        match known {
            Some(finding) => Some((rules::find(finding.diagnostic.rule)?, Some(finding))),
            None if way.write.needs == Needs::NOTHING => None,
            None if way.holder.is_some() => Some((&rules::self_counterparty::RULE, None)),
            None => Some((&rules::fee_sink_balance::RULE, None)),
        }
    }

    /// The place that is written, in words that do not depend on the function that writes it.
    fn place_of(&self, way: &Way<'a>) -> String {
        let variable = &way.write.variable;
        let holder = way.holder.and_then(|holder| self.contracts[holder]);
        match (holder, variable.split_once('[')) {
            // One entry under one key: the entry of the contract that calls.
            (Some(holder), Some((mapping, key))) if way.write.field.slot.keys().count() == 1 => {
                let member = key.rsplit_once(']').map_or("", |(_, member)| member);
                format!("{mapping}[{}]{member}", holder.name)
            }
            _ => variable.clone(),
        }
    }

    fn report(&self, contract: usize, hit: &Hit<'a>) -> Option<Finding> {
        let (caller, callee) = (&self.checked[contract], &self.checked[hit.way.callee]);
        let names = |from: &Checked, functions: &BTreeSet<usize>| {
            let signatures = functions.iter().map(|&it| &from.links.functions[it].signature);
            signatures.map(|it| without_parameters(it).to_owned()).collect::<BTreeSet<String>>()
        };
        let quoted = |names: &BTreeSet<String>| enumerate(names.iter().map(|name| format!("`{name}`")));
        let (of_callee, of_caller) = (self.contracts[hit.way.callee]?, self.contracts[contract]?);
        let through: BTreeSet<String> =
            names(callee, &hit.callees).iter().map(|name| format!("{}.{name}", of_callee.name)).collect();
        let place = self.place_of(&hit.way);
        let written = hit.explained.as_ref().map_or(&place, |finding| &finding.diagnostic.variable);
        let variable = format!("{}.{written}", of_callee.name);
        let callers = quoted(&names(caller, &hit.functions));
        let (shown, others) = {
            let mut calls: Vec<_> = hit.calls.iter().collect();
            calls.sort_by_key(|(_, call)| (call.place.map(|it| (it.precision, it.primary)), call.pc));
            calls.split_first().map(|(first, rest)| (*first, rest.to_vec()))?
        };
        let primary = shown.1.place.map(|place| {
            let does = agree("writes", through.len());
            Label::new(place.primary, format!("calls {}, which {does} `{written}`", quoted(&through)))
        });
        let line = |label: &Label| {
            let source = self.project.source(label.span.source);
            (label.span.source, source.position(label.span.start).line)
        };
        let mut related: BTreeSet<Label> = BTreeSet::new();
        if let Some(shown) = &primary {
            let mut add = |label: Label| {
                let taken = related.iter().chain([shown]).any(|known| line(known) == line(&label));
                if !taken {
                    related.insert(label);
                }
            };
            if let Some(span) = hit.way.write.span {
                let does = names(callee, &hit.callees);
                let text = format!("{} {}", quoted(&does), agree("writes it here", does.len()));
                add(Label::new(span, text));
            }
            for (function, call) in others {
                let does = names(caller, &BTreeSet::from([*function]));
                if let Some(place) = call.place {
                    let text = format!("{} {}", quoted(&does), agree("leads there as well", does.len()));
                    add(Label::new(place.primary, text));
                }
            }
            let known = hit.explained.iter().flat_map(|it| &it.diagnostic.related);
            known.filter(|label| label.is_declaration).for_each(|label| add(label.clone()));
        }
        let functions: BTreeSet<String> =
            hit.functions.iter().map(|&it| caller.links.functions[it].signature.clone()).collect();
        let functions: Vec<String> = functions.into_iter().collect();
        let owner = of_callee.qualified_name();
        let mut notes = Vec::new();
        if let Some(finding) = &hit.explained {
            notes.push(format!("in `{}`, {}", of_callee.name, finding.diagnostic.message));
        } else {
            notes.push(format!(
                "`{written}` is the same slot in all these calls: its keys do not depend on who calls"
            ));
        }
        notes.push(format!(
            "`{}` is taken to be `{}`, the only contract here that fits",
            shown.1.target.variable, of_callee.name
        ));
        let calls = caller.links.settings.calls;
        let effect = |&function: &usize| {
            let linked = &caller.links.functions[function];
            Effect {
                function: linked.signature.clone(),
                calls,
                before: 1,
                after: linked.at_once.min(calls),
                complete: linked.complete,
            }
        };
        let mut effects: Vec<Effect> = hit.functions.iter().map(effect).collect();
        effects.sort();
        notes.extend(effects.iter().take(1).map(describe_effect));
        let diagnostic = Diagnostic {
            code: hit.rule.code,
            rule: hit.rule.name,
            severity: Severity::Warning,
            confidence: Confidence::Likely,
            contract: of_caller.name.clone(),
            fingerprint: fingerprint(hit.rule.name, &owner, &functions, &variable),
            functions,
            slot: hit.way.write.field.slot.number().map(|number| format!("{number:#x}")),
            message: format!(
                "every call to {callers} writes the same slot of another contract, `{variable}`, through {}",
                quoted(&through)
            ),
            variable,
            primary,
            pc: shown.1.pc,
            related: related.into_iter().collect(),
            notes,
            help: hit.explained.as_ref().map_or_else(
                || {
                    format!(
                        "book what belongs to `{}` under its users, or under shards that they pick",
                        of_caller.name
                    )
                },
                |finding| finding.diagnostic.help.clone(),
            ),
            effects,
        };
        Some(Finding { diagnostic, claims: Vec::new(), owner })
    }
}

/// The only one.
fn single(candidates: &[usize]) -> Option<usize> {
    match candidates {
        [one] => Some(*one),
        _ => None,
    }
}
