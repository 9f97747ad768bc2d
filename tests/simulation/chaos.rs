//! What goes wrong.
//!
//! Owns: throwing faults, and taking all of them back.
//! Promises: acknowledged records of the source disappear only with the life of their topic: anything else would be a
//! loss which no copy can make good. After [`Chaos::heal`] everything works again.
//! Does not know: what should follow.
//!
//! Of wrong bytes only such are thrown as make a response unreadable: its last one, which in these versions counts
//! tagged fields. No checksum covers offsets on a line without TLS, so nobody could tell wrong ones from right ones;
//! wrong records are for the tests of `batch` and the suite on real brokers.

use std::collections::BTreeSet;
use std::time::Duration;

use causeway::emulator::{Action, Cluster, Line, Restart, Rule};
use causeway::types::TopicPartition;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;

use crate::clusters::BROKERS;
use crate::daemon::{Daemon, Surroundings};
use crate::dice::Dice;
use crate::state_log::Temper;
use crate::workload;

/// A fault that is in force, and when it ends.
#[derive(Debug)]
enum Undo {
    Line { is_source: bool, client: String, broker: i32 },
    Broker { is_source: bool, broker: i32, how: Restart },
    Following { is_source: bool, broker: i32 },
    Loading { is_source: bool, broker: i32 },
    AllFollowing,
    Unclean { broker: i32 },
    Temper,
    Thaw(String),
}

pub struct Chaos {
    around: Surroundings,
    dice: Dice,
    base: Line,
    /// Daemons that will die after some more polls.
    doomed: BTreeSet<String>,
    /// What was done, for a person who looks into a seed.
    pub story: Vec<String>,
    /// Where the app's records say that they are old: then brokers forget producers.
    pub is_old: bool,
    /// Whether the target elects leaders that have not everything.
    is_unclean: bool,
    /// Whether topics are deleted and created again.
    is_reborn: bool,
    /// Which were.
    pub reborn: BTreeSet<&'static str>,
    /// Partitions of which the target lost what it had.
    pub cut: BTreeSet<TopicPartition>,
}

const TARGET_APIS: [ApiKey; 10] = [
    ApiKey::Produce,
    ApiKey::Produce,
    ApiKey::Produce,
    ApiKey::Fetch,
    ApiKey::ListOffsets,
    ApiKey::OffsetForLeaderEpoch,
    ApiKey::DescribeProducers,
    ApiKey::WriteTxnMarkers,
    ApiKey::Metadata,
    ApiKey::CreateTopics,
];
const SOURCE_APIS: [ApiKey; 5] =
    [ApiKey::Fetch, ApiKey::Fetch, ApiKey::ListOffsets, ApiKey::OffsetForLeaderEpoch, ApiKey::Metadata];
const PRODUCE_CODES: [ResponseError; 6] = [
    ResponseError::NotLeaderOrFollower,
    ResponseError::RequestTimedOut,
    ResponseError::NotEnoughReplicas,
    ResponseError::KafkaStorageError,
    ResponseError::NetworkException,
    ResponseError::UnknownTopicOrPartition,
];
const CODES: [ResponseError; 3] =
    [ResponseError::NotLeaderOrFollower, ResponseError::KafkaStorageError, ResponseError::UnknownServerError];

impl Chaos {
    pub fn new(around: &Surroundings, mut dice: Dice, base: Line, is_old: bool) -> Self {
        let (is_unclean, is_reborn) = (dice.is(5), dice.is(8));
        Self {
            around: around.clone(),
            dice,
            base,
            doomed: BTreeSet::new(),
            story: Vec::new(),
            is_old,
            is_unclean,
            is_reborn,
            reborn: BTreeSet::new(),
            cut: BTreeSet::new(),
        }
    }

    /// Throws faults for so long.
    pub async fn rage(&mut self, daemons: &mut [Daemon], length: Duration, pause_ms: u64) {
        let begin = tokio::time::Instant::now();
        let mut undo: Vec<(tokio::time::Instant, Undo)> = Vec::new();
        let mut next = begin + self.dice.pause(200, pause_ms);
        while begin.elapsed() < length {
            let now = tokio::time::Instant::now();
            let due: Vec<Undo> = undo.extract_if(.., |(at, _)| *at <= now).map(|(_, undo)| undo).collect();
            for due in due {
                self.take_back(due, daemons);
            }
            for daemon in daemons.iter_mut().filter(|daemon| daemon.life.is_over()) {
                // Whoever looks after it takes its time.
                if self.dice.is(10) {
                    self.restart(daemon);
                }
            }
            if now >= next {
                next = now + self.dice.pause(50, pause_ms);
                let at = begin.elapsed().as_millis();
                if let Some((until, one)) = self.throw(daemons) {
                    self.story.push(format!("{at} ms: {one:?} for {} ms", until.as_millis()));
                    undo.push((now + until, one));
                }
            }
            tokio::time::sleep(Duration::from_millis(100).min(next - now).max(Duration::from_millis(1))).await;
        }
    }

