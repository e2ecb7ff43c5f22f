//! From a request to its answer.
//!
//! In: parameters, and the states at hand. Out: documents. A request that would wait longer than its limit for codes that
//! were never analysed is answered without them; their analysis goes on, so that the next request finds it done.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use alloy_primitives::{B256, U64};
use deconflict_executor::{
    AccessSet, Block, BlockContext, BlockState, Predictor, Scratch, SliceCache, Transaction,
    fetch::Node,
    hints::{Basis, BlockHints, Format, TransactionHint, hint_transaction, plan},
};
use deconflict_lints::{inspect, load_bytes, report::inspect_json};
use revm::primitives::hardfork::SpecId;
use serde_json::{Value, json, value::RawValue};
use tokio::sync::Semaphore;

use super::{
    limits::Limits,
    metrics::Metrics,
    request::{HintParams, TemplateParams},
    state::{NodeState, View},
};

/// Why a request is not answered as it was meant.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Something is wrong with what it says.
    Params(String),
    /// It asks for too much.
    TooMuch(String),
    /// The server cannot do it.
    Internal(String),
}

/// A state with the block that it comes before.
struct Known {
    block: Block,
    state: Arc<BlockState>,
}

/// What all requests share.
pub(crate) struct Service {
    predictor: Predictor,
    known: BTreeMap<B256, Arc<Known>>,
    latest: Option<Arc<Known>>,
    node: Option<Arc<dyn Node + Send + Sync>>,
    at_node: Mutex<Option<(Instant, Arc<NodeState>, Block)>>,
    pub(crate) limits: Limits,
    lanes: usize,
    pub(crate) metrics: Metrics,
    workers: Arc<Semaphore>,
    started: Instant,
}

/// How long the head of a node's chain is taken for the head.
const HEAD_HOLDS: std::time::Duration = std::time::Duration::from_millis(500);

/// The hints that are there already, of a request that is being worked on.
type Progress = Arc<Mutex<Vec<Option<TransactionHint>>>>;

impl Service {
    pub(crate) fn new(
        predictor: Predictor,
        blocks: Vec<Block>,
        node: Option<Arc<dyn Node + Send + Sync>>,
        limits: Limits,
        lanes: usize,
    ) -> Self {
        let mut known = BTreeMap::new();
        let mut latest = None;
        for block in blocks {
            let entry = Arc::new(Known { state: Arc::new(BlockState::new(&block)), block });
            known.extend(entry.block.header.parent_hash.map(|parent| (parent, Arc::clone(&entry))));
            latest = Some(entry);
        }
        Self {
            predictor,
            known,
            latest,
            node,
            at_node: Mutex::default(),
            limits,
            lanes,
            metrics: Metrics::default(),
            workers: Arc::new(Semaphore::new(limits.workers)),
            started: Instant::now(),
        }
    }

