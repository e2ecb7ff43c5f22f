//! Every rewrite that a rule recommends works: the conflict that the fixture shows is gone in the rewritten one. And
//! pedantic rules find what is marked for them.
//!
//! A fixture names its rewrite in its first comment: `/// Rewritten in File.sol: buy.` Functions of the same name are
//! compared, `a × b` where the conflict is between two of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use deconflict_analyzer::Verdict;
use deconflict_lints::{
    Group, Inspection, Level, Levels, LoadOptions, Settings, check_contract, inspect, is_checked, load,
    merge, rules::RULES,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").join("fixtures")
}

/// Pairs of fixtures that are older than the comment.
const PAIRS: &[(&str, &str, &str)] = &[
    ("global-counter", "Ticketing", "TicketingSharded"),
    ("global-accumulator", "Donations", "DonationsSharded"),
    ("global-accumulator", "Staking", "StakingPerUser"),
    ("sequential-id", "OrderBook", "OrderBookHashed"),
    ("sequential-id", "TicketNft", "TicketNftPerMinter"),
    ("fee-sink-balance", "FeeToken", "FeeTokenAccrued"),
    ("storage-reentrancy-guard", "Bank", "BankTransient"),
    ("temp-in-storage", "FlashLender", "FlashLenderTransient"),
    ("false-sharing", "Quotes", "QuotesPadded"),
    ("array-push", "Raffle", "RaffleByEvents"),
    ("enumerable-set", "Members", "MembersByEvents"),
];

/// Rules whose pattern is no conflict that the matrix always shows, and what shows it instead.
const OTHERWISE: &[(&str, &str)] = &[
    ("pool-reserves", "the rewrite splits the pool: only calls on one shard meet"),
    ("self-balance-read", "balances are not storage"),
    ("unknown-slot-write", "conflicts with everything perhaps, not always"),
    ("bitmap-256", "conflicts for neighbours only"),
    ("vote-tally", "conflicts for those who choose alike"),
    ("push-payments", "conflicts with members only"),
    ("storage-derived-key", "is about what can be predicted"),
    ("block-data-key", "is about what can be predicted"),
    ("dynamic-target", "is about what can be predicted"),
    ("create-nonce-address", "the nonce of an account is not storage"),
    ("coinbase-touch", "balances are not storage"),
    ("eth-sink", "balances are not storage"),
    ("selfdestruct-redeploy", "accounts are not storage"),
    ("upgrade-slot-written-by-user-path", "a proxy's fallback may touch anything"),
    ("storage-array-scan", "conflicts with those who change the list"),
    ("wide-write-set", "is about a number of places"),
    ("callback-to-caller", "is about foreign code"),
    ("return-only-read", "stays a counter for engines that do not merge"),
    ("unbounded-storage-delete", "the rewrite needs no such call"),
    ("accrue-once-per-block", "needs no rewrite"),
    ("guarded-view", "ends each call as it began: conflicts where keys are tracked only"),
    ("incremental-merkle", "the order is inherent: batches are all that helps"),
    ("twap-write", "conflicts for the first call of a block only"),
    ("shared-ledger", "conflicts for pools with a token in common only"),
    ("unbounded-set", "is about how much a call touches"),
    ("gas-dependent-path", "is about what can be predicted"),
    ("shared-account-read", "balances are not storage"),
    ("shared-operator", "nonces are not storage"),
    ("global-rebase", "conflicts with calls of an administrator only"),
    ("approval-ping-pong", "is stored in a token, which is not looked at"),
    ("redundant-hot-check", "stays a sum for engines that do not merge"),
    ("gas-deposit", "conflicts with those who have the same sponsor"),
    ("role-split-struct", "conflicts for the same record only"),
    ("packed-array", "conflicts for neighbours only"),
    ("user-advanced-phase", "conflicts around a point in time only"),
    ("payable-self-credit", "balances are not storage"),
    ("last-block-lock", "conflicts for one account only"),
    ("same-sender-chain", "conflicts for one account only"),
];

