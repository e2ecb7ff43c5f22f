//! The smallest scenes of defects that were found, each with the state on which the prediction has to hold.
//!
//! In: nothing. Out: what was claimed wrongly, the scene that is predicted, and the one that is executed, which is
//! the same or differs in something that the prediction has to name.

use alloy_primitives::{Address, Bytes, TxKind, U256};
use revm::{
    bytecode::opcode as op,
    context_interface::{
        either::Either,
        transaction::{Authorization, RecoveredAuthority, RecoveredAuthorization},
    },
    primitives::hardfork::SpecId,
};

use crate::scene::{Holder, Scene};

const FIRST: Address = Address::repeat_byte(0xa1);
const SECOND: Address = Address::repeat_byte(0xb2);
const THIRD: Address = Address::repeat_byte(0xc3);
/// An account without code.
const PERSON: Address = Address::repeat_byte(0x9e);

/// A defect that was found.
pub(crate) struct Known {
    pub(crate) claim: &'static str,
    pub(crate) predicted: Scene,
    pub(crate) executed: Scene,
}

/// The defects.
pub(crate) fn known() -> Vec<Known> {
    vec![
        same("a log makes memory grow", 600_000, |it| {
            it.code(FIRST, &[op::PUSH1, 32, op::PUSH1, 32, op::LOG0, op::MSIZE, op::SLOAD, op::POP]);
        }),
        same("a trace that underflows the stack at its end touches what comes before", 600_000, |it| {
            it.code(FIRST, &calls(SECOND, op::GAS, 0));
            it.code(SECOND, &[op::PUSH0, op::PUSH0, op::SSTORE, op::POP]);
        }),
        changed(
            "whether a balance suffices for a call decides whether the transaction goes on",
            |it| it.code(FIRST, &[call(PERSON, &[op::GAS], &[op::PUSH1, 1]), load_if(true)].concat()),
            |it| it.holder(FIRST).balance = U256::from(5),
        ),
        changed(
            "whether a balance suffices for a creation decides whether the transaction goes on",
            |it| it.code(FIRST, &[create(&[op::PUSH1, 1]), load_if(true)].concat()),
            |it| it.holder(FIRST).balance = U256::from(5),
        ),
        same("a precompile that is given too little gas fails, and its value comes back", 600_000, |it| {
            let recover = Address::with_last_byte(1);
            let first = call(recover, &[op::PUSH0], &[op::PUSH1, 1]);
            let second = call(PERSON, &[op::GAS], &[op::PUSH1, 1]);
            it.code(FIRST, &[first, vec![op::POP], second, load_if(true)].concat());
            it.transaction.value = U256::from(1);
        }),
        changed(
            "whether an account without code exists decides the hash of its code",
            |it| {
                let hash = [
                    op::EXTCODEHASH,
                    op::PUSH0,
                    op::MSTORE,
                    op::PUSH1,
                    32,
                    op::PUSH0,
                    op::KECCAK256,
                    op::SLOAD,
                ];
                it.code(FIRST, &[push(PERSON), hash.to_vec()].concat());
                it.holder(PERSON).balance = U256::from(7);
            },
            |it| it.holder(PERSON).balance = U256::ZERO,
        ),
        same("a callee runs out of the gas of the transaction, and its caller goes on", 60_000, |it| {
            it.code(FIRST, &calls(SECOND, op::GAS, 0));
            it.code(SECOND, &stores(2));
        }),
        same("a frame that halts burns all the gas that it was given", 2_000_000, |it| {
            let burn = [call(THIRD, &[op::GAS], &[op::PUSH0]), vec![op::POP]].concat();
            it.code(FIRST, &[burn, calls(SECOND, op::GAS, 0)].concat());
            it.code(SECOND, &stores(2));
            it.code(THIRD, &[op::INVALID]);
        }),
        same("a precompile that fails burns all the gas that it was given", 2_000_000, |it| {
            // A point that is not on the curve.
            let point = [op::PUSH1, 1, op::PUSH0, op::MSTORE, op::PUSH0, op::PUSH0, op::PUSH1, 64, op::PUSH0];
            let add = [&point[..], &[op::PUSH0, op::PUSH1, 6, op::GAS, op::CALL, op::POP]].concat();
            it.code(FIRST, &[add, calls(SECOND, op::GAS, 0)].concat());
            it.code(SECOND, &stores(2));
        }),
        changed(
            "the nonce of an address decides whether it can be created",
            |it| it.code(FIRST, &[create2(), load_if(false)].concat()),
            |it| it.holder(FIRST.create2_from_code([0; 32], [0])).nonce = 1,
        ),
        same("a call with the stipend alone cannot store", 600_000, |it| {
            it.code(FIRST, &calls(SECOND, op::PUSH2, 2_300));
            it.code(SECOND, &stores(1));
        }),
        changed(
            "a value that is zero now is not zero always",
            |it| {
                it.code(FIRST, &[call(SECOND, &[op::GAS], &[op::SELFBALANCE]), vec![op::POP]].concat());
                it.code(SECOND, &[vec![op::SELFBALANCE], load_if(true)].concat());
            },
            |it| it.holder(FIRST).balance = U256::from(5),
        ),
        changed(
            "the value of a creation that is zero now is not zero always",
            |it| it.code(FIRST, &[create(&[op::PUSH0, op::SLOAD]), load_if(false)].concat()),
            |it| {
                it.holder(FIRST).storage.insert(U256::ZERO, U256::from(1));
            },
        ),
        same("a store to a slot that is not known counts in a static frame too", 600_000, |it| {
            let call = [op::PUSH0, op::PUSH0, op::PUSH0, op::PUSH0];
            it.code(FIRST, &[call.to_vec(), push(SECOND), vec![op::GAS, op::STATICCALL, op::POP]].concat());
            it.code(SECOND, &[op::PUSH0, op::GAS, op::SSTORE]);
        }),
        same("gas that comes from storage is as little as gas that is constant", 600_000, |it| {
            let recover = Address::with_last_byte(1);
            it.code(FIRST, &[call(recover, &[op::PUSH0, op::SLOAD], &[op::PUSH0]), load_if(false)].concat());
        }),
        changed(
            "a value that is zero now may be more than there is",
            |it| {
                let value = [op::PUSH0, op::SLOAD];
                it.code(FIRST, &[call(PERSON, &[op::GAS], &value), load_if(false)].concat());
            },
            |it| {
                it.holder(FIRST).storage.insert(U256::ZERO, U256::from(1));
            },
        ),
        same("a value that is not known may be more than there is", 600_000, |it| {
            it.code(FIRST, &[call(PERSON, &[op::GAS], &[op::GAS]), load_if(false)].concat());
        }),
        same("a log in a static frame ends it", 600_000, |it| {
            let call = [op::PUSH0, op::PUSH0, op::PUSH0, op::PUSH0];
            let call = [call.to_vec(), push(SECOND), vec![op::GAS, op::STATICCALL], load_if(false)];
            it.code(FIRST, &call.concat());
            it.code(SECOND, &[op::PUSH0, op::PUSH0, op::LOG0]);
        }),
        changed(
            "the time decides a key",
            |it| it.code(FIRST, &[op::PUSH1, 1, op::TIMESTAMP, op::SSTORE]),
            |it| it.block.timestamp += U256::from(12),
        ),
        changed(
            "a block that is out of reach comes into reach",
            |it| it.code(FIRST, &[op::PUSH2, 0x03, 0xe8, op::BLOCKHASH, op::SLOAD]),
            |it| it.block.number += U256::from(1),
        ),
        changed(
            "what the sender pays in advance follows the base fee",
            |it| {
                it.code(FIRST, &[op::CALLER, op::BALANCE, op::SLOAD]);
                (it.transaction.tx_type, it.transaction.gas_priority_fee) = (2, Some(1));
                it.transaction.chain_id = Some(1);
            },
            |it| it.block.basefee = 8,
        ),
        changed(
            "a value that is zero now is not zero in every block",
            |it| {
                let value = [op::PUSH1, 1, op::TIMESTAMP, op::AND];
                it.code(FIRST, &[call(SECOND, &[op::GAS], &value), vec![op::POP]].concat());
                it.code(SECOND, &[vec![op::SELFBALANCE], load_if(true)].concat());
                it.holder(FIRST).balance = U256::from(5);
            },
            |it| it.block.timestamp += U256::from(1),
        ),
        changed(
            "who gets the fees is who is called",
            |it| {
                let call = [&[op::PUSH0; 5][..], &[op::COINBASE, op::GAS, op::CALL, op::POP]].concat();
                it.code(FIRST, &call);
                it.code(SECOND, &[op::PUSH1, 3, op::SLOAD]);
            },
            |it| it.block.beneficiary = SECOND,
        ),
        same("an instruction that the fork does not have ends the frame", 600_000, |it| {
            it.spec = SpecId::LONDON;
            it.block.prevrandao = None;
            it.block.blob_excess_gas_and_price = None;
            let call: Vec<u8> = [[op::PUSH1, 0]; 5].concat();
            it.code(FIRST, &[call, push(SECOND), vec![op::GAS, op::CALL], load_if(false)].concat());
            it.code(SECOND, &[op::PUSH0, op::STOP]);
        }),
        same("a precompile that is given all that is left may have too little", 250_000, |it| {
            // Six empty pairs cost 249,000.
            let pairing = [op::PUSH0, op::PUSH0, op::PUSH2, 0x04, 0x80, op::PUSH0, op::PUSH0, op::PUSH1, 8];
            it.code(FIRST, &[&pairing[..], &[op::GAS, op::CALL], &load_if(false)].concat());
        }),
        same("gas that is computed from what is left is a limit", 60_000, |it| {
            let less = [op::PUSH2, 0x8e, 0x94, op::GAS, op::SUB];
            it.code(FIRST, &[call(SECOND, &less, &[op::PUSH0]), load_if(false)].concat());
            it.code(SECOND, &[op::PUSH0, op::SLOAD, op::PUSH1, 1, op::SLOAD]);
        }),
        same("the first look at an account costs more than the stipend", 600_000, |it| {
            it.code(FIRST, &[call(SECOND, &[op::PUSH0], &[op::PUSH1, 1]), load_if(false)].concat());
            it.holder(FIRST).balance = U256::from(5);
            it.code(SECOND, &[push(THIRD), vec![op::BALANCE]].concat());
        }),
        same("memory that nothing reads is paid for", 600_000, |it| {
            it.code(FIRST, &calls(SECOND, op::PUSH2, 300));
            it.code(SECOND, &[op::PUSH1, 1, op::PUSH2, 0x20, 0, op::MSTORE]);
        }),
        changed(
            "what a store costs depends on what was there",
            |it| {
                it.code(FIRST, &calls(SECOND, op::PUSH2, 6_000));
                it.code(SECOND, &stores(1));
                it.holder(SECOND).storage.insert(U256::ZERO, U256::from(5));
            },
            |it| {
                it.holder(SECOND).storage.clear();
            },
        ),
        same("a creation whose code is refused returns nothing", 600_000, |it| {
            // Returns the byte `ef`, which no code begins with.
            let creation = [op::PUSH1, 0xef, op::PUSH0, op::MSTORE8, op::PUSH1, 1, op::PUSH0, op::RETURN];
            let store = [&[op::PUSH8][..], &creation, &[op::PUSH0, op::MSTORE]].concat();
            let create = [op::PUSH1, 8, op::PUSH1, 24, op::PUSH0, op::CREATE, op::POP];
            it.code(FIRST, &[&store[..], &create, &[op::RETURNDATASIZE, op::SLOAD]].concat());
        }),
        same("code that is too long is not returned, and not paid for", 600_000, |it| {
            // Returns 24,577 bytes.
            let creation = [op::PUSH2, 0x60, 0x01, op::PUSH0, op::RETURN];
            let store = [&[op::PUSH5][..], &creation, &[op::PUSH0, op::MSTORE]].concat();
            let create = [op::PUSH1, 5, op::PUSH1, 27, op::PUSH0, op::CREATE, op::POP];
            let copy = [op::RETURNDATASIZE, op::PUSH0, op::PUSH0, op::RETURNDATACOPY];
            let call = [call(SECOND, &[op::GAS], &[op::PUSH0]), load_if(true)].concat();
            it.code(FIRST, &[&store[..], &create, &copy, &call].concat());
            it.code(SECOND, &[op::PUSH0, op::SLOAD]);
        }),
        same("an account whose nonce is at its limit creates nothing", 600_000, |it| {
            it.code(FIRST, &[create(&[op::PUSH0]), load_if(false)].concat());
            it.holder(FIRST).nonce = u64::MAX;
        }),
        same("an authorization whose nonce is at its limit counts for nothing", 600_000, |it| {
            it.spec = SpecId::PRAGUE;
            it.transaction.tx_type = 4;
            it.transaction.chain_id = Some(1);
            it.transaction.gas_priority_fee = Some(1);
            let authorization = Authorization { chain_id: U256::ZERO, address: SECOND, nonce: u64::MAX };
            let signer = RecoveredAuthority::Valid(PERSON);
            let signed = RecoveredAuthorization::new_unchecked(authorization, signer);
            it.transaction.authorization_list = vec![Either::Right(signed)];
            it.holder(PERSON).nonce = u64::MAX;
            it.code(FIRST, &[push(PERSON), vec![op::EXTCODESIZE], load_if(false)].concat());
        }),
        same("what a frame does that is out of gas costs its caller nothing", 600_000, |it| {
            let again = call(SECOND, &[op::GAS], &[op::PUSH0]);
            it.code(SECOND, &[&[op::PUSH0, op::PUSH0, op::SSTORE][..], &again, &[op::POP]].concat());
            let mut code = call(SECOND, &[op::GAS], &[op::PUSH0]);
            code.push(op::POP);
            // Takes most of what is left by then, and stores.
            code.extend([op::PUSH2, 0x3a, 0x98]);
            let turn = code.len() as u8;
            code.extend([
                op::JUMPDEST,
                op::PUSH1,
                1,
                op::SWAP1,
                op::SUB,
                op::DUP1,
                op::PUSH1,
                turn,
                op::JUMPI,
            ]);
            code.extend(stores(1));
            it.code(FIRST, &code);
        }),
        same("calls go 1024 deep and no deeper", 4_000_000, |it| {
            it.spec = SpecId::HOMESTEAD;
            (it.block.prevrandao, it.block.blob_excess_gas_and_price) = (None, None);
            it.block.basefee = 0;
            // Calls itself with all but 400 gas, and loads a slot by what came of it.
            let zeros: Vec<u8> = [[op::PUSH1, 0]; 5].concat();
            let less = [op::PUSH2, 1, 0x90, op::GAS, op::SUB, op::CALL, op::SLOAD];
            it.code(FIRST, &[zeros, push(FIRST), less.to_vec()].concat());
        }),
    ]
}