    /// Everything works again.
    pub fn heal(&mut self, daemons: &mut [Daemon]) {
        for cluster in [&self.around.source, &self.around.target] {
            cluster.clear_rules();
            for broker in 1..=BROKERS {
                cluster.start_broker(broker, Restart::Clean);
                cluster.set_following(broker, true);
                cluster.set_loading(broker, false);
                for daemon in daemons.iter() {
                    cluster.set_line(Some(&daemon.id), Some(broker), self.base);
                }
            }
        }
        self.around.log.set_temper(Temper::CALM);
        for daemon in daemons {
            daemon.life.thaw();
            if self.doomed.contains(&daemon.id) {
                daemon.life.kill();
            }
            if daemon.life.is_over() {
                self.restart(daemon);
            }
        }
    }

    fn cluster(&self, is_source: bool) -> &Cluster {
        if is_source { &self.around.source } else { &self.around.target }
    }

    fn take_back(&mut self, undo: Undo, daemons: &[Daemon]) {
        match undo {
            Undo::Line { is_source, client, broker } => {
                self.cluster(is_source).set_line(Some(&client), Some(broker), self.base);
            }
            Undo::Broker { is_source, broker, how } => self.cluster(is_source).start_broker(broker, how),
            Undo::Following { is_source, broker } => self.cluster(is_source).set_following(broker, true),
            Undo::Loading { is_source, broker } => self.cluster(is_source).set_loading(broker, false),
            Undo::AllFollowing => (1..=BROKERS).for_each(|broker| self.around.target.set_following(broker, true)),
            Undo::Unclean { broker } => self.elect_uncleanly(broker),
            Undo::Temper => self.around.log.set_temper(Temper::CALM),
            Undo::Thaw(id) => daemons.iter().filter(|daemon| daemon.id == id).for_each(|daemon| daemon.life.thaw()),
        }
    }

    fn restart(&mut self, daemon: &mut Daemon) {
        if self.is_old && self.dice.is(2) {
            self.around.target.expire_producers();
            self.story.push("producers are forgotten".to_owned());
        }
        self.story.push(format!("{} starts again", daemon.id));
        self.doomed.remove(&daemon.id);
        *daemon = Daemon::start(&self.around, &daemon.id, self.dice.fork());
    }

    fn throw(&mut self, daemons: &[Daemon]) -> Option<(Duration, Undo)> {
        let is_source = self.dice.is(3);
        let broker = i32::try_from(self.dice.between(1, BROKERS.unsigned_abs().into())).unwrap();
        let daemon = self.dice.pick(daemons);
        match self.dice.below(20) {
            0..=4 => {
                self.rule(is_source);
                None
            }
            5 | 6 => {
                let client = daemon.id.clone();
                let line = self.line();
                self.story.push(format!("{line:?}"));
                self.cluster(is_source).set_line(Some(&client), Some(broker), line);
                Some((self.dice.pause(100, 8_000), Undo::Line { is_source, client, broker }))
            }
            7 | 8 => {
                let partitions = workload::partitions();
                let partition = self.dice.pick(&partitions);
                let (topic, index) = (partition.topic.as_str(), partition.partition.0);
                let is_moved = self.cluster(is_source).move_leader(topic, index, broker, false);
                self.story.push(format!("{partition} moves to {broker} (source: {is_source}): {is_moved}"));
                None
            }
            9 => {
                let how = if self.dice.is(2) { Restart::Clean } else { Restart::Kill };
                self.cluster(is_source).stop_broker(broker);
                Some((self.dice.pause(10, 6_000), Undo::Broker { is_source, broker, how }))
            }
            10 => {
                self.cluster(is_source).set_following(broker, false);
                Some((self.dice.pause(100, 10_000), Undo::Following { is_source, broker }))
            }
            11 if self.is_old => {
                self.around.target.expire_producers();
                self.story.push("producers are forgotten".to_owned());
                None
            }
            11 | 12 => {
                let temper = Temper { slow_ms: self.dice.between(10, 2_000), fails_one_in: self.dice.between(2, 6) };
                self.around.log.set_temper(temper);
                Some((self.dice.pause(500, 8_000), Undo::Temper))
            }
            13..=16 => self.harm(daemon),
            17 => {
                self.cluster(is_source).set_loading(broker, true);
                Some((self.dice.pause(100, 6_000), Undo::Loading { is_source, broker }))
            }
            18 => {
                if !self.is_unclean {
                    return None;
                }
                self.around.target.set_following(broker, false);
                Some((self.dice.pause(100, 9_000), Undo::Unclean { broker }))
            }
            _ => {
                if self.is_reborn {
                    self.bear_again(is_source);
                }
                None
            }
        }
    }

