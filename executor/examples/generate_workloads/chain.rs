//! A chain before a block of generated work: contracts are really deployed and set up on revm.
//!
//! In: creation codes, calls. Out: a block whose state before it is what those calls left behind.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::SolCall;
use deconflict_executor::{Account, Block, Expected, Header, Transaction};
use revm::{
    Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _,
    context::{CfgEnv, TxEnv},
    context_interface::result::{ExecutionResult, Output},
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

/// What goes wrong while a workload is made.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// The rules of generated blocks.
const SPEC: SpecId = SpecId::PRAGUE;

/// The chain before the block.
pub(crate) struct Chain {
    state: CacheDB<EmptyDB>,
    codes: BTreeMap<String, Bytes>,
}

impl Chain {
    /// A chain on which nothing has happened yet, and the contracts that can be deployed on it.
    pub(crate) fn new() -> Result<Self, Failure> {
        let codes = include_str!("../../../fixtures/workloads/codes.json");
        Ok(Self { state: CacheDB::default(), codes: serde_json::from_str(codes)? })
    }

    /// A user with ether, by number.
    pub(crate) fn user(&mut self, number: u64) -> Address {
        let address = address(number);
        let account = self.state.cache.accounts.get(&address);
        if account.is_none_or(|account| account.info.balance.is_zero()) {
            self.state.insert_account_info(address, AccountInfo::from_balance(ether(1_000)));
        }
        address
    }

    /// Deploys a contract.
    pub(crate) fn deploy(&mut self, name: &str, arguments: &[u8]) -> Result<Address, Failure> {
        let code = self.codes.get(name).ok_or_else(|| format!("there is no contract called {name}"))?;
        let creation = [code, arguments].concat();
        let deployer = self.user(u64::MAX);
        match self.run(deployer, TxKind::Create, creation.into())? {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => Ok(address),
            other => Err(format!("the deployment of {name} comes to {other:?}").into()),
        }
    }

    /// Calls a contract, which must not fail.
    pub(crate) fn call(&mut self, from: Address, to: Address, call: &impl SolCall) -> Result<(), Failure> {
        let result = self.run(from, TxKind::Call(to), call.abi_encode().into())?;
        if result.is_success() { Ok(()) } else { Err(format!("a call to {to} comes to {result:?}").into()) }
    }

    fn run(&mut self, from: Address, kind: TxKind, data: Bytes) -> Result<ExecutionResult, Failure> {
        let nonce = self.state.load_account(from)?.info.nonce;
        let transaction =
            TxEnv { caller: from, kind, data, nonce, gas_limit: 10_000_000, ..TxEnv::default() };
        let context = Context::mainnet().with_db(&mut self.state).with_cfg(CfgEnv::new_with_spec(SPEC));
        Ok(context.build_mainnet().transact_commit(transaction)?)
    }

    /// The block with these calls.
    pub(crate) fn block(self, calls: Vec<Call>) -> Result<Block, Failure> {
        let mut nonces = BTreeMap::new();
        let transactions = calls.into_iter().map(|call| {
            let cached = self.state.cache.accounts.get(&call.from).map_or(0, |account| account.info.nonce);
            let nonce = nonces.entry(call.from).or_insert(cached);
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
        let mut pre_state = BTreeMap::new();
        let mut codes = BTreeMap::new();
        for (address, account) in self.state.cache.accounts.iter().collect::<BTreeMap<_, _>>() {
            let Some(info) = account.info().filter(|info| !info.is_empty()) else { continue };
            let storage = account.storage.iter().filter(|(_, word)| !word.is_zero());
            let stored = Account {
                balance: info.balance,
                nonce: info.nonce,
                code_hash: info.code_hash,
                storage: storage.map(|(slot, word)| (*slot, *word)).collect(),
            };
            if !info.is_empty_code_hash() {
                let code = self.state.cache.contracts.get(&info.code_hash).ok_or("a code is missing")?;
                codes.insert(info.code_hash, code.clone());
            }
            pre_state.insert(*address, stored);
        }
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
