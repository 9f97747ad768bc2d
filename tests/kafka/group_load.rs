//! Many groups: how old positions are on the target, and what that costs.
//!
//! Owns: the load, and the figures.
//! Promises: waits for conditions, and measures for a while.
//! Does not know: what figures are good.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::broker::Cluster;
use crate::config::{Config, LINK};
use crate::daemon::Daemon;
use crate::group::commit_from_outside;
use crate::process::wait_for;
use crate::workload::Workload;

const WRITERS: usize = 8;
const LIMIT: Duration = Duration::from_mins(10);
const RECORDS: usize = 200;
const IDLE: Duration = Duration::from_secs(20);
const BUSY: Duration = Duration::from_secs(30);

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    groups: usize,
    topics: usize,
    /// A second.
    changes: usize,
}

impl Size {
    /// Groups, topics and changes a second, unless `GROUPS`, `GROUP_TOPICS` and `GROUP_CHANGES` say otherwise.
    pub fn from_environment((groups, topics, changes): (usize, usize, usize)) -> Self {
        let size =
            |name: &str, default: usize| std::env::var(name).map_or(default, |number| number.parse().expect(name));
        Self {
            groups: size("GROUPS", groups),
            topics: size("GROUP_TOPICS", topics),
            changes: size("GROUP_CHANGES", changes),
        }
    }
}

/// What was measured.
pub struct Figures {
    size: Size,
    /// From the daemon's start until all groups were on the target.
    first: Duration,
    /// Changes a second that were made.
    made: f64,
    /// Shares of a core.
    idle: f64,
    busy: f64,
    /// How many changes were at most so many seconds old when the target had them.
    ages: BTreeMap<String, u64>,
}

impl Figures {
    /// The bound below which 99 of 100 changes were; in words, because the last one is infinite.
    fn p99(&self) -> &str {
        let all = self.ages.values().copied().max().unwrap_or_default();
        let is_enough = |count: u64| count * 100 >= all * 99;
        let bounds = || self.ages.iter().filter(|(_, count)| is_enough(**count)).map(|(bound, _)| bound.trim());
        let seconds = |bound: &str| bound.parse::<f64>().unwrap_or(f64::INFINITY);
        bounds().min_by(|a, b| seconds(a).total_cmp(&seconds(b))).unwrap_or("?")
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { groups, topics, .. } = self.size;
        write!(
            f,
            "groups: {groups} on {topics} topics, on the target {:.1?} after the start; {:.0} changes/s: at most {} s \
             old (p99); {:.1} % of a core, {:.1} % when nothing changes; by age:",
            self.first,
            self.made,
            self.p99(),
            self.busy * 100.0,
            self.idle * 100.0
        )?;
        self.ages.iter().try_for_each(|(bound, count)| write!(f, " <= {} s: {count}", bound.trim()))
    }
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

/// Runs a daemon on so many groups, at first with nothing changing, then with changes.
pub fn measure(source: &Cluster, target: &Cluster, size: Size) -> Figures {
    let Size { groups, topics, changes } = size;
    for topic in 0..topics {
        source.admin().create_topic(&format!("many-{topic}"), 1, &[]);
        Workload::new(&source.bootstrap(), &format!("many-{topic}"), 1).write(RECORDS as u64);
    }
    let commit = |round: usize, group: usize| {
        let offset = i64::try_from((round + group) % RECORDS).expect("an offset");
        source.admin().commit_offset(&format!("many-{group}"), &format!("many-{}", group % topics), 0, offset);
    };
    first_commits(source, groups, &|group| commit(0, group));
    let config = Config::new("many", source, target).matching("many-.*").groups(&["match = 'many-.*'"]);
    let mut daemon = Daemon::start("groups-1", &config);
    let begin = Instant::now();
    wait_for("all groups", LIMIT, || {
        let (_, link) = daemon.get(&format!("/v1/links/{LINK}"))?;
        (link["groups"]["synced"].as_u64() == Some(groups as u64)).then_some(())
    });
    let first = begin.elapsed();
    let idle = (daemon.usage().cpu_seconds, Instant::now());
    std::thread::sleep(IDLE);
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
        std::thread::sleep(BUSY);
        is_over.store(true, Ordering::Relaxed);
    });
    let seconds = busy.1.elapsed().as_secs_f64();
    let busy_share = (daemon.usage().cpu_seconds - busy.0) / seconds;
    let counted = ages(&daemon).into_iter();
    let ages = counted.map(|(bound, count)| (bound.clone(), count - before.get(&bound).copied().unwrap_or_default()));
    let ages = ages.collect();
    daemon.stop();
    let made = number(made.load(Ordering::Relaxed)) / seconds;
    Figures { size, first, made, idle: idle_share, busy: busy_share, ages }
}
