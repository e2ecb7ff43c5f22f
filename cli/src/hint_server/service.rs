//! From a request to its answer.
//!
//! In: parameters, and the states at hand. Out: documents. A request that would wait longer than its limit for codes that
//! were never analysed is answered without them; their analysis goes on, so that the next request finds it done.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use deconflict_executor::{
    Block, Predictor, SliceCache,
    chain::Origin,
    hints::{Basis, BlockHints, Format, Senders, TransactionHint, check_nonces, plan},
};
use deconflict_lints::{inspect, load_bytes, report::inspect_json};
use serde_json::{Value, json, value::RawValue};
use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    oneshot::{self, Receiver},
};

use crate::arguments::MOST_LANES;

use super::{
    bases::{Base, Bases},
    limits::Limits,
    metrics::Metrics,
    pool::Pool,
    refusal::Refusal,
    request::{FEW, HintParams, MAX_CODE, Quantity, TemplateParams, index},
    state::View,
    upstream::Upstream,
    work::{MOST_ACCESSES, TooMuch, UntilDropped, Work},
};
use crate::forks::Forks;

/// How many senders of raw transactions are remembered.
const SENDERS: usize = 1 << 16;

/// What is said to a request.
type Answer = Result<Box<RawValue>, Refusal>;

/// The turn of a request among those that take long; none when it is over.
type Turn = Arc<Mutex<Option<OwnedSemaphorePermit>>>;

/// What all requests share.
pub(crate) struct Service {
    predictor: Predictor,
    bases: Bases,
    senders: Senders,
    pub(crate) limits: Limits,
    lanes: usize,
    pub(crate) metrics: Metrics,
    /// Room for requests that are read, and answered where that takes no time.
    workers: Arc<Semaphore>,
    /// Room for those that take longer.
    slow: Arc<Semaphore>,
    /// Room for what goes on behind its answer.
    background: Arc<Semaphore>,
    pool: Pool,
    started: Instant,
}

impl Service {
    pub(crate) fn new(
        predictor: Predictor,
        blocks: Vec<Block>,
        (node, forks): (Option<Arc<Upstream>>, Forks),
        limits: Limits,
        lanes: usize,
    ) -> std::io::Result<Self> {
        Ok(Self {
            predictor,
            bases: Bases::new(blocks, node, forks),
            senders: Senders::new(SENDERS),
            limits,
            lanes,
            metrics: Metrics::default(),
            workers: Arc::new(Semaphore::new(limits.workers)),
            slow: Arc::new(Semaphore::new(limits.workers)),
            background: Arc::new(Semaphore::new(limits.background)),
            pool: Pool::new(limits.workers + limits.background)?,
            started: Instant::now(),
        })
    }

    /// Hints for transactions, and a plan if one is wanted, as `deconflict/hints/1`.
    pub(crate) async fn hints(self: Arc<Self>, params: HintParams, planned: bool) -> Answer {
        let count = params.count();
        if count > self.limits.batch as usize {
            let most = self.limits.batch;
            return Err(Refusal::TooMuch(format!("{count} transactions are more than {most}: ask in parts")));
        }
        let lanes = params.lanes.map_or(self.lanes as u64, |Quantity(lanes)| lanes);
        let lanes = usize::try_from(lanes).unwrap_or(usize::MAX);
        if planned && !(1..=MOST_LANES).contains(&lanes) {
            return Err(Refusal::Params(format!("lanes: {lanes} is not from 1 to {MOST_LANES}")));
        }
        let lanes = planned.then_some(lanes);
        let worker = self.worker(&self.workers).await?;
        let (work, answer) = if count <= FEW && !self.bases.may_wait() {
            // Handing a few transactions to another thread takes longer than reading and predicting them.
            self.at_once(params, lanes)?
        } else {
            let service = Arc::clone(&self);
            joined(tokio::task::spawn_blocking(move || service.at_once(params, lanes)).await)??
        };
        drop(worker);
        if let Some(answer) = answer {
            return answer;
        }
        // Given up when this request is, or when it has taken long enough.
        let waiting = UntilDropped(Arc::clone(&work));
        let turn = tokio::time::timeout(self.limits.analysis, self.worker(&self.slow)).await;
        let Ok(turn) = turn else {
            // Too many others are before it, and it is not begun.
            drop(waiting);
            let found = work.take();
            return self.partial(work, found, lanes).await;
        };
        let (turn, mut working) = self.hand_over(Arc::clone(&work), turn?, lanes);
        if let Ok(ended) = tokio::time::timeout(self.limits.analysis, &mut working).await {
            return ended
                .unwrap_or_else(|_| Err(Refusal::Internal("the request could not be answered".to_owned())));
        }
        let Some(found) = work.take() else {
            // All has been found out, and is being written down.
            let ended = working.await;
            return ended
                .unwrap_or_else(|_| Err(Refusal::Internal("the request could not be answered".to_owned())));
        };
        self.leave_behind(working, waiting, &turn);
        self.partial(work, Some(found), lanes).await
    }

