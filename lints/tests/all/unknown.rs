//! What is said of a contract of which not all is known: in the matrix, in a budget, in an editor, and by the rules.

use deconflict_lints::{
    ContractNames, Levels, Project, Settings, analyze_contract, budget, check_contract, facts, inspect,
    load_bytes, merge, report,
};

/// Counts in slot 0 and goes on where the caller says (0x11111111), sets slot 1 (0x22222222), sets an entry of a mapping
/// (0x33333333), and reads slot 1 (0x44444444).
fn project() -> Project {
    const FUNCTIONS: [(&str, &str); 4] = [
        ("11111111", "5f5460010160005560043556"),
        ("22222222", "600160015500"),
        ("33333333", "6004355f526002602052600160405f205500"),
        ("44444444", "6001545f5260205ff3"),
    ];
    let mut places = Vec::new();
    let dispatch = 5 + FUNCTIONS.len() * 11 + 3;
    let mut end = dispatch;
    for (_, body) in FUNCTIONS {
        places.push(end);
        end += 1 + body.len() / 2;
    }
    let mut code = String::from("5f3560e01c");
    for ((selector, _), place) in FUNCTIONS.iter().zip(&places) {
        code.push_str(&["8063", selector, "1461", &format!("{place:04x}"), "57"].concat());
    }
    code.push_str("5f5ffd");
    for (_, body) in FUNCTIONS {
        code.push_str("5b");
        code.push_str(body);
    }
    load_bytes("open", code.as_bytes()).expect("it is code")
}

#[test]
fn no_pair_with_an_open_side_is_apart() {
    let project = project();
    let found: Vec<_> = project.contracts.iter().map(|contract| inspect(&project, contract)).collect();
    insta::assert_snapshot!(report::inspect_human::render(&found));
    let json: serde_json::Value =
        serde_json::from_str(&report::inspect_json::render(&found)).expect("it is JSON");
    let conflicts = json["contracts"][0]["conflicts"].as_array().expect("it has a matrix");
    let open = |cell: &&serde_json::Value| cell["a"] == "0x11111111" || cell["b"] == "0x11111111";
    let verdicts: Vec<_> = conflicts.iter().filter(open).map(|cell| &cell["verdict"]).collect();
    assert_eq!(verdicts, ["always", "unknown", "unknown", "unknown"]);
    let condition = "perhaps: 0x11111111 may touch more than is known";
    assert!(conflicts.iter().filter(open).skip(1).all(|cell| cell["condition"] == condition));
    let known = conflicts.iter().filter(|cell| !open(cell) && cell["verdict"] == "never").count();
    assert_eq!(known, 3, "what is known is apart as before");
}

#[test]
fn a_budget_allows_for_what_is_not_known() {
    let project = project();
    let contract = &project.contracts[0];
    let (name, held) =
        budget::contract_budget(&project, contract, &Settings::default()).expect("it has functions");
    let budget = budget::Budget { contracts: [(name, held)].into() };
    insta::assert_snapshot!(budget::render(&budget));
    assert_eq!(budget::parse("budget.json", &budget::render(&budget)), Ok(budget));
}

#[test]
fn an_editor_says_what_is_not_known() {
    let project = project();
    let contract = &project.contracts[0];
    let names = ContractNames::new(&project, contract);
    let analyzed = analyze_contract(contract, &names);
    let facts = facts(&project, contract, &names, &analyzed);
    let lenses: Vec<String> = facts.functions.iter().map(report::editor::lens).collect();
    insta::assert_snapshot!(format!("{}\n\n{}", lenses.join("\n"), report::editor::matrix(&facts)));
}

#[test]
fn calls_of_what_is_not_known_do_not_run_at_once() {
    let project = project();
    let checked = check_contract(&project, &project.contracts[0], &Settings::default());
    let found = merge(&project, vec![checked], &Levels::default());
    let effects: Vec<_> = found.diagnostics.iter().flat_map(|it| &it.effects).collect();
    let open = effects.iter().find(|it| it.function == "0x11111111").expect("it counts for everybody");
    assert_eq!((open.before, open.after, open.complete), (1, 1, false));
    let notes: Vec<&String> = found.diagnostics.iter().flat_map(|it| &it.notes).collect();
    assert!(
        notes.iter().any(|note| note.contains("since not all that `0x11111111` touches is known")),
        "{notes:?}"
    );
}