    /// Hints for transactions, and a plan if one is wanted, as `deconflict/hints/1`.
    pub(crate) async fn hints(
        self: Arc<Self>,
        params: HintParams,
        planned: bool,
    ) -> Result<Box<RawValue>, Refusal> {
        let count = params.count();
        if count > self.limits.batch as usize {
            let most = self.limits.batch;
            return Err(Refusal::TooMuch(format!("{count} transactions are more than {most}: ask in parts")));
        }
        let permit = Arc::clone(&self.workers).acquire_owned().await;
        let permit = permit.map_err(|_| Refusal::Internal("the server is stopping".to_owned()))?;
        let service = Arc::clone(&self);
        let lanes = params.lanes.unwrap_or(self.lanes).clamp(1, 1_024);
        // What a request says is cheap to read, but signatures take their time.
        let prepared = tokio::task::spawn_blocking(move || service.prepare(params));
        let (block, transactions, view) = joined(prepared.await)??;
        let progress: Progress = Arc::new(Mutex::new(vec![None; transactions.len()]));
        let (service, done) = (Arc::clone(&self), Arc::clone(&progress));
        let work = (Arc::new(block), Arc::new(transactions), Arc::new(view));
        let (block, transactions, view) = work.clone();
        let working = tokio::task::spawn_blocking(move || {
            service.predict(&work.0, &work.1, &work.2, &done);
            drop(permit);
        });
        let in_time = tokio::time::timeout(self.limits.analysis, working).await;
        if let Ok(ended) = in_time {
            joined(ended)?;
        }
        let found = std::mem::take(&mut *progress.lock().unwrap_or_else(PoisonError::into_inner));
        let mut hints = Vec::with_capacity(transactions.len());
        for (index, transaction) in transactions.iter().enumerate() {
            hints.push(found.get(index).cloned().flatten().unwrap_or_else(|| pending(transaction)));
        }
        let metrics = &self.metrics;
        metrics.hints.inc_by(hints.len() as u64);
        metrics.complete.inc_by(hints.iter().filter(|hint| hint.is_complete()).count() as u64);
        metrics.pending.inc_by(hints.iter().filter(|hint| hint.pending).count() as u64);
        let hints = BlockHints {
            chain_id: block.chain_id,
            number: Some(block.number),
            hash: None,
            spec: block.spec,
            analyzer: env!("CARGO_PKG_VERSION").to_owned(),
            basis: if view.is_something() { Basis::StaticAndState } else { Basis::Static },
            parent: block.header.parent_hash,
            plan: planned.then(|| plan(&hints, block.header.coinbase, lanes)),
            transactions: hints,
        };
        let format = Format::named("json").ok_or_else(|| Refusal::Internal("there is no JSON".to_owned()))?;
        let bytes = format.render(&hints).map_err(|error| Refusal::Internal(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| Refusal::Internal(error.to_string()))?;
        RawValue::from_string(text).map_err(|error| Refusal::Internal(error.to_string()))
    }

    /// What a code reads and writes, by function, as `deconflict/inspect/1`.
    pub(crate) async fn template(self: Arc<Self>, params: TemplateParams) -> Result<Box<RawValue>, Refusal> {
        /// No code on a chain is much larger.
        const MOST: usize = 64 << 10;
        if params.code.len() > MOST {
            return Err(Refusal::TooMuch(format!("the code is longer than {MOST} bytes")));
        }
        let permit = Arc::clone(&self.workers).acquire_owned().await;
        let permit = permit.map_err(|_| Refusal::Internal("the server is stopping".to_owned()))?;
        let working = tokio::task::spawn_blocking(move || {
            let text = params.code.to_string();
            let project = load_bytes("code", text.as_bytes()).map_err(|error| error.to_string());
            let document = project.map(|project| {
                let all: Vec<_> =
                    project.contracts.iter().map(|contract| inspect(&project, contract)).collect();
                // One line, as everything here.
                serde_json::from_str::<Value>(&inspect_json::render(&all))
                    .map_or_else(|it| it.to_string(), |it| it.to_string())
            });
            drop(permit);
            document
        });
        let Ok(ended) = tokio::time::timeout(self.limits.request, working).await else {
            return Err(Refusal::Internal("analysis pending".to_owned()));
        };
        let text = joined(ended)?.map_err(Refusal::Params)?;
        RawValue::from_string(text).map_err(|error| Refusal::Internal(error.to_string()))
    }

    /// What is kept.
    pub(crate) fn cache(&self) -> Value {
        let metrics = &self.metrics;
        json!({
            "requests": metrics.requests.get(),
            "errors": metrics.errors.get(),
            "hints": metrics.hints.get(),
            "complete": metrics.complete.get(),
            "pending": metrics.pending.get(),
            "states": self.known.len(),
            "store": self.predictor.cache().is_some(),
        })
    }

    /// Whether it works.
    pub(crate) fn health(&self) -> Value {
        json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.started.elapsed().as_secs(),
            "free_workers": self.workers.available_permits(),
        })
    }

    /// Writes what was analysed, so that the next process finds it.
    pub(crate) fn flush(&self) {
        if let Some(Err(error)) = self.predictor.cache().map(SliceCache::flush) {
            tracing::warn!(%error, "analysed codes are not kept");
        }
    }

    /// What a request is about.
    fn prepare(&self, mut params: HintParams) -> Result<(Block, Vec<Transaction>, View), Refusal> {
        let (mut block, under) = self.base(params.parent)?;
        if let Some(environment) = &params.environment {
            environment.put_into(&mut block).map_err(Refusal::Params)?;
        }
        let transactions = params.transactions(block.chain_id).map_err(Refusal::Params)?;
        let view = match params.supplied() {
            Some(accounts) => View::Supplied(accounts, Arc::new(under)),
            None => under,
        };
        Ok((block, transactions, view))
    }

    /// The block and state that a request looks at where it brings none itself.
    fn base(&self, parent: Option<B256>) -> Result<(Block, View), Refusal> {
        let of_file = |known: &Known| (bare(&known.block), View::Block(Arc::clone(&known.state)));
        if let Some(parent) = parent {
            let known = self.known.get(&parent);
            let known = known.ok_or_else(|| {
                Refusal::Params(format!(
                    "there is no state after block {parent} here; leave out `parent`, or bring `state`"
                ))
            })?;
            return Ok(of_file(known));
        }
        if let Some(node) = &self.node {
            let (state, block) = self.head(node)?;
            return Ok((block, View::Node(state)));
        }
        Ok(self.latest.as_ref().map_or_else(|| (empty_block(), View::Nothing), |known| of_file(known)))
    }

    /// The state at the head of the node's chain, and a block like the next one.
    fn head(&self, node: &Arc<dyn Node + Send + Sync>) -> Result<(Arc<NodeState>, Block), Refusal> {
        let mut at_node = self.at_node.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, state, block)) = &*at_node
            && since.elapsed() < HEAD_HOLDS
        {
            return Ok((Arc::clone(state), bare(block)));
        }
        let internal = |error: String| Refusal::Internal(format!("the node: {error}"));
        let ask = |method, params| node.call(method, params).map_err(|error| internal(error.to_string()));
        let chain: U64 = serde_json::from_value(ask("eth_chainId", json!([]))?)
            .map_err(|error| internal(error.to_string()))?;
        let head = ask("eth_getBlockByNumber", json!(["latest", false]))?;
        let field = |name: &str| -> u64 {
            serde_json::from_value::<U64>(head[name].clone()).map_or(0, |number| number.to())
        };
        let name = head["number"].as_str().unwrap_or("latest").to_owned();
        let mut block = empty_block();
        block.chain_id = chain.to();
        block.number = field("number") + 1;
        block.header.timestamp = field("timestamp") + 1;
        block.header.gas_limit = field("gasLimit");
        block.header.base_fee = field("baseFeePerGas");
        block.header.coinbase = serde_json::from_value(head["miner"].clone()).unwrap_or_default();
        block.header.parent_hash = serde_json::from_value(head["hash"].clone()).ok();
        block.header.prev_randao = serde_json::from_value(head["mixHash"].clone()).ok();
        // Only the block that is asked for changes; what is known of it stays.
        let state = match &*at_node {
            Some((_, state, _)) if state.block == name => Arc::clone(state),
            _ => Arc::new(NodeState::new(Arc::clone(node), name)),
        };
        *at_node = Some((Instant::now(), Arc::clone(&state), bare(&block)));
        Ok((state, block))
    }

    /// Predicts one transaction after the other.
    fn predict(&self, block: &Block, transactions: &[Transaction], view: &View, done: &Progress) {
        thread_local! {
            static SCRATCH: std::cell::RefCell<Scratch> = std::cell::RefCell::default();
        }
        let env = block.env();
        let context = BlockContext { env: &env, spec: block.spec, chain_id: block.chain_id };
        SCRATCH.with_borrow_mut(|scratch| {
            for (index, transaction) in transactions.iter().enumerate() {
                let hint = hint_transaction(scratch, &self.predictor, transaction, context, view);
                // Empty once the answer has been given: the codes are analysed all the same.
                if let Some(place) = done.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                    *place = Some(hint);
                }
            }
        });
    }
}