    /// Reads a request, and answers it where that takes no time.
    fn at_once(
        &self,
        params: HintParams,
        lanes: Option<usize>,
    ) -> Result<(Arc<Work>, Option<Answer>), Refusal> {
        let work = Arc::new(self.prepare(params, lanes.is_some())?);
        if !work.run_at_once(&self.predictor) {
            return Ok((work, None));
        }
        let answer = work.take().map(|found| self.answer(&work, found, lanes));
        Ok((work, answer))
    }

    /// Has a slow thread do the rest of the work. Its turn is over when it has, or before if somebody says so.
    fn hand_over(
        self: &Arc<Self>,
        work: Arc<Work>,
        turn: OwnedSemaphorePermit,
        lanes: Option<usize>,
    ) -> (Turn, Receiver<Answer>) {
        let turn: Turn = Arc::new(Mutex::new(Some(turn)));
        let (tell, told) = oneshot::channel();
        let (service, held) = (Arc::clone(self), Arc::clone(&turn));
        self.pool.run(move || {
            work.run(&service.predictor);
            if !work.is_given_up()
                && let Some(found) = work.take()
            {
                // Whoever asked may have gone.
                let _ = tell.send(service.answer(&work, found, lanes));
            }
            drop(held);
        });
        (turn, told)
    }

    /// The answer with what is there, where the rest may come later.
    async fn partial(
        self: Arc<Self>,
        work: Arc<Work>,
        found: Option<Result<Vec<TransactionHint>, TooMuch>>,
        lanes: Option<usize>,
    ) -> Answer {
        let found = found.ok_or_else(|| Refusal::Internal("it was answered before".to_owned()))?;
        joined(tokio::task::spawn_blocking(move || self.answer(&work, found, lanes)).await)?
    }

    /// The document, with a plan if there are lanes to be filled.
    fn answer(
        &self,
        work: &Work,
        found: Result<Vec<TransactionHint>, TooMuch>,
        lanes: Option<usize>,
    ) -> Answer {
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
            spec_origin: work.spec_origin,
            analyzer: env!("CARGO_PKG_VERSION").to_owned(),
            basis: if work.view.is_something() { Basis::StaticAndState } else { Basis::Static },
            parent: block.header.parent_hash,
            assumed: work.assumed.clone(),
            beneficiary: Some(block.header.coinbase),
            plan: lanes.map(|lanes| plan(&hints, block.header.coinbase, lanes)),
            transactions: hints,
        };
        let format = Format::named("json").ok_or_else(|| Refusal::Internal("there is no JSON".to_owned()))?;
        let bytes = format.render(&hints).map_err(|error| Refusal::Internal(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| Refusal::Internal(error.to_string()))?;
        RawValue::from_string(text).map_err(|error| Refusal::Internal(error.to_string()))
    }

