//! What happens in each block.

use std::path::Path;

use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall as _, SolValue as _, sol};
use deconflict_executor::write_block;
use revm::{
    context_interface::{
        either::Either,
        transaction::{AccessList, AccessListItem, Authorization, SignedAuthorization},
    },
    primitives::hardfork::SpecId,
};

use crate::world::{COINBASE, Codes, DEPLOYER, Failure, Script, World, person, salt, whole};

sol! {
    function mint(address to, uint256 amount) external;
    function burn(uint256 amount) external;
    function approve(address spender, uint256 amount) external;
    function transfer(address to, uint256 amount) external;
    function transferFrom(address from, address to, uint256 amount) external;
    function sync() external;
    function swap(address[] pairs, address token, uint256 amount, uint256 minimum) external;
    function pay(address token, address[] to, uint256[] amounts) external;
    function multicall(bytes[] calls) external;
    function enter(uint256 value) external;
    function make(bytes32 salt, address implementation) external;
    function makeAndEnter(bytes32 salt, address implementation) external;
    function borrow(address pair, uint256 amount) external;
    function withdraw(address to, uint256 amount) external;
    function seal() external;
}

mod picture {
    alloy_sol_types::sol! {
        function mint() external payable;
        function approve(address spender, uint256 id) external;
        function transferFrom(address from, address to, uint256 id) external;
        function withdraw() external;
    }
}

/// All blocks, by the names of their files.
pub(crate) fn all(fixtures: &Path) -> Result<Vec<(&'static str, String)>, Failure> {
    let codes = Codes::read(fixtures)?;
    let blocks = [
        ("1-transfers.json", transfers()?),
        ("2-tokens.json", tokens(&codes)?),
        ("3-proxies.json", proxies(&codes)?),
        ("4-exchange.json", exchange(&codes)?),
        ("5-creations.json", creations(&codes)?),
        ("6-delegations.json", delegations(&codes)?),
    ];
    let text = |block| write_block(&block).ok_or("the format has no name for the fork");
    blocks.into_iter().map(|(name, block)| Ok((name, text(block)?))).collect()
}

type Made = Result<deconflict_executor::Block, Failure>;

/// Ether moves, also to accounts that do not exist yet, to its own sender, and to and from whoever receives the fees.
fn transfers() -> Made {
    let world = World::new();
    let mut script = Script::new(&world);
    script.send(person(0), person(1), whole(1));
    script.send(person(1), person(2), whole(100));
    script.send(person(0), Address::repeat_byte(0xee), U256::from(1));
    script.send(person(3), person(3), whole(5));
    script.send(person(4), COINBASE, whole(2));
    script.send(person(0), person(4), U256::ZERO);
    // Twice as much gas as the fee needs, so that some is paid back.
    script.push(COINBASE, TxKind::Call(person(5)), |env| {
        env.gas_limit = 42_000;
        env.value = whole(1);
    });
    let transactions = script.finish();
    world.block(1, SpecId::FRONTIER, transactions)
}

/// Deploys a token, gives each of the first ten people a thousand, and lets `spender` take them.
fn token(world: &mut World, codes: &Codes, spender: Address) -> Result<Address, Failure> {
    let treasury = Address::repeat_byte(0x77);
    let token = world.deploy(codes.creation("Token", &treasury.abi_encode())?)?;
    for index in 0..10 {
        world.call(DEPLOYER, token, mintCall { to: person(index), amount: whole(1000) }.abi_encode())?;
        world.call(person(index), token, approveCall { spender, amount: U256::MAX }.abi_encode())?;
    }
    Ok(token)
}

/// A token is moved, made, burnt and spent on behalf of others; some of it fails.
fn tokens(codes: &Codes) -> Made {
    let mut world = World::new();
    let token = token(&mut world, codes, Address::repeat_byte(0x55))?;
    let mut script = Script::new(&world);
    let transfer = |to, amount| transferCall { to, amount }.abi_encode();
    for index in 0..4 {
        script.call(person(index), token, transfer(person(index + 4), whole(10)));
    }
    script.call(person(0), token, transfer(person(0), whole(1)));
    script.call(person(1), token, transfer(person(2), whole(100_000)));
    script.call(person(2), token, approveCall { spender: person(3), amount: whole(50) }.abi_encode());
    let take = |amount| transferFromCall { from: person(2), to: person(9), amount }.abi_encode();
    script.call(person(3), token, take(whole(20)));
    script.call(person(3), token, take(whole(40)));
    script.call(DEPLOYER, token, mintCall { to: person(5), amount: whole(7) }.abi_encode());
    script.call(person(5), token, mintCall { to: person(5), amount: whole(7) }.abi_encode());
    script.call(person(6), token, burnCall { amount: whole(3) }.abi_encode());
    // No such function, calldata that is cut short, and ether for a contract that takes none.
    script.call(person(7), token, vec![0xde, 0xad, 0xbe, 0xef]);
    script.call(person(7), token, transfer(person(8), whole(1))[..40].to_vec());
    script.send(person(8), token, whole(1));
    // Not enough gas to come to an end.
    for gas_limit in [24_000, 28_000, 34_000, 50_000] {
        script.push(person(9), TxKind::Call(token), |env| {
            env.data = transfer(person(8), whole(1)).into();
            env.gas_limit = gas_limit;
        });
    }
    let transactions = script.finish();
    world.block(2, SpecId::SHANGHAI, transactions)
}

