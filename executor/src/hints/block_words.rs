//! Which words of the block decide what a symbolic template lists.
//!
//! In: the summary of an entry. Out: names, sorted by number. A word that stands in a key, a condition or a target is one of
//! them. Where an expression has a value that depends on the way to it, or one that the analysis lost, no expression says
//! what decided that: then every word that the code asks for may have.

use deconflict_analyzer::{
    Analysis, Condition, Environment, ExprId, Node, Projection, Root, Slot, Sources, Summary,
};
use revm::bytecode::opcode as op;

use crate::environment::EnvironmentWord;

/// The instructions that ask for words of the block, and what they ask for; which block a hash is of does not matter here.
const INSTRUCTIONS: [(u8, EnvironmentWord); 10] = [
    (op::TIMESTAMP, EnvironmentWord::Timestamp),
    (op::NUMBER, EnvironmentWord::Number),
    (op::DIFFICULTY, EnvironmentWord::PrevRandao),
    (op::COINBASE, EnvironmentWord::Coinbase),
    (op::BASEFEE, EnvironmentWord::BaseFee),
    (op::GASPRICE, EnvironmentWord::BaseFee),
    (op::GASLIMIT, EnvironmentWord::GasLimit),
    (op::BLOBBASEFEE, EnvironmentWord::BlobBaseFee),
    (op::SLOTNUM, EnvironmentWord::SlotNumber),
    (op::BLOCKHASH, EnvironmentWord::BlockHash(0)),
];

/// The names of the words that decide what the summary lists. What callees return may depend on more.
pub(super) fn names(summary: &Summary, analysis: &Analysis) -> Vec<&'static str> {
    let mut found = Found { analysis, words: Vec::new(), lost: false };
    let circumstances = summary
        .accesses
        .iter()
        .map(|it| &it.circumstance)
        .chain(summary.calls.iter().map(|it| &it.circumstance))
        .chain(summary.creations.iter().map(|it| &it.circumstance))
        .chain(summary.balance_reads.iter().map(|it| &it.circumstance))
        .chain(summary.self_destructs.iter().map(|it| &it.circumstance));
    for Condition { expression, .. } in circumstances.flat_map(|it| &it.when) {
        found.note(*expression);
    }
    for access in &summary.accesses {
        found.note(access.expression);
        found.note_slot(&access.slot);
    }
    for call in &summary.calls {
        found.note(call.target);
        call.value.iter().chain(&call.arguments).for_each(|word| found.note(*word));
    }
    for creation in &summary.creations {
        creation.salt.iter().chain([&creation.address]).for_each(|word| found.note(*word));
    }
    summary.balance_reads.iter().for_each(|it| found.note(it.address));
    summary.self_destructs.iter().for_each(|it| found.note(it.beneficiary));
    if found.lost {
        let asked = analysis.code.instructions.iter();
        let asked = asked.filter_map(|it| INSTRUCTIONS.iter().find(|(opcode, _)| *opcode == it.opcode));
        found.words.extend(asked.map(|(_, word)| *word));
    }
    if found.words.contains(&EnvironmentWord::BlockHash(0)) {
        found.words.push(EnvironmentWord::Number);
    }
    found.words.sort_unstable();
    found.words.dedup();
    found.words.iter().map(|word| word.name()).collect()
}

struct Found<'a> {
    analysis: &'a Analysis,
    words: Vec<EnvironmentWord>,
    /// Whether something decides that no expression shows.
    lost: bool,
}

