//! The forms in which nodes write what they answer, made one.
//!
//! In: values of JSON-RPC as clients write them: numbers with leading zeros or as JSON numbers, words without theirs, nothing
//! for zero, fields that are null or left out. Out: words, bytes, and blocks in the form that the specification has, where
//! there is only one thing that can be meant. What is ambiguous stays as it is, for whoever reads it to refuse: nothing is
//! invented that a hash or a root does not confirm, or that is not what "nothing there" means.

use alloy_consensus::constants::EMPTY_OMMER_ROOT_HASH;
use alloy_primitives::{B256, Bytes, U256, hex};
use serde_json::{Map, Value, json};

use super::NodeError;

/// A number of up to 32 bytes. Where there is none, it is zero: of what is not there, nodes know no balance, nonce or word.
pub fn word(answer: &Value) -> Result<U256, NodeError> {
    let malformed = || NodeError::Malformed(format!("{answer} is no number in hexadecimal"));
    match answer {
        Value::Null => Ok(U256::ZERO),
        Value::Number(number) => number.as_u64().map(U256::from).ok_or_else(malformed),
        Value::String(text) => digits(text).and_then(number).ok_or_else(malformed),
        _ => Err(malformed()),
    }
}

/// A number of up to 64 bits, likewise.
pub fn short(answer: &Value) -> Result<u64, NodeError> {
    u64::try_from(word(answer)?).map_err(|_| NodeError::Malformed(format!("{answer} does not fit 64 bits")))
}

/// Bytes; none where there is nothing.
pub fn bytes(answer: &Value) -> Result<Bytes, NodeError> {
    let malformed = || NodeError::Malformed(format!("{answer} is not bytes in hexadecimal"));
    match answer {
        Value::Null => Ok(Bytes::new()),
        Value::String(text) => match digits(text) {
            // Half a byte is none, so that this can only be a number, and the one that stands for nothing.
            Some("" | "0") => Ok(Bytes::new()),
            Some(digits) => hex::decode(digits).map(Bytes::from).map_err(|_| malformed()),
            None => Err(malformed()),
        },
        _ => Err(malformed()),
    }
}

/// What stands behind `0x`. Nothing at all is taken for nothing behind it.
fn digits(text: &str) -> Option<&str> {
    if text.is_empty() {
        return Some(text);
    }
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

fn number(digits: &str) -> Option<U256> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { Some(U256::ZERO) } else { U256::from_str_radix(digits, 16).ok() }
}

/// Makes one form of a header, and of the transactions in full that come with it, on this chain.
pub(super) fn block(answer: &mut Value, chain_id: u64) {
    let Value::Object(block) = answer else { return };
    header(block);
    if let Some(Value::Array(transactions)) = block.get_mut("transactions") {
        for it in transactions {
            transaction(it, chain_id);
        }
    }
}

/// What a header has always had, and the bytes that each has. The hash over all of them confirms what stands here.
const FIXED: [(&str, usize); 11] = [
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("mixHash", 32),
    ("withdrawalsRoot", 32),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
    ("nonce", 8),
    ("logsBloom", 256),
];

const HEADER_NUMBERS: [&str; 9] = [
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "baseFeePerGas",
    "blobGasUsed",
    "excessBlobGas",
    "slotNumber",
];

fn header(block: &mut Map<String, Value>) {
    block.retain(|_, value| !value.is_null());
    let zero = || json!("0x0");
    for name in ["difficulty", "mixHash", "nonce"] {
        block.entry(name).or_insert_with(zero);
    }
    block.entry("extraData").or_insert_with(|| json!("0x"));
    if !block.contains_key("ommersHash") {
        block.entry("sha3Uncles").or_insert_with(|| json!(EMPTY_OMMER_ROOT_HASH));
    }
    numbers(block, &HEADER_NUMBERS);
    for (name, length) in FIXED {
        if let Some(value) = block.get_mut(name) {
            pad(value, length);
        }
    }
    if let Some(value) = block.get_mut("extraData") {
        plain_bytes(value);
    }
}

const TRANSACTION_NUMBERS: [&str; 14] = [
    "type",
    "nonce",
    "value",
    "gas",
    "gasLimit",
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "maxFeePerBlobGas",
    "chainId",
    "v",
    "yParity",
    "r",
    "s",
];

