//! Schedules of other chains, from files.
//!
//! In: a genesis file as geth and reth take it, or its `config` alone, or a list of forks. Out: a [`Schedule`], or which field
//! is wrong. What a file says that is not known here holds from its date on, as a fork of that name: nothing is passed over.

use alloy_eips::{
    eip7594::MAX_BLOBS_PER_TX_FUSAKA,
    eip7840::{BLOB_BASE_COST, BlobParams},
};
use alloy_genesis::ChainConfig;
use revm::primitives::hardfork::SpecId;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::{
    fork::{fork, fork_name},
    schedule::{RuleChange, RuleStep, Schedule, Start},
};

/// Why a file is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// It is not JSON, or not of this shape.
    #[error("it is no {what}: {problem}")]
    Shape {
        /// What it was to be.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A field contradicts another or makes no sense.
    #[error("{field}: {problem}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

/// A list of forks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleFile {
    chain_id: u64,
    #[serde(default)]
    name: Option<String>,
    forks: Vec<ForkEntry>,
    #[serde(default)]
    blobs: Vec<BlobEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ForkEntry {
    fork: String,
    block: Option<u64>,
    timestamp: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlobEntry {
    timestamp: u64,
    target: u64,
    max: u64,
    base_fee_update_fraction: u64,
    #[serde(default)]
    name: Option<String>,
}

impl Schedule {
    /// The schedule in a genesis file, which `name` calls.
    pub fn from_genesis(text: &[u8], name: &str) -> Result<Self, ScheduleError> {
        let shape = |problem: String| ScheduleError::Shape { what: "genesis file", problem };
        let document: Value = serde_json::from_slice(text).map_err(|error| shape(error.to_string()))?;
        let config = document.get("config").unwrap_or(&document);
        // What is left out would be taken for the main net.
        if config.get("chainId").is_none() {
            return Err(shape("there is no `config.chainId`".to_owned()));
        }
        let config: ChainConfig =
            serde_json::from_value(config.clone()).map_err(|error| shape(error.to_string()))?;
        Ok(Self::of_steps(config.chain_id, name.to_owned(), steps(&config)?))
    }

    /// The schedule in a list of forks, which `name` calls where it has no name itself.
    pub fn from_list(text: &[u8], name: &str) -> Result<Self, ScheduleError> {
        let file: ScheduleFile = serde_json::from_slice(text)
            .map_err(|error| ScheduleError::Shape { what: "fork schedule", problem: error.to_string() })?;
        let mut steps = Vec::new();
        for (index, ForkEntry { fork: name, block, timestamp }) in file.forks.into_iter().enumerate() {
            let field = |problem: String| ScheduleError::Field { field: format!("forks[{index}]"), problem };
            let spec = fork(&name).map_err(field)?;
            let start = match (block, timestamp) {
                (Some(block), None) => Start::Block(block),
                (None, Some(second)) => Start::Second(second),
                _ => return Err(field("give it either a `block` or a `timestamp`".to_owned())),
            };
            steps.push(RuleStep { start, change: RuleChange::Fork(spec) });
        }
        let osaka =
            steps.iter().find(|step| step.change == RuleChange::Fork(SpecId::OSAKA)).map(|it| it.start);
        let mut entries: Vec<(usize, BlobEntry)> = file.blobs.into_iter().enumerate().collect();
        entries.sort_by_key(|(_, entry)| entry.timestamp);
        for (index, entry) in entries {
            let is_osaka = match osaka {
                Some(Start::Block(first)) => first == 0,
                Some(Start::Second(first)) => first <= entry.timestamp,
                None => false,
            };
            let params = params(entry.target, entry.max, entry.base_fee_update_fraction.into(), is_osaka);
            let field = format!("blobs[{index}]");
            let params = params.map_err(|problem| ScheduleError::Field { field: field.clone(), problem })?;
            let name = entry.name.unwrap_or(field);
            steps.push(RuleStep {
                start: Start::Second(entry.timestamp),
                change: RuleChange::Blobs(name, params),
            });
        }
        Ok(Self::of_steps(file.chain_id, file.name.unwrap_or_else(|| name.to_owned()), steps))
    }
}

/// The steps that a chain's configuration names.
fn steps(config: &ChainConfig) -> Result<Vec<RuleStep>, ScheduleError> {
    let by_block = [
        (SpecId::HOMESTEAD, config.homestead_block),
        (SpecId::TANGERINE, config.eip150_block),
        (SpecId::SPURIOUS_DRAGON, config.eip158_block.or(config.eip155_block)),
        (SpecId::BYZANTIUM, config.byzantium_block),
        // A file that names Constantinople alone means both, as geth reads it.
        (SpecId::PETERSBURG, config.petersburg_block.or(config.constantinople_block)),
        (SpecId::ISTANBUL, config.istanbul_block),
        (SpecId::BERLIN, config.berlin_block),
        (SpecId::LONDON, config.london_block),
    ];
    let by_time = [
        (SpecId::SHANGHAI, config.shanghai_time),
        (SpecId::CANCUN, config.cancun_time),
        (SpecId::PRAGUE, config.prague_time),
        (SpecId::OSAKA, config.osaka_time),
    ];
    let step = |spec, start| RuleStep { start, change: RuleChange::Fork(spec) };
    let blocks = by_block.iter().filter_map(|(spec, first)| Some(step(*spec, Start::Block((*first)?))));
    let times = by_time.iter().filter_map(|(spec, first)| Some(step(*spec, Start::Second((*first)?))));
    let mut steps: Vec<RuleStep> = blocks.chain(times).collect();
    for (spec, first) in by_time.iter().filter(|(spec, _)| spec.is_enabled_in(SpecId::CANCUN)) {
        let name = fork_name(*spec).unwrap_or_default();
        if let (Some(first), Some(params)) = (*first, entry(config, &name.to_lowercase())) {
            steps.push(blobs(name, first, params, spec.is_enabled_in(SpecId::OSAKA))?);
        }
    }
    let limits = [config.bpo1_time, config.bpo2_time, config.bpo3_time, config.bpo4_time, config.bpo5_time];
    for (number, first) in limits.into_iter().enumerate() {
        let Some(first) = first else { continue };
        let name = format!("BPO{}", number + 1);
        let missing = || ScheduleError::Field {
            field: format!("config.blobSchedule.bpo{}", number + 1),
            problem: format!("it is missing, and config.bpo{}Time is there", number + 1),
        };
        let params = entry(config, &name.to_lowercase()).ok_or_else(missing)?;
        steps.push(blobs(&name, first, params, true)?);
    }
    let unknown = |name: &str, start| RuleStep { start, change: RuleChange::Unknown(name.to_owned()) };
    steps.extend(config.amsterdam_time.map(|first| unknown("Amsterdam", Start::Second(first))));
    for (name, value) in &*config.extra_fields {
        let Some(first) = value.as_u64() else { continue };
        if let Some(fork) = name.strip_suffix("Time") {
            steps.push(unknown(fork, Start::Second(first)));
        } else if let Some(fork) = name.strip_suffix("Block") {
            steps.push(unknown(fork, Start::Block(first)));
        }
    }
    Ok(steps)
}

/// The limits on blobs under a name, whatever its case.
fn entry<'a>(config: &'a ChainConfig, name: &str) -> Option<&'a BlobParams> {
    config.blob_schedule.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, params)| params)
}

