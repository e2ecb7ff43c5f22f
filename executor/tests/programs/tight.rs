//! Scenes in which an inner frame has about as much of something as it needs: gas above all, but also depth, nonces,
//! room for code, and bytes that were returned.
//!
//! In: choices, and how much the inner frame is given. Out: a scene in which the caller of that frame goes on whatever
//! becomes of it, and reads one slot or another by that. What is exactly enough is found by executing.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, TxKind, U256, hex};
use revm::{
    bytecode::opcode as op,
    context_interface::transaction::{AccessList, AccessListItem},
    primitives::hardfork::SpecId,
};

use crate::assembler::Assembler;
use crate::choices::Choices;
use crate::scene::{COINBASE, Holder, SENDER, Scene};

/// Whose code makes the call that may fail.
pub(crate) const CALLER: Address = Address::repeat_byte(0xa1);
/// Whose frame may fail.
const CALLEE: Address = Address::repeat_byte(0xb2);
/// A contract that loads a slot.
const THIRD: Address = Address::repeat_byte(0xc3);
/// An account that is delegated to the third, where that is possible.
const DELEGATED: Address = Address::repeat_byte(0xd4);
/// An account without code, and one that is not there.
const PERSON: Address = Address::repeat_byte(0x9e);
const NOBODY: Address = Address::repeat_byte(0xee);
/// The first contract of transactions that reach the caller by way of another.
const WRAPPER: Address = Address::repeat_byte(0x77);

/// The slot that the caller reads where the call succeeded; the one before where it did not.
pub(crate) const SUCCEEDED: U256 = U256::from_limbs([0x51, 0, 0, 0]);

const FORKS: [SpecId; 16] = [
    SpecId::OSAKA,
    SpecId::PRAGUE,
    SpecId::CANCUN,
    SpecId::SHANGHAI,
    SpecId::LONDON,
    SpecId::BERLIN,
    SpecId::ISTANBUL,
    SpecId::PETERSBURG,
    SpecId::BYZANTIUM,
    SpecId::SPURIOUS_DRAGON,
    SpecId::TANGERINE,
    SpecId::HOMESTEAD,
    SpecId::FRONTIER,
    SpecId::OSAKA,
    SpecId::OSAKA,
    SpecId::PRAGUE,
];

/// How the caller says how much gas it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A number in the code.
    Number,
    /// A number in calldata.
    Argument,
    /// All that there is.
    All,
    /// What there is less a number.
    Minus(u64),
    /// A part of what there is.
    Part(u64),
    /// Some bits of what there is.
    Bits(u64),
    /// What there is, but no more than a number, by a branch.
    AtMost(u64),
    /// What there is less a number, by way of memory.
    Memory(u64),
    /// What there is less a number, from a function of its own.
    Function(u64),
    /// Nothing but what comes with value.
    Stipend,
}

/// What is varied: the gas of the inner frame, or that of the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    Inner(u64),
    Whole(u64),
}