    /// What a code reads and writes, by function, as `deconflict/inspect/1`.
    pub(crate) async fn template(self: Arc<Self>, params: TemplateParams) -> Answer {
        if params.code.len() > MAX_CODE {
            return Err(Refusal::TooMuch(format!("the code is longer than {MAX_CODE} bytes")));
        }
        let permit = self.worker(&self.slow).await?;
        let (tell, working) = oneshot::channel();
        self.pool.run(move || {
            let text = params.code.to_string();
            let project = load_bytes("code", text.as_bytes()).map_err(|error| error.to_string());
            let document = project.map(|project| {
                let all: Vec<_> =
                    project.contracts.iter().map(|contract| inspect(&project, contract)).collect();
                // One line, as everything here.
                serde_json::from_str::<Value>(&inspect_json::render_of(&project, &all))
                    .map_or_else(|it| it.to_string(), |it| it.to_string())
            });
            // Whoever asked may have gone.
            let _ = tell.send(document);
            drop(permit);
        });
        let Ok(ended) = tokio::time::timeout(self.limits.request, working).await else {
            return Err(Refusal::Internal("analysis pending".to_owned()));
        };
        let ended = ended.map_err(|_| Refusal::Internal("the request could not be answered".to_owned()));
        let text = ended?.map_err(Refusal::Params)?;
        RawValue::from_string(text).map_err(|error| Refusal::Internal(error.to_string()))
    }

    /// Waits until there is room for one more request.
    async fn worker(&self, room: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(room).acquire_owned().await;
        permit.map_err(|_| Refusal::Internal("the server is stopping".to_owned()))
    }

    /// Lets work go on after its answer, if there is room for that, for as long as a request may take.
    fn leave_behind<T: Send + 'static>(&self, working: Receiver<T>, until: UntilDropped, turn: &Turn) {
        // Dropped where there is no room, and the work ends; what it has analysed stays.
        let Ok(room) = Arc::clone(&self.background).try_acquire_owned() else { return };
        // It is others' turn now: there are threads for both.
        turn.lock().unwrap_or_else(PoisonError::into_inner).take();
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

    /// Whether it works, and what of a node's chain is stale.
    pub(crate) fn health(&self) -> Value {
        let node = self.bases.node();
        let is_stale = node.as_ref().is_some_and(|(is_stale, _)| *is_stale);
        let mut health = json!({
            "status": if is_stale { "stale" } else { "ok" },
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_s": self.started.elapsed().as_secs(),
            "free_workers": self.workers.available_permits(),
        });
        if let Some((_, node)) = node {
            health["node"] = node;
        }
        health
    }

    /// Has the node asked for the head of its chain if that may have changed.
    pub(crate) fn look(&self) {
        self.bases.look();
    }

    /// Writes what was analysed, so that the next process finds it.
    pub(crate) fn flush(&self) {
        if let Some(Err(error)) = self.predictor.cache().map(SliceCache::flush) {
            tracing::warn!(%error, "analysed codes are not kept");
        }
    }

    /// What a request is about.
    fn prepare(&self, mut params: HintParams, planned: bool) -> Result<Work, Refusal> {
        let Base { mut block, view: under, earliest, mut assumed, mut spec_origin } =
            self.bases.find(params.parent)?;
        if let Some(environment) = &params.environment {
            let found = block.spec;
            environment.put_into(&mut block, earliest).map_err(Refusal::Params)?;
            environment.said().for_each(|word| assumed.forget(word));
            spec_origin = if block.spec == found { spec_origin } else { Some(Origin::Named.name()) };
        }
        let transactions = params.transactions(&self.senders, &block).map_err(Refusal::Params)?;
        if planned {
            check_nonces(&transactions, index).map_err(|error| Refusal::Params(error.to_string()))?;
        }
        let view = match params.supplied().map_err(Refusal::Params)? {
            Some(accounts) => View::Supplied(accounts, Arc::new(under)),
            None => under,
        };
        Ok(Work::new((block, assumed, spec_origin), transactions, view))
    }
}

/// What a thread has come to.
fn joined<T>(ended: Result<T, tokio::task::JoinError>) -> Result<T, Refusal> {
    ended.map_err(|error| {
        tracing::error!(%error, "a request has ended in a panic");
        Refusal::Internal("the request could not be answered".to_owned())
    })
}