fn blobs(name: &str, first: u64, read: &BlobParams, is_osaka: bool) -> Result<RuleStep, ScheduleError> {
    let params = params(read.target_blob_count, read.max_blob_count, read.update_fraction, is_osaka);
    let field = format!("config.blobSchedule.{}", name.to_lowercase());
    let params = params.map_err(|problem| ScheduleError::Field { field, problem })?;
    Ok(RuleStep { start: Start::Second(first), change: RuleChange::Blobs(name.to_owned(), params) })
}

/// Limits that make sense: what divides is not zero, and nothing is so large that products overflow.
fn params(target: u64, max: u64, fraction: u128, is_osaka: bool) -> Result<BlobParams, String> {
    const MOST: u64 = 1 << 16;
    if fraction == 0 {
        return Err("the fraction by which the fee moves is 0".to_owned());
    }
    if target > max || max == 0 || max > MOST {
        return Err(format!(
            "at most {max} blobs with a target of {target} is not from 1 to {MOST}, the target at most that"
        ));
    }
    let params = BlobParams {
        target_blob_count: target,
        max_blob_count: max,
        update_fraction: fraction,
        max_blobs_per_tx: max,
        ..BlobParams::prague()
    };
    if !is_osaka {
        return Ok(params);
    }
    Ok(params.with_max_blobs_per_tx(MAX_BLOBS_PER_TX_FUSAKA.min(max)).with_blob_base_cost(BLOB_BASE_COST))
}

#[cfg(test)]
mod tests {
    use revm::primitives::hardfork::SpecId;
    use serde_json::{Value, json};

    use super::super::schedule::{ChainRules, Moment, Schedule};

