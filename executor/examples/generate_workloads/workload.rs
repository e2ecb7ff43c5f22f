//! Generated blocks of one kind of work each, by name, size, contention and seed.
//!
//! Each serialising pattern comes in its usual form and in one whose calls do not conflict; both do the same work. The
//! same arguments always give the same block.

#[path = "chain.rs"]
mod chain;

use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolValue as _, sol};
use deconflict_executor::{Block, BlockState, execute};

pub(crate) use self::chain::Failure;
use self::chain::{Call, Chain, address, ether};

sol! {
    function mint(address to, uint256 amount) external;
    function approve(address spender, uint256 amount) external;
    function transfer(address to, uint256 amount) external;
    function airdrop(address[] to, uint256 amount) external;
    function addLiquidity(uint256 amount0, uint256 amount1) external;
    function swap(uint256 amountIn, bool zeroForOne) external;
    function place(uint256 price, uint96 amount) external;
    function borrow(uint256 amount) external;
    function pay(uint256 amount) external;
}

mod picture {
    alloy_sol_types::sol! { function mint() external; }
}

/// Users from here on receive only.
const STRANGERS: u64 = 10_000_000;

/// How large a block is, and how it is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// The number of transactions.
    pub(crate) transactions: u64,
    /// So many in a hundred meet in one place, in those kinds of work that draw whom they meet.
    pub(crate) hot_percent: u64,
    /// The seed of everything that is drawn.
    pub(crate) seed: u64,
}

/// A kind of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    /// Its name.
    pub(crate) name: &'static str,
    make: fn(Shape) -> Made,
}

type Made = Result<Block, Failure>;

/// All kinds of work, the usual form of each before the parallel-friendly one.
pub(crate) const ALL: &[Workload] = &[
    Workload { name: "transfers-independent", make: |shape| payments(shape, |it, _| (it, STRANGERS + it)) },
    Workload { name: "transfers-chain", make: |shape| payments(shape, |it, _| (it, it + 1)) },
    Workload { name: "transfers-one-sender", make: |shape| payments(shape, |it, _| (0, STRANGERS + it)) },
    Workload { name: "transfers-one-recipient", make: |shape| payments(shape, |it, _| (it, STRANGERS)) },
    Workload { name: "erc20-independent", make: |shape| tokens(shape, |it, _| (it, STRANGERS + it)) },
    Workload {
        name: "erc20-random-recipients",
        make: |shape| {
            tokens(shape, |it, draw| {
                let hot = draw.below(100) < shape.hot_percent;
                (it, if hot { STRANGERS } else { draw.below(shape.transactions) })
            })
        },
    },
    Workload { name: "erc20-hot-recipient", make: |shape| tokens(shape, |it, _| (it, STRANGERS)) },
    Workload { name: "erc20-chain", make: |shape| tokens(shape, |it, _| (it, it + 1)) },
    Workload { name: "erc20-airdrop", make: airdrops },
    Workload { name: "amm-independent", make: |shape| swaps(shape, shape.transactions, |it, _| it) },
    Workload { name: "amm-one-pool", make: |shape| swaps(shape, 1, |_, _| 0) },
    Workload {
        name: "amm-ten-pools",
        make: |shape| {
            swaps(shape, 10, |_, draw| if draw.below(100) < shape.hot_percent { 0 } else { draw.below(10) })
        },
    },
    Workload {
        name: "amm-half-chained",
        make: |shape| swaps(shape, shape.transactions, |it, _| if it % 2 == 0 { 0 } else { it }),
    },
    Workload { name: "orders-global-book", make: |shape| orders(shape, "GlobalBook") },
    Workload { name: "orders-level-book", make: |shape| orders(shape, "LevelBook") },
    Workload { name: "lending-shared-index", make: |shape| loans(shape, "IndexedLending") },
    Workload { name: "lending-epochs", make: |shape| loans(shape, "EpochLending") },
    Workload { name: "mint-counter", make: |shape| pictures(shape, "CounterMint") },
    Workload { name: "mint-ranges", make: |shape| pictures(shape, "RangeMint") },
    Workload { name: "fees-shared-sink", make: |shape| fees(shape, "SharedSink") },
    Workload { name: "fees-sharded-sink", make: |shape| fees(shape, "ShardedSink") },
    Workload { name: "hybrid", make: hybrid },
    Workload {
        name: "hybrid-30-hot",
        make: |shape| hybrid(Shape { hot_percent: shape.hot_percent.max(30), ..shape }),
    },
];

impl Workload {
    /// A block of this work.
    pub(crate) fn block(&self, shape: Shape) -> Made {
        (self.make)(shape)
    }

    /// A block of this work that uses about so much gas.
    pub(crate) fn of_gas(&self, gas: u64, hot_percent: u64, seed: u64) -> Made {
        const SAMPLE: u64 = 40;
        let sample = self.block(Shape { transactions: SAMPLE, hot_percent, seed })?;
        let used = execute(&sample, &BlockState::new(&sample))?.gas_used;
        self.block(Shape { transactions: (gas * SAMPLE / used.max(1)).max(1), hot_percent, seed })
    }
}

/// A sequence of numbers that looks random.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31) % bound.max(1)
    }
}

fn payments(shape: Shape, pair: fn(u64, &mut Draw) -> (u64, u64)) -> Made {
    let mut chain = Chain::new()?;
    let mut draw = Draw(shape.seed);
    let calls = (0..shape.transactions).map(|it| {
        let (from, to) = pair(it, &mut draw);
        Call::pay(chain.user(from), chain.user(to))
    });
    let calls = calls.collect();
    chain.block(calls)
}