fn described(rule: &str, file: &str) -> Inspection {
    let path = fixtures().join("artifacts").join(rule).join(file).with_extension("json");
    let project = load(&path, LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let named = |contract: &&deconflict_lints::Contract| contract.name == file;
    let contract = project.contracts.iter().find(named).unwrap_or_else(|| panic!("{rule}/{file} has {file}"));
    inspect(&project, contract)
}

/// The pairs of functions that always conflict, by name without parameters.
fn always(inspection: &Inspection) -> BTreeSet<(String, String)> {
    let short = |name: &str| name.split('(').next().unwrap_or(name).to_owned();
    let cells = inspection.conflicts.iter();
    let found = cells.filter(|cell| cell.verdict == Verdict::Always);
    found.map(|cell| (short(&cell.a), short(&cell.b))).collect()
}

/// What the first comment of a fixture says of its rewrite: the file and the pairs of functions.
fn rewrite_of(text: &str) -> Option<(String, Vec<(String, String)>)> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("/// Rewritten in "))?;
    let (file, functions) = line.trim_end_matches('.').split_once(".sol: ")?;
    let pair = |item: &str| match item.split_once(" × ") {
        Some((a, b)) => (a.to_owned(), b.to_owned()),
        None => (item.to_owned(), item.to_owned()),
    };
    Some((file.to_owned(), functions.split(", ").map(pair).collect()))
}

fn has(pairs: &BTreeSet<(String, String)>, (a, b): &(String, String)) -> bool {
    pairs.contains(&(a.clone(), b.clone())) || pairs.contains(&(b.clone(), a.clone()))
}

#[test]
fn rewrites_take_the_conflict_away() {
    let mut shown: BTreeSet<String> = PAIRS.iter().map(|pair| pair.0.to_owned()).collect();
    let mut wrong = Vec::new();
    for (rule, before, after) in PAIRS {
        let (old, new) = (always(&described(rule, before)), described(rule, after));
        let names: BTreeSet<String> = (new.functions.iter())
            .map(|it| it.name.split('(').next().unwrap_or_default().to_owned())
            .collect();
        let common: Vec<_> =
            old.iter().filter(|pair| names.contains(&pair.0) && names.contains(&pair.1)).collect();
        let left = always(&new);
        if common.is_empty() || common.iter().all(|pair| has(&left, pair)) {
            wrong.push(format!("{rule}: {before} still conflicts as {after}"));
        }
    }
    for rule in RULES {
        let folder = fixtures().join("contracts").join(rule.name);
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable entry").path();
            let text = fs::read_to_string(&path).expect("a readable fixture");
            let Some((after, pairs)) = rewrite_of(&text) else { continue };
            let before = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let (old, new) = (always(&described(rule.name, &before)), always(&described(rule.name, &after)));
            for pair in &pairs {
                if !has(&old, pair) {
                    wrong.push(format!(
                        "{}: {before}: {} × {} does not always conflict",
                        rule.name, pair.0, pair.1
                    ));
                }
                if has(&new, pair) {
                    wrong.push(format!("{}: {after}: {} × {} still conflicts", rule.name, pair.0, pair.1));
                }
            }
            shown.insert(rule.name.to_owned());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let reasons: BTreeSet<&str> = OTHERWISE.iter().map(|it| it.0).collect();
    let missing: Vec<&str> = RULES
        .iter()
        .filter(|rule| !shown.contains(rule.name))
        .map(|rule| rule.name)
        .filter(|name| !reasons.contains(name))
        .collect();
    assert!(missing.is_empty(), "no rewrite is shown for {missing:?}");
}

#[test]
fn pedantic_rules_find_what_is_marked_for_them() {
    let mut wrong = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.group == Group::Pedantic) {
        let folder = fixtures().join("artifacts").join(rule.name);
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a readable entry").path();
            let project = load(&path, LoadOptions::default()).unwrap_or_else(|error| panic!("{error}"));
            let mut levels = Levels::default();
            levels.set(rule.name, Level::Warn).expect("a rule that exists");
            let contracts = project.contracts.iter().filter(|contract| is_checked(contract));
            let checked: Vec<_> =
                contracts.map(|it| check_contract(&project, it, &Settings::default())).collect();
            let report = merge(&project, checked, &levels);
            let own = report.diagnostics.iter().filter(|it| it.rule == rule.name);
            let found: BTreeSet<String> = own
                .filter_map(|it| it.primary.as_ref())
                .map(|label| {
                    let source = project.source(label.span.source);
                    format!("{}:{}", source.path, source.position(label.span.start).line)
                })
                .collect();
            let mut marked = BTreeSet::new();
            for source in &project.sources {
                for (number, line) in source.text.lines().enumerate() {
                    let rules = line.split_once("//~? ").map(|(_, rules)| rules).unwrap_or_default();
                    if rules.split(',').any(|name| name.trim() == rule.name) {
                        marked.insert(format!("{}:{}", source.path, number + 1));
                    }
                }
            }
            if found != marked {
                wrong.push(format!("{}: {}: found {found:?}, marked {marked:?}", rule.name, path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