impl Scene {
    fn holder(&mut self, address: Address) -> &mut Holder {
        self.accounts.entry(address).or_default()
    }

    fn code(&mut self, address: Address, code: &[u8]) {
        let holder = self.holder(address);
        holder.code = Bytes::copy_from_slice(code);
        holder.nonce = 1;
    }
}

fn same(claim: &'static str, gas: u64, build: impl FnOnce(&mut Scene)) -> Known {
    let mut scene = Scene::empty(SpecId::CANCUN);
    scene.transaction.kind = TxKind::Call(FIRST);
    scene.transaction.gas_limit = gas;
    build(&mut scene);
    Known { claim, executed: scene.clone(), predicted: scene }
}

fn changed(claim: &'static str, build: impl FnOnce(&mut Scene), change: impl FnOnce(&mut Scene)) -> Known {
    let mut known = same(claim, 600_000, build);
    change(&mut known.executed);
    known
}

/// Pushes an address.
fn push(address: Address) -> Vec<u8> {
    [&[op::PUSH20][..], address.as_slice()].concat()
}

/// A call without input or output.
fn call(target: Address, gas: &[u8], value: &[u8]) -> Vec<u8> {
    [&[op::PUSH0, op::PUSH0, op::PUSH0, op::PUSH0][..], value, &push(target)[..], gas, &[op::CALL]].concat()
}

