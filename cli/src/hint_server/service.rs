//! From a request to its answer.
//!
//! In: parameters, and the states at hand. Out: documents. A request that would wait longer than its limit for codes that
//! were never analysed is answered without them; their analysis goes on, so that the next request finds it done.

use std::{sync::Arc, time::Instant};

use deconflict_executor::{
    Block, Predictor, SliceCache,
    fetch::Node,
    hints::{Basis, BlockHints, Format, Senders, TransactionHint, check_nonces, plan},
};
use deconflict_lints::{inspect, load_bytes, report::inspect_json};
use serde_json::{Value, json, value::RawValue};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

use super::{
    bases::{Base, Bases},
    limits::Limits,
    metrics::Metrics,
    request::{FEW, HintParams, MAX_CODE, TemplateParams, index},
    state::View,
    work::{MOST_ACCESSES, Quick, TooMuch, UntilDropped, Work},
};

/// How many senders of raw transactions are remembered.
const SENDERS: usize = 1 << 16;

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

/// What all requests share.
pub(crate) struct Service {
    predictor: Predictor,
    bases: Bases,
    senders: Senders,
    pub(crate) limits: Limits,
    lanes: usize,
    pub(crate) metrics: Metrics,
    workers: Arc<Semaphore>,
    background: Arc<Semaphore>,
    quick: Quick,
    started: Instant,
}

impl Service {
    pub(crate) fn new(
        predictor: Predictor,
        blocks: Vec<Block>,
        node: Option<Arc<dyn Node + Send + Sync>>,
        limits: Limits,
        lanes: usize,
    ) -> Self {
        Self {
            predictor,
            bases: Bases::new(blocks, node),
            senders: Senders::new(SENDERS),
            limits,
            lanes,
            metrics: Metrics::default(),
            workers: Arc::new(Semaphore::new(limits.workers)),
            background: Arc::new(Semaphore::new(limits.background)),
            quick: Quick::default(),
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
        // Held until the answer is there, so that work which nobody waits for keeps nobody waiting.
        let _worker = self.worker().await?;
        let lanes = planned.then(|| params.lanes.unwrap_or(self.lanes).clamp(1, 1_024));
        let prepared = if count <= FEW && !self.bases.may_wait() {
            // Handing a few transactions to another thread takes longer than reading them.
            self.prepare(params, planned)
        } else {
            let service = Arc::clone(&self);
            joined(tokio::task::spawn_blocking(move || service.prepare(params, planned)).await)?
        };
        let work = Arc::new(prepared?);
        let waiting = UntilDropped(Arc::clone(&work));
        if count <= FEW && self.quick.knows(&work) {
            let answer = tokio::task::block_in_place(|| self.work(&work, lanes));
            return answer.unwrap_or_else(|| Err(Refusal::Internal("it was answered before".to_owned())));
        }
        let mut working = tokio::task::spawn_blocking({
            let (service, work) = (Arc::clone(&self), Arc::clone(&work));
            move || service.work(&work, lanes)
        });
        if let Ok(ended) = tokio::time::timeout(self.limits.analysis, &mut working).await
            && let Some(answer) = joined(ended)?
        {
            return answer;
        }
        let Some(found) = work.take() else {
            // All has been found out, and is being written down.
            let ended = joined(working.await)?;
            return ended.unwrap_or_else(|| Err(Refusal::Internal("it was answered before".to_owned())));
        };
        self.leave_behind(working, waiting);
        joined(tokio::task::spawn_blocking(move || self.answer(&work, found, lanes)).await)?
    }

    /// Predicts, and writes down what comes of it unless that has been done before it was all there.
    fn work(&self, work: &Work, lanes: Option<usize>) -> Option<Result<Box<RawValue>, Refusal>> {
        let start = Instant::now();
        work.run(&self.predictor);
        self.quick.learn(work, start.elapsed());
        Some(self.answer(work, work.take()?, lanes))
    }

    /// The document, with a plan if there are lanes to be filled.
    fn answer(
        &self,
        work: &Work,
        found: Result<Vec<TransactionHint>, TooMuch>,
        lanes: Option<usize>,
    ) -> Result<Box<RawValue>, Refusal> {
        let hints = found.map_err(|TooMuch| {
            Refusal::TooMuch(format!(
                "the hints name more than {MOST_ACCESSES} slots and accounts: ask for fewer transactions"
            ))
        })?;
        let metrics = &self.metrics;
        metrics.hints.inc_by(hints.len() as u64);
        metrics.complete.inc_by(hints.iter().filter(|hint| hint.is_complete()).count() as u64);
        metrics.pending.inc_by(hints.iter().filter(|hint| hint.pending).count() as u64);
        let block = &work.block;
        let hints = BlockHints {
            chain_id: block.chain_id,
            number: Some(block.number),
            hash: None,
            spec: block.spec,
            analyzer: env!("CARGO_PKG_VERSION").to_owned(),
            basis: if work.view.is_something() { Basis::StaticAndState } else { Basis::Static },
            parent: block.header.parent_hash,
            plan: lanes.map(|lanes| plan(&hints, block.header.coinbase, lanes)),
            transactions: hints,
        };
        let format = Format::named("json").ok_or_else(|| Refusal::Internal("there is no JSON".to_owned()))?;
        let bytes = format.render(&hints).map_err(|error| Refusal::Internal(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| Refusal::Internal(error.to_string()))?;
        RawValue::from_string(text).map_err(|error| Refusal::Internal(error.to_string()))
    }

    /// What a code reads and writes, by function, as `deconflict/inspect/1`.
    pub(crate) async fn template(self: Arc<Self>, params: TemplateParams) -> Result<Box<RawValue>, Refusal> {
        if params.code.len() > MAX_CODE {
            return Err(Refusal::TooMuch(format!("the code is longer than {MAX_CODE} bytes")));
        }
        let permit = self.worker().await?;
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

    /// Waits until there is room for one more request.
    async fn worker(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.workers).acquire_owned().await;
        permit.map_err(|_| Refusal::Internal("the server is stopping".to_owned()))
    }

    /// Lets work go on after its answer, if there is room for that, for as long as a request may take.
    fn leave_behind<T: Send + 'static>(&self, working: JoinHandle<T>, until: UntilDropped) {
        // Dropped where there is no room, and the work ends; what it has analysed stays.
        let Ok(room) = Arc::clone(&self.background).try_acquire_owned() else { return };
        let longest = self.limits.request;
        tokio::spawn(async move {
            let _ = tokio::time::timeout(longest, working).await;
            drop((until, room));
        });
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
            "states": self.bases.count(),
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
    fn prepare(&self, mut params: HintParams, planned: bool) -> Result<Work, Refusal> {
        let Base { mut block, view: under, earliest } = self.bases.find(params.parent)?;
        if let Some(environment) = &params.environment {
            environment.put_into(&mut block, earliest).map_err(Refusal::Params)?;
        }
        let transactions = params.transactions(&self.senders, &block).map_err(Refusal::Params)?;
        if planned {
            check_nonces(&transactions, index).map_err(|error| Refusal::Params(error.to_string()))?;
        }
        let view = match params.supplied().map_err(Refusal::Params)? {
            Some(accounts) => View::Supplied(accounts, Arc::new(under)),
            None => under,
        };
        Ok(Work::new(block, transactions, view))
    }
}

/// What a thread has come to.
fn joined<T>(ended: Result<T, tokio::task::JoinError>) -> Result<T, Refusal> {
    ended.map_err(|error| {
        tracing::error!(%error, "a request has ended in a panic");
        Refusal::Internal("the request could not be answered".to_owned())
    })
}
