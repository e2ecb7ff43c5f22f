//! What stands behind a proxy is found by what its code says, whether a standard has a name for it or not.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex, keccak256};
use deconflict_executor::fetch::{ChainCode, Node, NodeError, Unfollowed, code_of};
use serde_json::{Value, json};

/// The account that is asked for.
const PROXY: Address = address!("00000000000000000000000000000000000000ab");
/// What stands behind it.
const TARGET: Address = address!("c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0");
const BEACON: Address = address!("bebebebebebebebebebebebebebebebebebebebe");
/// The code of the target.
const CODE: [u8; 5] = hex!("60015f5500");

const IMPLEMENTATION: B256 = b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
const BEACON_SLOT: B256 = b256!("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");

/// A chain with a few accounts; calls are answered by the word in slot 1 of the account that is called.
#[derive(Default)]
struct Chain {
    codes: BTreeMap<Address, Bytes>,
    storage: BTreeMap<(Address, B256), B256>,
}

impl Chain {
    fn new(proxy: &[u8], slots: &[(B256, Address)]) -> Self {
        let mut chain = Self::default();
        chain.codes.insert(PROXY, Bytes::copy_from_slice(proxy));
        chain.codes.insert(TARGET, Bytes::from_static(&CODE));
        for (slot, value) in slots {
            chain.storage.insert((PROXY, *slot), value.into_word());
        }
        chain.storage.insert((BEACON, B256::with_last_byte(1)), TARGET.into_word());
        chain
    }

