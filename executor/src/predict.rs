//! What a transaction will touch, from the slices of the codes it runs.
//!
//! In: a transaction, its block, and a read-only view of the state. Out: an [`AccessSet`]. The transaction is never
//! executed and no bytecode is interpreted: codes are compiled once to slices (see [`deconflict_analyzer::Slice`]),
//! which then run on concrete words, across calls. What a prediction cannot know it says; it must never leave out an
//! access and call itself complete.

mod taint;
mod region;
mod words;
mod keccak;
mod world;
mod ledger;
mod codes;
mod frame;
mod machine;
mod call;

use std::cell::RefCell;
use std::sync::Arc;

use alloy_primitives::{Address, TxKind, U256, keccak256};
use deconflict_analyzer::{Slice, Variant};
use revm::{
    DatabaseRef,
    context::{BlockEnv, TxEnv},
    context_interface::{Transaction, either::Either},
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};

use self::call::{Creation, blank};
use self::codes::{CodeCache, Runnable};
use self::frame::Frame;
use self::machine::{Machine, Path, Workspace};
use self::taint::Taint;
use self::world::{AccountCode, Word, World};
use crate::access_set::{AccessSet, AccountAccess, Shortfall, ShortfallReason};
use crate::cache::SliceCache;

/// The most gas that the instructions of one path may cost, however much the transaction has: a bound on time.
const MAX_GAS: u64 = 100_000_000;

/// How often a prediction is started again with more known: each code that computes its jump targets costs one.
const MAX_RESTARTS: usize = 16;

/// Predicts transactions, with everything about codes kept from one to the next. Shared by threads.
#[derive(Debug, Default)]
pub struct Predictor {
    codes: CodeCache,
}

/// The block that a transaction is predicted in.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext<'a> {
    /// The words that instructions can ask of the block.
    pub env: &'a BlockEnv,
    /// The rules of its fork.
    pub spec: SpecId,
    /// The chain it belongs to.
    pub chain_id: u64,
}

