//! The code of an account on a chain, behind whatever proxies stand before it.
//!
//! In: a node and an address. Out: the code that runs, and the accounts that lead to it. Proxies are told by what standards
//! fix: the slots of EIP-1967 and of earlier `OpenZeppelin` versions, the bytes of EIP-1167, the designators of EIP-7702.

use alloy_primitives::{Address, B256, Bytes, b256};
use serde_json::json;

use super::{FetchError, Node, forms, read};

/// How many proxies may stand before a code.
const MAX_STEPS: usize = 8;

/// Where EIP-1967 keeps the implementation.
const IMPLEMENTATION: B256 = b256!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// Where EIP-1967 keeps the beacon that knows the implementation.
const BEACON: B256 = b256!("a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50");
/// Where proxies of the time before EIP-1967 keep it.
const EARLIER: B256 = b256!("7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3");

/// The code of an account, or of what it forwards to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCode {
    /// The account that was asked for, then the ones that each forwards to; the last has the code.
    pub path: Vec<Address>,
    /// The code that runs in the end.
    pub code: Bytes,
}

/// The code of an account at the head of the chain, proxies followed.
pub fn code_of(node: &dyn Node, address: Address) -> Result<ChainCode, FetchError> {
    let mut path = vec![address];
    let mut code = code(node, address)?;
    while path.len() <= MAX_STEPS {
        let Some(at) = path.last().copied() else { break };
        let Some(next) = forwards_to(node, at, &code)? else { break };
        if path.contains(&next) {
            break;
        }
        let behind = self::code(node, next)?;
        if behind.is_empty() {
            break;
        }
        path.push(next);
        code = behind;
    }
    Ok(ChainCode { path, code })
}

fn code(node: &dyn Node, address: Address) -> Result<Bytes, FetchError> {
    read(node, "eth_getCode", json!([address, "latest"]), forms::bytes)
}

/// The account that another forwards its calls to.
fn forwards_to(node: &dyn Node, address: Address, code: &[u8]) -> Result<Option<Address>, FetchError> {
    if let Some(target) = code.strip_prefix(&[0xef, 0x01, 0x00]).filter(|it| it.len() == 20) {
        return Ok(Some(Address::from_slice(target)));
    }
    // EIP-1167: copy calldata, delegate to the address in between, return or revert with what comes back.
    let (head, tail) = (&[0x36, 0x3d, 0x3d, 0x37, 0x3d, 0x3d, 0x3d, 0x36, 0x3d, 0x73], &[0x5a, 0xf4, 0x3d]);
    if let Some(rest) = code.strip_prefix(head)
        && let Some((target, rest)) = rest.split_at_checked(20)
        && rest.starts_with(tail)
    {
        return Ok(Some(Address::from_slice(target)));
    }
    let has_delegate_call = code.contains(&0xf4);
    if !has_delegate_call {
        return Ok(None);
    }
    for slot in [IMPLEMENTATION, EARLIER] {
        if let Some(target) = address_in(node, address, slot)? {
            return Ok(Some(target));
        }
    }
    let Some(beacon) = address_in(node, address, BEACON)? else { return Ok(None) };
    // `implementation()`.
    let call = json!([{ "to": beacon, "data": "0x5c60da1b" }, "latest"]);
    let answer = read(node, "eth_call", call, forms::bytes)?;
    Ok(answer
        .first_chunk::<32>()
        .map(|word| Address::from_word(B256::from(*word)))
        .filter(|it| !it.is_zero()))
}

fn address_in(node: &dyn Node, address: Address, slot: B256) -> Result<Option<Address>, FetchError> {
    let word: B256 = read(node, "eth_getStorageAt", json!([address, slot, "latest"]), forms::word)?.into();
    let is_address = word[..12] == [0; 12] && !word.is_zero();
    Ok(is_address.then(|| Address::from_word(word)))
}
