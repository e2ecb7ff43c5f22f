//! When which rules hold on a chain.
//!
//! In: a chain whose dates `alloy-hardforks` has, or steps from a file. Out: for a moment the fork, with the limits on blobs of
//! EIP-7840 and EIP-7892, or the name of a fork whose rules are not known.

use std::fmt;

use alloy_chains::Chain;
use alloy_eips::eip7840::BlobParams;
use alloy_hardforks::EthereumHardfork;
use revm::primitives::hardfork::SpecId;
use thiserror::Error;

use super::fork::fork_name;

/// The seconds from one block to the next on the chains that are known, at least.
const SLOT: u64 = 12;

/// What rules hold, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRules {
    /// The fork.
    pub spec: SpecId,
    /// The limits on blobs and how their fee moves; none before there are blobs.
    pub blobs: Option<BlobParams>,
    /// The name of the change that has set these, where it was not the fork itself.
    pub blobs_since: Option<String>,
    /// How that is known.
    pub origin: Origin,
}

/// How it is known which rules hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody has named the fork.
    Named,
    /// By the dates of this chain or file.
    Schedule(String),
    /// From what the header has; several forks have headers of the same shape.
    Guessed,
}

/// The rules of a moment are not known.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "by the schedule of {schedule} it is one of {fork}, whose rules are not known here; the latest that are known are those of \
     Osaka"
)]
pub struct LaterFork {
    /// Whose schedule.
    pub schedule: String,
    /// The fork.
    pub fork: String,
}

/// When a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its number.
    pub number: u64,
    /// Its second.
    pub timestamp: u64,
    /// Whether it is one of proof of stake, as its header shows.
    pub merged: bool,
}

/// When which rules hold on a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The chain.
    pub chain_id: u64,
    /// What it is called, or the file that the schedule is from.
    pub name: String,
    pub(super) steps: Vec<RuleStep>,
    /// The fewest seconds from one block to the next.
    spacing: u64,
}

/// From when on something holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleStep {
    pub(super) start: Start,
    pub(super) change: RuleChange,
}

/// The first block, or the first second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Block(u64),
    Second(u64),
}

/// What holds from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RuleChange {
    Fork(SpecId),
    /// Other limits on blobs under the same rules, by EIP-7892, and what the change is called.
    Blobs(String, BlobParams),
    /// Rules that are not known, by name.
    Unknown(String),
}

impl Origin {
    /// The word for it in documents.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Schedule(_) => "schedule",
            Self::Guessed => "guessed",
        }
    }
}

impl Schedule {
    /// The schedule of a chain that Ethereum's developers run.
    pub fn known(chain_id: u64) -> Option<Self> {
        let chain = Chain::from_id(chain_id);
        let name = match chain_id {
            1 => "Ethereum's main net",
            11_155_111 => "Sepolia",
            17_000 => "Holesky",
            560_048 => "Hoodi",
            _ => return None,
        };
        let mut steps = Vec::new();
        for fork in EthereumHardfork::VARIANTS {
            let Some((change, by_time)) = meaning(*fork) else { continue };
            let start = if by_time {
                fork.activation_timestamp(chain).filter(|second| *second != u64::MAX).map(Start::Second)
            } else {
                fork.activation_block(chain).map(Start::Block)
            };
            let Some(start) = start else { continue };
            if let (RuleChange::Fork(spec), Some(blobs)) = (&change, own_blobs(*fork)) {
                let name = fork_name(*spec).unwrap_or_default().to_owned();
                steps.push(RuleStep { start, change: RuleChange::Blobs(name, blobs) });
            }
            steps.push(RuleStep { start, change });
        }
        Some(Self { chain_id, name: name.to_owned(), steps, spacing: SLOT })
    }

    /// A schedule from a file.
    pub(super) fn of_steps(chain_id: u64, name: String, steps: Vec<RuleStep>) -> Self {
        Self { chain_id, name, steps, spacing: 1 }
    }

    /// The rules of a moment.
    pub fn at(&self, moment: Moment) -> Result<ChainRules, LaterFork> {
        let Moment { number, timestamp, merged } = moment;
        let mut spec = SpecId::FRONTIER;
        let mut blobs: Option<(u64, &str, BlobParams)> = None;
        for step in &self.steps {
            let since = match step.start {
                Start::Block(first) if first <= number => 0,
                Start::Second(first) if first <= timestamp => first,
                Start::Block(_) | Start::Second(_) => continue,
            };
            match &step.change {
                RuleChange::Fork(fork) => spec = spec.max(*fork),
                // Of two that begin together, the later in the list is the later in time.
                RuleChange::Blobs(name, params) => {
                    if blobs.as_ref().is_none_or(|(last, ..)| *last <= since) {
                        blobs = Some((since, name, *params));
                    }
                }
                RuleChange::Unknown(name) => {
                    return Err(LaterFork { schedule: self.name.clone(), fork: name.clone() });
                }
            }
        }
        if spec == SpecId::LONDON && merged {
            spec = SpecId::MERGE;
        }
        let blobs = blobs.filter(|_| spec.is_enabled_in(SpecId::CANCUN));
        let since = blobs.as_ref().map(|(_, name, _)| *name).filter(|name| Some(*name) != fork_name(spec));
        Ok(ChainRules {
            spec,
            blobs: blobs.as_ref().map(|(.., params)| *params).or_else(|| blobs_of(spec)),
            blobs_since: since.map(str::to_owned),
            origin: Origin::Schedule(self.name.clone()),
        })
    }

