//! Slices and summaries, held against each other.
//!
//! Both say of the same code what it touches: a slice by being run, a summary in symbols. For each code and each of its
//! selectors, whatever a slice touches is covered by the summary, or one of the two says that it does not know. What a
//! slice can touch is asked in two ways: by running it with random messages in random worlds, and by going through all
//! its traces, whatever decides their branches.
//!
//! The codes are those of the fixtures, random programs, and a sample of a corpus of real ones: `codes.jsonl.zst` in the
//! folder that `DECONFLICT_DATA` names, else in `shared/data` beside the repository. `DECONFLICT_CROSS` is the number of its
//! codes that are examined, or `all`.

#![expect(clippy::print_stdout, reason = "a test says what it has compared or skips")]

use alloy_primitives::{B256, Bytes, U256, hex};
use deconflict_analyzer::{
    Analysis, Effect, Entry, Options, Selector, Slice, Space, Summary, Variant, analyze,
};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    Subject, artifacts,
    check::{Verdict, check, check_transient},
    follow::{Access, End, Walk, follow},
    idioms, message, palette,
    program::{self, SELECTORS},
    random::Random,
    reach::{Reached, reach},
    seed, setting,
    world::{Message, Touch, Trace, World},
};

/// How many codes of the corpus are examined unless more are asked for.
const SAMPLE: usize = 40;

/// How many of a thousand accesses that a slice can come to by its branches alone a summary may lack: arms that exclude each
/// other for reasons that going through traces does not see, as that an index was found to be below a length before.
const BEYOND: usize = 10;

/// What was examined, and what is wrong.
#[derive(Debug, Default)]
struct Tally {
    codes: usize,
    /// Messages that slices ran.
    walks: usize,
    /// Walks at whose end the frame succeeds.
    successes: usize,
    /// Walks that the slice could not go to the end.
    open: usize,
    /// Accesses that were held against a summary.
    compared: usize,
    /// Entries whose summary says that it is incomplete.
    incomplete: usize,
    /// Instructions that a slice can come to, held against a summary that says it is complete.
    reachable: usize,
    /// Slices of entries that jump to what is not known, so that they could come to any instruction.
    unknown: usize,
    /// Instructions that a slice can come to and the summary has no access at.
    beyond: BTreeSet<String>,
    refuted: BTreeSet<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.codes += other.codes;
        self.walks += other.walks;
        self.successes += other.successes;
        self.open += other.open;
        self.compared += other.compared;
        self.incomplete += other.incomplete;
        self.reachable += other.reachable;
        self.unknown += other.unknown;
        self.beyond.extend(other.beyond);
        self.refuted.extend(other.refuted);
    }

    fn hold(&self, least: usize) {
        let Self { beyond, refuted, .. } = self;
        let lines = |found: &BTreeSet<String>| found.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
        assert!(refuted.is_empty(), "{} claims refuted:\n{}", refuted.len(), lines(refuted));
        let most = self.reachable * BEYOND / 1_000;
        assert!(beyond.len() <= most, "{} accesses not covered:\n{}", beyond.len(), lines(beyond));
        assert!(self.compared >= least, "only {} accesses were compared", self.compared);
    }
}

/// A code in the three forms that are compared.
struct Examined {
    analysis: Analysis,
    lean: Slice,
    strict: Slice,
    immutables: BTreeMap<u32, U256>,
}

impl Examined {
    fn new(code: &Bytes, options: &Options, immutables: &BTreeMap<u32, U256>) -> Self {
        Self {
            analysis: analyze(code.clone(), options),
            lean: Slice::compile(code.clone(), Variant::Lean, false),
            strict: Slice::compile(code.clone(), Variant::Strict, false),
            immutables: immutables.clone(),
        }
    }