    fn found(&self) -> ChainCode {
        code_of(self, PROXY).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Node for Chain {
    fn call(&self, method: &str, params: Value) -> Result<Value, NodeError> {
        let address =
            |value: &Value| value.as_str().and_then(|it| it.parse::<Address>().ok()).unwrap_or_default();
        let word = |address, slot| json!(self.storage.get(&(address, slot)).copied().unwrap_or_default());
        Ok(match method {
            "eth_getCode" => json!(self.codes.get(&address(&params[0])).cloned().unwrap_or_default()),
            "eth_getStorageAt" => {
                let slot = params[1].as_str().and_then(|it| it.parse::<U256>().ok()).unwrap_or_default();
                word(address(&params[0]), B256::from(slot))
            }
            "eth_call" => {
                assert_eq!(params[0]["data"], "0x5c60da1b", "a beacon is asked for its implementation");
                word(address(&params[0]["to"]), B256::with_last_byte(1))
            }
            other => panic!("{other} is not needed"),
        })
    }
}

/// A proxy's code that hands its calldata on to what `target` leaves on the stack.
fn proxy_to(target: &[u8]) -> Vec<u8> {
    // CALLDATACOPY of all; DELEGATECALL with it; RETURNDATACOPY; RETURN or REVERT.
    let copy = hex!("365f5f375f5f365f");
    let call = hex!("5af43d5f5f3e5f3d91");
    let end = copy.len() + target.len() + call.len() + 4;
    [&copy[..], target, &call, &[0x60, end as u8, 0x57, 0xfd, 0x5b, 0xf3]].concat()
}

/// Loads a slot.
fn load(slot: B256) -> Vec<u8> {
    [&[0x7f][..], slot.as_slice(), &[0x54]].concat()
}

/// Asks the account on the stack for `implementation()`, and loads the answer.
fn ask(account: &[u8]) -> Vec<u8> {
    let before = hex!("635c60da1b5f5260205f6004601c");
    [&before[..], account, &hex!("5afa505f51")].concat()
}

fn around(head: &[u8], target: &[u8], tail: &[u8]) -> Vec<u8> {
    [head, target, tail].concat()
}

/// What the name of the step holds, the code of the proxy, and its storage.
type Case = (&'static str, Vec<u8>, Vec<(B256, Address)>);

#[test]
fn proxies_of_any_form_are_followed() {
    let target = TARGET.as_slice();
    let five = B256::with_last_byte(5);
    let proxiable = keccak256("PROXIABLE");
    let mut metadata = around(
        &hex!("363d3d373d3d3d3d60368038038091363936013d73"),
        target,
        &hex!("5af43d3d93803e603457fd5bf3"),
    );
    metadata.extend([b'a'; 8]);
    metadata.extend(U256::from(8).to_be_bytes::<32>());
    let cases: Vec<Case> = vec![
        (
            "ERC-1167",
            around(&hex!("363d3d373d3d3d363d73"), target, &hex!("5af43d82803e903d91602b57fd5bf3")),
            vec![],
        ),
        (
            "ERC-1167",
            around(
                &hex!("363d3d373d3d3d363d74"),
                &[&[0][..], target].concat(),
                &hex!("5af43d82803e903d91602c57fd5bf3"),
            ),
            vec![],
        ),
        (
            "ERC-7511",
            around(&hex!("365f5f375f5f365f73"), target, &hex!("5af43d5f5f3e5f3d91602a57fd5bf3")),
            vec![],
        ),
        (
            "0age",
            around(&hex!("3d3d3d3d363d3d37363d73"), target, &hex!("5af43d3d93803e602a57fd5bf3")),
            vec![],
        ),
        ("ERC-3448", metadata, vec![]),
        (
            "Vyper",
            around(&hex!("366000600037611000600036600073"), target, &hex!("5af41558576110006000f3")),
            vec![],
        ),
        ("target in its code", proxy_to(&[&[0x7f][..], TARGET.into_word().as_slice()].concat()), vec![]),
        ("ERC-1967", proxy_to(&load(IMPLEMENTATION)), vec![(IMPLEMENTATION, TARGET)]),
        ("ERC-1822", proxy_to(&load(proxiable)), vec![(proxiable, TARGET)]),
        ("slot 0x5", proxy_to(&load(five)), vec![(five, TARGET), (IMPLEMENTATION, BEACON)]),
        ("beacon", proxy_to(&ask(&load(BEACON_SLOT))), vec![(BEACON_SLOT, BEACON)]),
        ("beacon", proxy_to(&ask(&around(&[0x73], BEACON.as_slice(), &[]))), vec![]),
        ("EIP-7702", around(&hex!("ef0100"), target, &[]), vec![]),
    ];
    for (name, code, slots) in cases {
        let found = Chain::new(&code, &slots).found();
        assert_eq!(found.path, [PROXY, TARGET], "{name}: {}", hex::encode(&code));
        assert_eq!(found.code, Bytes::from_static(&CODE), "{name}");
        let [hop] = found.hops.as_slice() else { panic!("{name}: {:?}", found.hops) };
        assert!(hop.standard.to_string().contains(name), "{name}: {}", hop.standard);
        assert_eq!(found.unfollowed, None, "{name}");
    }
}

#[test]
fn a_safe_is_followed_by_its_first_slot() {
    // `masterCopy()` is answered; all else goes to slot 0.
    let answer = hex!("5f3560e01c63a619486e14601257");
    let proxy = proxy_to(&hex!("5f54"));
    // The jumps of the proxy's end are computed from PC, so that it may stand anywhere.
    let shifted = |code: &[u8], by: u8| {
        let mut code = code.to_vec();
        let at = code.len() - 5;
        code[at] += by;
        code
    };
    let own = hex!("5b5f545f5260205ff3");
    let head = answer.len() as u8 + 3;
    let body = shifted(&proxy, head + 1 + own.len() as u8);
    let jump = [0x60, head + own.len() as u8, 0x56];
    let mut code = [&answer[..], &jump, &own, &[0x5b], &body].concat();
    code[answer.len() - 2] = head;
    let found = Chain::new(&code, &[(B256::ZERO, TARGET)]).found();
    assert_eq!(found.path, [PROXY, TARGET], "{}", hex::encode(&code));
    assert!(found.hops[0].standard.to_string().contains("Safe"), "{}", found.hops[0].standard);
}

#[test]
fn a_proxy_that_cannot_be_followed_says_so() {
    let found = |code: &[u8]| Chain::new(code, &[]).found();
    // The facet of a selector: the word of a mapping.
    let diamond = found(&proxy_to(&hex!("5f3560e01c5f5260205f20 54")));
    assert_eq!((diamond.path, diamond.unfollowed), (vec![PROXY], Some(Unfollowed::Diamond)));
    // Whoever calls names the target.
    assert_eq!(found(&proxy_to(&hex!("3354"))).unfollowed, Some(Unfollowed::Unknown));
    // What it names is not there, and what calls nobody forwards to nobody.
    let gone = Chain::new(&proxy_to(&load(IMPLEMENTATION)), &[(IMPLEMENTATION, BEACON)]).found();
    assert_eq!(gone.unfollowed, Some(Unfollowed::NoCode(BEACON)));
    assert_eq!(found(&hex!("5f545f55")).unfollowed, None);
}