/// A call whose failure makes the caller load a slot; `gas` is `GAS`, or `PUSH2` of a number.
fn calls(target: Address, gas: u8, number: u16) -> Vec<u8> {
    let gas = if gas == op::GAS { vec![gas] } else { [&[gas][..], &number.to_be_bytes()[..]].concat() };
    [call(target, &gas, &[op::PUSH0]), load_if(false)].concat()
}

/// A creation of an account by the code `00`.
fn create(value: &[u8]) -> Vec<u8> {
    [&[op::PUSH1, 1, op::PUSH0][..], value, &[op::CREATE]].concat()
}

fn create2() -> Vec<u8> {
    vec![op::PUSH0, op::PUSH1, 1, op::PUSH0, op::PUSH0, op::CREATE2]
}

/// Takes a word off the stack. Loads slot 9 where it is not zero, or where it is, and else reverts, or stops.
fn load_if(nonzero: bool) -> Vec<u8> {
    let test: &[u8] = if nonzero { &[] } else { &[op::ISZERO] };
    let otherwise: &[u8] = if nonzero { &[op::PUSH0, op::PUSH0, op::REVERT] } else { &[op::STOP] };
    // Counted from here, so that it can stand anywhere.
    let jump = [op::PC, op::PUSH1, 5 + otherwise.len() as u8, op::ADD, op::JUMPI];
    [test, &jump, otherwise, &[op::JUMPDEST, op::PUSH1, 9, op::SLOAD, op::STOP]].concat()
}

/// Stores that many words to slots that were zero.
fn stores(count: u8) -> Vec<u8> {
    (0..count).flat_map(|slot| [op::PUSH1, 1, op::PUSH1, slot, op::SSTORE]).collect()
}
