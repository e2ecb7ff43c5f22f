//! Which transactions of a block read what earlier ones write.

use alloy_primitives::{Address, U256};
use rustc_hash::FxHashMap;

/// For each transaction the earlier ones that write a slot that it reads, sorted.
pub(super) type Edges = Vec<Vec<u32>>;

/// The edges between transactions that write and read these slots; both lists are in the order of the block.
pub(super) fn edges<W, R>(writes: impl Iterator<Item = W>, reads: impl Iterator<Item = R>) -> Edges
where
    W: Iterator<Item = (Address, U256)>,
    R: Iterator<Item = (Address, U256)>,
{
    let mut writers: FxHashMap<(Address, U256), Vec<u32>> = FxHashMap::default();
    let mut edges = Vec::new();
    for (index, (writes, reads)) in writes.zip(reads).enumerate() {
        let mut before: Vec<u32> = reads.filter_map(|slot| writers.get(&slot)).flatten().copied().collect();
        before.sort_unstable();
        before.dedup();
        edges.push(before);
        for slot in writes {
            writers.entry(slot).or_default().push(index as u32);
        }
    }
    edges
}

/// The number of edges.
pub(super) fn size(edges: &Edges) -> u64 {
    edges.iter().map(|before| before.len() as u64).sum()
}

/// The number of edges that are in both.
pub(super) fn common(one: &Edges, other: &Edges) -> u64 {
    let shared = |(one, other): (&Vec<u32>, &Vec<u32>)| {
        one.iter().filter(|index| other.binary_search(index).is_ok()).count() as u64
    };
    one.iter().zip(other).map(shared).sum()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256};

    use super::{common, edges, size};

    #[test]
    fn later_readers_depend_on_earlier_writers() {
        let slot = |number: u64| (Address::ZERO, U256::from(number));
        let writes = [vec![slot(1)], vec![slot(1), slot(2)], vec![], vec![slot(3)]];
        let reads = [vec![slot(3)], vec![slot(1)], vec![slot(1), slot(2)], vec![slot(3)]];
        let found =
            edges(writes.iter().map(|it| it.iter().copied()), reads.iter().map(|it| it.iter().copied()));
        assert_eq!(found, [vec![], vec![0], vec![0, 1], vec![]]);
        assert_eq!(size(&found), 3);
        assert_eq!(common(&found, &vec![vec![], vec![], vec![1], vec![0]]), 1);
    }
}
