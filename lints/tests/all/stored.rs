//! Results that were turned into bytes and back make the same report, findings across contracts included; keys change
//! with what a result is made from.

use std::path::{Path, PathBuf};

use deconflict_lints::{
    Checked, Levels, LoadOptions, Profile, Project, ProjectKey, Settings, check_contract, load, merge,
};

fn project(name: &str) -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace");
    let path: PathBuf = root.join("fixtures/artifacts").join(name);
    load(&path, LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_comes_back_makes_the_same_report() {
    for name in ["dapps/StakingVault.json", "dapps/Pair.json", "unknown-slot-write/SlotBag.json"] {
        let project = project(name);
        let settings = Settings::default();
        let checked: Vec<Checked> =
            project.contracts.iter().map(|it| check_contract(&project, it, &settings)).collect();
        let back = checked.iter().map(|it| Checked::from_bytes(&it.to_bytes()).expect("bytes of a result"));
        let back = merge(&project, back.collect::<Vec<_>>(), &Levels::default());
        let direct = merge(&project, checked, &Levels::default());
        assert!(!direct.diagnostics.is_empty(), "{name}");
        assert_eq!(back.diagnostics, direct.diagnostics, "{name}");
    }
}

#[test]
fn keys_change_with_what_a_result_is_made_from() {
    let one = project("global-counter/Ticketing.json");
    let settings = Settings::default();
    let contract = &one.contracts[0];
    let key = ProjectKey::new(&one, &settings).of(contract);
    assert_eq!(key, ProjectKey::new(&one, &settings).of(contract));
    let by_key = Settings { profile: Profile::WriteKey, ..Settings::default() };
    assert_ne!(key, ProjectKey::new(&one, &by_key).of(contract));
    let mut other = contract.clone();
    other.name.push('2');
    assert_ne!(key, ProjectKey::new(&one, &settings).of(&other));
    let mut renamed = one.clone();
    renamed.sources[0].path.push('2');
    assert_ne!(key, ProjectKey::new(&renamed, &settings).of(contract));
}