    /// What happens to a daemon.
    fn harm(&mut self, daemon: &Daemon) -> Option<(Duration, Undo)> {
        match self.dice.below(4) {
            0 | 1 => {
                let polls = self.dice.below(2_000);
                self.doom(daemon, polls);
                None
            }
            // What it sends last is in the leaders' logs, and nowhere else for a while.
            2 => {
                (1..=BROKERS).for_each(|broker| self.around.target.set_following(broker, false));
                let polls = self.dice.between(50, 1_000);
                self.doom(daemon, polls);
                Some((self.dice.pause(2_000, 9_000), Undo::AllFollowing))
            }
            _ => {
                daemon.life.freeze();
                Some((self.dice.pause(100, 20_000), Undo::Thaw(daemon.id.clone())))
            }
        }
    }

    /// A broker that stood still becomes leader: what came meanwhile is gone, acknowledged or not.
    fn elect_uncleanly(&mut self, broker: i32) {
        let target = &self.around.target;
        for partition in workload::partitions() {
            let (topic, index) = (partition.topic.as_str(), partition.partition.0);
            let end = || target.partition(topic, index).map_or(0, |view| view.log_end);
            let before = end();
            let is_moved = target.move_leader(topic, index, broker, true);
            self.story.push(format!("{partition} uncleanly to {broker}: {is_moved}, {before} to {}", end()));
            if end() < before {
                self.cut.insert(partition);
            }
        }
        target.set_following(broker, true);
    }

    fn bear_again(&mut self, is_source: bool) {
        let (topic, _) = *self.dice.pick(&workload::TOPICS);
        let is_there = self.cluster(is_source).recreate_topic(topic).is_some();
        self.story.push(format!("{topic} is deleted and created again (source: {is_source}): {is_there}"));
        if is_there {
            self.reborn.insert(topic);
        }
    }

    fn doom(&mut self, daemon: &Daemon, polls: u64) {
        self.story.push(format!("{} dies after {polls} polls", daemon.id));
        daemon.life.kill_after(polls);
        self.doomed.insert(daemon.id.clone());
    }

    fn line(&mut self) -> Line {
        match self.dice.below(5) {
            0 => Line { is_cut: true, ..self.base },
            1 => Line { is_deaf: true, ..self.base },
            2 => Line { is_mute: true, ..self.base },
            _ => Line { delay: self.dice.pause(100, 4_000), ..self.base },
        }
    }

    fn rule(&mut self, is_source: bool) {
        let api = *self.dice.pick(if is_source { &SOURCE_APIS[..] } else { &TARGET_APIS[..] });
        let action = match self.dice.below(9) {
            0 | 1 if api == ApiKey::Produce => Action::Fail(*self.dice.pick(&PRODUCE_CODES)),
            0 if matches!(api, ApiKey::Fetch | ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch) => {
                Action::Fail(*self.dice.pick(&CODES))
            }
            0 | 1 => Action::Close,
            2 => Action::Delay(self.dice.pause(50, 5_000)),
            3 => Action::DelayResponse(self.dice.pause(50, 5_000)),
            4..=6 => Action::DropResponse,
            7 => Action::Stall,
            _ => Action::Corrupt,
        };
        let times = u32::try_from(self.dice.between(1, 4)).unwrap();
        let after = u32::try_from(self.dice.below(4)).unwrap();
        self.story.push(format!("{times} x {action:?} for {api:?} (source: {is_source})"));
        let of_daemons = |request: &causeway::emulator::Request<'_>| !request.client_id.starts_with("app");
        self.cluster(is_source).add_rule(Rule::new(action).api(api).after(after).times(times).when(of_daemons));
    }
}