impl Found<'_> {
    fn note_slot(&mut self, slot: &Slot) {
        match slot.root {
            Root::Fixed(_) => {}
            Root::Raw(word) => self.note(word),
            Root::Unknown(_) => self.lost = true,
        }
        for step in &slot.path {
            match step {
                Projection::Mapping { key: word }
                | Projection::Element { index: word, .. }
                | Projection::Index { index: word, .. } => self.note(*word),
                Projection::Offset(_) => {}
            }
        }
    }

    /// Notes the words that an expression is made of.
    fn note(&mut self, root: ExprId) {
        let expressions = &self.analysis.expressions;
        // Most words have none, as their sources say.
        let relevant = [
            Sources::BLOCK,
            Sources::COINBASE,
            Sources::TRANSACTION,
            Sources::BALANCE,
            Sources::UNKNOWN,
            Sources::PHI,
        ];
        let relevant = relevant.into_iter().fold(Sources::NONE, Sources::with);
        if !expressions.sources(root).intersects(relevant) {
            return;
        }
        let (words, lost) = (&mut self.words, &mut self.lost);
        expressions.any(root, |id| {
            match expressions.node(id) {
                Node::Environment(word) => words.extend(word_of(word)),
                Node::BlockHash(_) => words.push(EnvironmentWord::BlockHash(0)),
                // The sender has paid in advance by then, and anybody may be the sender.
                Node::Balance { address, .. }
                    if expressions.node(address) != Node::Environment(Environment::Address) =>
                {
                    words.extend([EnvironmentWord::BaseFee, EnvironmentWord::BlobBaseFee]);
                }
                Node::Phi { .. } | Node::Unknown(_) => *lost = true,
                _ => {}
            }
            false
        });
    }
}

fn word_of(word: Environment) -> Option<EnvironmentWord> {
    Some(match word {
        Environment::GasPrice | Environment::BaseFee => EnvironmentWord::BaseFee,
        Environment::Coinbase => EnvironmentWord::Coinbase,
        Environment::Timestamp => EnvironmentWord::Timestamp,
        Environment::Number => EnvironmentWord::Number,
        Environment::PrevRandao => EnvironmentWord::PrevRandao,
        Environment::GasLimit => EnvironmentWord::GasLimit,
        Environment::BlobBaseFee => EnvironmentWord::BlobBaseFee,
        Environment::OtherBlock => EnvironmentWord::SlotNumber,
        Environment::Address
        | Environment::Caller
        | Environment::Origin
        | Environment::CallValue
        | Environment::CalldataSize
        | Environment::ChainId => return None,
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Bytes;
    use deconflict_analyzer::{Options, analyze};

    use super::*;

    fn names_of(code: &[u8]) -> Vec<&'static str> {
        let analysis = analyze(Bytes::copy_from_slice(code), &Options::default());
        let mut all: Vec<_> = analysis.summaries.iter().flat_map(|it| names(it, &analysis)).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn keys_targets_and_branches_name_what_they_are_made_of() {
        assert_eq!(names_of(&[op::PUSH1, 1, op::TIMESTAMP, op::SSTORE, op::STOP]), ["timestamp"]);
        assert_eq!(names_of(&[op::TIMESTAMP, op::PUSH1, 1, op::SSTORE, op::STOP]), Vec::<&str>::new());
        let pays = [&[op::PUSH0; 5][..], &[op::COINBASE, op::GAS, op::CALL, op::POP, op::STOP]].concat();
        assert_eq!(names_of(&pays), ["coinbase"]);
        let hash = [op::PUSH1, 1, op::NUMBER, op::SUB, op::BLOCKHASH, op::SLOAD, op::STOP];
        assert_eq!(names_of(&hash), ["block_hash", "number"]);
        assert_eq!(names_of(&[op::CALLER, op::BALANCE, op::SLOAD, op::STOP]), ["base_fee", "blob_base_fee"]);
        let branch = [op::PUSH0, op::CALLDATALOAD, op::NUMBER, op::GT, op::PUSH1, 10, op::JUMPI];
        let branch =
            [&branch[..], &[op::STOP, op::STOP, op::STOP, op::JUMPDEST, op::PUSH0, op::SLOAD]].concat();
        assert_eq!(names_of(&branch), ["number"]);
    }

    #[test]
    fn a_choice_that_no_expression_shows_may_be_by_anything_that_is_asked_for() {
        // Slot 1 or 2, by the time: both ways go on alike.
        let test =
            [op::PUSH1, 1, op::PUSH0, op::CALLDATALOAD, op::TIMESTAMP, op::LT, op::PUSH1, 12, op::JUMPI];
        let code = [&test[..], &[op::POP, op::PUSH1, 2, op::JUMPDEST, op::SLOAD, op::STOP]].concat();
        assert_eq!(names_of(&code), ["timestamp"]);
    }
}
