//! Bugs that some seed must find: a simulation that finds nothing may be blind.
//!
//! Owns: the list of bugs, each a guard of the daemon that is switched off.
//! Promises: fails when a bug survives all its seeds.
//! Does not know: why a bug does harm.
#![expect(clippy::print_stderr, reason = "a test tells which seeds it was")]

use causeway::mirror::{Guard, Guards};
use causeway::shards::WriterLimits;

use crate::runner::run_all;
use crate::world::Planted;

fn off(guard: Guard) -> Planted {
    Planted { guards: Guards::without(guard), ..Planted::default() }
}

/// What `SIM_BUG` names; nothing when it is not set.
pub fn from_environment() -> Planted {
    match std::env::var("SIM_BUG").as_deref() {
        Err(_) => Planted::default(),
        Ok("no_answer_check") => off(Guard::AnswerCheck),
        Ok("no_settling") => off(Guard::LookBeforeResend),
        Ok("other_batches_at_a_retry") => off(Guard::SameBatches),
        Ok("several_before_the_first_answer") => off(Guard::OneBeforeFirstAck),
        Ok("takeover_from_the_high_watermark") => off(Guard::LogEnd),
        Ok("state_without_a_flush") => {
            let limits = WriterLimits { is_flush_left_out: true, ..WriterLimits::default() };
            Planted { limits, ..Planted::default() }
        }
        Ok(other) => panic!("SIM_BUG={other} is none of the bugs"),
    }
}

/// Runs seeds until one of them finds the bug.
fn is_found(bug: &str) {
    is_found_from(0, bug);
}

/// The same from a seed on: a bug that few seeds find takes long otherwise.
fn is_found_from(first: u64, bug: &str) {
    let begin = std::time::Instant::now();
    let wants_all = std::env::var_os("SIM_ALL").is_some();
    let (failed, done) = run_all(Some(bug), first, |_, _| !wants_all);
    let seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    let (ran, took) = (failed.len() + done.len(), begin.elapsed());
    eprintln!("{bug}: found by {seeds:?} of {ran} seeds in {took:?}");
    for (seed, why) in failed.iter().take(1) {
        let short: String = why.chars().take(400).collect();
        eprintln!("  SIM_SEED={seed}: {short}");
    }
    assert!(!seeds.is_empty(), "{bug}: no seed finds it");
}

/// Answers are not checked.
#[test]
fn planted_no_answer_check() {
    is_found("no_answer_check");
}

/// Several appends are under way before the broker is known to know us.
#[test]
fn planted_several_before_the_first_answer() {
    is_found_from(170, "several_before_the_first_answer");
}

/// What has no answer is sent again without a look at the log.
#[test]
fn planted_no_settling() {
    is_found("no_settling");
}

/// What is sent again is batched anew.
#[test]
fn planted_other_batches_at_a_retry() {
    is_found("other_batches_at_a_retry");
}

/// The high watermark counts instead of the log end.
#[test]
fn planted_takeover_from_the_high_watermark() {
    is_found("takeover_from_the_high_watermark");
}

/// State is committed without a flush.
#[test]
fn planted_state_without_a_flush() {
    is_found("state_without_a_flush");
}
