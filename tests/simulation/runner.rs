//! Many seeds, each in a process of its own.
//!
//! Owns: starting this test binary again for a seed, and reading what came of it.
//! Promises: a seed means the same whatever ran before it.
//! Does not know: what a seed does.
//!
//! Why a process: libraries count for the whole process. tokio's choice among branches that are ready follows from
//! how many runtimes there were before, so a seed that failed behind 400 others held when it ran alone.

use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::world::Summary;

/// Says that a runner reads what this process prints.
const CHILD: &str = "SIM_CHILD";
const OUTCOME: &str = "outcome: ";
/// What CI runs.
const SEEDS: u64 = 500;

/// What came of a seed.
pub type Outcome = Result<Summary, String>;

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Tells the runner.
#[expect(clippy::print_stdout, reason = "the runner reads it")]
pub fn tell(outcome: &Outcome) {
    println!("\n{OUTCOME}{}", serde_json::to_string(outcome).unwrap());
}

/// Runs a seed in a process of its own, with the bug of this name.
pub fn run_apart(seed: u64, bug: Option<&str>) -> Outcome {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "one_seed", "--nocapture"]).env(CHILD, "").env("SIM_SEED", seed.to_string());
    if let Some(bug) = bug {
        command.env("SIM_BUG", bug);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().find_map(|line| line.strip_prefix(OUTCOME)) {
        Some(outcome) => serde_json::from_str(outcome).unwrap(),
        None => Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}

/// Runs the seeds that the environment names, or those from `first` on, on all processors, until `enough` says so of a
/// failure. What failed, and what went well.
pub fn run_all(
    bug: Option<&str>,
    first: u64,
    enough: impl Fn(u64, &str) -> bool + Sync,
) -> (Vec<(u64, String)>, Vec<Summary>) {
    let (first, count) = (number("SIM_FIRST").unwrap_or(first), number("SIM_SEEDS").unwrap_or(SEEDS));
    let next = AtomicU64::new(first);
    let (failed, done) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                return;
            }
            match run_apart(seed, bug) {
                Ok(summary) => done.lock().unwrap().push(summary),
                Err(why) => {
                    if enough(seed, &why) {
                        next.store(first + count, Ordering::Relaxed);
                    }
                    failed.lock().unwrap().push((seed, why));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    (failed, done.into_inner().unwrap())
}
