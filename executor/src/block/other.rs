//! JSON about blocks that is no block file.
//!
//! In: a file that could not be read as a block. Out: what it is instead, where its keys say so: tests of Ethereum, input
//! and output of their tools, answers of nodes.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

type Keys<'a> = BTreeMap<String, &'a RawValue>;

/// What a file is instead of a block, in words.
pub(super) fn kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Some("a list, such as the transactions of a transition tool");
    }
    let keys: Keys<'_> = serde_json::from_slice(bytes).ok()?;
    let has = |names: &[&str]| names.iter().all(|name| keys.contains_key(*name));
    if has(&["jsonrpc", "result"]) {
        return Some("a node's answer over JSON-RPC");
    }
    if has(&["parentHash", "stateRoot"]) {
        return Some("a block as nodes answer it, which lacks the state before it");
    }
    if has(&["config", "alloc"]) {
        return Some("a genesis file");
    }
    if has(&["alloc", "result"]) || has(&["currentCoinbase", "currentNumber"]) {
        return Some("a file of a transition tool (t8n)");
    }
    // Tests are named; what they are shows one level below.
    let first = keys.values().next()?;
    let inside: Keys<'_> = serde_json::from_str(first.get()).ok()?;
    let has = |names: &[&str]| names.iter().all(|name| inside.contains_key(*name));
    if has(&["env", "pre", "transaction"]) {
        Some("a state test of Ethereum")
    } else if has(&["pre", "blocks"]) || has(&["genesisBlockHeader"]) {
        Some("a blockchain test of Ethereum")
    } else if keys.keys().all(|key| key.starts_with("0x") && key.len() == 42)
        && inside.contains_key("balance")
    {
        Some("a list of accounts, such as the state of a transition tool (t8n)")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn other_files_are_called_by_what_they_are() {
        let is = |text: &str, word: &str| {
            assert!(kind(text.as_bytes()).is_some_and(|found| found.contains(word)), "{text}");
        };
        is(r#"{"add11": {"env": {}, "pre": {}, "transaction": {}, "post": {}}}"#, "state test");
        is(r#"{"name": {"blocks": [], "genesisBlockHeader": {}, "pre": {}}}"#, "blockchain test");
        is(r#"{"currentCoinbase": "0x00", "currentNumber": "0x1"}"#, "transition tool");
        is(r#"{"alloc": {}, "result": {}}"#, "transition tool");
        is(r#"{"0x00000000000000000000000000000000000000aa": {"balance": "0x1"}}"#, "transition tool");
        is("[{}]", "transition tool");
        is(r#"{"jsonrpc": "2.0", "id": 1, "result": {}}"#, "JSON-RPC");
        is(r#"{"parentHash": "0x", "stateRoot": "0x", "number": "0x1"}"#, "nodes");
        is(r#"{"config": {}, "alloc": {}}"#, "genesis");
        assert_eq!(kind(br#"{"format": 1}"#), None);
        assert_eq!(kind(b"{"), None);
    }
}