/// A scene that these bytes lead to, where the inner frame gets so much; as much as anyone could use if none is named.
/// Also whether the amount is that of the inner frame.
pub(crate) fn tight(bytes: &[u8], amount: Option<u64>) -> (Scene, Amount) {
    let choices = &mut Choices(bytes);
    let spec = choices.pick(&FORKS);
    let since = |fork: SpecId| spec.is_enabled_in(fork);
    let number = choices.pick(&[100_u64, 1_000, 5_000, 20_000]);
    let form = match choices.weighted(&[5, 2, 4, 2, 2, 1, 2, 1, 1, 1]) {
        0 => Form::Number,
        1 => Form::Argument,
        2 => Form::All,
        3 => Form::Minus(number),
        4 => Form::Part(choices.pick(&[2, 64, 100])),
        5 => Form::Bits(choices.pick(&[0xfff, 0xffff, 0xff_ffff])),
        6 => Form::AtMost(10 * number),
        7 => Form::Memory(number),
        8 => Form::Function(number),
        _ => Form::Stipend,
    };
    let amount = match form {
        Form::Number | Form::Argument => Amount::Inner(amount.unwrap_or(1_500_000)),
        _ => Amount::Whole(amount.unwrap_or(6_000_000)),
    };
    let mut scene = Scene::empty(spec);
    let callee = if choices.once_in(6) { precompile(choices, spec) } else { CALLEE };
    let gas = if let Amount::Inner(gas) = amount { gas } else { 0 };
    let code = caller(choices, spec, (form, gas), callee);
    let inner = program(choices, spec);
    let mut put = |address, code: Vec<u8>, nonce, balance| {
        let storage = BTreeMap::from([(U256::from(1), U256::from(7)), (U256::from(2), U256::from(1))]);
        let balance = U256::from(balance);
        scene.accounts.insert(address, Holder { balance, nonce, code: code.into(), storage });
    };
    let last_nonce = if choices.once_in(16) { u64::MAX } else { 1 };
    let balance = choices.pick(&[5_u64, 5, 5, 0]);
    put(CALLER, code, 1, 1_000);
    put(CALLEE, inner, last_nonce, balance);
    let mut third = Assembler::new(since(SpecId::SHANGHAI));
    third.push(U256::from(3));
    third.raw(&[op::SLOAD, op::POP]);
    put(THIRD, third.finish(), 1, 0);
    put(PERSON, Vec::new(), 0, 7);
    if since(SpecId::PRAGUE) {
        put(DELEGATED, [&hex!("ef0100")[..], THIRD.as_slice()].concat(), 1, 0);
    }
    let mut to = CALLER;
    if choices.once_in(4) {
        put(WRAPPER, wrapper(spec), 1, 0);
        to = WRAPPER;
    }
    let tx = &mut scene.transaction;
    tx.kind = TxKind::Call(to);
    tx.data = [U256::from(gas), U256::from(choices.below(256)), U256::from(choices.below(70))]
        .map(|word| word.to_be_bytes::<32>())
        .concat()
        .into();
    tx.gas_limit = if let Amount::Whole(gas) = amount { gas } else { 6_000_000 };
    if since(SpecId::BERLIN) && choices.once_in(6) {
        tx.tx_type = 1;
        tx.chain_id = Some(1);
        let storage_keys = vec![B256::ZERO, B256::with_last_byte(2)];
        let item = |address| AccessListItem { address, storage_keys: storage_keys.clone() };
        tx.access_list = AccessList(vec![item(CALLEE), item(choices.pick(&[THIRD, PERSON, NOBODY]))]);
    }
    (scene, amount)
}

/// Calls the caller, and fails where that does.
fn wrapper(spec: SpecId) -> Vec<u8> {
    let mut code = Assembler::new(spec.is_enabled_in(SpecId::SHANGHAI));
    code.raw(&[op::CALLDATASIZE]);
    code.push(U256::ZERO);
    code.push(U256::ZERO);
    code.raw(&[op::CALLDATACOPY]);
    code.push(U256::ZERO);
    code.push(U256::ZERO);
    code.raw(&[op::CALLDATASIZE]);
    code.push(U256::ZERO);
    code.push(U256::ZERO);
    code.push(CALLER.into_word().into());
    gas_less(&mut code, 2_000);
    let well = code.label();
    code.raw(&[op::CALL]);
    code.push_label(well);
    code.raw(&[op::JUMPI, op::INVALID]);
    code.place(well);
    code.finish()
}

fn gas_less(code: &mut Assembler, number: u64) {
    code.push(U256::from(number));
    code.raw(&[op::GAS, op::SUB]);
}

/// Does some things, makes the call, and reads slots by what came of it.
fn caller(choices: &mut Choices<'_>, spec: SpecId, (form, gas): (Form, u64), callee: Address) -> Vec<u8> {
    let mut code = Assembler::new(spec.is_enabled_in(SpecId::SHANGHAI));
    for _ in 0..choices.below(3) {
        spend(&mut code, choices, spec);
    }
    let input = choices.pick(&[0_u64, 64, 192, 384]);
    let value = u64::from(form == Form::Stipend || choices.once_in(8));
    let by_value = value > 0 || !spec.is_enabled_in(SpecId::BYZANTIUM) || choices.once_in(2);
    if let Form::Memory(number) = form {
        gas_less(&mut code, number);
        code.push(U256::from(0x200));
        code.raw(&[op::MSTORE]);
    }
    for word in [0, 0, input, 0] {
        code.push(U256::from(word));
    }
    if by_value {
        code.push(U256::from(value));
    }
    code.push(callee.into_word().into());
    match form {
        // Always as long, so that it costs the same.
        Form::Number => code.raw(&[&[op::PUSH4][..], &(gas as u32).to_be_bytes()].concat()),
        Form::Argument => {
            code.push(U256::ZERO);
            code.raw(&[op::CALLDATALOAD]);
        }
        Form::All => code.raw(&[op::GAS]),
        Form::Minus(number) => gas_less(&mut code, number),
        Form::Part(part) => {
            code.push(U256::from(part));
            code.raw(&[op::GAS, op::DIV]);
        }
        Form::Bits(mask) => {
            code.push(U256::from(mask));
            code.raw(&[op::GAS, op::AND]);
        }
        Form::AtMost(most) => {
            let less = code.label();
            code.raw(&[op::GAS, op::DUP1]);
            code.push(U256::from(most));
            code.raw(&[op::GT]);
            code.push_label(less);
            code.raw(&[op::JUMPI, op::POP]);
            code.push(U256::from(most));
            code.place(less);
        }
        Form::Memory(_) => {
            code.push(U256::from(0x200));
            code.raw(&[op::MLOAD]);
        }
        Form::Function(number) => {
            let (function, back) = (code.label(), code.label());
            code.push_label(back);
            code.push_label(function);
            code.raw(&[op::JUMP]);
            code.place(function);
            gas_less(&mut code, number);
            code.raw(&[op::SWAP1, op::JUMP]);
            code.place(back);
        }
        Form::Stipend => code.push(U256::ZERO),
    }
    code.raw(&[if by_value { op::CALL } else { op::STATICCALL }]);
    code.push(SUCCEEDED - U256::from(1));
    code.raw(&[op::ADD, op::SLOAD, op::POP]);
    if spec.is_enabled_in(SpecId::BYZANTIUM) {
        code.push(U256::from(0x60));
        code.raw(&[op::RETURNDATASIZE, op::ADD, op::SLOAD, op::POP]);
    }
    code.finish()
}

