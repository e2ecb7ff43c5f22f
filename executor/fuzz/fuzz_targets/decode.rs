//! No bytes make a decoder panic, and what is decoded can be encoded again.
//!
//! The first byte of the input chooses the decoder: binary hints, a raw transaction, lines of them, a transaction as block
//! files have it, or a block file.

#![no_main]

use std::path::Path;

use deconflict_executor::{
    BlockReader, fork, transaction_from_json, write_block,
    hints::{Format, parse_lines, parse_transaction, read_binary},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match which % 6 {
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
            let _ = parse_transaction(bytes, 1);
        }
        2 => {
            let _ = parse_lines(&text, 1);
        }
        3 => {
            let _ = transaction_from_json(&text);
        }
        4 => {
            let _ = fork(&text);
        }
        _ => {
            let mut reader = BlockReader::new(None).expect("no code file is named");
            if let Ok(block) = reader.parse(Path::new("nowhere/block.json"), bytes) {
                let text = write_block(&block).expect("its fork has a name");
                let again = reader.parse(Path::new("nowhere/block.json"), text.as_bytes());
                assert_eq!(again.expect("it was written"), block);
            }
        }
    }
});