/// A hint that says nothing yet.
fn pending(transaction: &Transaction) -> TransactionHint {
    let env = &transaction.env;
    TransactionHint {
        hash: transaction.hash,
        from: env.caller,
        to: env.kind.to().copied(),
        set: AccessSet { gas: env.gas_limit, ..AccessSet::default() },
        places: Vec::new(),
        pending: true,
        needs_funds: false,
    }
}

/// A block without transactions and state.
fn bare(block: &Block) -> Block {
    Block {
        header: block.header.clone(),
        block_hashes: block.block_hashes.clone(),
        number: block.number,
        chain_id: block.chain_id,
        spec: block.spec,
        ..empty_block()
    }
}

/// A block of which nothing is known.
fn empty_block() -> Block {
    Block {
        number: 0,
        chain_id: 1,
        spec: SpecId::OSAKA,
        header: deconflict_executor::Header {
            gas_limit: 30_000_000,
            prev_randao: Some(B256::ZERO),
            excess_blob_gas: Some(0),
            blob_base_fee: Some(1),
            ..deconflict_executor::Header::default()
        },
        expected: deconflict_executor::Expected::default(),
        block_hashes: BTreeMap::new(),
        transactions: Vec::new(),
        pre_state: BTreeMap::new(),
        codes: BTreeMap::new(),
        code_absent: std::collections::BTreeSet::new(),
    }
}

/// What a thread has come to.
fn joined<T>(ended: Result<T, tokio::task::JoinError>) -> Result<T, Refusal> {
    ended.map_err(|error| {
        tracing::error!(%error, "a request has ended in a panic");
        Refusal::Internal("the request could not be answered".to_owned())
    })
}