    /// Runs both slices with the message, and holds them against the summary and against each other.
    fn run(&self, world: &World, message: &Message, tally: &mut Tally) -> Vec<String> {
        let strict = follow(&self.strict, world, message);
        let lean = follow(&self.lean, world, message);
        tally.walks += 1;
        tally.open += usize::from(strict.end == End::Open);
        tally.successes += usize::from(matches!(strict.end, End::Success(_)));
        let Verdict { mut refuted, compared } =
            check(&self.analysis, world, message, &trace(&self.analysis, &strict), &self.immutables);
        tally.compared += compared;
        for access in strict.accesses.iter().filter(|access| access.is_transient()) {
            let (slot, stores) = (access.slot, access.stored.is_some());
            if !check_transient(&self.analysis, world, message, &self.immutables, slot, stores) {
                refuted.push(format!("transient slot {slot:#x} is none of the summary's"));
            }
        }
        refuted.extend(compare(&strict, &lean));
        refuted
    }

    /// The accesses that calls with this selector can come to and that the complete summary of it lacks. Only the strict
    /// slice is asked: a lean one may go on where the call has failed.
    fn beyond(&self, summary: &Summary, selector: [u8; 4], tally: &mut Tally) -> Vec<String> {
        let mut lines = Vec::new();
        let Some(found) = reach(&self.strict, selector) else {
            tally.unknown += 1;
            return lines;
        };
        tally.reachable += found.len();
        for Reached { pc, stores, slot } in found {
            let covered = summary.accesses.iter().any(|access| {
                let number = self.analysis.expressions.constant(access.expression);
                access.position.pc.0 == pc
                    && access.space == Space::Storage
                    && matches!(access.effect, Effect::Write { .. }) == stores
                    && (slot.is_none() || number.is_none() || number == slot)
            });
            if !covered {
                lines.push(format!("0x{pc:x}, stores {stores}, slot {slot:x?}"));
            }
        }
        lines
    }
}

/// What a walk did, as an execution would have shown it.
fn trace(analysis: &Analysis, walk: &Walk) -> Trace {
    let touches: Vec<Touch> = walk
        .accesses
        .iter()
        .filter_map(|access| {
            let Access { pc, slot, before, stored } = access.clone();
            Some(Touch { pc: pc?, transient: false, slot, before, stored })
        })
        .collect();
    // Stores to storage are in every slice; what else an execution passes by may be left out.
    let stores = |access: &&deconflict_analyzer::Access| {
        access.space == Space::Storage && matches!(access.effect, Effect::Write { .. })
    };
    let accesses = analysis.summaries.iter().flat_map(|summary| &summary.accesses);
    let mut executed: BTreeSet<u32> = accesses.filter(|it| !stores(it)).map(|it| it.position.pc.0).collect();
    executed.extend(touches.iter().map(|touch| touch.pc));
    let (success, output) = match &walk.end {
        End::Success(bytes) => (true, bytes.clone().into()),
        End::Failure | End::Open => (false, Bytes::new()),
    };
    let changed = if success { walk.storage.clone() } else { BTreeMap::new() };
    Trace { touches, outside: walk.outside.clone(), executed, success, output, changed }
}

/// What a walk touched, as far as both forms of a slice have to agree on it.
fn touched(walk: &Walk) -> BTreeSet<(bool, U256, bool)> {
    let accesses = walk.accesses.iter();
    // A load of transient storage is left out where nothing uses it.
    let kept = accesses.filter(|access| !access.is_transient() || access.stored.is_some());
    kept.map(|access| (access.is_transient(), access.slot, access.stored.is_some())).collect()
}

/// What is wrong between the two forms of one slice in one call.
fn compare(strict: &Walk, lean: &Walk) -> Vec<String> {
    let mut wrong = Vec::new();
    if strict.end == End::Open || lean.end == End::Open {
        return wrong;
    }
    let (ours, theirs) = (touched(strict), touched(lean));
    for missing in ours.difference(&theirs) {
        wrong.push(format!("the lean slice misses (transient, slot, stores) {missing:x?}"));
    }
    if !matches!(strict.end, End::Success(_)) {
        return wrong;
    }
    if ours != theirs {
        wrong.push("the lean slice touches more where the call succeeds".to_owned());
    }
    if strict.end != lean.end {
        wrong.push(format!("the lean slice ends by {:x?}, the strict one by {:x?}", lean.end, strict.end));
    }
    if strict.storage != lean.storage {
        wrong.push("the lean slice leaves other storage behind".to_owned());
    }
    let outside =
        |walk: &Walk| walk.outside.iter().map(|it| (it.pc, it.account, it.input.clone())).collect::<Vec<_>>();
    if outside(strict) != outside(lean) {
        wrong.push("the lean slice calls something else".to_owned());
    }
    wrong
}

