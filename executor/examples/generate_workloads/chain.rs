//! A chain before a block of generated work: contracts are really deployed and set up on revm.
//!
//! In: creation codes, calls. Out: a block whose state before it is what those calls left behind.

#[path = "../shared/deployed.rs"]
mod deployed;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::SolCall;
use deconflict_executor::{Block, Expected, Header, Transaction};
use revm::{context::TxEnv, primitives::hardfork::SpecId};

use self::deployed::Deployed;
pub(crate) use self::deployed::Failure;

/// The rules of generated blocks.
const SPEC: SpecId = SpecId::PRAGUE;

/// The chain before the block.
pub(crate) struct Chain {
    state: Deployed,
    codes: BTreeMap<String, Bytes>,
}

impl Chain {
    /// A chain on which nothing has happened yet, and the contracts that can be deployed on it.
    pub(crate) fn new() -> Result<Self, Failure> {
        let codes = include_str!("../../../fixtures/workloads/codes.json");
        Ok(Self { state: Deployed::new(SPEC), codes: serde_json::from_str(codes)? })
    }

    /// A user with ether, by number.
    pub(crate) fn user(&mut self, number: u64) -> Address {
        let address = address(number);
        self.state.fund(address, ether(1_000));
        address
    }

    /// Deploys a contract.
    pub(crate) fn deploy(&mut self, name: &str, arguments: &[u8]) -> Result<Address, Failure> {
        let code = self.codes.get(name).ok_or_else(|| format!("there is no contract called {name}"))?;
        let creation = [code, arguments].concat();
        let deployer = self.user(u64::MAX);
        self.state.deploy(deployer, creation.into())
    }

    /// Calls a contract, which must not fail.
    pub(crate) fn call(&mut self, from: Address, to: Address, call: &impl SolCall) -> Result<(), Failure> {
        self.state.call(from, to, call.abi_encode())
    }

    /// The block with these calls.
    pub(crate) fn block(self, calls: Vec<Call>) -> Result<Block, Failure> {
        let mut nonces = BTreeMap::new();
        let transactions = calls.into_iter().map(|call| {
            let nonce = nonces.entry(call.from).or_insert_with(|| self.state.nonce(call.from));
            let env = TxEnv {
                tx_type: 2,
                caller: call.from,
                kind: TxKind::Call(call.to),
                value: call.value,
                gas_limit: if call.data.is_empty() { 21_000 } else { 2_000_000 },
                data: call.data,
                nonce: *nonce,
                gas_price: 10,
                gas_priority_fee: Some(1),
                chain_id: Some(1),
                ..TxEnv::default()
            };
            *nonce += 1;
            Transaction { hash: None, env }
        });
        let transactions: Vec<_> = transactions.collect();
        let (pre_state, codes) = self.state.accounts()?;
        Ok(Block {
            number: 22_000_000,
            chain_id: 1,
            spec: SPEC,
            header: Header {
                coinbase: Address::repeat_byte(0xcb),
                timestamp: 1_750_000_000,
                // Limits count, not what is used of them.
                gas_limit: 2_000_000 * (transactions.len() as u64 + 1),
                base_fee: 3,
                prev_randao: Some(B256::ZERO),
                excess_blob_gas: Some(0),
                blob_base_fee: Some(1),
                ..Header::default()
            },
            expected: Expected::default(),
            block_hashes: BTreeMap::new(),
            transactions,
            pre_state,
            codes,
            code_absent: BTreeSet::new(),
        })
    }
}

/// A transaction to be.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    from: Address,
    to: Address,
    value: U256,
    data: Bytes,
}

impl Call {
    /// A call of a contract.
    pub(crate) fn new(from: Address, to: Address, call: &impl SolCall) -> Self {
        Self { from, to, value: U256::ZERO, data: call.abi_encode().into() }
    }

    /// A plain transfer.
    pub(crate) fn pay(from: Address, to: Address) -> Self {
        Self { from, to, value: U256::from(1_000), data: Bytes::new() }
    }
}

/// The address of a user, by number.
pub(crate) fn address(number: u64) -> Address {
    Address::from_word(keccak256(number.to_be_bytes()))
}

/// So many ether in wei.
pub(crate) fn ether(count: u64) -> U256 {
    U256::from(count) * U256::from(10).pow(U256::from(18))
}
