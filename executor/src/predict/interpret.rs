//! The loop that runs the operations of one frame.
//!
//! In: a path, and the slice of the frame on top of it. Out: why the loop stopped, an [`Event`]. Words that are not known
//! are carried along; where a path is written down, every operation says so as well. Nothing is called from here: what
//! concerns other frames is an event.

use alloy_primitives::{Address, U256};
use deconflict_analyzer::{CopySource, FrameWord, Op, Operand, QueryOp, Slice, Variant};
use revm::{DatabaseRef, context_interface::cfg::GasId};
use revm_bytecode::opcode;

use super::environment::{block_hash, block_source, block_word, clamp};
use super::gas::{Level, UNBOUNDED, growth_gas};
use super::machine::{Event, Path, PredictionMachine, TICKS};
use super::node::{Definition, NodeId, RecipeNode, TouchKind};
use super::recipe::Effect;
use super::region::{MAX_MEMORY, Region};
use super::taint::Taint;
use super::touched_state::{AccountCode, AccountId, Warmth, Word};
use super::words;
use crate::access_set::{AccountAccess, ShortfallReason};

/// How many words the stack of the EVM holds.
const STACK_LIMIT: usize = 1_024;

impl<D: DatabaseRef> PredictionMachine<'_, D> {
    /// Runs the frame until something happens that is not its own affair.
    pub(super) fn run<const RECORDS: bool>(&mut self, path: &mut Path, slice: &Slice) -> Event {
        let constants = &slice.constants[..];
        let ops = &slice.ops[..];
        let state = self.state;
        let Path { touched, frame, gas_left, waiting, trail, gas_sources, .. } = path;
        let (schedule, precompiles) = (self.schedule, self.precompiles);
        let mut trail = trail.as_deref_mut();
        let ledger = &mut *self.ledger;
        let fails_alone = frame.fails_alone();
        let mut ip = frame.ip;
        let mut base = frame.base;
        let mut trace_pc = 0;
        let place = |call_data: &Region, pc: u32| super::ledger::LedgerPlace {
            code_hash: slice.hash,
            selector: call_data.bytes().first_chunk().copied().unwrap_or_default(),
            pc,
        };
        macro_rules! word {
            ($operand:expr) => {
                get(&frame.stack, base, constants, $operand)
            };
        }
        // Words are read where they are and written where they go: a copy on the way costs more than most operations.
        macro_rules! value {
            ($operand:expr) => {
                match $operand.as_constant() {
                    Some(index) => &constants[index],
                    None => &frame.stack[base + $operand.index()].value,
                }
            };
        }
        macro_rules! taint {
            ($operand:expr) => {
                match $operand.as_constant() {
                    Some(_) => Taint::CLEAN,
                    None => frame.stack[base + $operand.index()].taint,
                }
            };
        }
        macro_rules! put {
            ($to:expr, $word:expr) => {
                frame.stack[base + usize::from($to)] = $word
            };
        }
        // What is written down of the path, if it is.
        macro_rules! record {
            (|$trail:ident| $what:expr) => {
                if RECORDS && let Some($trail) = trail.as_deref_mut() {
                    $what
                }
            };
        }
        // The expression of a result, constant where nothing is written down.
        macro_rules! node {
            (|$trail:ident| $what:expr) => {
                match trail.as_deref_mut() {
                    Some($trail) if RECORDS => $what,
                    _ => NodeId::CONSTANT,
                }
            };
        }
        // A number that memory can have as offset or length.
        macro_rules! number {
            ($operand:expr) => {{
                let taint = taint!($operand);
                if !ledger.need(taint) {
                    let place = place(&frame.call_data, trace_pc);
                    ledger.fall_short_of(taint, ShortfallReason::UnknownMemory, place);
                    return Event::Abandon;
                }
                record!(|trail| trail.fix(&word!($operand)));
                value!($operand)
            }};
        }
        // Gas that is sure to be spent. The gas of the whole trace is taken already, also of what comes after this: only
        // what is more than that and all the rest is out of reach here.
        macro_rules! pay {
            ($cost:expr) => {{
                let cost: u64 = $cost;
                if fails_alone
                    && cost as i64 > frame.left.at(Level::Here).saturating_add(frame.trace_gas as i64)
                    && !gas_sources.is_unknown()
                {
                    frame.left.spend(cost);
                    return Event::Starved;
                }
                if cost > gas_left.saturating_add(frame.trace_gas) {
                    *gas_left = 0;
                    return Event::OutOfGas;
                }
                *gas_left = gas_left.saturating_sub(cost);
                frame.left.spend(cost);
            }};
        }
        // What an instruction costs at the least: the transaction may run out of gas by it, but only after it.
        macro_rules! spend {
            ($op:expr) => {{
                let cost = schedule.instruction($op);
                *gas_left = gas_left.saturating_sub(cost);
                frame.left.spend(cost);
            }};
        }
        macro_rules! grow {
            ($end:expr) => {{
                let end = $end;
                if end > frame.memory.len() {
                    if end > frame.paid {
                        pay!(growth_gas(frame.paid, end));
                        frame.paid = end.next_multiple_of(32);
                    }
                    frame.memory.grow(end);
                }
            }};
        }
        // Whether a word is the same for every transaction that goes this way.
        macro_rules! constant {
            ($word:expr) => {
                !RECORDS || trail.as_deref().is_none_or(|trail| trail.is_constant($word))
            };
        }
        // Gas that depends on a word beside the memory that it stands for: none of it touches anything.
        macro_rules! spend_by {
            ($words:expr, $costs:expr) => {{
                let words: &[Word] = &$words;
                let [here, most]: [u64; 2] = $costs;
                let taint = words.iter().fold(Taint::CLEAN, |taint, word| taint.union(word.taint));
                if taint.is_unknown() {
                    *gas_sources = gas_sources.union(Taint::UNKNOWN);
                    frame.left.spend_each([most; 4]);
                } else {
                    *gas_sources = gas_sources.union(taint);
                    let any = if taint.is_clean() { here } else { most };
                    // What a path has decided is the same wherever it is gone, whatever state set it.
                    let mut others = here;
                    for word in words {
                        if RECORDS && let Some(trail) = trail.as_deref_mut() && !trail.is_constant(word) {
                            // Without a bound nothing could be said of the gas: the word is decided if that is asked.
                            if most < UNBOUNDED || !trail.suppose(word) {
                                others = most;
                            }
                        }
                    }
                    frame.left.spend_each([here, any, others, others]);
                }
            }};
        }
        // The first touch of an account costs more than the next.
        macro_rules! touch {
            ($account:expr, $word:expr) => {{
                let (account, word): (AccountId, &Word) = ($account, $word);
                let always = constant!(word);
                let warmth = touched.warm(account, always);
                let address = word.address();
                let warm = address.0[..18] == [0; 18] && precompiles.contains(&address);
                let warmth = if warm { Warmth { here: true, any: true, elsewhere: always } } else { warmth };
                frame.left.spend_each(schedule.account(warmth));
            }};
        }
        // A range of memory, which grows to hold it.
        macro_rules! range {
            ($offset:expr, $length:expr) => {{
                let length = *number!($length);
                let offset = *number!($offset);
                let Some((offset, length)) = memory_range(offset, length) else { return Event::Halt };
                if length > 0 {
                    grow!(offset + length);
                }
                (offset, length)
            }};
        }
        // So many bytes of memory from an offset, which grows to hold them.
        macro_rules! cell {
            ($offset:expr, $length:expr) => {{
                let Some(offset) = small(number!($offset)) else { return Event::Halt };
                grow!(offset + $length);
                offset
            }};
        }
        loop {
            let Some(op) = ops.get(ip) else { return Event::Halt };
            ip += 1;
            match *op {
                Op::Enter { needs, leaves, registers, gas, pc } => {
                    trace_pc = pc;
                    // Registers are at least as many as the words that the trace ever has on the stack.
                    let start = frame.height.checked_sub(usize::from(needs));
                    let Some(start) = start.filter(|start| start + usize::from(registers) <= STACK_LIMIT)
                    else {
                        ledger.fall_short(ShortfallReason::StackFault, place(&frame.call_data, pc));
                        return Event::Abandon;
                    };
                    base = start;
                    frame.height = base + usize::from(leaves);
                    let room = base + usize::from(registers);
                    if frame.stack.len() < room {
                        frame.stack.resize(room.max(64), Word::default());
                    }
                    // Gas that runs out in this trace may do so after it has touched something: only what comes
                    // after it is out of reach.
                    if fails_alone && frame.left.at(Level::Here) < 0 && !gas_sources.is_unknown() {
                        return Event::Starved;
                    }
                    if *gas_left == 0 {
                        frame.base = base;
                        return Event::OutOfGas;
                    }
                    self.ticks = self.ticks.wrapping_add(1);
                    if self.ticks & TICKS == 0 && (self.limits.stop)() {
                        self.stopped = true;
                        return Event::Abandon;
                    }
                    let gas = u64::from(gas);
                    frame.left.spend(gas);
                    frame.trace_gas = gas;
                    *gas_left = gas_left.saturating_sub(gas);
                }
                Op::Spend { loads, exponent_bytes } => {
                    let cost = u64::from(loads) * schedule.load
                        + u64::from(exponent_bytes) * schedule.params.get(GasId::exp_byte_gas());
                    *gas_left = gas_left.saturating_sub(cost);
                    frame.left.spend(cost);
                }
                Op::Exponent { exponent } => {
                    let exponent = word!(exponent);
                    let most = schedule.params.exp_cost(U256::MAX);
                    spend_by!([exponent], [schedule.params.exp_cost(exponent.value), most]);
                }
                Op::Grow { base, end } => {
                    let base = word!(base);
                    let end = base.value.saturating_add(U256::from(end));
                    let end = usize::try_from(end).ok().filter(|end| *end <= MAX_MEMORY);
                    let cost = end.map_or(UNBOUNDED, |end| growth_gas(frame.paid, end));
                    if let Some(end) = end {
                        frame.paid = frame.paid.max(end.next_multiple_of(32));
                    } else {
                        // An offset may wrap round: what is this large here need not be large.
                        *gas_sources = gas_sources.union(Taint::UNKNOWN);
                    }
                    spend_by!([base], [cost, UNBOUNDED]);
                }
                Op::Range { per_byte, per_word, offset, length } => {
                    let (offset, length) = (word!(offset), word!(length));
                    let range = memory_range(offset.value, length.value);
                    let cost = range.map_or(UNBOUNDED, |(offset, length)| {
                        let end = if length > 0 { offset + length } else { 0 };
                        let growth = growth_gas(frame.paid, end);
                        frame.paid = frame.paid.max(end.next_multiple_of(32));
                        growth
                            + u64::from(per_byte) * length as u64
                            + u64::from(per_word) * length.div_ceil(32) as u64
                    });
                    spend_by!([offset, length], [cost, UNBOUNDED]);
                }
                Op::Log => {
                    if frame.is_static {
                        return Event::Halt;
                    }
                }
                Op::Since { fork } => {
                    if (self.spec as u8) < fork {
                        return Event::Halt;
                    }
                }
                Op::Move { to, from } => put!(to, word!(from)),
                Op::Jump { to } => ip = to.0 as usize,
                Op::Branch { condition, taken, fallthrough } => {
                    let taint = taint!(condition);
                    ledger.decide(taint);
                    if taint.is_unknown() {
                        if taint.is_unavailable() {
                            let place = place(&frame.call_data, trace_pc);
                            ledger.fall_short(ShortfallReason::StateUnavailable, place);
                            return Event::Abandon;
                        }
                        // The estimate of the gas that is left says which arm is the likelier.
                        let (likely, other) = if value!(condition).is_zero() {
                            (fallthrough, taken)
                        } else {
                            (taken, fallthrough)
                        };
                        frame.ip = likely.0 as usize;
                        return Event::Fork { other, pc: trace_pc, taint };
                    }
                    record!(|trail| trail.branch(&word!(condition)));
                    ip = if value!(condition).is_zero() { fallthrough.0 } else { taken.0 } as usize;
                }
                Op::Dynamic { target } => {
                    let target = word!(target);
                    return Event::Computed { target, pc: trace_pc };
                }
                Op::DynamicBranch { condition, target, fallthrough } => {
                    let (condition, target) = (word!(condition), word!(target));
                    if !ledger.need(condition.taint) {
                        let place = place(&frame.call_data, trace_pc);
                        ledger.fall_short_of(condition.taint, ShortfallReason::TooManyBranches, place);
                        return Event::Abandon;
                    }
                    record!(|trail| trail.branch(&condition));
                    if !condition.value.is_zero() {
                        return Event::Computed { target, pc: trace_pc };
                    }
                    ip = fallthrough.0 as usize;
                }
                Op::Stop => return Event::Return { offset: 0, length: 0 },
                Op::Return { offset, length } => {
                    let (offset, length) = range!(offset, length);
                    return Event::Return { offset, length };
                }
                Op::Revert { offset, length } => {
                    let (offset, length) = range!(offset, length);
                    return Event::Revert { offset, length };
                }
                Op::Halt => return Event::Halt,
                Op::SelfDestruct { beneficiary } => {
                    let beneficiary = word!(beneficiary);
                    return Event::SelfDestruct { beneficiary };
                }
                Op::Binary { op, to, a, b } => {
                    let value = words::binary(op, value!(a), value!(b));
                    let taint = taint!(a).union(taint!(b));
                    record!(|trail| {
                        let node = trail.binary(op, &word!(a), &word!(b));
                        frame.stack[base + usize::from(to)].node = node;
                    });
                    let result = &mut frame.stack[base + usize::from(to)];
                    result.value = value;
                    result.taint = taint;
                }
                Op::Unary { op, to, a } => {
                    let value = words::unary(op, value!(a));
                    let taint = taint!(a);
                    record!(|trail| {
                        let node = trail.unary(op, &word!(a));
                        frame.stack[base + usize::from(to)].node = node;
                    });
                    let result = &mut frame.stack[base + usize::from(to)];
                    result.value = value;
                    result.taint = taint;
                }
                Op::Modular { multiply, to, a, b, modulus } => {
                    let (a, b, modulus) = (word!(a), word!(b), word!(modulus));
                    let value = words::modular(multiply, a.value, b.value, modulus.value);
                    let node = node!(|trail| trail.modular(multiply, [&a, &b, &modulus]));
                    put!(to, Word { value, taint: a.taint.union(b.taint).union(modulus.taint), node });
                }
                Op::MLoad { to, offset } => {
                    let offset = cell!(offset, 32);
                    let result = &mut frame.stack[base + usize::from(to)];
                    result.value = frame.memory.word(offset);
                    result.taint = frame.memory.taint(offset, 32, &ledger.marks);
                    record!(|trail| result.node = trail.word_of(&frame.memory, offset));
                }
                Op::MStore { offset, word } => {
                    let offset = cell!(offset, 32);
                    let taint = taint!(word);
                    let mark = ledger.marks.mark(taint);
                    if mark != 0 && !offset.is_multiple_of(4) {
                        frame.memory.blur_ends(offset, 32, taint, &mut ledger.marks);
                    }
                    frame.memory.store(offset, value!(word), mark);
                    if RECORDS {
                        frame.memory.set_node(offset, 0, word!(word).node);
                    }
                }
                Op::MStore8 { offset, word } => {
                    let offset = cell!(offset, 1);
                    let word = word!(word);
                    frame.memory.store_byte(offset, word.value.byte(0), word.taint, &mut ledger.marks);
                    if RECORDS {
                        frame.memory.set_node(offset, 31, word.node);
                    }
                }
                Op::KeccakPair { to, first, second } => {
                    let (first, second) = (word!(first), word!(second));
                    let value = ledger.results.keccak_pair(first.value, second.value);
                    let node = node!(|trail| trail.pair(&first, &second));
                    put!(to, Word { value, taint: first.taint.union(second.taint), node });
                }
                Op::KeccakWord { to, word } => {
                    let word = word!(word);
                    let node = node!(|trail| trail.hash_of_word(&word));
                    put!(
                        to,
                        Word {
                            value: ledger.results.keccak(&word.value.to_be_bytes::<32>()),
                            taint: word.taint,
                            node
                        }
                    );
                }
                Op::Keccak { to, offset, length } => {
                    let (offset, length) = range!(offset, length);
                    pay!(6 * length.div_ceil(32) as u64);
                    let bytes = &frame.memory.bytes()[offset..offset + length];
                    let value = ledger.results.keccak(bytes);
                    let taint = frame.memory.taint(offset, length, &ledger.marks);
                    let node = node!(|trail| trail.hash(&frame.memory, offset, length));
                    put!(to, Word { value, taint, node });
                }
                Op::SLoad { to, key, pc, delta } => {
                    let key = word!(key);
                    let word = if ledger.need(key.taint) {
                        let (mut word, warmth) =
                            touched.load(frame.account, key.value, delta, state, &mut ledger.sources);
                        *gas_left = gas_left.saturating_sub(schedule.load);
                        frame.left.spend_each(schedule.load(warmth));
                        record!(|trail| {
                            let place = [frame.address_node, trail.operand(&key)];
                            trail.effect(Effect::Read { address: place[0], key: place[1], delta });
                            let mut fresh = NodeId::CONSTANT;
                            let defined = touched.define(frame.account, key.value, || {
                                let (definition, node) = trail.load(place);
                                fresh = node;
                                (definition, node)
                            });
                            word.node = defined.map_or(fresh, |definition| trail.forward(definition, place));
                        });
                        word
                    } else {
                        let place = place(&frame.call_data, pc);
                        ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                        Word {
                            node: NodeId::UNKNOWN,
                            ..Word::new(U256::ZERO, Taint::UNKNOWN.union(key.taint))
                        }
                    };
                    if word.taint.is_unavailable() {
                        let place = place(&frame.call_data, pc);
                        ledger.fall_short(ShortfallReason::StateUnavailable, place);
                    }
                    put!(to, word);
                }
                Op::SStore { key, word, pc, delta, ahead } => {
                    let (key, word) = (word!(key), word!(word));
                    if frame.is_static {
                        // The attempt counts, though it only ends the frame.
                        if ledger.need(key.taint) {
                            record!(|trail| {
                                let (address, key) = (frame.address_node, trail.operand(&key));
                                trail.effect(Effect::Attempt { address, key });
                            });
                            touched.attempt(frame.account, key.value, state, &mut ledger.sources);
                        } else {
                            let place = place(&frame.call_data, pc);
                            ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                        }
                        return Event::Halt;
                    }
                    if ledger.need(key.taint) {
                        let mut definition = Definition::default();
                        record!(|trail| {
                            let place = [frame.address_node, trail.operand(&key)];
                            definition = trail.store(place, &word, delta);
                        });
                        let how = (delta, definition);
                        let stored =
                            touched.store(frame.account, key.value, word, how, state, &mut ledger.sources);
                        let (costs, sources) = schedule.store(&stored, &word);
                        let (needs, ahead) = (schedule.store_needs(), i64::from(ahead));
                        // With less a store fails, whatever it costs.
                        let dear = |level, cost| {
                            if frame.left.at(level) + ahead <= needs { UNBOUNDED } else { cost }
                        };
                        let least = u64::try_from(needs + 1).unwrap_or_default();
                        let [here, any, alike, other] = costs;
                        let costs = [
                            dear(Level::Here, here),
                            dear(Level::Any, any),
                            // What another transaction needs is asked of its gas: as much as the store does not spend.
                            alike.max(least),
                            other.max(least),
                        ];
                        frame.left.spend_each(costs);
                        *gas_left = gas_left.saturating_sub(schedule.params.sstore_static_gas());
                        *gas_sources = gas_sources.union(sources);
                        if ahead == i64::from(u16::MAX) || costs[0] == UNBOUNDED && costs[1] != UNBOUNDED {
                            *gas_sources = gas_sources.union(Taint::UNKNOWN);
                        }
                        record!(|trail| trail.stored(stored.original.value.is_zero()));
                    } else {
                        let place = place(&frame.call_data, pc);
                        ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                    }
                }
                Op::TLoad { to, key } => {
                    let key = word!(key);
                    if !ledger.need(key.taint) {
                        let place = place(&frame.call_data, trace_pc);
                        ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                        return Event::Abandon;
                    }
                    record!(|trail| {
                        trail.fix(&key);
                        trail.require(frame.address_node, address_word(frame.address).value);
                    });
                    put!(to, touched.load_transient(frame.account, key.value));
                }
                Op::TStore { key, word } => {
                    let (key, word) = (word!(key), word!(word));
                    if frame.is_static {
                        return Event::Halt;
                    }
                    if !ledger.need(key.taint) {
                        let place = place(&frame.call_data, trace_pc);
                        ledger.fall_short_of(key.taint, ShortfallReason::UnknownKey, place);
                        return Event::Abandon;
                    }
                    record!(|trail| {
                        trail.fix(&key);
                        trail.require(frame.address_node, address_word(frame.address).value);
                    });
                    touched.store_transient(frame.account, key.value, word);
                }
                Op::CallDataLoad { to, offset } => {
                    let offset = word!(offset);
                    if !ledger.need(offset.taint) {
                        let place = place(&frame.call_data, trace_pc);
                        ledger.fall_short_of(offset.taint, ShortfallReason::UnknownMemory, place);
                        return Event::Abandon;
                    }
                    record!(|trail| trail.fix(&offset));
                    let at = clamp(offset.value);
                    let value = frame.call_data.word(at);
                    let taint = frame.call_data.taint(at, 32, &ledger.marks);
                    let node = node!(|trail| trail.word_of(&frame.call_data, at));
                    put!(to, Word { value, taint, node });
                }
                Op::Frame { word, to } => {
                    let word = match word {
                        FrameWord::Address => {
                            Word { node: frame.address_node, ..address_word(frame.address) }
                        }
                        FrameWord::Caller => Word { node: frame.caller_node, ..address_word(frame.caller) },
                        FrameWord::CallValue => frame.value,
                        FrameWord::CallDataSize => {
                            let size = U256::from(frame.call_data.len());
                            let of_transaction = waiting.is_empty();
                            let node = node!(|trail| if of_transaction {
                                trail.node(RecipeNode::CallDataSize)
                            } else {
                                NodeId::CONSTANT
                            });
                            Word { node, ..Word::clean(size) }
                        }
                        FrameWord::CodeSize => Word::clean(U256::from(slice.code.len())),
                        other => {
                            let node = node!(|trail| trail.node(RecipeNode::Frame(other)));
                            let value = block_word(other, self.tx, self.block, self.chain_id);
                            let taint = block_source(other, self.tx).map(Taint::environment);
                            Word { node, ..Word::new(value, taint.unwrap_or_default()) }
                        }
                    };
                    put!(to, word);
                }
                Op::SelfBalance { to } => {
                    let mut word = touched.balance(frame.account, state, &mut ledger.sources);
                    ledger.accounts.push(AccountAccess::BalanceRead(frame.address));
                    record!(|trail| {
                        trail.touch(TouchKind::BalanceRead, frame.address_node);
                        word.node = trail.balance(frame.address_node);
                    });
                    put!(to, word);
                }
                Op::Query { op, to, a } => {
                    let a = word!(a);
                    if !ledger.need(a.taint) {
                        if matches!(op, QueryOp::Balance | QueryOp::ExtCodeSize | QueryOp::ExtCodeHash) {
                            // Which account it is says whether it was touched before.
                            *gas_sources = gas_sources.union(Taint::UNKNOWN);
                            frame.left.spend(
                                schedule.instruction(opcode::EXTCODESIZE) + schedule.cold_account + 700,
                            );
                        }
                        let unknown = Word::new(U256::ZERO, Taint::UNKNOWN.union(a.taint));
                        put!(to, Word { node: NodeId::UNKNOWN, ..unknown });
                        continue;
                    }
                    let word = match op {
                        QueryOp::BlobHash => {
                            let hash = self.tx.blob_hashes.get(clamp(a.value));
                            let node = node!(|trail| trail.question(&a, RecipeNode::BlobHash));
                            Word { node, ..Word::clean(hash.map_or(U256::ZERO, |hash| (*hash).into())) }
                        }
                        QueryOp::BlockHash => {
                            let node = node!(|trail| trail.question(&a, RecipeNode::BlockHash));
                            let (word, asked) = block_hash(a.value, self.block, state);
                            if let Some(number) = asked {
                                ledger.sources.add_block_hash(number);
                            }
                            // A hash that is not to be had is no expression of anything.
                            if word.taint.is_unknown() { word } else { Word { node, ..word } }
                        }
                        QueryOp::Balance => {
                            let account = touched.account(a.address());
                            spend!(opcode::BALANCE);
                            touch!(account, &a);
                            ledger.accounts.push(AccountAccess::BalanceRead(a.address()));
                            let node = node!(|trail| {
                                let address = trail.operand(&a);
                                trail.touch(TouchKind::BalanceRead, address);
                                trail.balance(address)
                            });
                            Word { node, ..touched.balance(account, state, &mut ledger.sources) }
                        }
                        QueryOp::ExtCodeSize | QueryOp::ExtCodeHash => {
                            let account = touched.account(a.address());
                            if op == QueryOp::ExtCodeSize {
                                spend!(opcode::EXTCODESIZE);
                            } else {
                                spend!(opcode::EXTCODEHASH);
                            }
                            touch!(account, &a);
                            ledger.accounts.push(AccountAccess::CodeRead(a.address()));
                            let (code, taint) = touched.code(account, state, &mut ledger.sources);
                            let node = node!(|trail| {
                                let address = trail.operand(&a);
                                trail.touch(TouchKind::CodeRead, address);
                                // What an account without code hashes to depends on more than its code.
                                if op == QueryOp::ExtCodeSize {
                                    trail.node(RecipeNode::CodeSize(address))
                                } else if let (false, AccountCode::Stored(hash)) = (code.is_nothing(), &code)
                                {
                                    let node = trail.node(RecipeNode::CodeHash(address));
                                    trail.require(node, (*hash).into());
                                    NodeId::CONSTANT
                                } else {
                                    trail.give_up();
                                    NodeId::CONSTANT
                                }
                            });
                            if op == QueryOp::ExtCodeHash {
                                let (empty, about) = touched.is_empty(account, state, &mut ledger.sources);
                                // An account with code is there, whatever else it has.
                                let taint = if code.is_nothing() { taint.union(about) } else { taint };
                                let hash = if empty { U256::ZERO } else { code.hash() };
                                Word { value: hash, taint, node }
                            } else if let Some(bytes) = code.bytes(state) {
                                Word { value: U256::from(bytes.len()), taint, node }
                            } else {
                                let place = place(&frame.call_data, trace_pc);
                                ledger.fall_short(ShortfallReason::CodeUnavailable, place);
                                Word { node: NodeId::UNKNOWN, ..Word::new(U256::ZERO, Taint::UNAVAILABLE) }
                            }
                        }
                    };
                    put!(to, word);
                }
                Op::ReturnDataSize { to } => {
                    let value = U256::from(frame.return_data.len());
                    record!(|trail| trail.branch(&frame.return_size_word));
                    let node = if RECORDS && frame.return_size_taint.is_unknown() {
                        NodeId::UNKNOWN
                    } else {
                        NodeId::CONSTANT
                    };
                    put!(to, Word { value, taint: frame.return_size_taint, node });
                }
                Op::Copy { source, into, from, length } => {
                    let from = *number!(from);
                    let (into, length) = range!(into, length);
                    if source == CopySource::ReturnData {
                        let size = frame.return_data.len();
                        let end = from.saturating_add(U256::from(length));
                        // A precompile that was put off may have failed and returned nothing: copying then halts, which
                        // matters where a caller goes on.
                        let taint = frame.return_size_taint;
                        if taint.is_unknown() && slice.variant == Variant::Strict && !ledger.need(taint) {
                            let place = place(&frame.call_data, trace_pc);
                            ledger.fall_short_of(taint, ShortfallReason::UnknownMemory, place);
                            return Event::Abandon;
                        }
                        record!(|trail| trail.branch(&frame.return_size_word));
                        if end > U256::from(size) {
                            return Event::Halt;
                        }
                    }
                    if length == 0 {
                        continue;
                    }
                    pay!(3 * length.div_ceil(32) as u64);
                    let from = clamp(from);
                    let marks = &mut ledger.marks;
                    match source {
                        CopySource::Code => frame.memory.copy_bytes(into, &slice.code, from, length),
                        CopySource::CallData => {
                            frame.memory.copy_from(into, &frame.call_data, from, length, marks);
                        }
                        CopySource::ReturnData => {
                            frame.memory.copy_from(into, &frame.return_data, from, length, marks);
                        }
                        CopySource::Memory => {
                            if from > MAX_MEMORY - length {
                                return Event::Halt;
                            }
                            grow!(from + length);
                            frame.memory.copy_within(into, from, length, marks);
                        }
                    }
                }
                Op::ExtCodeCopy { site } => {
                    let site = &slice.calls[site as usize];
                    let from = clamp(*number!(site.input));
                    let (into, length) = range!(site.output, site.output_length);
                    let target = word!(site.target);
                    if !ledger.need(target.taint) {
                        let place = place(&frame.call_data, site.pc);
                        ledger.fall_short_of(target.taint, ShortfallReason::UnknownTarget, place);
                        return Event::Abandon;
                    }
                    let account = touched.account(target.address());
                    spend!(opcode::EXTCODECOPY);
                    pay!(3 * length.div_ceil(32) as u64);
                    touch!(account, &target);
                    ledger.accounts.push(AccountAccess::CodeRead(target.address()));
                    let (code, taint) = touched.code(account, state, &mut ledger.sources);
                    ledger.need(taint);
                    record!(|trail| {
                        let address = trail.operand(&target);
                        trail.touch(TouchKind::CodeRead, address);
                        if let AccountCode::Stored(hash) = &code {
                            let node = trail.node(RecipeNode::CodeHash(address));
                            trail.require(node, (*hash).into());
                        } else {
                            trail.give_up();
                        }
                    });
                    let Some(bytes) = code.bytes(state) else {
                        let place = place(&frame.call_data, site.pc);
                        ledger.fall_short(ShortfallReason::CodeUnavailable, place);
                        return Event::Abandon;
                    };
                    if length > 0 {
                        frame.memory.copy_bytes(into, &bytes, from, length);
                    }
                }
                Op::MSize { to } => {
                    put!(to, Word::clean(U256::from(frame.paid)));
                }
                Op::Gas { to, ahead } => {
                    let left = frame.left.at(Level::Here) + i64::from(ahead);
                    let left = u64::try_from(left).unwrap_or_default();
                    if left == 0 && !ledger.shortfalls.is_empty() {
                        // What is announced need not be followed beyond its likely end.
                        return Event::Abandon;
                    }
                    put!(to, Word { value: U256::from(left), taint: Taint::GAS, node: NodeId::UNKNOWN });
                }
                Op::Call { site, to } => {
                    frame.ip = ip;
                    frame.base = base;
                    return Event::Call { site, to };
                }
                Op::Create { site, to } => {
                    frame.ip = ip;
                    frame.base = base;
                    return Event::Create { site, to };
                }
            }
        }
    }
}

#[inline]
fn get(stack: &[Word], base: usize, constants: &[U256], operand: Operand) -> Word {
    match operand.as_constant() {
        Some(index) => Word::clean(constants[index]),
        None => stack[base + operand.index()],
    }
}

/// A range of memory, or none where the EVM would run out of gas.
#[inline]
fn memory_range(offset: U256, length: U256) -> Option<(usize, usize)> {
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_MEMORY)?;
    if length == 0 {
        return Some((0, 0));
    }
    let offset = usize::try_from(offset).ok().filter(|offset| *offset <= MAX_MEMORY - length)?;
    Some((offset, length))
}

/// An offset of a word in memory, or none where the EVM would run out of gas.
#[inline]
fn small(offset: &U256) -> Option<usize> {
    let limbs = offset.as_limbs();
    let fits = limbs[1] | limbs[2] | limbs[3] == 0 && limbs[0] <= (MAX_MEMORY - 32) as u64;
    fits.then_some(limbs[0] as usize)
}
#[inline]
fn address_word(address: Address) -> Word {
    Word::clean(address.into_word().into())
}
