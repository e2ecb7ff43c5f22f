//! A world of a few small contracts, and a transaction that meets it.
//!
//! In: choices. Out: accounts, codes, storage and a transaction that is valid. A scene is the state that both revm and the
//! predictor read.

use std::{cell::Cell, collections::BTreeMap, fmt};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, TxKind, U256, hex, keccak256};
use deconflict_executor::{EnvironmentWord, StateKey};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    context::{BlockEnv, TxEnv},
    context_interface::{
        block::BlobExcessGasAndPrice,
        either::Either,
        transaction::{
            AccessList, AccessListItem, Authorization, RecoveredAuthority, RecoveredAuthorization,
        },
    },
    database::DBErrorMarker,
    primitives::hardfork::SpecId,
    state::AccountInfo,
};

use crate::choices::Choices;
use crate::program::{SELECTORS, Surroundings, creation, program};

/// Who sends the transaction.
pub(crate) const SENDER: Address = Address::repeat_byte(0x5e);
/// Who receives the fees.
pub(crate) const COINBASE: Address = Address::repeat_byte(0xcb);
/// An account without code, which may delegate.
const PERSON: Address = Address::repeat_byte(0x9e);
/// How many contracts there are at the most.
const CONTRACTS: usize = 4;

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) balance: U256,
    pub(crate) nonce: u64,
    pub(crate) code: Bytes,
    pub(crate) storage: BTreeMap<U256, U256>,
}

/// A world and a transaction.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) spec: SpecId,
    pub(crate) block: BlockEnv,
    pub(crate) accounts: BTreeMap<Address, Holder>,
    pub(crate) transaction: TxEnv,
    /// Decides the hashes of blocks, but for those of some blocks, which another number decides.
    chain: u8,
    hashes: BTreeMap<u64, u8>,
    /// Every so many questions one is not answered; zero if all are.
    pub(crate) silent: u8,
    asked: Cell<u8>,
}

/// The forks whose rules scenes run by.
const FORKS: [SpecId; 8] = [
    SpecId::CANCUN,
    SpecId::PRAGUE,
    SpecId::OSAKA,
    SpecId::HOMESTEAD,
    SpecId::PRAGUE,
    SpecId::BYZANTIUM,
    SpecId::OSAKA,
    SpecId::CANCUN,
];

