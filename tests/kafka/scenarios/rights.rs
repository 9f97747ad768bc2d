//! The rights that `check --acls` prints are enough; and each of them, taken away in turn, is named by `check` and by
//! the running daemon, which goes on by itself when it is given back.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::admin::Acl;
use crate::broker::{Cluster, Options};
use crate::config::{Config, LINK};
use crate::daemon::{Daemon, causeway};
use crate::jars::{KAFKA_3, KAFKA_4, Version};
use crate::judge::Judge;
use crate::process::{scratch, wait_for};
use crate::security::Security;
use crate::workload::Workload;

use super::security::{check, file_of};
use super::{RECOVERY, finish, wait_for_growth};

const USER: &str = "least";
const TOPIC: &str = "rights-orders";
/// How long a running daemon may take to notice that a right is gone.
const NOTICE: Duration = Duration::from_mins(3);

/// Operations by the names that `kafka-acls` takes.
const OPERATIONS: [(&str, i8); 7] = [
    ("Read", 3),
    ("Write", 4),
    ("Create", 5),
    ("Alter", 7),
    ("Describe", 8),
    ("DescribeConfigs", 10),
    ("AlterConfigs", 11),
];

/// One right, as one word of a printed command gives it.
#[derive(Debug, Clone)]
struct Right {
    is_on_target: bool,
    operation: &'static str,
    acl: Acl,
}

/// When a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needed {
    /// All the time.
    Always,
    /// When a daemon takes partitions over.
    AtTheStart,
    /// When a topic comes into being at the source.
    ForNewTopics,
    /// When a topic grows more partitions at the source.
    ForNewPartitions,
    /// When the settings of a topic change at the source.
    ForNewSettings,
    /// When the state topic doesn't exist yet.
    AtTheFirstStart,
    /// Where another link writes into the source. Without it links that don't know each other can't be recognised,
    /// so `check` warns; nothing else needs it.
    ForOppositeLinks,
}

impl Right {
    fn needed(&self) -> Needed {
        let is_state = self.acl.resource.starts_with("__causeway");
        match (self.acl.resource_type, self.operation) {
            (2, "Create") if is_state => Needed::AtTheFirstStart,
            (2, "Read") if is_state && !self.is_on_target => Needed::ForOppositeLinks,
            (2, "Read" | "DescribeConfigs") if self.is_on_target => Needed::AtTheStart,
            (2, "Create") => Needed::ForNewTopics,
            (2, "Alter") => Needed::ForNewPartitions,
            (2, "AlterConfigs") => Needed::ForNewSettings,
            _ => Needed::Always,
        }
    }

    /// Whether a sentence of `check` is about this right.
    fn is_named_in(&self, sentence: &str) -> bool {
        let words = || sentence.split(|c: char| !c.is_ascii_alphanumeric());
        sentence.contains(self.acl.resource.trim_end_matches('-')) && words().any(|word| word == self.operation)
    }

    /// Whether a sentence of the running daemon is about this right. A broker refuses a request, not a right: reading
    /// begins with seeing, changing settings with seeing them; and `can't be read` or `to write to` will do as well.
    fn is_missed_in(&self, sentence: &str) -> bool {
        let lower = sentence.to_lowercase();
        let is_named = match self.operation {
            "AlterConfigs" => lower.contains("configs"),
            "Read" => lower.contains("read") || lower.contains("describe"),
            other => lower.contains(&other.to_lowercase()),
        };
        lower.contains(self.acl.resource.trim_end_matches('-')) && is_named
    }
}

/// What the printed commands give, word by word. Both clusters' commands name their bootstrap servers.
fn rights(commands: &str, target: &Cluster) -> Vec<Right> {
    let mut all = Vec::new();
    for line in commands.lines().filter(|line| line.starts_with("kafka-acls")) {
        let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches('\'')).collect();
        let after = |option: &str| words.iter().position(|w| *w == option).map(|at| words[at + 1].to_owned());
        assert_eq!(after("--allow-principal").as_deref(), Some(format!("User:{USER}").as_str()), "{line}");
        let is_on_target = after("--bootstrap-server") == Some(target.bootstrap());
        let resources = [("--topic", 2), ("--group", 3), ("--transactional-id", 5)];
        let (resource, resource_type) =
            resources.iter().find_map(|(option, kind)| Some((after(option)?, *kind))).expect("a resource");
        let pattern = if after("--resource-pattern-type").as_deref() == Some("prefixed") { 4 } else { 3 };
        let given = words.iter().zip(&words[1..]).filter(|(option, _)| **option == "--operation");
        for (_, name) in given {
            let (operation, number) = OPERATIONS.iter().find(|(known, _)| known == name).expect("a known operation");
            let acl = Acl { resource_type, resource: resource.clone(), pattern, operation: *number };
            all.push(Right { is_on_target, operation, acl });
        }
    }
    all
}