/// What one thread keeps between predictions: room, hashes, and codes at hand.
#[derive(Default)]
pub struct Scratch {
    workspace: Workspace,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Predictor {
    /// A predictor that knows no code yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A predictor that knows the codes in a cache, and adds those that it comes across.
    pub fn with_cache(cache: SliceCache) -> Self {
        Self { codes: CodeCache::over(cache) }
    }

    /// The cache, if there is one.
    pub fn cache(&self) -> Option<&SliceCache> {
        self.codes.disk.as_ref()
    }

    /// What a transaction touches if it runs on `state`, with scratch space of the thread's own.
    pub fn predict<D: DatabaseRef>(&self, tx: &TxEnv, block: BlockContext<'_>, state: &D) -> AccessSet {
        thread_local! {
            static SCRATCH: RefCell<Scratch> = RefCell::default();
        }
        SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => self.predict_with(&mut scratch, tx, block, state),
            // The state's own code predicts in turn.
            Err(_) => self.predict_with(&mut Scratch::default(), tx, block, state),
        })
    }

    /// What a transaction touches if it runs on `state`.
    pub fn predict_with<D: DatabaseRef>(
        &self,
        scratch: &mut Scratch,
        tx: &TxEnv,
        block: BlockContext<'_>,
        state: &D,
    ) -> AccessSet {
        let mut eager = false;
        for _ in 0..MAX_RESTARTS {
            let (set, again) = self.attempt(&mut scratch.workspace, tx, block, state, eager);
            match again {
                None => return set,
                Some(Again::Signers) => eager = true,
                Some(Again::Widen(slice)) => self.codes.widen(&mut scratch.workspace.at_hand, &slice),
            }
        }
        let mut set = self.attempt(&mut scratch.workspace, tx, block, state, true).0;
        set.incomplete.push(Shortfall {
            reason: ShortfallReason::UnknownJump,
            code_hash: alloy_primitives::B256::ZERO,
            selector: alloy_primitives::Selector::ZERO,
            pc: 0,
        });
        set
    }

    fn attempt<D: DatabaseRef>(
        &self,
        workspace: &mut Workspace,
        tx: &TxEnv,
        block: BlockContext<'_>,
        state: &D,
        eager: bool,
    ) -> (AccessSet, Option<Again>) {
        let spec = block.spec;
        let Workspace { ledger, at_hand, spare, world } = workspace;
        ledger.clear();
        let mut machine = Machine {
            codes: &self.codes,
            at_hand,
            spare,
            ledger,
            tx,
            block: block.env,
            spec,
            chain_id: block.chain_id,
            state,
            precompiles: Precompiles::new(PrecompileSpecId::from_spec_id(spec)),
            eager,
            pending: Vec::new(),
            paths: 1,
            intrinsic: intrinsic_gas(tx),
            // Before EIP-150 loads and calls cost less than they do now.
            gas_shift: if spec.is_enabled_in(SpecId::TANGERINE) { 0 } else { 3 },
            widen: None,
        };
        let mut first = std::mem::take(world);
        first.clear();
        let mut set = AccessSet::default();
        let frame = machine.begin(&mut first, tx);
        match frame {
            None => collect(&mut set, &first),
            Some(frame) => {
                let mut path = Path {
                    world: first,
                    frame,
                    waiting: Vec::new(),
                    gas_left: tx.gas_limit.min(MAX_GAS).saturating_sub(21_000),
                };
                machine.follow(&mut path);
                collect(&mut set, &path.world);
                while let Some(mut other) = machine.pending.pop() {
                    if machine.widen.is_some() || (machine.ledger.wants_signers && !eager) {
                        break;
                    }
                    machine.follow(&mut other);
                    collect(&mut set, &other.world);
                }
                machine.spare.push(path.frame);
                machine.spare.append(&mut path.waiting);
                first = path.world;
            }
        }
        let intrinsic = machine.intrinsic;
        let widen = machine.widen.take();
        if machine.spare.len() > 64 {
            machine.spare.truncate(64);
        }
        *world = first;
        if let Some(slice) = widen {
            return (set, Some(Again::Widen(slice)));
        }
        if workspace.ledger.wants_signers && !eager {
            return (set, Some(Again::Signers));
        }
        let ledger = &mut workspace.ledger;
        set.accounts.append(&mut ledger.accounts);
        set.depends_on.extend(ledger.sources.of(ledger.needed));
        set.incomplete.append(&mut ledger.shortfalls);
        set.gas = (ledger.gas + intrinsic).min(tx.gas_limit);
        for list in [&mut set.reads, &mut set.writes, &mut set.deltas] {
            list.sort_unstable();
            list.dedup();
        }
        set.accounts.sort_unstable();
        set.accounts.dedup();
        set.depends_on.sort_unstable();
        set.depends_on.dedup();
        set.incomplete.sort_unstable();
        (set, None)
    }
}

/// Why a prediction is started again.
enum Again {
    /// A signer that was not recovered decides something.
    Signers,
    /// A code jumps where no trace starts yet.
    Widen(Arc<Slice>),
}

/// Adds what one way of a transaction touched.
fn collect(set: &mut AccessSet, world: &World) {
    for (address, key, touch) in world.touched() {
        if touch.read {
            set.reads.push((address, key));
        }
        if touch.written {
            set.writes.push((address, key));
            if !touch.beyond_delta {
                set.deltas.push((address, key));
            }
        }
    }
}