    /// The rules of the block after a head, which is not there yet.
    pub fn after(&self, head: Moment) -> Result<ChainRules, LaterFork> {
        self.at(Moment {
            number: head.number.saturating_add(1),
            timestamp: head.timestamp.saturating_add(self.spacing),
            merged: head.merged,
        })
    }
}

impl ChainRules {
    /// The rules of a fork that somebody has named, with the limits on blobs that hold at this moment if the schedule has the
    /// same fork then.
    pub fn named(spec: SpecId, schedule: Option<&Schedule>, moment: Moment) -> Self {
        let scheduled = schedule.and_then(|schedule| schedule.at(moment).ok()).filter(|it| it.spec == spec);
        let (blobs, blobs_since) = match scheduled {
            Some(rules) => (rules.blobs, rules.blobs_since),
            None => (blobs_of(spec), None),
        };
        Self { spec, blobs, blobs_since, origin: Origin::Named }
    }

    /// The rules of a fork that a header may be one of.
    pub fn guessed(spec: SpecId) -> Self {
        Self { spec, blobs: blobs_of(spec), blobs_since: None, origin: Origin::Guessed }
    }

    /// Whether the limits on blobs are known, and not only those that the fork began with.
    pub fn knows_blobs(&self) -> bool {
        self.blobs.is_some() && matches!(self.origin, Origin::Schedule(_))
    }
}

impl fmt::Display for ChainRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(fork_name(self.spec).unwrap_or_else(|| self.spec.into()))?;
        if let Some(name) = &self.blobs_since {
            write!(f, " with the blobs of {name}")?;
        }
        match &self.origin {
            Origin::Named => f.write_str(", as named")?,
            Origin::Schedule(name) => write!(f, ", by the schedule of {name}")?,
            Origin::Guessed => f.write_str(", a guess from the header")?,
        }
        Ok(())
    }
}

/// The limits on blobs that a fork brings; none before there are blobs.
pub fn blobs_of(spec: SpecId) -> Option<BlobParams> {
    if spec.is_enabled_in(SpecId::OSAKA) {
        Some(BlobParams::osaka())
    } else if spec.is_enabled_in(SpecId::PRAGUE) {
        Some(BlobParams::prague())
    } else {
        spec.is_enabled_in(SpecId::CANCUN).then(BlobParams::cancun)
    }
}

fn own_blobs(fork: EthereumHardfork) -> Option<BlobParams> {
    match fork {
        EthereumHardfork::Cancun => Some(BlobParams::cancun()),
        EthereumHardfork::Prague => Some(BlobParams::prague()),
        EthereumHardfork::Osaka => Some(BlobParams::osaka()),
        _ => None,
    }
}

/// What a fork changes of the rules that transactions run by, and whether it begins at a second instead of a block.
fn meaning(fork: EthereumHardfork) -> Option<(RuleChange, bool)> {
    let by_block = |spec| Some((RuleChange::Fork(spec), false));
    let by_time = |spec| Some((RuleChange::Fork(spec), true));
    match fork {
        EthereumHardfork::Frontier => by_block(SpecId::FRONTIER),
        EthereumHardfork::Homestead => by_block(SpecId::HOMESTEAD),
        EthereumHardfork::Tangerine => by_block(SpecId::TANGERINE),
        EthereumHardfork::SpuriousDragon => by_block(SpecId::SPURIOUS_DRAGON),
        EthereumHardfork::Byzantium => by_block(SpecId::BYZANTIUM),
        // Constantinople was never there without it.
        EthereumHardfork::Petersburg => by_block(SpecId::PETERSBURG),
        EthereumHardfork::Istanbul => by_block(SpecId::ISTANBUL),
        EthereumHardfork::Berlin => by_block(SpecId::BERLIN),
        EthereumHardfork::London => by_block(SpecId::LONDON),
        // The merge shows in the header; the others before it change what miners do.
        EthereumHardfork::Paris
        | EthereumHardfork::Dao
        | EthereumHardfork::Constantinople
        | EthereumHardfork::MuirGlacier
        | EthereumHardfork::ArrowGlacier
        | EthereumHardfork::GrayGlacier => None,
        EthereumHardfork::Shanghai => by_time(SpecId::SHANGHAI),
        EthereumHardfork::Cancun => by_time(SpecId::CANCUN),
        EthereumHardfork::Prague => by_time(SpecId::PRAGUE),
        EthereumHardfork::Osaka => by_time(SpecId::OSAKA),
        EthereumHardfork::Bpo1 => Some((RuleChange::Blobs("BPO1".to_owned(), BlobParams::bpo1()), true)),
        EthereumHardfork::Bpo2 => Some((RuleChange::Blobs("BPO2".to_owned(), BlobParams::bpo2()), true)),
        later => Some((RuleChange::Unknown(later.name().to_owned()), true)),
    }
}

