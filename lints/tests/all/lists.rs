//! A list is a list wherever its slot is: behind gaps, where the source puts it, from any code generator, with the
//! compiler's layout and without (the data and its versions: `tests/data/README.md`).

use std::path::Path;

use deconflict_analyzer::{Effect, Options, Projection, Root, analyze};
use deconflict_lints::{Levels, LoadOptions, Project, Settings, check_contract, load, merge};

fn projects() -> Vec<(&'static str, Project)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/standard-json");
    let read = |name: &str| load(&data.join(format!("lists-{name}.json")), LoadOptions::default());
    ["optimised", "plain", "via-ir"].map(|name| (name, read(name).expect("the data is readable"))).into()
}

#[test]
fn pushes_are_pushes_wherever_the_list_is() {
    for (name, project) in projects() {
        assert_eq!(project.contracts.len(), 4);
        for contract in &project.contracts {
            let checked = check_contract(&project, contract, &Settings::default());
            let report = merge(&project, vec![checked], &Levels::default());
            let found: Vec<_> = report
                .diagnostics
                .iter()
                .map(|it| (it.rule, it.variable.as_str(), it.functions.join(" ")))
                .collect();
            let [(rule, variable, functions)] = found.as_slice() else {
                panic!("{name} {}: {found:?}", contract.name);
            };
            assert_eq!((*rule, *variable), ("array-push", "entries.length"), "{name} {}", contract.name);
            assert!(functions.starts_with("add("), "{name} {}: {functions}", contract.name);
        }
    }
}

#[test]
fn elements_are_known_for_elements_without_a_layout() {
    for (name, project) in projects() {
        for contract in &project.contracts {
            let layout = contract.storage_layout.as_ref().expect("it has a layout");
            let list = layout.storage.iter().find(|it| it.label == "entries").expect("it has a list").slot;
            let analysis = analyze(contract.runtime.clone(), &Options::default());
            let stores = analysis.summaries.iter().flat_map(|it| &it.accesses);
            let stores = stores.filter(|it| matches!(it.effect, Effect::Write { .. }));
            for store in stores.filter(|it| !it.circumstance.reverts) {
                assert_eq!(store.slot.root, Root::Fixed(list), "{name} {}: {:?}", contract.name, store.slot);
                let is_element = matches!(store.slot.path.first(), Some(Projection::Element { .. }));
                assert!(
                    is_element || store.slot.path.is_empty(),
                    "{name} {}: {:?}",
                    contract.name,
                    store.slot
                );
            }
        }
    }
}