/// Makes one form of a transaction. The root over all of them confirms what it comes to.
fn transaction(answer: &mut Value, chain_id: u64) {
    let Value::Object(fields) = answer else { return };
    fields.retain(|_, value| !value.is_null());
    numbers(fields, &TRANSACTION_NUMBERS);
    let kind = kind(fields);
    fields.insert("type".to_owned(), json!(format!("{kind:#x}")));
    if let Some(data) = fields.remove("data") {
        fields.entry("input").or_insert(data);
    }
    plain_bytes(fields.entry("input").or_insert_with(|| json!("0x")));
    let creates = fields.get("to").is_none_or(|to| *to == json!("") || *to == json!("0x"));
    if creates {
        fields.insert("to".to_owned(), Value::Null);
    }
    // It is computed where it is needed.
    fields.entry("hash").or_insert_with(|| json!(B256::ZERO));
    if kind == 0 {
        legacy(fields);
    } else {
        fields.entry("chainId").or_insert_with(|| json!(format!("{chain_id:#x}")));
        parity(fields);
        lists(fields, kind);
    }
}

/// The kind of a transaction, which old nodes do not name: what it has tells it.
fn kind(fields: &Map<String, Value>) -> u64 {
    if let Some(kind) = fields.get("type").and_then(|kind| short(kind).ok()) {
        return kind;
    }
    let has = |name: &str| fields.contains_key(name);
    if has("authorizationList") {
        4
    } else if has("maxFeePerBlobGas") {
        3
    } else if has("maxFeePerGas") {
        2
    } else {
        u64::from(has("accessList"))
    }
}

/// Before EIP-2718 the signature alone said which chain it is for.
fn legacy(fields: &mut Map<String, Value>) {
    for name in ["yParity", "accessList", "maxFeePerGas", "maxPriorityFeePerGas"] {
        fields.remove(name);
    }
    let Some(v) = fields.get("v").and_then(|v| short(v).ok()) else { return };
    if v >= 35 {
        fields.insert("chainId".to_owned(), json!(format!("{:#x}", (v - 35) / 2)));
    } else {
        fields.remove("chainId");
        let v = if v < 2 { 27 + v } else { v };
        fields.insert("v".to_owned(), json!(format!("{v:#x}")));
    }
}

/// Which of two points a signature means, under the names and numbers that are in use.
fn parity(fields: &mut Map<String, Value>) {
    let known = fields.get("yParity").or_else(|| fields.get("v")).and_then(|it| short(it).ok());
    let Some(known) = known else { return };
    let parity = if matches!(known, 27 | 28) { known - 27 } else { known };
    for name in ["v", "yParity"] {
        fields.insert(name.to_owned(), json!(format!("{parity:#x}")));
    }
}

fn lists(fields: &mut Map<String, Value>, kind: u64) {
    let accessed = fields.entry("accessList").or_insert_with(|| json!([]));
    for item in accessed.as_array_mut().into_iter().flatten() {
        let Value::Object(item) = item else { continue };
        item.retain(|_, value| !value.is_null());
        let keys = item.entry("storageKeys").or_insert_with(|| json!([]));
        keys.as_array_mut().into_iter().flatten().for_each(|key| pad(key, 32));
    }
    if kind == 3 {
        let hashes = fields.entry("blobVersionedHashes").or_insert_with(|| json!([]));
        hashes.as_array_mut().into_iter().flatten().for_each(|hash| pad(hash, 32));
    }
    if kind == 4 {
        let signed = fields.entry("authorizationList").or_insert_with(|| json!([]));
        for authorization in signed.as_array_mut().into_iter().flatten() {
            let Value::Object(authorization) = authorization else { continue };
            authorization.retain(|_, value| !value.is_null());
            numbers(authorization, &["chainId", "nonce", "yParity", "v", "r", "s"]);
            // As it was signed, whatever the number: the root is over it.
            if let Some(v) = authorization.remove("v") {
                authorization.entry("yParity").or_insert(v);
            }
        }
    }
}

/// Writes numbers as the specification has them.
fn numbers(fields: &mut Map<String, Value>, names: &[&str]) {
    for name in names {
        if let Some(value) = fields.get_mut(*name)
            && let Ok(number) = word(value)
        {
            *value = json!(format!("{number:#x}"));
        }
    }
}