/// Examines one code with `cases` messages to each of its functions.
fn examine(subject: &Subject, cases: u64) -> Tally {
    let examined = Examined::new(&subject.code, &subject.options, &subject.immutables);
    let palette = palette(&examined.analysis);
    let mut tally = Tally { codes: 1, ..Tally::default() };
    let mut selectors: BTreeSet<[u8; 4]> = examined.strict.selectors.keys().copied().collect();
    for summary in &examined.analysis.summaries {
        tally.incomplete += usize::from(!summary.is_complete());
        let Entry::Function(Selector(selector)) = summary.entry else { continue };
        selectors.insert(selector);
        if summary.is_complete() {
            let lines = examined.beyond(summary, selector, &mut tally);
            let name = |line| format!("{} 0x{}: {line}", subject.name, hex::encode(selector));
            tally.beyond.extend(lines.into_iter().map(name));
        }
    }
    selectors.insert([0x12, 0x34, 0x56, 0x78]);
    let mut random = Random(seed());
    for selector in selectors {
        for case in 0..cases {
            let world = World { code: subject.code.clone(), seed: random.bits(), palette: palette.clone() };
            let message = message(&mut random, selector, &palette);
            for line in examined.run(&world, &message, &mut tally) {
                tally.refuted.insert(format!(
                    "{} 0x{}: {line} (seed {}, case {case}, calldata 0x{})",
                    subject.name,
                    hex::encode(selector),
                    seed(),
                    hex::encode(&message.calldata)
                ));
            }
        }
    }
    tally
}

/// Examines codes on all cores.
fn examine_all(subjects: &[Subject], cases: u64) -> Tally {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let work = || {
            let mut tally = Tally::default();
            while let Some(subject) = subjects.get(next.fetch_add(1, Ordering::Relaxed)) {
                tally.add(examine(subject, cases));
            }
            tally
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            all.add(worker.join().expect("examining does not panic"));
        }
    });
    all
}

#[test]
fn slices_of_fixtures_are_covered_by_summaries() {
    let mut subjects = idioms();
    for folder in ["artifacts", "via-ir", "recursion"] {
        subjects.extend(artifacts(folder));
    }
    let tally = examine_all(&subjects, setting("DECONFLICT_CASES", 100).div_ceil(5));
    report("fixtures", &tally);
    tally.hold(10_000);
}

