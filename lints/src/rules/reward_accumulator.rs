//! ## What it does
//!
//! Finds a reward index: a variable that grows with time divided by a total, where user functions change the total
//! as well.
//!
//! ## Why it serialises
//!
//! Each call brings the index up to date and then changes the total that the next call divides by.
//! The index, the time of the last update and the total are slots that every deposit, withdrawal and claim reads
//! and writes, so all of them run one after the other.
//!
//! ## Example
//!
//! ```solidity
//! function stake(uint256 amount) external {
//!     rewardPerShare += (block.timestamp - lastUpdate) * rate / totalStaked;
//!     lastUpdate = block.timestamp;
//!     settle(msg.sender);
//!     totalStaked += amount;
//!     stakeOf[msg.sender] += amount;
//! }
//! ```
//!
//! ## Rewrite
//!
//! Accrue once per epoch: the first call of an epoch fixes the index of the one before it, and stakes count from
//! the next epoch on, kept in shards.
//! Calls within an epoch then only read the index.
//!
//! ```solidity
//! function stake(uint256 amount) external {
//!     uint256 next = block.timestamp / EPOCH + 1;
//!     stakedIn[next][uint160(msg.sender) % 64] += amount;
//!     stakeOf[msg.sender][next] += amount;
//! }
//! ```
//!
//! ## When to ignore
//!
//! Stakes change rarely compared to what else the contract does.
//!
//! ## Known gaps
//!
//! Pools that are chosen by an argument, as in a contract with many farms, are not reported: only calls on one pool
//! meet there.

use deconflict_analyzer::{ExprId, Node, Root, Sources, standards::ADDRESS_BITS};
use revm_bytecode::opcode;

use crate::{
    diagnostic::Confidence,
    finding::{Story, Subject, enumerate},
    rule::{Finding, Group, Rule},
    view::{ContractView, Field, Touch, fields},
};

/// The declaration.
pub(crate) const RULE: Rule = Rule {
    code: "B204",
    name: "reward-accumulator",
    group: Group::Default,
    summary: "a reward per share that every call brings up to date by a total that calls change",
    source: include_str!("reward_accumulator.rs"),
    check,
};

fn check(rule: &Rule, view: &ContractView<'_>) -> Vec<Finding> {
    let writes = view.writes();
    let shared: Vec<Touch<'_>> = writes
        .iter()
        .copied()
        .filter(|touch| !touch.is_net_zero() && view.is_shared(&touch.access.slot))
        .collect();
    let totals =
        view.shared_fields(|touch| view.moved(touch).is_some_and(|(amount, _)| view.is_chosen(amount)));
    let index = |touch: &Touch<'_>| {
        let field = touch.field();
        touch.write().is_some_and(|(value, _)| {
            let others: Vec<Field> = totals.iter().filter(|total| !total.overlaps(&field)).cloned().collect();
            grows_by_share(view, value, &field, &others)
        })
    };
    let indexes = fields(shared.iter().copied().filter(index));
    let Some(first) = indexes.first() else { return of_pools(rule, view, &writes).into_iter().collect() };
    let functions: Vec<usize> =
        shared.iter().filter(|touch| indexes.contains(&touch.field())).map(|touch| touch.function).collect();
    // The totals and times that the index is made from are explained with it.
    let mut used: Vec<Field> = Vec::new();
    for touch in shared.iter().filter(|touch| functions.contains(&touch.function)) {
        let Some((value, _)) = touch.write() else { continue };
        if indexes.iter().any(|field| touch.touches(field)) {
            used.extend(view.loads(value));
        }
    }
    let mut claims = fields(
        shared.iter().copied().filter(|touch| indexes.iter().chain(&used).any(|field| touch.touches(field))),
    );
    let moved = claims.clone();
    // So is the rate at which rewards come, though no user moves it.
    claims.extend(
        used.iter()
            .filter(|field| field.slot.is_fixed() && !moved.iter().any(|it| it.overlaps(field)))
            .cloned(),
    );
    let mut subject = Subject::storage(view, first);
    for field in moved.iter().filter(|field| !indexes.contains(field)) {
        let name = Subject::storage(view, field).variable();
        for touch in view.touching(field).iter().filter(|touch| touch.is_write()) {
            let mut spot = crate::finding::Spot::of(touch);
            spot.does = format!("writes `{name}`");
            spot.rank = None;
            subject.spots.push(spot);
        }
    }
    let names: Vec<String> = totals
        .iter()
        .filter(|total| used.iter().any(|field| field.overlaps(total)))
        .map(|total| format!("`{}`", Subject::storage(view, total).variable()))
        .collect();
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!("{writers:#} brings the reward index `{variable}` up to date, which depends on the shared {}", enumerate(names)),
        label: format!("`{variable}` grows by a share of a total that calls change"),
        help: "accrue once per epoch and let users settle against the frozen index of past epochs; keep stakes of the running epoch in shards".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Proved,
    };
    subject.finding(rule, claims, story).into_iter().collect()
}