#[cfg(test)]
mod tests {
    use revm::primitives::hardfork::SpecId;

    use super::{ChainRules, Moment, Origin, Schedule};

    fn at(chain: u64, number: u64, timestamp: u64) -> ChainRules {
        let schedule = Schedule::known(chain).expect("it is known");
        schedule.at(Moment { number, timestamp, merged: number > 15_537_393 }).expect("its rules are")
    }

    #[test]
    fn the_main_net_has_its_forks_and_blobs() {
        let spec = |number, timestamp| at(1, number, timestamp).spec;
        assert_eq!(spec(0, 0), SpecId::FRONTIER);
        assert_eq!(spec(7_280_000, 1_551_383_524), SpecId::PETERSBURG);
        assert_eq!(spec(7_279_999, 1_551_383_500), SpecId::BYZANTIUM);
        assert_eq!(spec(15_537_393, 1_663_224_162), SpecId::LONDON);
        assert_eq!(spec(15_537_394, 1_663_224_179), SpecId::MERGE);
        assert_eq!(spec(17_034_870, 1_681_338_455), SpecId::SHANGHAI);
        let blobs = |timestamp| {
            let rules = at(1, 24_000_000, timestamp);
            let params = rules.blobs.expect("there are blobs");
            (
                rules.spec,
                params.max_blob_count,
                params.max_blobs_per_tx,
                params.update_fraction,
                rules.blobs_since,
            )
        };
        assert_eq!(blobs(1_710_338_135), (SpecId::CANCUN, 6, 6, 3_338_477, None));
        assert_eq!(blobs(1_746_612_311), (SpecId::PRAGUE, 9, 9, 5_007_716, None));
        assert_eq!(blobs(1_764_798_551), (SpecId::OSAKA, 9, 6, 5_007_716, None));
        assert_eq!(blobs(1_765_290_071), (SpecId::OSAKA, 15, 6, 8_346_193, Some("BPO1".to_owned())));
        assert_eq!(blobs(1_767_747_671), (SpecId::OSAKA, 21, 6, 11_684_671, Some("BPO2".to_owned())));
    }

    #[test]
    fn test_nets_have_their_own_dates() {
        for (chain, bpo2) in [(11_155_111, 1_761_607_008), (17_000, 1_760_389_824), (560_048, 1_762_955_544)]
        {
            assert_eq!(at(chain, 20_000_000, bpo2).blobs_since.as_deref(), Some("BPO2"), "{chain}");
            assert_eq!(at(chain, 20_000_000, bpo2 - 1).blobs_since.as_deref(), Some("BPO1"), "{chain}");
        }
        assert_eq!(Schedule::known(137), None);
    }

    #[test]
    fn a_fork_that_is_not_known_is_named() {
        let sepolia = Schedule::known(11_155_111).expect("it is known");
        let head = Moment { number: 11_856_336, timestamp: 1_791_294_804, merged: true };
        assert_eq!(sepolia.at(head).expect("it is Osaka").spec, SpecId::OSAKA);
        let error = sepolia.after(head).expect_err("the next slot is the first of Amsterdam");
        assert_eq!((error.fork.as_str(), error.schedule.as_str()), ("Amsterdam", "Sepolia"));
    }

    #[test]
    fn rules_say_where_they_are_from() {
        let rules = at(11_155_111, 9_000_000, 1_770_000_000);
        assert_eq!(rules.to_string(), "Osaka with the blobs of BPO2, by the schedule of Sepolia");
        assert_eq!(ChainRules::guessed(SpecId::PRAGUE).to_string(), "Prague, a guess from the header");
        let moment = Moment { number: 9_000_000, timestamp: 1_770_000_000, merged: true };
        let named = ChainRules::named(SpecId::PRAGUE, Schedule::known(1).as_ref(), moment);
        assert_eq!((named.origin, named.blobs.map(|it| it.max_blob_count)), (Origin::Named, Some(9)));
    }
}
