//! No bytes make a decoder panic, and what is decoded can be encoded again.
//!
//! The first byte of the input chooses the decoder: binary hints, a raw transaction, lines of them, a transaction as block
//! files have it, the name of a fork and a file of templates, a block file, a block access list, or all that a node says while a block is fetched.

#![no_main]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{LazyLock, Mutex},
};

use alloy_primitives::keccak256;
use deconflict_executor::{
    Block, BlockReader, BlockState, Expected, Header, Predictor, block_access_list,
    fetch::{FetchOptions, Node, NodeError, code_of, fetch_block, next_block},
    fork,
    hints::{
        Format, Senders, export_slices, parse_lines, parse_transaction, read_binary, symbolic_templates,
    },
    replay, transaction_from_json, write_block,
};
use libfuzzer_sys::fuzz_target;
use revm::primitives::hardfork::SpecId;
use serde_json::Value;

/// A node whose answers are written down: a line for each, with the method, a space and JSON.
struct Script(Mutex<BTreeMap<String, Vec<Value>>>);

impl Script {
    fn new(text: &str) -> Self {
        let mut answers: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for (method, answer) in text.lines().rev().filter_map(|line| line.split_once(' ')) {
            answers
                .entry(method.to_owned())
                .or_default()
                .push(serde_json::from_str(answer).unwrap_or_default());
        }
        Self(Mutex::new(answers))
    }
}

impl Node for Script {
    fn call(&self, method: &str, _: Value) -> Result<Value, NodeError> {
        let refused = NodeError::Refused { code: -32601, message: "there is no such method".to_owned() };
        let mut answers = self.0.lock().expect("nobody panics");
        let left = answers.get_mut(method).ok_or(refused)?;
        // The last one is given again and again.
        if left.len() > 1 { left.pop() } else { left.last().cloned() }.ok_or(NodeError::TimedOut)
    }
}

/// The block that lines of raw transactions are read for.
static BLOCK: LazyLock<Block> = LazyLock::new(|| Block {
    number: 1,
    chain_id: 1,
    spec: SpecId::OSAKA,
    header: Header::default(),
    expected: Expected::default(),
    block_hashes: BTreeMap::new(),
    transactions: Vec::new(),
    pre_state: BTreeMap::new(),
    codes: BTreeMap::new(),
    code_absent: BTreeSet::new(),
});

thread_local! {
    static SENDERS: RefCell<Senders> = RefCell::new(Senders::new(64));
}

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match which % 8 {
        0 => {
            if let Ok(hints) = read_binary(bytes) {
                let format = Format::named("bin").expect("it is in the list");
                let again = format.render(&hints).expect("there is no bound");
                assert_eq!(read_binary(&again).as_ref(), Ok(&hints));
                for name in ["json", "human", "prefetch"] {
                    let format = Format::named(name).expect("it is in the list");
                    assert!(format.render(&hints).is_ok());
                }
            }
        }
        1 => {
            let parsed = parse_transaction(bytes);
            SENDERS.with_borrow(|senders| assert_eq!(senders.parse(bytes), parsed));
        }
        2 => {
            let _ = parse_lines(&text, &BLOCK);
        }
        3 => {
            let _ = transaction_from_json(&text);
        }
        4 => {
            let _ = fork(&text);
            // What a file of templates holds between its first line and its hash, which nobody could guess.
            let (empty, _) = export_slices(&[]);
            let end = empty.iter().position(|byte| *byte == b'\n').expect("its first line ends") + 1;
            let content = [&empty[..end], bytes].concat();
            let _ = symbolic_templates(&[&content[..], &keccak256(&content)[..]].concat());
        }
        5 => {
            let mut reader = BlockReader::new(None).expect("no code file is named");
            if let Ok(block) = reader.parse(Path::new("nowhere/block.json"), bytes) {
                let text = write_block(&block).expect("its fork has a name");
                let again = reader.parse(Path::new("nowhere/block.json"), text.as_bytes());
                assert_eq!(again.expect("it was written"), block);
            }
        }
        6 => {
            if let Ok(list) = block_access_list::read(bytes, 100) {
                let bytes = block_access_list::to_rlp(&list);
                assert_eq!(block_access_list::read(&bytes, 100).as_ref(), Ok(&list));
                let json = block_access_list::to_json(&list);
                assert_eq!(block_access_list::read(&json, 100), Ok(list));
            }
        }
        _ => {
            let options = FetchOptions { without_tracer: which & 8 != 0, ..FetchOptions::default() };
            let fetched =
                fetch_block(&Script::new(&text), "latest", options, &Predictor::new(), &mut |_, _| {});
            if let Ok((block, _)) = fetched {
                assert!(replay(&block, &BlockState::new(&block)).is_ok());
            }
            let _ = next_block(&Script::new(&text), options);
            let _ = code_of(&Script::new(&text), alloy_primitives::Address::ZERO);
        }
    }
});
