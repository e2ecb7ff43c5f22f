//! What standards fix: widths, selectors, slots and addresses that mean the same in every contract.
//!
//! In: nothing. Out: constants, each with the standard it is of. Whoever decides by one of them takes it from here, so
//! that a number has one spelling and one meaning; no contract's own choice of names, numbers or layout belongs here.

use alloy_primitives::{U256, uint};

/// The bits of an account's address (Yellow Paper).
pub const ADDRESS_BITS: u32 = 160;
/// The bytes of an account's address.
pub const ADDRESS_BYTES: u8 = 20;
/// The bits of a word.
pub const WORD_BITS: u64 = 256;
/// The bytes of a word.
pub const WORD_BYTES: u64 = 32;

/// The bytes that select a function, ahead of its arguments (Solidity ABI).
pub const SELECTOR_BYTES: u64 = 4;

/// `totalSupply()` (ERC-20).
pub const TOTAL_SUPPLY: [u8; 4] = [0x18, 0x16, 0x0d, 0xdd];
/// `balanceOf(address)` (ERC-20 and ERC-721).
pub const BALANCE_OF: [u8; 4] = [0x70, 0xa0, 0x82, 0x31];
/// `transfer(address,uint256)` (ERC-20).
pub const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
/// `transferFrom(address,address,uint256)` (ERC-20 and ERC-721).
pub const TRANSFER_FROM: [u8; 4] = [0x23, 0xb8, 0x72, 0xdd];
/// `approve(address,uint256)` (ERC-20 and ERC-721).
pub const APPROVE: [u8; 4] = [0x09, 0x5e, 0xa7, 0xb3];
/// `safeTransferFrom(address,address,uint256)` (ERC-721).
pub const SAFE_TRANSFER_FROM: [u8; 4] = [0x42, 0x84, 0x2e, 0x0e];
/// `safeTransferFrom(address,address,uint256,bytes)` (ERC-721).
pub const SAFE_TRANSFER_FROM_WITH_DATA: [u8; 4] = [0xb8, 0x8d, 0x4f, 0xde];
/// `canCall(address,address,bytes4)`: who, where and what. Of no ERC: it is how the authorities of `DSAuth` are asked.
pub const CAN_CALL: [u8; 4] = [0xb7, 0x00, 0x96, 0x13];

/// What moves tokens of an account (ERC-20).
pub const TOKEN_TRANSFERS: [[u8; 4]; 2] = [TRANSFER, TRANSFER_FROM];
/// What moves a token that has one owner (ERC-721).
pub const OWNED_TOKEN_TRANSFERS: [[u8; 4]; 3] =
    [TRANSFER_FROM, SAFE_TRANSFER_FROM, SAFE_TRANSFER_FROM_WITH_DATA];

/// Where a proxy keeps the code that it runs (ERC-1967).
pub const IMPLEMENTATION_SLOT: U256 =
    uint!(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc_U256);
/// Where a proxy keeps whom it asks for the code that it runs (ERC-1967).
pub const BEACON_SLOT: U256 = uint!(0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50_U256);
/// Where a proxy keeps who may replace its code (ERC-1967).
pub const ADMIN_SLOT: U256 = uint!(0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103_U256);
/// All that a proxy is (ERC-1967): whoever writes one of them decides what the proxy runs.
pub const PROXY_SLOTS: [U256; 3] = [IMPLEMENTATION_SLOT, BEACON_SLOT, ADMIN_SLOT];

/// The account that recovers a signer (precompile 1 of the Yellow Paper).
pub const ECRECOVER: U256 = uint!(1_U256);

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, keccak256};

    use super::*;

    #[test]
    fn selectors_are_those_of_their_signatures() {
        let signatures = [
            ("totalSupply()", TOTAL_SUPPLY),
            ("balanceOf(address)", BALANCE_OF),
            ("transfer(address,uint256)", TRANSFER),
            ("transferFrom(address,address,uint256)", TRANSFER_FROM),
            ("approve(address,uint256)", APPROVE),
            ("safeTransferFrom(address,address,uint256)", SAFE_TRANSFER_FROM),
            ("safeTransferFrom(address,address,uint256,bytes)", SAFE_TRANSFER_FROM_WITH_DATA),
            ("canCall(address,address,bytes4)", CAN_CALL),
        ];
        for (signature, selector) in signatures {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
    }

    #[test]
    fn slots_are_one_below_the_hashes_of_their_names() {
        let names = [("implementation", IMPLEMENTATION_SLOT), ("beacon", BEACON_SLOT), ("admin", ADMIN_SLOT)];
        for (name, slot) in names {
            let hash = U256::from_be_bytes(keccak256(format!("eip1967.proxy.{name}")).0);
            assert_eq!(hash - U256::ONE, slot, "{name}");
        }
    }

    #[test]
    fn an_address_is_as_wide_as_its_type() {
        assert_eq!(usize::from(ADDRESS_BYTES), Address::len_bytes());
        assert_eq!(ADDRESS_BITS, u32::from(ADDRESS_BYTES) * 8);
        assert_eq!(WORD_BITS, WORD_BYTES * 8);
    }
}