    fn genesis(document: &Value) -> Schedule {
        Schedule::from_genesis(document.to_string().as_bytes(), "dev")
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn at(schedule: &Schedule, number: u64, timestamp: u64) -> ChainRules {
        let moment = Moment { number, timestamp, merged: true };
        schedule.at(moment).unwrap_or_else(|error| panic!("{error}"))
    }

    fn config() -> Value {
        json!({
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0, "byzantiumBlock": 0,
            "constantinopleBlock": 0, "istanbulBlock": 2, "berlinBlock": 3, "londonBlock": 4, "shanghaiTime": 100,
            "cancunTime": 200, "pragueTime": 300, "osakaTime": 400, "bpo1Time": 500,
            "blobSchedule": {
                "cancun": {"target": 1, "max": 2, "baseFeeUpdateFraction": 1_112_826},
                "osaka": {"target": 4, "max": 8, "baseFeeUpdateFraction": 5_007_716},
                "bpo1": {"target": 24, "max": 48, "baseFeeUpdateFraction": 20_609_697}
            }
        })
    }

    #[test]
    fn a_genesis_file_is_read_whole_or_as_its_configuration() {
        let whole =
            json!({"config": config(), "nonce": "0x0", "alloc": {}, "gasLimit": "0x1", "difficulty": "0x1"});
        let schedule = genesis(&whole);
        assert_eq!(schedule, genesis(&config()));
        assert_eq!(schedule.chain_id, 1337);
        let specs: Vec<SpecId> = [(0, 0), (2, 0), (3, 0), (4, 0), (9, 100), (9, 200), (9, 300), (9, 400)]
            .map(|(number, timestamp)| at(&schedule, number, timestamp).spec)
            .to_vec();
        let expected = [
            SpecId::PETERSBURG,
            SpecId::ISTANBUL,
            SpecId::BERLIN,
            SpecId::MERGE,
            SpecId::SHANGHAI,
            SpecId::CANCUN,
            SpecId::PRAGUE,
            SpecId::OSAKA,
        ];
        assert_eq!(specs, expected);
        let blobs =
            |timestamp| at(&schedule, 9, timestamp).blobs.map(|it| (it.max_blob_count, it.max_blobs_per_tx));
        // Prague has none of its own there, so that those of Cancun go on.
        assert_eq!(
            [100, 200, 300, 400, 500].map(blobs),
            [None, Some((2, 2)), Some((2, 2)), Some((8, 6)), Some((48, 6))]
        );
    }

    #[test]
    fn what_is_not_known_of_a_chain_is_not_passed_over() {
        let mut document = config();
        document["verkleTime"] = json!(600);
        document["bedrockBlock"] = json!(50);
        let schedule = genesis(&document);
        assert_eq!(at(&schedule, 9, 599).spec, SpecId::OSAKA);
        let error = |number, timestamp| {
            schedule.at(Moment { number, timestamp, merged: true }).expect_err("it is not known").fork
        };
        assert_eq!((error(9, 600), error(50, 1)), ("verkle".to_owned(), "bedrock".to_owned()));
        let message = |document: &Value| {
            Schedule::from_genesis(document.to_string().as_bytes(), "dev")
                .expect_err("it is wrong")
                .to_string()
        };
        assert!(message(&json!({"config": {}})).contains("chainId"));
        assert!(message(&json!([])).contains("chainId"));
        let mut document = config();
        document["bpo2Time"] = json!(700);
        assert!(message(&document).contains("config.blobSchedule.bpo2"));
        let mut document = config();
        document["blobSchedule"]["cancun"]["baseFeeUpdateFraction"] = json!(0);
        assert!(message(&document).contains("config.blobSchedule.cancun"));
    }

    #[test]
    fn a_list_of_forks_is_read() {
        let list = json!({
            "chain_id": 5, "name": "Fivenet",
            "forks": [{"fork": "london", "block": 0}, {"fork": "Osaka", "timestamp": 10}],
            "blobs": [{"timestamp": 20, "target": 10, "max": 15, "base_fee_update_fraction": 8_346_193, "name": "BPO1"}]
        });
        let read = |list: &Value| Schedule::from_list(list.to_string().as_bytes(), "file");
        let schedule = read(&list).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(at(&schedule, 1, 5).spec, SpecId::MERGE);
        assert_eq!(at(&schedule, 1, 10).to_string(), "Osaka, by the schedule of Fivenet");
        assert_eq!(
            at(&schedule, 1, 20).to_string(),
            "Osaka with the blobs of BPO1, by the schedule of Fivenet"
        );
        let blobs = at(&schedule, 1, 20).blobs.expect("there are blobs");
        assert_eq!((blobs.max_blob_count, blobs.max_blobs_per_tx), (15, 6));
        let mut wrong = list.clone();
        wrong["forks"][0]["timestamp"] = json!(1);
        assert!(read(&wrong).expect_err("both").to_string().contains("forks[0]"));
        let mut wrong = list;
        wrong["forks"][1]["fork"] = json!("Osakka");
        assert!(read(&wrong).expect_err("no fork").to_string().contains("did you mean `Osaka`?"));
    }
}