/// Writes the zeros that a number of so many bytes begins with.
fn pad(value: &mut Value, length: usize) {
    let Some(digits) = value.as_str().and_then(digits) else { return };
    if digits.len() < 2 * length {
        *value = json!(format!("0x{digits:0>width$}", width = 2 * length));
    }
}

fn plain_bytes(value: &mut Value) {
    if let Ok(bytes) = bytes(value) {
        *value = json!(bytes);
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, U256};
    use serde_json::{Value, json};

    use super::{block, bytes, short, word};

    #[test]
    fn numbers_are_read_in_every_form_that_means_one_thing() {
        let long = format!("0x{:0>64}", "2a");
        for form in [json!("0x2a"), json!("0x02a"), json!("0X2A"), json!("0x0002a"), json!(long), json!(42)] {
            assert_eq!(word(&form), Ok(U256::from(42)), "{form}");
            assert_eq!(short(&form), Ok(42), "{form}");
        }
        for form in [json!("0x"), json!("0x0"), json!("0x000"), json!(""), json!(0), Value::Null] {
            assert_eq!(word(&form), Ok(U256::ZERO), "{form}");
        }
        let too_long = format!("0x1{:0>64}", "0");
        for form in [
            json!("2a"),
            json!("42"),
            json!("0xzz"),
            json!("0x+1"),
            json!(-1),
            json!(1.5),
            json!([]),
            json!(too_long),
        ] {
            assert!(word(&form).is_err(), "{form}");
        }
        assert!(short(&json!("0x10000000000000000")).is_err());
    }

    #[test]
    fn bytes_are_read_in_every_form_that_means_one_thing() {
        for form in [json!("0x"), json!("0x0"), json!(""), Value::Null] {
            assert_eq!(bytes(&form), Ok(Bytes::new()), "{form}");
        }
        assert_eq!(bytes(&json!("0x00")), Ok(Bytes::from_static(&[0])), "a code of one instruction");
        for form in [json!("0x123"), json!("6001"), json!(5), json!("0xzz")] {
            assert!(bytes(&form).is_err(), "{form}");
        }
    }

    #[test]
    fn what_is_left_out_of_a_block_is_what_it_has_to_be() {
        let mut answer = json!({
            "number": "0x0005", "baseFeePerGas": null, "nonce": "0x0", "mixHash": "0x1", "extraData": "0x0",
            "transactions": [
                {"gas": 21000, "v": "0x01", "r": "0x0a", "s": "0x0b", "nonce": "0x", "maxFeePerGas": "0x01", "data": "0x1234"},
                {"gas": "0x1", "v": "0x25", "chainId": "0x0", "accessList": null, "to": "0x", "input": null},
                {"type": 4, "yParity": "0x1", "to": "0x11", "authorizationList": [{"nonce": "0x00", "v": "0x1c"}],
                 "accessList": [{"address": "0x22", "storageKeys": ["0x1"]}, {"address": "0x33"}]},
            ],
        });
        block(&mut answer, 9);
        assert_eq!((&answer["number"], &answer["nonce"]), (&json!("0x5"), &json!("0x0000000000000000")));
        assert_eq!(answer.get("baseFeePerGas"), None);
        assert_eq!(answer["extraData"], "0x");
        let [dynamic, old, code] = answer["transactions"].as_array().expect("three").as_slice() else {
            panic!()
        };
        assert_eq!((&dynamic["type"], &dynamic["chainId"]), (&json!("0x2"), &json!("0x9")));
        assert_eq!(
            (&dynamic["yParity"], &dynamic["input"], &dynamic["to"]),
            (&json!("0x1"), &json!("0x1234"), &Value::Null)
        );
        assert_eq!((&dynamic["nonce"], &dynamic["accessList"]), (&json!("0x0"), &json!([])));
        assert_eq!((&old["type"], &old["chainId"], &old["to"]), (&json!("0x0"), &json!("0x1"), &Value::Null));
        assert_eq!((&code["type"], &code["v"]), (&json!("0x4"), &json!("0x1")));
        assert_eq!(code["authorizationList"], json!([{"nonce": "0x0", "yParity": "0x1c"}]));
        let key = format!("0x{:0>64}", "1");
        assert_eq!(
            code["accessList"],
            json!([{"address": "0x22", "storageKeys": [key]}, {"address": "0x33", "storageKeys": []}])
        );
    }
}
