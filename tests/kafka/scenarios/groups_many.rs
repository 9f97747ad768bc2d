//! Many groups: how old positions are on the target, and what that costs. Prints figures; `GROUPS`, `GROUP_TOPICS`
//! and `GROUP_CHANGES` (a second) give the size.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::broker::Cluster;
use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::group::commit_from_outside;
use crate::process::wait_for;
use crate::workload::Workload;

use super::shared;

const WRITERS: usize = 8;
const LIMIT: Duration = Duration::from_mins(10);
const RECORDS: usize = 200;

fn size(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |n| n.parse().expect(name))
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("not that many"))
}

/// How many observations of the age of changes were at most so many seconds.
fn ages(daemon: &Daemon) -> BTreeMap<String, u64> {
    let text = daemon.get("/metrics").map(|(_, text)| text.as_str().unwrap_or_default().to_owned()).unwrap_or_default();
    let lines = text.lines().filter(|line| line.starts_with("causeway_group_sync_seconds_bucket"));
    lines
        .filter_map(|line| {
            let bound = line.split("le=\"").nth(1)?.split('"').next()?;
            Some((format!("{bound:>8}"), line.rsplit(' ').next()?.parse().ok()?))
        })
        .collect()
}

/// A position of every group.
fn first_commits(source: &Cluster, groups: usize, commit: &(dyn Fn(usize) + Sync)) {
    // Brokers make the topic for positions when somebody looks for a coordinator, which a bare commit does not.
    let first = commit_from_outside(&source.side_door(), "first", "many-0", &BTreeMap::from([(0, 0)]), "");
    assert!(first.is_some(), "a coordinator");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                while let Some(group) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|group| *group < groups) {
                    commit(group);
                }
            });
        }
    });
}

#[test]
#[ignore = "needs real Kafka, and some minutes: run with -- --ignored"]
fn many_groups() {
    let on = shared();
    let (groups, topics, changes) = (size("GROUPS", 500), size("GROUP_TOPICS", 10), size("GROUP_CHANGES", 50));
    for topic in 0..topics {
        on.source.admin().create_topic(&format!("many-{topic}"), 1, &[]);
        Workload::new(&on.source.bootstrap(), &format!("many-{topic}"), 1).write(RECORDS as u64);
    }
    let commit = |round: usize, group: usize| {
        let offset = i64::try_from((round + group) % RECORDS).expect("an offset");
        on.source.admin().commit_offset(&format!("many-{group}"), &format!("many-{}", group % topics), 0, offset);
    };
    first_commits(on.source, groups, &|group| commit(0, group));
    let config = Config::new("many", on.source, on.target).matching("many-.*").groups(&["match = 'many-.*'"]);
    let mut daemon = Daemon::start("groups-1", &config);
    let begin = Instant::now();
    wait_for("all groups", LIMIT, || {
        let (_, link) = daemon.get(&format!("/v1/links/{LINK}"))?;
        (link["groups"]["synced"].as_u64() == Some(groups as u64)).then_some(())
    });
    eprintln!("{groups} groups on the target {:?} after the start", begin.elapsed());
    let idle = (daemon.usage().cpu_seconds, Instant::now());
    std::thread::sleep(Duration::from_secs(20));
    let idle_share = (daemon.usage().cpu_seconds - idle.0) / idle.1.elapsed().as_secs_f64();
    let (is_over, made, before) = (AtomicBool::new(false), AtomicUsize::new(0), ages(&daemon));
    let busy = (daemon.usage().cpu_seconds, Instant::now());
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (is_over, made, commit) = (&is_over, &made, &commit);
            scope.spawn(move || {
                let pause = Duration::from_secs_f64(number(WRITERS) / number(changes));
                let mut due = Instant::now();
                for number in (writer..).step_by(WRITERS) {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    commit(1 + number / groups, number % groups);
                    made.fetch_add(1, Ordering::Relaxed);
                    due += pause;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                }
            });
        }
        std::thread::sleep(Duration::from_secs(30));
        is_over.store(true, Ordering::Relaxed);
    });
    let seconds = busy.1.elapsed().as_secs_f64();
    let busy_share = (daemon.usage().cpu_seconds - busy.0) / seconds;
    let made = made.load(Ordering::Relaxed);
    eprintln!(
        "{:.0} changes/s; {:.1} % of a core idle, {:.1} % busy",
        number(made) / seconds,
        idle_share * 100.0,
        busy_share * 100.0
    );
    for (bound, count) in ages(&daemon) {
        eprintln!("  at most {bound} s: {}", count - before.get(&bound).copied().unwrap_or_default());
    }
    daemon.stop();
}