impl Scene {
    /// A scene without accounts whose transaction calls nobody.
    pub(crate) fn empty(spec: SpecId) -> Self {
        let since = |fork: SpecId| spec.is_enabled_in(fork);
        let block = BlockEnv {
            number: U256::from(1_000),
            beneficiary: COINBASE,
            timestamp: U256::from(1_700_000_000),
            gas_limit: 30_000_000,
            basefee: if since(SpecId::LONDON) { 7 } else { 0 },
            difficulty: U256::from(99),
            prevrandao: since(SpecId::MERGE).then(|| B256::repeat_byte(0x77)),
            blob_excess_gas_and_price: since(SpecId::CANCUN)
                .then_some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 }),
            ..BlockEnv::default()
        };
        let sender = Holder { balance: U256::from(10).pow(U256::from(20)), ..Holder::default() };
        let transaction =
            TxEnv { caller: SENDER, gas_price: 10, gas_limit: 2_000_000, chain_id: None, ..TxEnv::default() };
        let accounts = BTreeMap::from([(SENDER, sender)]);
        Self {
            spec,
            block,
            accounts,
            transaction,
            chain: 0,
            hashes: BTreeMap::new(),
            silent: 0,
            asked: Cell::new(0),
        }
    }

    /// The scene that these choices lead to.
    pub(crate) fn new(choices: &mut Choices<'_>) -> Self {
        let mut scene = Self::empty(choices.pick(&FORKS));
        let contracts: Vec<Address> = (0..=choices.below(CONTRACTS)).map(contract).collect();
        let known: Vec<Address> =
            contracts.iter().copied().chain([PERSON, Address::repeat_byte(0xee)]).collect();
        let around = Surroundings { spec: scene.spec, accounts: &known };
        for address in &contracts {
            let code = match choices.weighted(&[14, 1, 1]) {
                1 => minimal_proxy(choices.pick(&contracts)),
                2 if scene.spec.is_enabled_in(SpecId::PRAGUE) => designator(choices.pick(&known)),
                _ => program(choices, around),
            };
            let storage = (0..choices.below(4))
                .map(|_| (U256::from(choices.below(4)), word(choices, &known)))
                .collect();
            let balance = U256::from(choices.pick(&[0_u64, 5, 1_000, 1 << 40]));
            scene.accounts.insert(*address, Holder { balance, nonce: 1, code: code.into(), storage });
        }
        if choices.once_in(2) {
            scene.accounts.insert(PERSON, Holder { balance: U256::from(7), ..Holder::default() });
        }
        scene.choose_transaction(choices, &contracts, &known);
        scene
    }

    fn choose_transaction(&mut self, choices: &mut Choices<'_>, contracts: &[Address], known: &[Address]) {
        let around = Surroundings { spec: self.spec, accounts: known };
        let tx = &mut self.transaction;
        if choices.once_in(16) {
            tx.kind = TxKind::Create;
            tx.data = creation(choices, around, 0).into();
        } else {
            let to =
                if choices.once_in(16) { PERSON } else { contracts[choices.below(contracts.len().min(2))] };
            tx.kind = TxKind::Call(to);
            let selector = choices.pick(&SELECTORS);
            let mut data = selector.to_be_bytes().to_vec();
            for _ in 0..choices.below(6) {
                data.extend_from_slice(&word(choices, known).to_be_bytes::<32>());
            }
            if choices.once_in(12) {
                data.truncate(choices.below(data.len()));
            }
            tx.data = data.into();
        }
        tx.value = U256::from(choices.pick(&[0_u64, 0, 0, 1, 1_000]));
        let rest = 64 * u64::from(choices.byte());
        tx.gas_limit = match choices.weighted(&[10, 2, 2]) {
            0 => 600_000,
            // What the transaction costs before it starts is at most about this much.
            1 => 200_000 + rest,
            _ => 60_000 + 10 * rest + 256 * tx.data.len() as u64,
        };
        if self.spec.is_enabled_in(SpecId::PRAGUE) && matches!(tx.kind, TxKind::Call(_)) && choices.once_in(8)
        {
            tx.tx_type = 4;
            tx.chain_id = Some(1);
            tx.gas_priority_fee = Some(1);
            tx.gas_limit += 30_000;
            let address = choices.pick(known);
            let nonce = u64::from(choices.once_in(4));
            let chain_id = U256::from(choices.pick(&[1_u64, 0, 1, 2]));
            let authority = if choices.once_in(5) { SENDER } else { PERSON };
            let nonce = if authority == SENDER { 1 } else { nonce };
            let authorization = Authorization { chain_id, address, nonce };
            let recovered =
                RecoveredAuthorization::new_unchecked(authorization, RecoveredAuthority::Valid(authority));
            tx.authorization_list = vec![Either::Right(recovered)];
        } else if self.spec.is_enabled_in(SpecId::BERLIN) && choices.once_in(12) {
            tx.tx_type = 1;
            tx.chain_id = Some(1);
            tx.gas_limit += 20_000;
            let storage_keys = vec![B256::ZERO, B256::with_last_byte(2)];
            tx.access_list = AccessList(vec![AccessListItem { address: contracts[0], storage_keys }]);
        } else if self.spec.is_enabled_in(SpecId::LONDON) && choices.once_in(3) {
            tx.tx_type = 2;
            tx.chain_id = Some(1);
            // At times as much as it pays at the most, so that the price does not follow the base fee.
            tx.gas_priority_fee = Some(choices.pick(&[1, 0, 2, 10]));
            if self.spec.is_enabled_in(SpecId::CANCUN) && tx.kind.is_call() && choices.once_in(4) {
                tx.tx_type = 3;
                tx.max_fee_per_blob_gas = 2_000;
                tx.blob_hashes = vec![versioned_hash()];
            }
        }
    }

    /// The same world with a transaction that is like this one: other words in its calldata, another value, more or less
    /// gas.
    pub(crate) fn sibling(&self, choices: &mut Choices<'_>) -> Self {
        let mut sibling = self.clone();
        let known: Vec<Address> = self.accounts.keys().copied().collect();
        let tx = &mut sibling.transaction;
        let words = tx.data.len() / 32;
        if words > 0 && tx.kind.is_call() {
            let mut data = tx.data.to_vec();
            for _ in 0..=choices.below(2) {
                let at = 4 + 32 * choices.below(words);
                let word = word(choices, &known).to_be_bytes::<32>();
                let room = data.len().saturating_sub(at).min(32);
                data[at..at + room].copy_from_slice(&word[..room]);
            }
            tx.data = data.into();
        }
        if choices.once_in(4) {
            tx.value = U256::from(choices.pick(&[0_u64, 1, 2, 1_000]));
        }
        if choices.once_in(4) {
            let gas = 64 * u64::from(choices.byte());
            tx.gas_limit = if choices.once_in(2) { tx.gas_limit + gas } else { tx.gas_limit - gas };
        }
        sibling
    }

    /// Gives a piece of state the value that another scene has for it.
    pub(crate) fn take(&mut self, key: &StateKey, from: &Self) {
        let (StateKey::Storage(address, _)
        | StateKey::Balance(address)
        | StateKey::Nonce(address)
        | StateKey::Code(address)) = key;
        let there = from.accounts.get(address).cloned().unwrap_or_default();
        let here = self.accounts.entry(*address).or_default();
        match key {
            StateKey::Storage(_, slot) => {
                here.storage.insert(*slot, there.storage.get(slot).copied().unwrap_or_default());
            }
            StateKey::Balance(_) => here.balance = there.balance,
            StateKey::Nonce(_) => here.nonce = there.nonce,
            StateKey::Code(_) => here.code = there.code,
        }
    }

    /// Puts the scene into another block of its fork, as far as choices say so.
    pub(crate) fn move_to_another_block(&mut self, choices: &mut Choices<'_>) {
        let known: Vec<Address> = self.accounts.keys().copied().collect();
        let since = |fork: SpecId| self.spec.is_enabled_in(fork);
        let mut changes = || choices.below(2) == 0;
        let changes: [bool; 9] = std::array::from_fn(|_| changes());
        let block = &mut self.block;
        if changes[0] {
            block.timestamp += U256::from(1 + choices.below(200));
        }
        if changes[1] {
            block.number += U256::from(choices.pick(&[1_u64, 2, 3, 255, 256, 300]));
        }
        if changes[2] {
            let word = word(choices, &known);
            block.difficulty = word;
            block.prevrandao = block.prevrandao.map(|_| word.into());
        }
        if changes[3] {
            let others = [Address::repeat_byte(0xcc), PERSON];
            let all: Vec<Address> = known.iter().copied().chain(others).collect();
            block.beneficiary = choices.pick(&all);
        }
        if changes[4] && since(SpecId::LONDON) {
            block.basefee = choices.pick(&[0, 1, 8, 9]);
        }
        if changes[5] {
            block.gas_limit = choices.pick(&[31_000_000, 60_000_000, 5_000_000]);
        }
        if changes[6] && since(SpecId::CANCUN) {
            let blob_gasprice = choices.pick(&[2, 7, 1_000]);
            block.blob_excess_gas_and_price =
                Some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice });
        }
        if changes[7] {
            block.slot_num += 1;
        }
        if changes[8] {
            self.chain = self.chain.wrapping_add(1);
        }
    }

    /// Gives a word of the block the value that another scene has for it.
    pub(crate) fn take_word(&mut self, word: EnvironmentWord, from: &Self) {
        let (here, there) = (&mut self.block, &from.block);
        match word {
            EnvironmentWord::Timestamp => here.timestamp = there.timestamp,
            EnvironmentWord::Number => here.number = there.number,
            EnvironmentWord::PrevRandao => {
                (here.prevrandao, here.difficulty) = (there.prevrandao, there.difficulty);
            }
            EnvironmentWord::Coinbase => here.beneficiary = there.beneficiary,
            EnvironmentWord::BaseFee => here.basefee = there.basefee,
            EnvironmentWord::GasLimit => here.gas_limit = there.gas_limit,
            EnvironmentWord::BlobBaseFee => {
                here.blob_excess_gas_and_price = there.blob_excess_gas_and_price;
            }
            EnvironmentWord::SlotNumber => here.slot_num = there.slot_num,
            EnvironmentWord::BlockHash(number) => {
                self.hashes.insert(number, from.hash_number(number));
            }
            other => panic!("{other:?} is a word that scenes do not have"),
        }
    }

    /// What decides the hash of a block.
    fn hash_number(&self, number: u64) -> u8 {
        self.hashes.get(&number).copied().unwrap_or(self.chain)
    }

    /// The same transaction in a world in which other transactions came before: balances, words, nonces and codes are
    /// others, within what chains allow.
    pub(crate) fn aged(
        &self,
        choices: &mut Choices<'_>,
        slots: impl Iterator<Item = (Address, U256)>,
    ) -> Self {
        let mut aged = self.clone();
        let known: Vec<Address> = self.accounts.keys().copied().collect();
        for (address, slot) in slots {
            if choices.below(2) == 0 {
                let word = word(choices, &known);
                aged.accounts.entry(address).or_default().storage.insert(slot, word);
            }
        }
        for (address, holder) in &mut aged.accounts {
            for slot in 0..4 {
                if choices.once_in(4) {
                    holder.storage.insert(U256::from(slot), word(choices, &known));
                }
            }
            if choices.below(2) == 0 {
                let balance = U256::from(choices.pick(&[0_u64, 5, 1_000, 1 << 40]));
                holder.balance = if *address == SENDER { holder.balance + balance } else { balance };
            }
            if *address != SENDER && choices.once_in(3) {
                holder.nonce = holder.nonce.saturating_add(1 + choices.below(3) as u64);
            }
            if *address != SENDER && choices.once_in(4) {
                let from = choices.pick(&known);
                holder.code = self.accounts[&from].code.clone();
            }
        }
        aged
    }

    /// Whether this is one of the questions that are not answered.
    fn ask(&self) -> Result<(), Unavailable> {
        if self.silent == 0 {
            return Ok(());
        }
        self.asked.set((self.asked.get() + 1) % self.silent);
        if self.asked.get() == 0 { Err(Unavailable) } else { Ok(()) }
    }
}