/// The index of each of several pools, raised by a share of what the contract holds in another one: the first call of a
/// block writes it, and all calls for the pool read it.
fn of_pools(rule: &Rule, view: &ContractView<'_>, writes: &[Touch<'_>]) -> Option<Finding> {
    let expressions = &view.analysis.expressions;
    let is_pool = |key: ExprId| {
        let sources = expressions.sources(key);
        sources.is_within(Sources::CALLDATA.with(Sources::PHI)) && expressions.bits(key) != ADDRESS_BITS
    };
    let is_held = |word: ExprId| {
        view.parts(word).iter().any(|&part| matches!(expressions.node(part), Node::ReturnWord { .. }))
    };
    let index = |touch: &&Touch<'_>| {
        let field = touch.field();
        let shared = matches!(touch.access.slot.root, Root::Fixed(_))
            && touch.access.slot.keys().all(|key| is_pool(key) || view.is_shared_word(key));
        let amount = touch.sum().filter(|(_, subtract)| !subtract).map(|(amount, _)| amount);
        shared
            && amount.is_some_and(|amount| {
                let products = view.products(amount);
                view.has_time(amount)
                    && products.iter().any(|&(_, divisor)| is_held(divisor))
                    && !products
                        .iter()
                        .any(|&(a, b)| view.is_made_from(a, &field) || view.is_made_from(b, &field))
            })
    };
    let found = fields(writes.iter().filter(index).copied());
    let first = found.first()?;
    let subject = Subject::storage(view, first);
    let (variable, writers) = (subject.variable(), subject.writers());
    let story = Story {
        message: format!(
            "calls to {writers} bring the reward index of a pool up to date, `{variable}`, which depends on what the pool holds"
        ),
        label: format!("`{variable}` grows by a share of what all users have put in"),
        help: "accrue once per epoch and let users settle against the frozen index of past epochs".to_owned(),
        notes: Vec::new(),
        confidence: Confidence::Likely,
    };
    subject.finding(rule, vec![first.clone()], story)
}

/// Whether `value` is the index in `field` plus a share over time of one of the totals.
fn grows_by_share(view: &ContractView<'_>, value: ExprId, field: &Field, totals: &[Field]) -> bool {
    if !view.has_time(value) || !view.is_made_from(value, field) {
        return false;
    }
    let products = view.products(value);
    // The ratio of two amounts that calls move is a price, no share.
    let moved = view.shared_fields(|touch| touch.write().is_some_and(|(value, _)| view.is_chosen(value)));
    let priced = |share: ExprId, of: &Field| {
        moved.iter().any(|it| !it.overlaps(of) && !it.overlaps(field) && view.is_made_from(share, it))
    };
    let expressions = &view.analysis.expressions;
    let mut divided: Vec<(ExprId, ExprId)> = Vec::new();
    for part in view.parts(value) {
        if let Node::Binary { op: opcode::DIV | opcode::SDIV, a, b } = expressions.node(part)
            && totals.iter().any(|total| view.is_made_from(b, total))
        {
            divided.push((a, b));
        }
    }
    // Wide arithmetic divides in ways that are not followed; then any product with the total has to do.
    let ratios = if divided.is_empty() { &products } else { &divided };
    let shared = ratios.iter().any(|&(share, divisor)| {
        totals.iter().any(|total| view.is_made_from(divisor, total) && !priced(share, total))
    });
    // An index that multiplies itself is interest, which is the same whoever brings it up to date.
    let compounds = products.iter().any(|&(a, b)| view.is_made_from(a, field) || view.is_made_from(b, field));
    shared && !compounds
}
