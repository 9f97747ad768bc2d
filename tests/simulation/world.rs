//! One run: two clusters, applications, daemons, faults, and the verdict.
//!
//! Owns: what a seed means.
//! Promises: the same seed gives the same run; a run that does not come to an end by itself is a failure, too.
//! Does not know: which seeds are worth running.

use std::time::Duration;

use causeway::emulator::{Clock, Line};
use causeway::mirror::Guards;
use causeway::shards::WriterLimits;
use causeway::store::StopRecord;
use causeway::types::TopicPartition;
use tokio::time::Instant;

use crate::chaos::Chaos;
use crate::checker::Checker;
use crate::clusters;
use crate::daemon::{Daemon, Surroundings};
use crate::dice::Dice;
use crate::entropy;
use crate::group::Group;
use crate::readers::Readers;
use crate::state_log::StateLog;
use crate::workload::{self, Application};

/// What can be different from what runs in production: the bugs that are planted.
#[derive(Clone, Default)]
pub struct Planted {
    pub guards: Guards,
    pub limits: WriterLimits,
}

/// How a run went well.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// How many records were compared.
    pub records: usize,
    /// How many partitions they are in.
    pub partitions: usize,
    /// Positions that groups have in them at the source.
    pub positions: usize,
    /// Those whose offsets are the same on both sides.
    pub identical: usize,
    /// How long it took, in simulated milliseconds.
    pub took_ms: u64,
    /// What was thrown.
    pub story: Vec<String>,
}

/// What time it is when a run begins, in milliseconds since 1970.
const NOW_MS: i64 = 1_800_000_000_000;
/// How long everything may take to be right after the last fault, in simulated time.
const RECOVERY: Duration = Duration::from_mins(6);
/// No run takes so long on any machine.
const WATCHDOG: Duration = Duration::from_mins(3);

/// Runs a seed on a thread of its own, where nothing random happened before.
///
/// # Errors
/// What is wrong in the end, with what had been done.
pub fn run(seed: u64, planted: &Planted) -> Result<Summary, String> {
    let planted = planted.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let run = move || {
        entropy::seed(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(simulate(seed, &planted))));
        let _ = tell.send(outcome.unwrap_or_else(|_| Err("a panic".to_owned())));
    };
    std::thread::Builder::new().name(format!("seed {seed}")).spawn(run).unwrap();
    told.recv_timeout(WATCHDOG).unwrap_or_else(|_| Err("it never ends".to_owned()))
}

async fn simulate(seed: u64, planted: &Planted) -> Result<Summary, String> {
    let mut dice = Dice::new(seed ^ 0x5EED);
    let begin = Instant::now();
    let clock = Clock::starting_at(NOW_MS);
    let delay = dice.pause(0, 60);
    let source = clusters::start("a", dice.next(), dice.fork().pause(0, 20), clock).await;
    let target = clusters::start("b", dice.next(), delay, clock).await;
    let base = Line { delay: dice.pause(0, 40), ..Line::default() };
    for cluster in [&source, &target] {
        for name in ["one", "two"] {
            cluster.set_line(Some(name), None, base);
        }
    }
    workload::create_topics(&source);
    let around = Surroundings {
        source: source.clone(),
        target: target.clone(),
        group: Group::default(),
        log: StateLog::new(),
        offsets: if dice.is(2) { "preserve" } else { "translate" },
        guards: planted.guards,
        limits: planted.limits.clone(),
        clock,
    };
    let names: &[&str] = if dice.is(3) { &["one", "two"] } else { &["one"] };
    let mut daemons: Vec<Daemon> = names.iter().map(|name| Daemon::start(&around, name, dice.fork())).collect();
    let is_old = dice.is(4);
    let application = Application::new(&source, clock, dice.fork(), is_old);
    let writing = tokio::spawn(application.run(dice.between(100, 800)));
    let reading = tokio::spawn(Readers::new(&source, dice.fork()).run());
    let mut chaos = Chaos::new(&around, dice.fork(), base, is_old);
    let (length, pause_ms) = (dice.pause(4_000, 9_500), dice.between(300, 2_000));
    tokio::time::sleep(Duration::from_secs(2)).await;
    chaos.rage(&mut daemons, length, pause_ms).await;
    chaos.heal(&mut daemons);
    writing.abort();
    reading.abort();
    let verdict = judge(&around, &daemons, &chaos).await;
    for daemon in &daemons {
        daemon.life.kill();
    }
    let story = chaos.story;
    let tell = |found: Vec<String>| format!("offsets = {}, {found:#?}, after {story:#?}", around.offsets);
    let Agreement { records, positions, identical } = verdict.map_err(tell)?;
    source.close().await;
    target.close().await;
    let took_ms = begin.elapsed().as_millis().try_into().unwrap();
    Ok(Summary { records, positions, partitions: workload::partitions().len(), identical, took_ms, story })
}