impl<D: DatabaseRef> Machine<'_, D> {
    /// What happens before the first instruction. The frame that runs first, if there is one.
    fn begin(&mut self, world: &mut World, tx: &TxEnv) -> Option<Box<Frame>> {
        let sender = world.account(tx.caller);
        self.ledger.accounts.push(AccountAccess::NonceWrite(tx.caller));
        self.ledger.accounts.push(AccountAccess::BalanceDebit(tx.caller));
        let price = effective_gas_price(tx, self.block);
        let blob_price = self.block.blob_excess_gas_and_price.map_or(0, |blob| blob.blob_gasprice);
        let blob_fee = U256::from(blob_price).wrapping_mul(U256::from(tx.total_blob_gas()));
        let fee = U256::from(price).wrapping_mul(U256::from(tx.gas_limit)).wrapping_add(blob_fee);
        world.adjust_balance(sender, fee.wrapping_neg(), Taint::CLEAN);
        let value = Word::clean(tx.value);
        match tx.kind {
            TxKind::Call(to) => {
                world.increment_nonce(sender);
                self.authorize(world, tx);
                let account = world.account(to);
                if !tx.value.is_zero() {
                    self.transfer(world, sender, account, value);
                }
                let address_is_low = to.0[..18] == [0; 18];
                if address_is_low && self.precompiles.contains(&to) {
                    return None;
                }
                self.ledger.accounts.push(AccountAccess::CodeRead(to));
                let Some(code) = self.runnable(world, account, Variant::Lean) else {
                    self.ledger.fall_short(
                        ShortfallReason::CodeUnavailable,
                        ledger::Place { code_hash: alloy_primitives::B256::ZERO, selector: [0; 4], pc: 0 },
                    );
                    return None;
                };
                let Runnable::Slice(slice) = code else { return None };
                let mut frame = self.spare.pop().unwrap_or_else(|| Box::new(blank(Arc::clone(&slice))));
                frame.start(slice);
                frame.call_data.set(&tx.data);
                frame.checkpoint = world.checkpoint();
                frame.is_static = false;
                frame.account = account;
                frame.address = to;
                frame.caller = tx.caller;
                frame.value = value;
                self.choose_entry(&mut frame);
                Some(frame)
            }
            TxKind::Create => {
                let address = tx.caller.create(tx.nonce);
                world.increment_nonce(sender);
                let hash = keccak256(&tx.data);
                let from = (sender, tx.caller, value);
                match self.creation(world, tx.data.clone(), hash, address, from, (true, u64::MAX)) {
                    Creation::Runs(frame) => Some(frame),
                    Creation::Fails | Creation::Empty(_) => None,
                }
            }
        }
    }

    /// Applies the authorizations of a transaction, by EIP-7702.
    fn authorize(&mut self, world: &mut World, tx: &TxEnv) {
        for authorization in &tx.authorization_list {
            let (authority, inner) = match authorization {
                Either::Left(signed) => (signed.recover_authority().ok(), signed.inner()),
                Either::Right(recovered) => (recovered.authority(), &**recovered),
            };
            let Some(authority) = authority else { continue };
            if !inner.chain_id.is_zero() && inner.chain_id != U256::from(self.chain_id) {
                continue;
            }
            let account = world.account(authority);
            let (nonce, nonce_taint) = world.nonce(account, self.state, &mut self.ledger.sources);
            let (code, code_taint) = world.code(account, self.state, &mut self.ledger.sources);
            self.ledger.need(nonce_taint.union(code_taint));
            let delegable = match call::code_bytes(&code, self.state) {
                Some(bytes) => bytes.is_empty() || codes::delegate(&bytes).is_some(),
                None => false,
            };
            if !delegable || nonce != inner.nonce {
                continue;
            }
            self.ledger.accounts.push(AccountAccess::NonceWrite(authority));
            self.ledger.accounts.push(AccountAccess::CodeWrite(authority));
            let code = if inner.address == Address::ZERO {
                AccountCode::New(alloy_primitives::Bytes::new(), alloy_primitives::KECCAK256_EMPTY)
            } else {
                AccountCode::Delegated(inner.address)
            };
            world.set_code(account, code);
            world.increment_nonce(account);
        }
    }
}

/// What the transaction pays for one unit of gas.
fn effective_gas_price(tx: &TxEnv, block: &BlockEnv) -> u128 {
    Transaction::effective_gas_price(tx, u128::from(block.basefee))
}

/// The gas that a transaction costs before its first instruction, by the rules of Istanbul and later.
fn intrinsic_gas(tx: &TxEnv) -> u64 {
    let zeros = tx.data.iter().map(|byte| u64::from(*byte == 0)).sum::<u64>();
    let data = 4 * zeros + 16 * (tx.data.len() as u64 - zeros);
    let creation = if tx.kind.is_create() { 32_000 } else { 0 };
    let listed: usize = tx.access_list.iter().map(|item| 2_400 + 1_900 * item.storage_keys.len()).sum();
    21_000 + data + creation + listed as u64 + 25_000 * tx.authorization_list.len() as u64
}