/// The address of a contract, by number.
fn contract(number: usize) -> Address {
    let mut bytes = [0xc0; 20];
    bytes[19] = number as u8;
    bytes.into()
}

/// A word that programs are likely to treat in a way of its own.
fn word(choices: &mut Choices<'_>, known: &[Address]) -> U256 {
    match choices.weighted(&[5, 4, 2, 1]) {
        0 => U256::from(choices.below(5)),
        1 => choices.pick(known).into_word().into(),
        2 => choices.pick(&[U256::MAX, U256::from(0xff), U256::from(1) << 255, U256::from(0x40)]),
        _ => U256::from_be_bytes(choices.array::<32>()),
    }
}

/// The hash of a blob, of the version that there is.
fn versioned_hash() -> B256 {
    let mut hash = B256::repeat_byte(0xb1);
    hash[0] = 1;
    hash
}

/// A proxy by EIP-1167.
fn minimal_proxy(to: Address) -> Vec<u8> {
    let (before, after) = (hex!("363d3d373d3d3d363d73"), hex!("5af43d82803e903d91602b57fd5bf3"));
    [&before[..], to.as_slice(), &after[..]].concat()
}

/// A designator by EIP-7702.
fn designator(to: Address) -> Vec<u8> {
    [&hex!("ef0100")[..], to.as_slice()].concat()
}