/// Deploys a token and gives it to the first `users`, and to whoever receives later: a balance that is there already costs
/// the same every time.
fn token(chain: &mut Chain, users: u64) -> Result<Address, Failure> {
    let token = chain.deploy("Token", &[])?;
    for number in 0..users {
        let to = chain.user(number);
        chain.call(to, token, &mintCall { to, amount: ether(1_000_000) })?;
    }
    Ok(token)
}

fn tokens(shape: Shape, mut pair: impl FnMut(u64, &mut Draw) -> (u64, u64)) -> Made {
    let mut chain = Chain::new()?;
    let token = token(&mut chain, shape.transactions)?;
    let mut draw = Draw(shape.seed);
    let calls = (0..shape.transactions).map(|it| {
        let (from, to) = pair(it, &mut draw);
        Call::new(address(from), token, &transferCall { to: address(to), amount: U256::from(1_000 + it) })
    });
    let calls = calls.collect();
    chain.block(calls)
}

/// Everybody pays twenty strangers.
fn airdrops(shape: Shape) -> Made {
    let mut chain = Chain::new()?;
    let token = token(&mut chain, shape.transactions)?;
    let calls = (0..shape.transactions).map(|it| {
        let to = (0..20).map(|index| address(STRANGERS + 20 * it + index)).collect();
        Call::new(address(it), token, &airdropCall { to, amount: U256::from(1_000) })
    });
    let calls = calls.collect();
    chain.block(calls)
}

/// Two tokens, and pools between them.
fn market(chain: &mut Chain, users: u64, pools: u64) -> Result<Vec<Address>, Failure> {
    let provider = chain.user(u64::MAX - 1);
    let tokens = [token(chain, users)?, token(chain, users)?];
    for token in tokens {
        chain.call(provider, token, &mintCall { to: provider, amount: ether(1_000_000_000) })?;
    }
    let mut made = Vec::new();
    for _ in 0..pools {
        let pool = chain.deploy("Pool", &(tokens[0], tokens[1]).abi_encode())?;
        for token in tokens {
            chain.call(provider, token, &approveCall { spender: pool, amount: U256::MAX })?;
        }
        chain.call(provider, pool, &addLiquidityCall { amount0: ether(10_000), amount1: ether(20_000) })?;
        made.push(pool);
    }
    Ok(made)
}

/// Lets the user spend through the pool, and gives the call.
fn swap(chain: &mut Chain, user: Address, pool: Address, draw: &mut Draw) -> Result<Call, Failure> {
    // The pool's immutables are not ours to read: what the market deployed first are the two tokens.
    for nonce in 0..2 {
        let token = address(u64::MAX).create(nonce);
        chain.call(user, token, &approveCall { spender: pool, amount: U256::MAX })?;
    }
    let amount = ether(1) + U256::from(draw.below(1_000_000));
    Ok(Call::new(user, pool, &swapCall { amountIn: amount, zeroForOne: draw.below(2) == 0 }))
}

fn swaps(shape: Shape, pools: u64, pool_of: impl Fn(u64, &mut Draw) -> u64) -> Made {
    let mut chain = Chain::new()?;
    let pools = market(&mut chain, shape.transactions, pools)?;
    let mut draw = Draw(shape.seed);
    let mut calls = Vec::new();
    for it in 0..shape.transactions {
        let pool = pools[pool_of(it, &mut draw) as usize];
        calls.push(swap(&mut chain, address(it), pool, &mut draw)?);
    }
    chain.block(calls)
}

/// Each user calls a contract once.
fn each(shape: Shape, name: &str, mut call: impl FnMut(Address, Address, &mut Draw) -> Call) -> Made {
    let mut chain = Chain::new()?;
    let contract = chain.deploy(name, &[])?;
    let mut draw = Draw(shape.seed);
    let calls = (0..shape.transactions).map(|it| call(chain.user(it), contract, &mut draw));
    let calls = calls.collect();
    chain.block(calls)
}

fn orders(shape: Shape, name: &str) -> Made {
    each(shape, name, |from, book, draw| {
        let order =
            placeCall { price: U256::from(draw.below(1_000)), amount: alloy_primitives::Uint::from(7) };
        Call::new(from, book, &order)
    })
}

fn loans(shape: Shape, name: &str) -> Made {
    each(shape, name, |from, market, draw| {
        Call::new(from, market, &borrowCall { amount: ether(1) + U256::from(draw.below(1_000)) })
    })
}

fn pictures(shape: Shape, name: &str) -> Made {
    each(shape, name, |from, collection, _| Call::new(from, collection, &picture::mintCall {}))
}

fn fees(shape: Shape, name: &str) -> Made {
    each(shape, name, |from, sink, draw| {
        Call::new(from, sink, &payCall { amount: U256::from(100_000 + draw.below(1_000)) })
    })
}

/// Plain transfers, token transfers and swaps, 60 to 20 to 20; so many in a hundred of each kind meet in one account, one
/// balance or one pool.
fn hybrid(shape: Shape) -> Made {
    let mut chain = Chain::new()?;
    let count = shape.transactions;
    let pools = market(&mut chain, count, count / 5 + 1)?;
    let token = address(u64::MAX).create(0);
    let mut draw = Draw(shape.seed);
    let mut calls = Vec::new();
    for it in 0..count {
        let user = chain.user(it);
        let hot = draw.below(100) < shape.hot_percent;
        let stranger = address(STRANGERS + if hot { 0 } else { 1 + it });
        calls.push(match it % 5 {
            0..=2 => Call::pay(user, stranger),
            3 => Call::new(user, token, &transferCall { to: stranger, amount: U256::from(1_000) }),
            _ => {
                let pool = pools[if hot { 0 } else { 1 + it / 5 } as usize];
                swap(&mut chain, user, pool, &mut draw)?
            }
        });
    }
    chain.block(calls)
}
