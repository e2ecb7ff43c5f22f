//! A state that comes about by real deployments and calls on revm, for generated blocks to stand on.
//!
//! In: creation codes, calls. Out: the accounts and codes that they leave behind, in the form of a block file.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, TxKind};
use deconflict_executor::Account;
use revm::{
    Context, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _,
    bytecode::Bytecode,
    context::{CfgEnv, TxEnv},
    context_interface::result::{ExecutionResult, Output},
    database::{CacheDB, EmptyDB},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

/// What goes wrong while a block is made.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Accounts, and codes by their hashes.
pub(crate) type Accounts = (BTreeMap<Address, Account>, BTreeMap<B256, Bytecode>);

/// The state so far.
pub(crate) struct Deployed {
    state: CacheDB<EmptyDB>,
    spec: SpecId,
}

impl Deployed {
    /// A state in which nothing has happened yet, by the rules of a fork.
    pub(crate) fn new(spec: SpecId) -> Self {
        Self { state: CacheDB::default(), spec }
    }

    /// Gives an account its ether, unless it has some.
    pub(crate) fn fund(&mut self, address: Address, balance: alloy_primitives::U256) {
        let account = self.state.cache.accounts.get(&address);
        if account.is_none_or(|account| account.info.balance.is_zero()) {
            self.state.insert_account_info(address, AccountInfo::from_balance(balance));
        }
    }

    /// The nonce that an account's next transaction has.
    pub(crate) fn nonce(&self, address: Address) -> u64 {
        self.state.cache.accounts.get(&address).map_or(0, |account| account.info.nonce)
    }

    /// Deploys a contract.
    pub(crate) fn deploy(&mut self, from: Address, creation: Bytes) -> Result<Address, Failure> {
        match self.run(from, TxKind::Create, creation)? {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => Ok(address),
            other => Err(format!("a deployment comes to {other:?}").into()),
        }
    }

    /// Calls a contract, which must not fail.
    pub(crate) fn call(&mut self, from: Address, to: Address, input: Vec<u8>) -> Result<(), Failure> {
        let result = self.run(from, TxKind::Call(to), input.into())?;
        if result.is_success() { Ok(()) } else { Err(format!("a call to {to} comes to {result:?}").into()) }
    }

    fn run(&mut self, from: Address, kind: TxKind, data: Bytes) -> Result<ExecutionResult, Failure> {
        let nonce = self.state.load_account(from)?.info.nonce;
        let transaction = TxEnv {
            caller: from,
            kind,
            data,
            nonce,
            gas_limit: 10_000_000,
            chain_id: Some(1),
            ..TxEnv::default()
        };
        let context = Context::mainnet().with_db(&mut self.state).with_cfg(CfgEnv::new_with_spec(self.spec));
        Ok(context.build_mainnet().transact_commit(transaction)?)
    }

    /// All accounts that are not empty, and the codes that they have.
    pub(crate) fn accounts(self) -> Result<Accounts, Failure> {
        let (mut accounts, mut codes) = (BTreeMap::new(), BTreeMap::new());
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
            accounts.insert(*address, stored);
        }
        Ok((accounts, codes))
    }
}
