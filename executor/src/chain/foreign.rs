//! What other chains do that Ethereum does not: kinds of transactions, and rules of their own.
//!
//! In: a type, or a chain. Out: words for errors and warnings. Nothing here changes how anything is executed; where an engine
//! for another chain stands beside this one, this is where it would be chosen by the chain.

use alloy_chains::{Chain, NamedChain};

/// What a transaction of a type is that Ethereum does not have, where that is known.
pub fn kind_name(kind: u64) -> Option<&'static str> {
    Some(match kind {
        0x05 => "a type that Ethereum has left out",
        0x06 => "a type that is only proposed for Ethereum",
        0x16 => "a transaction of Wemix whose fees another pays",
        0x51 => "a transaction of VeChain",
        0x64 => "a deposit of an Arbitrum chain",
        0x65 => "an unsigned transaction of an Arbitrum chain",
        0x66 => "a contract's transaction from the parent chain of an Arbitrum chain",
        0x68 => "a retry of a ticket of an Arbitrum chain",
        0x69 => "the submission of a ticket of an Arbitrum chain",
        0x6a => "an internal transaction of an Arbitrum chain, which its node makes at the start of a block",
        0x71 => "a transaction of a ZKsync chain with fields of its own (EIP-712)",
        0x76 => "a transaction of Tempo",
        0x78 => "a transaction of Arbitrum from the time before Nitro",
        0x7b | 0x7c => "a transaction of Celo that pays its fee in another currency",
        0x7d => "a transaction of Celo from the time when it was a chain of its own",
        0x7e => "a deposit or a message from the parent chain, as OP-stack chains and Scroll have them",
        0x7f => "a state sync of Polygon, which its validators make",
        0xfe => "an upgrade of a ZKsync chain",
        0xff => "a priority transaction of a ZKsync chain, from its parent chain",
        _ => return None,
    })
}

/// A sentence for a transaction of a type that Ethereum does not have.
pub(crate) fn other_kind(kind: u64) -> String {
    let supported = "only Ethereum's rules are known here, whose transactions are of types 0 to 4";
    match kind_name(kind) {
        Some(name) => format!("it is of type {kind:#04x}, {name}; {supported}"),
        None => format!("it is of type {kind:#04x}; {supported}"),
    }
}

/// What is known of a chain that makes Ethereum's rules the wrong ones for it, as a sentence.
pub fn other_rules(chain_id: u64) -> Option<String> {
    let named = Chain::from_id(chain_id).named()?;
    // Test nets of the past and what people develop on follow Ethereum.
    let follows = matches!(
        named,
        NamedChain::Morden
            | NamedChain::Ropsten
            | NamedChain::Rinkeby
            | NamedChain::Goerli
            | NamedChain::Hoodi
            | NamedChain::Kovan
            | NamedChain::Dev
            | NamedChain::AnvilHardhat
            | NamedChain::Cannon
    );
    if named.is_ethereum() || follows {
        return None;
    }
    let differs = if matches!(named, NamedChain::Celo | NamedChain::CeloSepolia) {
        "it has deposits, fees in other currencies, and a fee for its parent chain"
    } else if named.is_optimism() {
        "it has deposits from its parent chain, and every transaction pays a fee for that chain"
    } else if named.is_arbitrum() {
        "it has internal transactions, tickets, and gas for its parent chain"
    } else if named.is_bsc() {
        "its validators put system transactions at no price into blocks"
    } else if named.is_polygon() {
        "its validators put state syncs into blocks, and its fees go elsewhere"
    } else if named.is_elastic() {
        "its machine is not the EVM"
    } else if matches!(named, NamedChain::Monad | NamedChain::MonadTestnet) {
        "it charges the gas limit instead of the gas used, and prices state otherwise"
    } else {
        "what it does otherwise is not known here"
    };
    Some(format!("chain {chain_id} is {named:?}, and Ethereum's rules are applied to it: {differs}"))
}

/// What a transaction that Ethereum's rules refuse may be on a chain that has transactions which nobody has signed or paid for.
pub(crate) fn system_transaction(chain_id: u64) -> Option<&'static str> {
    let named = Chain::from_id(chain_id).named()?;
    if named.is_bsc() {
        Some("it may be a system transaction of BNB Smart Chain, which Ethereum's rules do not know")
    } else if named.is_polygon() {
        Some("it may be a state sync of Polygon, which Ethereum's rules do not know")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{other_kind, other_rules, system_transaction};

    #[test]
    fn ethereum_and_chains_to_develop_on_have_no_other_rules() {
        for chain in [1, 5, 17_000, 560_048, 11_155_111, 1_337, 31_337, 7_777_123] {
            assert_eq!(other_rules(chain), None, "{chain}");
        }
    }

    #[test]
    fn other_chains_are_named_with_what_they_do() {
        let cases = [
            (10, "parent chain"),
            (8_453, "deposits"),
            (56, "system transactions"),
            (137, "state syncs"),
            (143, "gas limit"),
            (42_161, "tickets"),
            (324, "not the EVM"),
            (42_220, "currencies"),
            (43_114, "Avalanche"),
        ];
        for (chain, word) in cases {
            let sentence = other_rules(chain).expect("it is another chain");
            assert!(sentence.contains(word) && sentence.contains(&chain.to_string()), "{sentence}");
        }
        assert!(system_transaction(56).is_some() && system_transaction(1).is_none());
    }

    #[test]
    fn kinds_of_other_chains_are_named() {
        for (kind, word) in
            [(0x7e, "OP-stack"), (0x6a, "Arbitrum"), (0x78, "Arbitrum"), (0x71, "ZKsync"), (0x7b, "Celo")]
        {
            let sentence = other_kind(kind);
            assert!(sentence.contains(word) && sentence.contains(&format!("{kind:#x}")), "{sentence}");
            assert!(sentence.contains("types 0 to 4"), "{sentence}");
        }
        assert_eq!(
            other_kind(0x50),
            "it is of type 0x50; only Ethereum's rules are known here, whose transactions are of types 0 to 4"
        );
    }
}
