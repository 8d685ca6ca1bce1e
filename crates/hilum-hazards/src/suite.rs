//! All runs of all sequences, on every core, and what they come to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::Arguments;
use crate::course::{Courses, Size};
use crate::difference::{Difference, HARMS, Harm, differences, required_facts};
use crate::message::Templates;
use crate::node::Site;
use crate::play::{Outcome, play};
use crate::sequence::Sequence;
use crate::{log, sequence};

/// Failed runs of one sequence that are shown; the others are counted.
const SHOWN_MAX: usize = 3;
/// Failed runs of one sequence after which its others are left out.
const FAILED_MAX: usize = 20;
/// Runs that a thread takes at once.
const BATCH: u64 = 8;
/// How often a long suite says how far it has come.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// What became of a sequence.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Result {
    sequence: String,
    file: String,
    orders: u64,
    runs: u64,
    /// Runs in which the power went.
    cuts: u64,
    failed: Vec<Failure>,
    #[serde(skip)]
    failures: usize,
}

/// A run that did not end as required.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Failure {
    seed: u64,
    order: Vec<String>,
    differences: Vec<Difference>,
}

/// Everything, for people and for programs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    hazards: usize,
    sequences: usize,
    runs: u64,
    power_cuts: u64,
    failed_runs: usize,
    harms: BTreeMap<&'static str, usize>,
    problems: Vec<String>,
    seconds: f64,
    failures: Vec<Result>,
}

/// Runs what the arguments ask for; `false` if something is not as required.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let folder = &arguments.folder;
    let began = started();
    let sequences = sequence::read_all(&folder.join("sequences"))?;
    let log = log::read(&folder.join("log.yaml"))?;
    let root = folder.canonicalize()?;
    let root = root
        .parent()
        .context("the folder of the log is in the tree")?;
    let problems = log.problems(&sequences, root);
    let templates = Templates::read(folder)?;
    let part = arguments.sequence.as_deref().unwrap_or_default();
    let wanted = named(&sequences, part);
    if wanted.is_empty() {
        bail!(
            "no sequence is called so; `ls {}/sequences`",
            folder.display()
        );
    }
    let results = all(arguments, &wanted, &templates)?;
    let mut harms: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (harm, name) in HARMS {
        harms.insert(name, count(&results, harm));
    }
    let summary = Summary {
        hazards: log.hazards.len(),
        sequences: results.len(),
        runs: results.iter().map(|one| one.runs).sum(),
        power_cuts: results.iter().map(|one| one.cuts).sum(),
        failed_runs: results.iter().map(|one| one.failures).sum(),
        harms,
        problems,
        seconds: began.elapsed().as_secs_f64(),
        failures: results.into_iter().filter(|one| one.failures > 0).collect(),
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
    } else {
        tell(&summary);
    }
    Ok(summary.failed_runs == 0 && summary.problems.is_empty())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long the runs took is measured; nothing in them sees it"
)]
fn started() -> std::time::Instant {
    std::time::Instant::now()
}

/// A full name names one sequence, a part of it all that have it.
fn named<'s>(sequences: &'s [Sequence], part: &str) -> Vec<&'s Sequence> {
    if let Some(one) = sequences.iter().find(|one| one.sequence == part) {
        return vec![one];
    }
    let has = |one: &&Sequence| one.sequence.contains(part);
    sequences.iter().filter(has).collect()
}

/// The failed runs that would have done this harm.
fn count(results: &[Result], harm: Harm) -> usize {
    let failed = results.iter().flat_map(|one| &one.failed);
    failed
        .filter(|run| run.differences.iter().any(|one| one.harm == harm))
        .count()
}

/// How far a long suite has come, on standard error.
struct Progress {
    began: std::time::Instant,
    sequences: usize,
    /// Runs so far, and when it was told last.
    told: Mutex<(u64, Duration)>,
}

impl Progress {
    fn of(sequences: usize) -> Self {
        Self {
            began: started(),
            sequences,
            told: Mutex::default(),
        }
    }

