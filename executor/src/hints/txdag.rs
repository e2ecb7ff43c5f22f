//! `txdag`: the transaction dependency graph of BEP-396, as BNB Smart Chain and opBNB take it.
//!
//! In: the plan of a block. Out: a type byte and RLP, in hexadecimal. Dependencies are transitively reduced; a transaction
//! that may touch anything is excluded, so that it runs serially.

use alloy_rlp::{Encodable, Header};

use super::{
    BlockHints,
    format::{FormatError, hexadecimal},
};

/// The type byte of a graph without any information.
const EMPTY: [u8; 2] = [0x00, 0xc0];

/// The type byte of a graph with a list for each transaction.
const PLAIN: u8 = 1;

/// The flag of a transaction that is to run serially.
const EXCLUDED: u8 = 2;

pub(super) fn render(hints: &BlockHints) -> Result<Vec<u8>, FormatError> {
    let plan = hints.plan.as_ref().ok_or(FormatError::PlanMissing { format: "txdag" })?;
    Ok(hexadecimal(&encode(&plan.dependencies, &plan.serial)))
}

/// The bytes of a graph.
fn encode(dependencies: &[Vec<u32>], serial: &[u32]) -> Vec<u8> {
    if dependencies.is_empty() {
        return EMPTY.to_vec();
    }
    let excluded = |index: usize| serial.contains(&(index as u32));
    // Nobody waits for a transaction that is not part of the graph, and it waits for nobody: it runs in its turn. They are
    // left out first, because what follows from their edges would not follow without them.
    let kept = dependencies.iter().enumerate().map(|(index, before)| {
        if excluded(index) {
            return Vec::new();
        }
        before.iter().copied().filter(|other| !excluded(*other as usize)).collect()
    });
    let reduced = reduce(&kept.collect::<Vec<Vec<u32>>>());
    let mut entries = Vec::new();
    for (index, before) in reduced.iter().enumerate() {
        let before: Vec<u64> = before.iter().map(|other| u64::from(*other)).collect();
        let mut entry = Vec::new();
        before.encode(&mut entry);
        if excluded(index) {
            EXCLUDED.encode(&mut entry);
        }
        Header { list: true, payload_length: entry.len() }.encode(&mut entries);
        entries.extend(entry);
    }
    let mut list = Vec::new();
    Header { list: true, payload_length: entries.len() }.encode(&mut list);
    list.extend(entries);
    let mut bytes = vec![PLAIN];
    Header { list: true, payload_length: list.len() }.encode(&mut bytes);
    bytes.extend(list);
    bytes
}

/// The dependencies without those that follow from others.
pub(super) fn reduce(dependencies: &[Vec<u32>]) -> Vec<Vec<u32>> {
    let words = dependencies.len().div_ceil(64);
    // For each transaction all that have to run before it, as bits.
    let mut ancestors: Vec<Vec<u64>> = Vec::with_capacity(dependencies.len());
    let mut reduced = Vec::with_capacity(dependencies.len());
    for before in dependencies {
        let mut all = vec![0_u64; words];
        let mut kept = Vec::new();
        // The latest first: whatever it has to wait for need not be said again.
        for &other in before.iter().rev() {
            let (word, bit) = (other as usize / 64, 1_u64 << (other % 64));
            if all[word] & bit != 0 {
                continue;
            }
            kept.push(other);
            all[word] |= bit;
            for (mine, theirs) in all.iter_mut().zip(&ancestors[other as usize]) {
                *mine |= theirs;
            }
        }
        kept.reverse();
        reduced.push(kept);
        ancestors.push(all);
    }
    reduced
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use alloy_rlp::{Decodable as _, Header, PayloadView};
    use proptest::prelude::*;

    use super::{encode, reduce};

    /// The example of BEP-396.
    const EXAMPLE: [&[u32]; 6] = [&[], &[], &[0], &[1, 2], &[], &[4]];

    fn example() -> Vec<Vec<u32>> {
        EXAMPLE.iter().map(|list| list.to_vec()).collect()
    }

    #[test]
    fn golden_vectors() {
        assert_eq!(hex::encode(encode(&example(), &[])), "01d1d0c1c0c1c0c2c180c3c20102c1c0c2c104");
        assert_eq!(hex::encode(encode(&example(), &[5])), "01d1d0c1c0c1c0c2c180c3c20102c1c0c2c002");
        assert_eq!(hex::encode(encode(&[], &[])), "00c0");
    }

    #[test]
    fn what_follows_is_left_out() {
        assert_eq!(reduce(&[vec![], vec![0], vec![0, 1], vec![0]]), [vec![], vec![0], vec![1], vec![0]]);
    }

    /// A reader that knows nothing of the writer.
    fn decode(bytes: &[u8]) -> Vec<(Vec<u64>, u64)> {
        let (kind, mut rest) = bytes.split_first().expect("a type byte");
        assert_eq!(*kind, 1);
        let mut outer = Header::decode_bytes(&mut rest, true).expect("a list");
        assert!(rest.is_empty());
        let PayloadView::List(entries) = Header::decode_raw(&mut outer).expect("a list") else {
            panic!("no list of entries")
        };
        let entry = |bytes: &&[u8]| {
            let mut bytes = *bytes;
            let mut payload = Header::decode_bytes(&mut bytes, true).expect("an entry");
            let before = Vec::<u64>::decode(&mut payload).expect("indices");
            let flags = if payload.is_empty() { 0 } else { u64::decode(&mut payload).expect("flags") };
            (before, flags)
        };
        entries.iter().map(entry).collect()
    }

    fn graphs() -> impl Strategy<Value = Vec<Vec<u32>>> {
        prop::collection::vec(prop::collection::vec(any::<u32>(), 0..6), 1..80).prop_map(|lists| {
            let bounded = |(index, list): (usize, Vec<u32>)| {
                let mut list: Vec<u32> =
                    if index == 0 { Vec::new() } else { list.iter().map(|it| it % index as u32).collect() };
                list.sort_unstable();
                list.dedup();
                list
            };
            lists.into_iter().enumerate().map(bounded).collect()
        })
    }

    /// All that has to run before each one.
    fn closure(graph: &[Vec<u32>]) -> Vec<std::collections::BTreeSet<u32>> {
        let mut all: Vec<std::collections::BTreeSet<u32>> = Vec::new();
        for before in graph {
            let mut mine: std::collections::BTreeSet<u32> = before.iter().copied().collect();
            for other in before {
                mine.extend(&all[*other as usize]);
            }
            all.push(mine);
        }
        all
    }

    proptest! {
        #[test]
        fn a_reduced_graph_orders_alike(graph in graphs()) {
            let reduced = reduce(&graph);
            prop_assert_eq!(closure(&graph), closure(&reduced));
            for (index, before) in reduced.iter().enumerate() {
                for other in before {
                    let rest = before.iter().filter(|it| *it != other);
                    let follows = rest.into_iter().any(|it| closure(&reduced)[*it as usize].contains(other));
                    prop_assert!(!follows, "{} of {}", other, index);
                }
            }
        }

        #[test]
        fn others_read_the_graph(graph in graphs()) {
            let read = decode(&encode(&graph, &[]));
            let lists: Vec<Vec<u32>> =
                read.iter().map(|(list, _)| list.iter().map(|it| *it as u32).collect()).collect();
            prop_assert_eq!(lists, reduce(&graph));
            prop_assert!(read.iter().all(|(_, flags)| *flags == 0));
        }
    }
}