/// What the inner frame runs.
fn program(choices: &mut Choices<'_>, spec: SpecId) -> Vec<u8> {
    let mut code = Assembler::new(spec.is_enabled_in(SpecId::SHANGHAI));
    for _ in 0..=choices.below(3) {
        spend(&mut code, choices, spec);
    }
    let reverts = spec.is_enabled_in(SpecId::BYZANTIUM);
    match choices.weighted(&[8, 4, 1, 1, 1, 1, 1]) {
        1 => {
            code.push(U256::from(32));
            code.push(U256::ZERO);
            code.raw(&[op::RETURN]);
        }
        2 if reverts => {
            code.push(U256::from(64));
            code.push(U256::ZERO);
            code.raw(&[op::REVERT]);
        }
        3 => code.raw(&[op::INVALID]),
        4 => {
            code.push(U256::from(1));
            code.raw(&[op::JUMP]);
        }
        5 => code.raw(&[op::POP]),
        6 => {
            code.push(choices.pick(&[NOBODY, PERSON, SENDER, CALLER]).into_word().into());
            code.raw(&[op::SELFDESTRUCT]);
        }
        _ => {}
    }
    code.finish()
}

fn precompile(choices: &mut Choices<'_>, spec: SpecId) -> Address {
    let last = if spec.is_enabled_in(SpecId::PRAGUE) {
        0x11
    } else if spec.is_enabled_in(SpecId::CANCUN) {
        0x0a
    } else if spec.is_enabled_in(SpecId::ISTANBUL) {
        9
    } else if spec.is_enabled_in(SpecId::BYZANTIUM) {
        8
    } else {
        4
    };
    if spec.is_enabled_in(SpecId::OSAKA) && choices.once_in(8) {
        return Address::from_word(B256::from(U256::from(0x100)));
    }
    Address::with_last_byte(1 + choices.below(last) as u8)
}

fn account(choices: &mut Choices<'_>, spec: SpecId) -> Address {
    let number = choices.below(9);
    if number == 0 {
        return precompile(choices, spec);
    }
    [THIRD, PERSON, NOBODY, SENDER, CALLER, CALLEE, DELEGATED, COINBASE][number - 1]
}