/// The state was asked for something that it does not say.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the state is not available")]
pub(crate) struct Unavailable;

impl DBErrorMarker for Unavailable {}

impl DatabaseRef for Scene {
    type Error = Unavailable;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Unavailable> {
        self.ask()?;
        Ok(self.accounts.get(&address).map(|holder| AccountInfo {
            balance: holder.balance,
            nonce: holder.nonce,
            code_hash: if holder.code.is_empty() { KECCAK256_EMPTY } else { keccak256(&holder.code) },
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, hash: B256) -> Result<Bytecode, Unavailable> {
        self.ask()?;
        let found = self.accounts.values().find(|holder| keccak256(&holder.code) == hash);
        Ok(found.map_or_else(Bytecode::default, |holder| Bytecode::new_raw(holder.code.clone())))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Unavailable> {
        self.ask()?;
        let word = self.accounts.get(&address).and_then(|holder| holder.storage.get(&slot));
        Ok(word.copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Unavailable> {
        self.ask()?;
        let of_chain = self.hash_number(number).to_be_bytes();
        Ok(keccak256([&number.to_be_bytes()[..], &of_chain].concat()))
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tx = &self.transaction;
        writeln!(f, "fork {:?}", self.spec)?;
        writeln!(
            f,
            "transaction to {:?}, type {}, gas {}, value {}",
            tx.kind, tx.tx_type, tx.gas_limit, tx.value
        )?;
        writeln!(f, "  data 0x{}", hex::encode(&tx.data))?;
        let price = (tx.gas_price, tx.gas_priority_fee, tx.blob_hashes.len());
        writeln!(f, "  price, priority fee, blobs {price:?}\n{:?}, chain {}", self.block, self.chain)?;
        for authorization in &tx.authorization_list {
            writeln!(f, "  authorization {authorization:?}")?;
        }
        for (address, holder) in &self.accounts {
            let Holder { balance, nonce, code, storage } = holder;
            writeln!(f, "{address} balance {balance} nonce {nonce}\n  code 0x{}", hex::encode(code))?;
            for (slot, word) in storage {
                writeln!(f, "  {slot:#x} = {word:#x}")?;
            }
        }
        Ok(())
    }
}