#[test]
fn slices_of_random_programs_are_covered_by_summaries() {
    let cases = setting("DECONFLICT_CASES", 100) as u32 * 10;
    let config = Config {
        cases,
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let all = std::cell::RefCell::new(Tally::default());
    let result = TestRunner::new(config).run(&program::program(), |program| {
        let code = Bytes::from(program.code());
        let examined = Examined::new(&code, &Options::default(), &BTreeMap::new());
        let palette = palette(&examined.analysis);
        let mut random = Random(seed());
        let mut tally = Tally { codes: 1, ..Tally::default() };
        let mut wrong = Vec::new();
        for _ in 0..8 {
            let world = World { code: code.clone(), seed: random.bits(), palette: palette.clone() };
            let selector = match random.below(3) {
                0 => random.bits() as u32,
                chosen => SELECTORS[chosen - 1],
            };
            let message = message(&mut random, selector.to_be_bytes(), &palette);
            for line in examined.run(&world, &message, &mut tally) {
                let calldata = hex::encode(&message.calldata);
                wrong.push(format!("{line} (calldata 0x{calldata}, world {})", world.seed));
            }
        }
        all.borrow_mut().add(tally);
        if wrong.is_empty() {
            return Ok(());
        }
        let (seed, code) = (seed(), hex::encode(&code));
        Err(TestCaseError::fail(format!("seed {seed}\ncode {code}\n{}", wrong.join("\n"))))
    });
    report("random programs", &all.borrow());
    if let Err(failure) = result {
        panic!("{failure}");
    }
    all.borrow().hold(cases as usize);
}

#[test]
fn slices_of_real_codes_are_covered_by_summaries() {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("DECONFLICT_DATA").map_or(usual, PathBuf::from).join("codes.jsonl.zst");
    if !path.is_file() {
        println!("SKIPPED: there is no {}; name its folder by DECONFLICT_DATA", path.display());
        return;
    }
    let codes = corpus(&path);
    let asked = std::env::var("DECONFLICT_CROSS").unwrap_or_else(|_| SAMPLE.to_string());
    let count =
        if asked == "all" { codes.len() } else { asked.parse().expect("DECONFLICT_CROSS: a number, or all") };
    // Every so many, so that a sample has codes of all sizes.
    let every = codes.len().div_ceil(count.max(1)).max(1);
    let codes: Vec<Subject> = codes.into_iter().step_by(every).collect();
    let tally = examine_all(&codes, setting("DECONFLICT_CASES", 4));
    report("real codes", &tally);
    tally.hold(codes.len());
}

/// The runtime codes of the corpus, by their hashes.
fn corpus(path: &Path) -> Vec<Subject> {
    let file = std::fs::File::open(path).unwrap();
    let lines = BufReader::new(zstd::Decoder::new(file).unwrap()).lines();
    lines
        .map(|line| {
            let (name, code): (B256, Bytes) = serde_json::from_str(&line.unwrap()).unwrap();
            Subject { name: name.to_string(), code, options: Options::default(), immutables: BTreeMap::new() }
        })
        .collect()
}

#[test]
fn accesses_that_are_taken_out_of_a_summary_are_missed() {
    let (mut taken_out, mut missed) = (0, 0);
    for subject in artifacts("artifacts") {
        let mut examined = Examined::new(&subject.code, &subject.options, &subject.immutables);
        let palette = palette(&examined.analysis);
        for index in 0..examined.analysis.summaries.len() {
            let summary = examined.analysis.summaries[index].clone();
            let Entry::Function(Selector(selector)) = summary.entry else { continue };
            let Some(pc) = summary.accesses.first().map(|access| access.position.pc) else { continue };
            let mut tally = Tally::default();
            if !summary.is_complete()
                || examined.beyond(&summary, selector, &mut tally).len() + tally.unknown > 0
            {
                continue;
            }
            examined.analysis.summaries[index].accesses.retain(|access| access.position.pc != pc);
            let fewer = examined.analysis.summaries[index].clone();
            let mut random = Random(seed());
            let mut is_missed = !examined.beyond(&fewer, selector, &mut tally).is_empty();
            for _ in 0..20 {
                let world =
                    World { code: subject.code.clone(), seed: random.bits(), palette: palette.clone() };
                let message = message(&mut random, selector, &palette);
                is_missed |= !examined.run(&world, &message, &mut tally).is_empty();
            }
            examined.analysis.summaries[index] = summary;
            taken_out += 1;
            missed += usize::from(is_missed);
        }
    }
    // Transient storage is only met by running, and a slot that is loaded twice is loaded once by a slice.
    assert!(100 * missed >= 95 * taken_out && taken_out > 100, "only {missed} of {taken_out} are missed");
}

fn report(what: &str, tally: &Tally) {
    println!(
        "{what}: {} codes, {} calls ({} succeed, {} not followed to the end), {} accesses compared, {} entries \
         incomplete; {} reachable accesses compared, {} slices not gone through; {} claims refuted, {} not covered",
        tally.codes,
        tally.walks,
        tally.successes,
        tally.open,
        tally.compared,
        tally.incomplete,
        tally.reachable,
        tally.unknown,
        tally.refuted.len(),
        tally.beyond.len(),
    );
}
