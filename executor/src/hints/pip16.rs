//! `pip16`: the dependency part of PIP-16, which Polygon's Bor keeps in the extra data of a header.
//!
//! In: the plan of a block. Out: RLP of one list of indices a transaction, in hexadecimal; the validators and the seal
//! around it are the block producer's. Every reading is listed with whose write it sees, also
//! where that follows from others.

use alloy_rlp::Encodable as _;

use super::{
    BlockHints,
    format::{FormatError, hexadecimal},
};

pub(super) fn render(hints: &BlockHints) -> Result<Vec<u8>, FormatError> {
    let plan = hints.plan.as_ref().ok_or(FormatError::PlanMissing { format: "pip16" })?;
    Ok(hexadecimal(&encode(&plan.dependencies)))
}

fn encode(dependencies: &[Vec<u32>]) -> Vec<u8> {
    let lists: Vec<Vec<u64>> =
        dependencies.iter().map(|list| list.iter().map(|index| u64::from(*index)).collect()).collect();
    let mut bytes = Vec::new();
    lists.encode(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use alloy_rlp::Decodable as _;

    use super::encode;

    #[test]
    fn golden_vector() {
        let example = [vec![], vec![], vec![0], vec![1, 2], vec![], vec![4]];
        assert_eq!(hex::encode(encode(&example)), "cac0c0c180c20102c0c104");
    }

    #[test]
    fn others_read_the_lists() {
        let lists: Vec<Vec<u32>> =
            (0..300).map(|index| (0..index).filter(|other| (index * other) % 7 == 3).collect()).collect();
        let read = Vec::<Vec<u64>>::decode(&mut encode(&lists).as_slice()).expect("lists");
        let read: Vec<Vec<u32>> = read.iter().map(|it| it.iter().map(|it| *it as u32).collect()).collect();
        assert_eq!(read, lists);
    }
}
