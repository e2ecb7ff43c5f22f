//! A chain of one account's making: contracts are really deployed and set up on revm, then a block is written on top.

#[path = "../shared/deployed.rs"]
mod deployed;

use std::{collections::BTreeMap, fs, path::Path};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use deconflict_executor::{Block, BlockState, Expected, Header, Transaction, execute};
use revm::{context::TxEnv, primitives::hardfork::SpecId};
use serde_json::Value;

use self::deployed::Deployed;
pub(crate) use self::deployed::Failure;

/// Whoever deploys and sets up.
pub(crate) const DEPLOYER: Address = Address::repeat_byte(0xdd);
/// Whoever receives the fees.
pub(crate) const COINBASE: Address = Address::repeat_byte(0xcb);

/// One of fifteen people with a hundred ether each.
pub(crate) const fn person(index: u8) -> Address {
    assert!(index < 15, "there are fifteen of them");
    Address::repeat_byte(0x10 + index)
}

/// A quantity in the unit that people count in.
pub(crate) fn whole(count: u64) -> U256 {
    U256::from(count) * U256::from(10).pow(U256::from(18))
}

/// Creation codes by name.
pub(crate) struct Codes(BTreeMap<String, Bytes>);

impl Codes {
    /// Reads the contracts of the blocks, and those dApps that they call.
    pub(crate) fn read(fixtures: &Path) -> Result<Self, Failure> {
        let mut codes: BTreeMap<String, Bytes> =
            serde_json::from_slice(&fs::read(fixtures.join("blocks/contracts/contracts.json"))?)?;
        for name in ["Token", "Pair", "Collection"] {
            let path = fixtures.join(format!("artifacts/dapps/{name}.json"));
            let artifact: Value = serde_json::from_slice(&fs::read(path)?)?;
            let source = format!("contracts/dapps/{name}.sol");
            let object = &artifact["output"]["contracts"][&source][name]["evm"]["bytecode"]["object"];
            codes.insert(name.to_owned(), hex::decode(object.as_str().ok_or("no bytecode")?)?.into());
        }
        Ok(Self(codes))
    }

    /// The code of a contract, followed by its constructor's arguments.
    pub(crate) fn creation(&self, name: &str, arguments: &[u8]) -> Result<Bytes, Failure> {
        let code = self.0.get(name).ok_or_else(|| format!("there is no contract called {name}"))?;
        Ok([code, arguments].concat().into())
    }
}

/// The chain before the block.
pub(crate) struct World {
    state: Deployed,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut state = Deployed::new(SpecId::CANCUN);
        for address in (0..15).map(person).chain([DEPLOYER]) {
            state.fund(address, whole(100));
        }
        Self { state }
    }

    /// Deploys a contract.
    pub(crate) fn deploy(&mut self, creation: Bytes) -> Result<Address, Failure> {
        self.state.deploy(DEPLOYER, creation)
    }

    /// Calls a contract, which must not fail.
    pub(crate) fn call(&mut self, from: Address, to: Address, input: Vec<u8>) -> Result<(), Failure> {
        self.state.call(from, to, input)
    }

    /// The block with these transactions, with what its execution comes to.
    pub(crate) fn block(
        self,
        number: u64,
        spec: SpecId,
        transactions: Vec<Transaction>,
    ) -> Result<Block, Failure> {
        let since = |fork: SpecId| spec.is_enabled_in(fork);
        let header = Header {
            parent_hash: Some(keccak256((number - 1).to_be_bytes())),
            coinbase: COINBASE,
            timestamp: 1_700_000_000 + 12 * number,
            gas_limit: 30_000_000,
            base_fee: if since(SpecId::LONDON) { 7_000_000_000 } else { 0 },
            prev_randao: since(SpecId::MERGE).then(|| keccak256(number.to_be_bytes())),
            excess_blob_gas: since(SpecId::CANCUN).then_some(0),
            blob_base_fee: since(SpecId::CANCUN).then_some(1),
            ..Header::default()
        };
        let (pre_state, codes) = self.state.accounts()?;
        let mut block = Block {
            number,
            chain_id: 1,
            spec,
            block_hashes: header.parent_hash.map(|hash| (number - 1, hash)).into_iter().collect(),
            header,
            expected: Expected::default(),
            transactions,
            pre_state,
            codes,
            code_absent: std::collections::BTreeSet::new(),
        };
        let outcome = execute(&block, &BlockState::new(&block))?;
        block.expected = Expected {
            gas_used: Some(outcome.gas_used),
            receipts_root: outcome.receipts_root,
            logs_bloom: Some(outcome.logs_bloom),
            ..Expected::default()
        };
        Ok(block)
    }

    /// The nonce that an account's next transaction has.
    pub(crate) fn nonce(&self, account: Address) -> u64 {
        self.state.nonce(account)
    }
}

/// The transactions of a block, with the right nonces.
pub(crate) struct Script<'a> {
    world: &'a World,
    nonces: BTreeMap<Address, u64>,
    transactions: Vec<Transaction>,
}

impl<'a> Script<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        Self { world, nonces: BTreeMap::new(), transactions: Vec::new() }
    }

    /// Adds a transaction; sender and nonce are filled in, and what is needed of fees and limits.
    pub(crate) fn push(&mut self, from: Address, to: TxKind, change: impl FnOnce(&mut TxEnv)) {
        let nonce = self.nonces.entry(from).or_insert_with(|| self.world.nonce(from));
        let mut env = TxEnv {
            caller: from,
            kind: to,
            nonce: *nonce,
            gas_limit: 400_000,
            gas_price: 10_000_000_000,
            ..TxEnv::default()
        };
        *nonce += 1;
        change(&mut env);
        if env.tx_type > 0 {
            env.chain_id = Some(1);
        }
        if env.tx_type > 1 {
            env.gas_priority_fee = Some(1_000_000_000);
        }
        self.transactions.push(Transaction { hash: None, env });
    }

    /// Adds a transaction of the fee market that calls a contract.
    pub(crate) fn call(&mut self, from: Address, to: Address, input: Vec<u8>) {
        self.push(from, TxKind::Call(to), |env| {
            env.tx_type = 2;
            env.data = input.into();
        });
    }

    /// Adds a transaction of the oldest kind that moves ether.
    pub(crate) fn send(&mut self, from: Address, to: Address, value: U256) {
        self.push(from, TxKind::Call(to), |env| env.value = value);
    }

    pub(crate) fn finish(self) -> Vec<Transaction> {
        self.transactions
    }
}

/// A salt, by number.
pub(crate) fn salt(number: u64) -> B256 {
    B256::from(U256::from(number))
}