    /// Counts runs of a sequence, and says so if it was silent for long.
    fn add(&self, runs: u64, at: usize, work: &Work<'_>, until: u64) {
        let state = work.lock();
        let (next, failures) = (state.next, state.result.failures);
        drop(state);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.0 += runs;
        let passed = self.began.elapsed();
        if passed < told.1 + TOLD_EVERY {
            return;
        }
        told.1 = passed;
        eprintln!(
            "{} s, {} runs; sequence {} of {}: {}, run {next} of {until}, {failures} failed",
            passed.as_secs(),
            told.0,
            at + 1,
            self.sequences,
            work.sequence.sequence,
        );
    }
}

/// Runs of one sequence that are still to be done.
struct Work<'s> {
    sequence: &'s Sequence,
    courses: Courses<'s>,
    facts: BTreeMap<String, BTreeMap<String, String>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How large it is; known after its first run.
    size: Option<Size>,
    next: u64,
    result: Result,
}

impl Work<'_> {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn all(
    arguments: &Arguments,
    sequences: &[&Sequence],
    templates: &Templates,
) -> anyhow::Result<Vec<Result>> {
    let folder = arguments.folder.join("site");
    let receivers = runtime()?.block_on(Site::load(&folder))?.receivers();
    let mut work = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        let facts = required_facts(&sequence.then, &receivers);
        let facts = facts.with_context(|| format!("the sequence {}", sequence.sequence))?;
        work.push(Work {
            sequence,
            courses: Courses::of(sequence),
            facts,
            state: Mutex::default(),
        });
    }
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    let next = AtomicUsize::new(0);
    let progress = Progress::of(work.len());
    let errors: Mutex<Vec<anyhow::Error>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                if let Err(error) = worker(arguments, &folder, templates, (&work, &next, &progress))
                {
                    errors
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(error);
                }
            });
        }
    });
    if let Some(error) = errors
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .pop()
    {
        return Err(error);
    }
    Ok(work.into_iter().map(result).collect())
}

fn result(work: Work<'_>) -> Result {
    let state = work
        .state
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Result {
        sequence: work.sequence.sequence.clone(),
        file: work.sequence.file.clone(),
        orders: work.courses.orders(),
        ..state.result
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?)
}