/// Something that costs gas, and leaves the stack as it was.
fn spend(code: &mut Assembler, choices: &mut Choices<'_>, spec: SpecId) {
    let since = |fork: SpecId| spec.is_enabled_in(fork);
    let length = choices.pick(&[0_u64, 1, 32, 33, 320, 1_024]);
    let offset = choices.pick(&[0_u64, 0, 64, 96, 700, 5_000]);
    let slot = U256::from(choices.below(4));
    let push = |code: &mut Assembler, words: &[u64]| {
        for word in words {
            code.push(U256::from(*word));
        }
    };
    match choices.below(24) {
        1 | 2 => {
            push(code, &[u64::from(choices.byte() % 3)]);
            code.push(slot);
            code.raw(&[op::SSTORE]);
        }
        3..=5 => {
            let of = choices.pick(&[op::BALANCE, op::EXTCODESIZE, op::EXTCODEHASH]);
            let of = if of == op::EXTCODEHASH && !since(SpecId::PETERSBURG) { op::BALANCE } else { of };
            code.push(account(choices, spec).into_word().into());
            code.raw(&[of, op::POP]);
        }
        6 => {
            push(code, &[length, 0, offset]);
            code.push(account(choices, spec).into_word().into());
            code.raw(&[op::EXTCODECOPY]);
        }
        7 => {
            code.push(choices.pick(&[U256::ZERO, U256::from(0xff), U256::MAX, U256::from(0x1_0000)]));
            push(code, &[3]);
            code.raw(&[op::EXP, op::POP]);
        }
        8 => {
            push(code, &[32]);
            code.raw(&[op::CALLDATALOAD]);
            push(code, &[2]);
            code.raw(&[op::EXP, op::POP]);
        }
        9 => {
            push(code, &[length, offset]);
            code.raw(&[op::KECCAK256, op::POP]);
        }
        10 | 11 => {
            let topics = choices.below(5);
            for _ in 0..topics {
                push(code, &[1]);
            }
            if choices.once_in(3) {
                code.raw(&[op::CALLDATASIZE]);
            } else {
                push(code, &[length]);
            }
            push(code, &[offset]);
            code.raw(&[op::LOG0 + topics as u8]);
        }
        12 => {
            push(code, &[length, 0, offset]);
            code.raw(&[choices.pick(&[op::CALLDATACOPY, op::CODECOPY])]);
        }
        13 => {
            push(code, &[1, offset]);
            code.raw(&[choices.pick(&[op::MSTORE, op::MSTORE8])]);
        }
        14 => {
            push(code, &[offset]);
            code.raw(&[op::MLOAD, op::POP]);
        }
        15 | 16 => create(code, choices, spec),
        17 | 18 => {
            let value = u64::from(choices.once_in(3));
            push(code, &[0, 0, 0, 0, value]);
            code.push(account(choices, spec).into_word().into());
            if choices.once_in(3) {
                push(code, &[choices.pick(&[0, 2_000, 100_000])]);
            } else {
                gas_less(code, choices.pick(&[0, 300]));
            }
            code.raw(&[op::CALL, op::POP]);
        }
        19 => {
            push(code, &[0, 0, length, 0, 0]);
            code.push(precompile(choices, spec).into_word().into());
            code.raw(&[op::GAS, op::CALL, op::POP]);
        }
        20 => {
            let again = code.label();
            push(code, &[1 + choices.below(5) as u64]);
            code.place(again);
            push(code, &[1]);
            code.raw(&[op::SWAP1, op::SUB, op::DUP1]);
            code.push_label(again);
            code.raw(&[op::JUMPI, op::POP]);
        }
        21 if since(SpecId::BYZANTIUM) => {
            // One byte more than was returned is too much.
            push(code, &[u64::from(choices.once_in(4))]);
            code.raw(&[op::RETURNDATASIZE, op::ADD]);
            push(code, &[0, offset]);
            code.raw(&[op::RETURNDATACOPY]);
        }
        22 if since(SpecId::CANCUN) => {
            push(code, &[length, 0, offset]);
            code.raw(&[op::MCOPY]);
            push(code, &[1, 1]);
            code.raw(&[op::TSTORE]);
        }
        // An instruction that is not there on every fork.
        23 if choices.once_in(3) => {
            push(code, &[64]);
            code.raw(&[op::CLZ, op::POP]);
        }
        _ => {
            code.push(slot);
            code.raw(&[op::SLOAD, op::POP]);
        }
    }
}

/// A creation, of code that is of a length that is allowed or not, or begins with a byte that is not.
fn create(code: &mut Assembler, choices: &mut Choices<'_>, spec: SpecId) {
    let deployed = choices.pick(&[0_u16, 1, 32, 500, 24_576, 24_577]);
    let [high, low] = deployed.to_be_bytes();
    let creation: &[u8] = if choices.once_in(5) {
        &hex!("60ef60005360016000f3")
    } else {
        &[op::PUSH2, high, low, op::PUSH1, 0, op::RETURN]
    };
    code.push(U256::from_be_slice(creation) << (256 - 8 * creation.len()));
    code.push(U256::ZERO);
    code.raw(&[op::MSTORE]);
    let length = choices.pick(&[10_u64, 32, 33, 1_000, 49_152, 49_153]);
    let salted = spec.is_enabled_in(SpecId::PETERSBURG) && choices.once_in(2);
    if salted {
        code.push(U256::from(9));
    }
    code.push(U256::from(length));
    code.push(U256::ZERO);
    code.push(U256::from(choices.pick(&[0_u64, 0, 1, 1 << 30])));
    code.raw(&[if salted { op::CREATE2 } else { op::CREATE }, op::POP]);
}