/// Proxies of several kinds, and some that are made in the same block.
fn proxies(codes: &Codes) -> Made {
    let mut world = World::new();
    let ledger = world.deploy(codes.creation("Ledger", &[])?)?;
    let proxy = world.deploy(codes.creation("Proxy", &ledger.abi_encode())?)?;
    let endless = world.deploy(codes.creation("Proxy", &proxy.abi_encode())?)?;
    let beacon = world.deploy(codes.creation("Beacon", &ledger.abi_encode())?)?;
    let behind_beacon = world.deploy(codes.creation("BeaconProxy", &beacon.abi_encode())?)?;
    let factory = world.deploy(codes.creation("Factory", &[])?)?;
    let make = |number| makeCall { salt: salt(number), implementation: ledger }.abi_encode();
    world.call(DEPLOYER, factory, make(1))?;
    let creation = [
        &alloy_primitives::hex!("3d602d80600a3d3981f3363d3d373d3d3d363d73")[..],
        ledger.as_slice(),
        &alloy_primitives::hex!("5af43d82803e903d91602b57fd5bf3"),
    ]
    .concat();
    let minimal = |number| factory.create2_from_code(salt(number), &creation);

    let mut script = Script::new(&world);
    let enter = |value: u64| enterCall { value: U256::from(value) }.abi_encode();
    for (index, target) in [ledger, proxy, behind_beacon, minimal(1)].into_iter().enumerate() {
        script.call(person(index as u8), target, enter(10));
        script.call(person(0), target, enter(20 + index as u64));
    }
    // The code of a proxy in front of a proxy finds its own code in the slot that it looks into, again and again.
    script.call(person(4), endless, enter(30));
    // The first call reaches an account without code, the second the proxy that is made in between.
    script.call(person(5), minimal(2), enter(1));
    script.call(person(6), factory, make(2));
    script.call(person(5), minimal(2), enter(2));
    script.call(person(7), factory, make(2));
    let both = makeAndEnterCall { salt: salt(3), implementation: ledger };
    script.call(person(8), factory, both.abi_encode());
    let transactions = script.finish();
    world.block(3, SpecId::SHANGHAI, transactions)
}

/// Swaps through one pair and through several, a loan with a callback, payments in a loop, calls in a call.
fn exchange(codes: &Codes) -> Made {
    let mut world = World::new();
    let router = world.deploy(codes.creation("Router", &[])?)?;
    let mut coins = Vec::new();
    for _ in 0..4 {
        coins.push(token(&mut world, codes, router)?);
    }
    let mut pairs = Vec::new();
    for sides in coins.windows(2) {
        let pair = world.deploy(codes.creation("Pair", &(sides[0], sides[1]).abi_encode())?)?;
        for side in sides {
            world.call(DEPLOYER, *side, mintCall { to: pair, amount: whole(5000) }.abi_encode())?;
        }
        world.call(DEPLOYER, pair, syncCall {}.abi_encode())?;
        pairs.push(pair);
    }
    let borrower = world.deploy(codes.creation("Borrower", &[])?)?;
    world.call(DEPLOYER, coins[0], mintCall { to: borrower, amount: whole(100) }.abi_encode())?;

    let mut script = Script::new(&world);
    let swap = |pairs: &[Address], token, minimum| {
        swapCall { pairs: pairs.to_vec(), token, amount: whole(10), minimum: whole(minimum) }.abi_encode()
    };
    script.call(person(0), router, swap(&pairs[..1], coins[0], 1));
    script.call(person(1), router, swap(&pairs[..2], coins[0], 1));
    script.call(person(2), router, swap(&pairs, coins[0], 1));
    let back: Vec<Address> = pairs.iter().rev().copied().collect();
    script.call(person(3), router, swap(&back, coins[3], 1));
    script.call(person(4), router, swap(&pairs, coins[0], 1000));
    script.call(person(5), borrower, borrowCall { pair: pairs[0], amount: whole(30) }.abi_encode());
    let pay =
        payCall { token: coins[1], to: (6..14).map(person).collect(), amounts: (1..9).map(whole).collect() };
    script.call(person(6), router, pay.abi_encode());
    let nothing = payCall { token: coins[1], to: Vec::new(), amounts: Vec::new() };
    script.call(person(6), router, nothing.abi_encode());
    let calls: Vec<Bytes> = vec![
        swap(&pairs[..1], coins[0], 1).into(),
        pay.abi_encode().into(),
        swap(&pairs[1..2], coins[2], 1).into(),
    ];
    script.call(person(7), router, multicallCall { calls }.abi_encode());
    // An access list that names what is touched, and something that is not.
    let slots = |address, keys: &[u64]| AccessListItem {
        address,
        storage_keys: keys.iter().map(|key| salt(*key)).collect(),
    };
    script.push(person(8), TxKind::Call(router), |env| {
        env.tx_type = 1;
        env.access_list = AccessList(vec![slots(pairs[0], &[0, 1, 99]), slots(DEPLOYER, &[])]);
        env.data = swap(&pairs[..1], coins[0], 1).into();
    });
    // Not enough gas for the second pair.
    script.push(person(9), TxKind::Call(router), |env| {
        env.data = swap(&pairs[..2], coins[0], 1).into();
        env.gas_limit = 150_000;
    });
    let transactions = script.finish();
    world.block(4, SpecId::CANCUN, transactions)
}