/// Takes runs until there are no more.
fn worker(
    arguments: &Arguments,
    folder: &Path,
    templates: &Templates,
    (work, next, progress): (&[Work<'_>], &AtomicUsize, &Progress),
) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let site = runtime.block_on(Site::load(folder))?;
    while let Some(one) = work.get(next.load(Ordering::Relaxed)) {
        let at = next.load(Ordering::Relaxed);
        let known = one.lock().size;
        let size = match known {
            Some(size) => size,
            None => runtime
                .block_on(play(&site, templates, one.sequence, None))
                .with_context(|| format!("the sequence {}", one.sequence.sequence))
                .map(|outcome| first(arguments, one, &outcome))?,
        };
        let until = match (arguments.seed, arguments.long) {
            (Some(_), _) => 1,
            (None, false) => one.courses.orders(),
            (None, true) => one.courses.orders() * (1 + one.courses.places(size)),
        };
        let from = {
            let mut state = one.lock();
            let from = state.next;
            state.next = (from + BATCH).min(until);
            from
        };
        let shard = arguments.shard;
        let wanted = |number: &u64| shard.is_none_or(|shard| shard.has(*number));
        let mut runs = 0;
        for number in (from..(from + BATCH).min(until)).filter(wanted) {
            let seed = arguments.seed.unwrap_or(number);
            runtime.block_on(single(arguments, &site, templates, one, (seed, size)));
            runs += 1;
        }
        if arguments.long {
            progress.add(runs, at, one, until);
        }
        if from + BATCH >= until || one.lock().result.failures >= FAILED_MAX {
            // Whoever comes second finds that the other has gone on already.
            let gone_on = next.compare_exchange(at, at + 1, Ordering::Relaxed, Ordering::Relaxed);
            debug_assert!(gone_on.is_ok() || gone_on.is_err_and(|now| now > at));
        }
    }
    Ok(())
}

/// The run in the order of the file with nothing that goes wrong: it counts too, and its size is
/// what places are drawn from.
fn first(arguments: &Arguments, work: &Work<'_>, outcome: &Outcome) -> Size {
    let mut state = work.lock();
    if state.size.is_none() {
        state.size = Some(outcome.size);
        drop(state);
        if arguments.show && arguments.seed.is_none() {
            show(outcome);
        }
        let found = differences(outcome, &work.sequence.then, &work.facts);
        note(work, outcome.cut, (None, Vec::new()), found);
    }
    outcome.size
}

async fn single(
    arguments: &Arguments,
    site: &Site,
    templates: &Templates,
    work: &Work<'_>,
    (seed, size): (u64, Size),
) {
    let course = work.courses.course(seed, size);
    let played = play(site, templates, work.sequence, Some(&course)).await;
    let scenes = work.sequence.story.iter().zip(&course.orders);
    let order = scenes.flat_map(|(scene, order)| {
        let names = order.iter().filter_map(|at| scene.messages().get(*at));
        names.map(|sent| sent.is.name.clone())
    });
    let order: Vec<String> = order.collect();
    let (cut, found) = match played {
        Ok(outcome) => {
            if arguments.show {
                println!("{course:?}");
                show(&outcome);
            }
            let found = differences(&outcome, &work.sequence.then, &work.facts);
            (outcome.cut, found)
        }
        Err(error) => {
            let broken = Difference {
                harm: Harm::Other,
                place: "run".to_owned(),
                required: "ends".to_owned(),
                got: format!("{error:#}"),
            };
            (false, vec![broken])
        }
    };
    note(work, cut, (Some(seed), order), found);
}

fn note(
    work: &Work<'_>,
    cut: bool,
    (seed, order): (Option<u64>, Vec<String>),
    found: Vec<Difference>,
) {
    let mut state = work.lock();
    state.result.runs += 1;
    state.result.cuts += u64::from(cut);
    if found.is_empty() {
        return;
    }
    state.result.failures += 1;
    state.result.failed.push(Failure {
        seed: seed.unwrap_or(0),
        order,
        differences: found,
    });
}

fn show(outcome: &Outcome) {
    for (receiver, messages) in &outcome.taken {
        for message in messages {
            println!("--- sent to {receiver}");
            println!("{}", message.trim_end().replace('\r', "\n"));
        }
    }
    for (receiver, facts) in &outcome.receivers {
        println!("  {receiver}:");
        for (subject, value) in facts {
            println!("    {subject}: {value}");
        }
    }
    println!("  holds: {:?}", outcome.holds);
    println!("  findings: {:?}", outcome.findings);
    println!("  dead letters: {:?}", outcome.dead_letters);
    println!("  size: {:?}", outcome.size);
}

fn tell(summary: &Summary) {
    for problem in &summary.problems {
        println!("log: {problem}");
    }
    for result in &summary.failures {
        let (name, file) = (&result.sequence, &result.file);
        println!(
            "FAILED {name} ({file}): {} of {} runs",
            result.failures, result.runs
        );
        for run in result.failed.iter().take(SHOWN_MAX) {
            let order = if run.order.is_empty() {
                "the order of the file, nothing goes wrong".to_owned()
            } else {
                run.order.join(" ")
            };
            println!("  seed {}: {order}", run.seed);
            for one in &run.differences {
                let harm = HARMS.iter().find(|(harm, _)| *harm == one.harm);
                let harm = harm.map_or("", |(_, name)| *name);
                println!("    {harm}: {}", one.place);
                println!("      required {}", one.required);
                println!("      got      {}", one.got);
            }
            println!(
                "    cargo xtask hazards --sequence {name} --seed {} --show",
                run.seed
            );
        }
    }
    println!(
        "{} hazards, {} sequences, {} runs, {} power cuts, {} failed, {:.1} s",
        summary.hazards,
        summary.sequences,
        summary.runs,
        summary.power_cuts,
        summary.failed_runs,
        summary.seconds
    );
    let harms: Vec<String> = HARMS
        .iter()
        .map(|(_, name)| format!("{} {name}", summary.harms.get(name).copied().unwrap_or(0)))
        .collect();
    println!("{}", harms.join(", "));
}