/// What both sides agree on in the end.
struct Agreement {
    records: usize,
    positions: usize,
    identical: usize,
}

/// Waits until both sides agree. What can't go on by itself waits for a person, who is told why.
async fn judge(around: &Surroundings, daemons: &[Daemon], chaos: &Chaos) -> Result<Agreement, Vec<String>> {
    let checker = Checker::new(&around.source, &around.target);
    let deadline = Instant::now() + RECOVERY;
    // An open transaction of the application ends by its time-out.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut open = workload::partitions();
    loop {
        let mut found = Vec::new();
        let mut left = Vec::new();
        let positions = checker.positions().await;
        for partition in open {
            if daemons.iter().any(|daemon| is_excused(chaos, daemon, &partition)) {
                continue;
            }
            let differences = match &positions {
                Ok(positions) => checker.differences(&partition, daemons, positions).await,
                Err(error) => vec![error.clone()],
            };
            let is_harmed = chaos.reborn.contains(partition.topic.as_str()) || chaos.cut.contains(&partition);
            let is_to_agree = !differences.is_empty() && !is_harmed;
            let contradictions = if is_to_agree { checker.contradictions(&partition).await } else { Vec::new() };
            if !contradictions.is_empty() {
                return Err(contradictions);
            }
            if !differences.is_empty() {
                found.extend(differences);
                found.extend(daemons.iter().filter_map(|daemon| status(daemon, &partition)));
                left.push(partition);
            }
        }
        open = left;
        if open.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            return Err(found);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    let (mut records, mut identical) = (0, 0);
    for partition in workload::partitions() {
        let (count, is_identical) = checker.count(&partition).await;
        records += count;
        identical += usize::from(is_identical);
    }
    let [at_source, _] = checker.positions().await.map_err(|error| vec![error])?;
    Ok(Agreement { records, positions: at_source.len(), identical })
}

/// Whether a topic, or this partition of it, waits for a person because of what was done to it. A new life of a topic
/// is not the old one; and where the target lost records while appends were on their way, nothing tells what it took
/// instead.
fn is_excused(chaos: &Chaos, daemon: &Daemon, partition: &TopicPartition) -> bool {
    let of_partition = daemon.registry.get(&Daemon::link(), partition).and_then(|live| live.snapshot().status.stop);
    let record = daemon.store().and_then(|store| store.view().topic(&Daemon::link(), &partition.topic));
    let of_topic = record.and_then(|record| record.stop);
    of_partition.iter().chain(&of_topic).any(|stop: &StopRecord| match stop.reason.as_str() {
        "source_recreated" | "target_recreated" => chaos.reborn.contains(partition.topic.as_str()),
        "foreign_write" => chaos.cut.contains(partition),
        _ => false,
    })
}

fn status(daemon: &Daemon, partition: &TopicPartition) -> Option<String> {
    let snapshot = daemon.registry.get(&Daemon::link(), partition)?.snapshot();
    Some(format!("{}: {snapshot:?}", daemon.id))
}