/// Contracts are made, paid and closed; ether moves inside; blobs are carried.
fn creations(codes: &Codes) -> Made {
    let mut world = World::new();
    let vault = world.deploy(codes.creation("Vault", &[])?)?;
    let collection = world.deploy(codes.creation("Collection", &[])?)?;
    let mut script = Script::new(&world);
    let create = |script: &mut Script<'_>, from, code: Bytes, value| {
        script.push(from, TxKind::Create, |env| {
            env.tx_type = 2;
            env.data = code;
            env.value = value;
            env.gas_limit = 1_500_000;
        });
    };
    create(&mut script, person(0), codes.creation("Token", &person(1).abi_encode())?, U256::ZERO);
    let made = person(0).create(0);
    script.call(person(0), made, mintCall { to: person(2), amount: whole(9) }.abi_encode());
    script.call(person(2), made, transferCall { to: person(3), amount: whole(4) }.abi_encode());
    create(&mut script, person(4), codes.creation("ShortLived", &[])?, whole(2));
    // A constructor that takes no ether, and one that is not given its argument.
    create(&mut script, person(5), codes.creation("Vault", &[])?, whole(1));
    create(&mut script, person(5), codes.creation("Proxy", &[])?, U256::ZERO);
    script.send(person(6), vault, whole(3));
    let withdraw = |to, count| withdrawCall { to, amount: whole(count) }.abi_encode();
    script.call(person(6), vault, withdraw(person(7), 1));
    script.call(person(6), vault, withdraw(Address::repeat_byte(0xef), 1));
    script.call(person(6), vault, withdraw(person(7), 5));
    script.call(person(7), vault, sealCall {}.abi_encode());
    for index in 8..10 {
        script.push(person(index), TxKind::Call(collection), |env| {
            env.tx_type = 2;
            env.value = whole(1);
            env.data = picture::mintCall {}.abi_encode().into();
        });
    }
    script.call(person(10), collection, picture::mintCall {}.abi_encode());
    let id = U256::from(1);
    script.call(person(8), collection, picture::approveCall { spender: person(10), id }.abi_encode());
    let give = picture::transferFromCall { from: person(8), to: person(11), id };
    script.call(person(10), collection, give.abi_encode());
    script.call(DEPLOYER, collection, picture::withdrawCall {}.abi_encode());
    script.push(person(12), TxKind::Call(vault), |env| {
        env.tx_type = 3;
        env.value = whole(1);
        env.max_fee_per_blob_gas = 10;
        let mut hash = salt(1);
        hash.0[0] = 1;
        env.blob_hashes = vec![hash];
    });
    let transactions = script.finish();
    world.block(5, SpecId::CANCUN, transactions)
}

/// Accounts borrow code by delegation, change their mind, and are called before and after.
fn delegations(codes: &Codes) -> Made {
    let mut world = World::new();
    let ledger = world.deploy(codes.creation("Ledger", &[])?)?;
    let vault = world.deploy(codes.creation("Vault", &[])?)?;
    // Nearly any three numbers are somebody's signature; whose it is follows from what is signed.
    let signed = |address, r: u64| {
        let inner = Authorization { chain_id: U256::from(1), address, nonce: 0 };
        SignedAuthorization::new_unchecked(inner, 0, U256::from(r), U256::from(1))
    };
    let (first, authority) = (1..100)
        .find_map(|r| {
            let signed = signed(ledger, r);
            let authority = signed.recover_authority().ok()?;
            Some((signed, authority))
        })
        .ok_or("no signature was found")?;
    let unsigned = SignedAuthorization::new_unchecked(first.inner().clone(), 0, U256::ZERO, U256::ZERO);

    let mut script = Script::new(&world);
    let enter = |value: u64| enterCall { value: U256::from(value) }.abi_encode();
    let delegate = |script: &mut Script<'_>, from, to, input: Vec<u8>, list: Vec<SignedAuthorization>| {
        script.push(from, TxKind::Call(to), |env| {
            env.tx_type = 4;
            env.data = input.into();
            env.authorization_list = list.into_iter().map(Either::Left).collect();
        });
    };
    script.call(person(0), authority, enter(1));
    delegate(&mut script, person(1), authority, enter(2), vec![first.clone(), unsigned]);
    script.call(person(0), authority, enter(3));
    // The nonce has moved on, so that this one does nothing.
    delegate(&mut script, person(2), vault, Vec::new(), vec![first]);
    script.call(person(3), authority, enter(4));
    script.send(person(4), authority, whole(1));
    let transactions = script.finish();
    world.block(6, SpecId::PRAGUE, transactions)
}