fn secured(version: Version) -> Cluster {
    Cluster::start(Options::new(version).secured(Security::new(&[(USER, "least-password")])))
}

fn reach(cluster: &Cluster) -> Vec<(String, String)> {
    let mut lines = cluster.security().client_properties(&scratch("ca"), USER);
    lines.push(("bootstrap.servers".into(), cluster.bootstrap()));
    lines
}

/// The sentences in which the link and its topics say what hinders them.
fn problems(daemon: &Daemon) -> Vec<String> {
    let get = |path: &str| daemon.get(&format!("/v1/links/{LINK}{path}")).map_or(Value::Null, |(_, said)| said);
    let (link, topics) = (get(""), get("/topics"));
    let of_link = link["problems"].as_array().into_iter().flatten();
    let topics = topics["topics"].as_array().into_iter().flatten();
    let of_topics = topics.filter_map(|topic| topic["error"]["message"].as_str());
    of_link.filter_map(|problem| problem["message"].as_str()).chain(of_topics).map(str::to_owned).collect()
}

/// The value of one line of the metrics.
fn metric(daemon: &Daemon, line: &str) -> Option<String> {
    let (_, metrics) = daemon.get("/metrics")?;
    let mut lines = metrics.as_str()?.lines();
    lines.find_map(|l| l.strip_prefix(line)?.strip_prefix(' ').map(str::to_owned))
}

/// Whether the metrics say that something is wrong on a cluster: a permission, or all that has to do with state.
fn is_seen_in_metrics(daemon: &Daemon, cluster: &str) -> bool {
    let denied = format!("causeway_access_problems{{cluster=\"{cluster}\",kind=\"authorization\"}}");
    metric(daemon, &denied).as_deref() != Some("0")
        || metric(daemon, "causeway_ready").as_deref() != Some("1")
        || metric(daemon, "causeway_shards_owned{cluster=\"target\"}").as_deref() == Some("0")
}

/// How many writes of state have failed.
fn failed_writes(daemon: &Daemon) -> Option<String> {
    metric(daemon, "causeway_state_writes_total{cluster=\"target\",outcome=\"failed\"}")
}

struct Scene {
    source: Cluster,
    target: Cluster,
    config: Config,
    /// Counts what was made at the source to show that a right is gone.
    made: usize,
}

impl Scene {
    fn cluster(&self, right: &Right) -> &Cluster {
        if right.is_on_target { &self.target } else { &self.source }
    }

    fn take(&self, right: &Right) {
        self.cluster(right).admin().disallow(USER, &right.acl);
    }

    fn give(&self, right: &Right) {
        self.cluster(right).admin().allow(USER, std::slice::from_ref(&right.acl));
    }

    /// Makes the daemon need a right that it has just lost.
    fn need(&mut self, right: &Right, daemon: &mut Daemon) {
        self.made += 1;
        let admin = self.source.admin();
        match right.needed() {
            Needed::Always => {}
            Needed::AtTheStart | Needed::AtTheFirstStart | Needed::ForOppositeLinks => {
                daemon.stop();
                daemon.restart_without_waiting();
            }
            Needed::ForNewTopics => admin.create_topic(&format!("rights-new-{}", self.made), 1, &[]),
            Needed::ForNewPartitions => admin.add_partitions("rights-small", i32::try_from(self.made + 1).unwrap()),
            Needed::ForNewSettings => {
                admin.set_configs("rights-small", &[("retention.ms", &format!("{}", 86_400_000 + self.made))]);
            }
        }
    }

    /// Takes one right away, and asks `check` and the running daemon about it.
    fn try_without(&mut self, right: &Right, daemon: &mut Daemon) -> Vec<String> {
        let mut wrong = Vec::new();
        let (place, what) = (if right.is_on_target { "target" } else { "source" }, format!("{right:?}"));
        eprintln!("--- without {what}");
        let failed_before = failed_writes(daemon);
        self.take(right);
        self.need(right, daemon);
        let (code, said) = check(&self.config);
        let verdict = if right.needed() == Needed::ForOppositeLinks { ("warn", Some(0)) } else { ("FAIL", Some(1)) };
        let failed: Vec<&str> = said.lines().filter(|line| line.contains("FAIL")).collect();
        let named = said.lines().filter(|line| line.contains(verdict.0) && right.is_named_in(line)).count();
        let count = usize::from(verdict.0 == "FAIL");
        // Without a topic that is yet to be made, the right to make topics is not needed, and not missed.
        if (named == 0 || failed.len() != count || code != verdict.1) && right.needed() != Needed::AtTheFirstStart {
            wrong.push(format!("check, without {what}: {code:?}\n{said}"));
        }
        let is_seen = matches!(right.needed(), Needed::AtTheFirstStart | Needed::ForOppositeLinks);
        if !is_seen {
            let mut said = Vec::new();
            let is_named = within(NOTICE, || {
                said = problems(daemon);
                said.iter().any(|s| right.is_missed_in(s) && s.contains(place))
            });
            let has_failed = || right.is_on_target && failed_writes(daemon) != failed_before;
            let is_in_metrics = within(NOTICE / 2, || is_seen_in_metrics(daemon, place) || has_failed());
            eprintln!("    named: {is_named}, in the metrics: {is_in_metrics}, {said:#?}");
            if !is_named || !is_in_metrics {
                wrong.push(format!("run, without {what}: {said:?}, in the metrics: {is_in_metrics}"));
            }
        }
        self.give(right);
        if !within(NOTICE, || problems(daemon).is_empty() && !is_seen_in_metrics(daemon, place)) {
            wrong.push(format!("run, with {what} again: {:?}, alive: {}", problems(daemon), daemon.is_alive()));
            eprintln!("    {}", wrong.last().unwrap());
            daemon.kill();
            daemon.restart();
        }
        wrong
    }
}

fn within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    true
}

#[test]
#[ignore = "needs real Kafka: run with -- --ignored"]
fn printed_rights_suffice_and_each_missing_one_is_named() {
    let (source, target) = std::thread::scope(|scope| {
        let source = scope.spawn(|| secured(KAFKA_3));
        let target = scope.spawn(|| secured(KAFKA_4));
        (source.join().expect("the source"), target.join().expect("the target"))
    });
    let config = Config::new("least-group", &source, &target).cluster("source", &reach(&source));
    let config = config.cluster("target", &reach(&target)).matching("rights-.*").offsets("translate");
    let printed = causeway(&["check", "--acls", "--config", &file_of(&config)]);
    let rights = rights(&String::from_utf8_lossy(&printed.stdout), &target);
    assert!(rights.len() >= 10, "{rights:?}");
    let mut scene = Scene { source, target, config, made: 0 };
    let first: BTreeMap<bool, Vec<&Right>> = rights.iter().fold(BTreeMap::new(), |mut all, right| {
        all.entry(right.needed() == Needed::AtTheFirstStart).or_default().push(right);
        all
    });
    first[&false].iter().for_each(|right| scene.give(right));
    scene.source.admin().create_topic(TOPIC, 2, &[("retention.ms", "86400000")]);
    scene.source.admin().create_topic("rights-small", 1, &[]);
    let running = Workload { rate: 100, ..Workload::new(&scene.source.side_door(), TOPIC, 2) }.start();

    // The state topic can't be made yet.
    let mut daemon = Daemon::start_without_waiting("rights-1", &scene.config);
    for right in &first[&true] {
        wait_for("the state topic's right in the problems", RECOVERY, || {
            problems(&daemon).iter().any(|s| right.is_named_in(s)).then_some(())
        });
        eprintln!("--- at the first start: {:?}", problems(&daemon));
        scene.give(right);
    }
    daemon.wait_ready();
    wait_for_growth(&scene.target, TOPIC);
    let (code, said) = check(&scene.config);
    assert_eq!(code, Some(0), "{said}");

    let mut wrong = Vec::new();
    for right in &rights {
        wrong.extend(scene.try_without(right, &mut daemon));
    }
    wait_for_growth(&scene.target, TOPIC);
    running.stop();
    finish(&Judge::new(&scene.source, &scene.target, &[TOPIC, "rights-small"]), &mut daemon);
    assert!(wrong.is_empty(), "{} of {} rights:\n{}", wrong.len(), rights.len(), wrong.join("\n"));
}
