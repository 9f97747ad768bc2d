//! A backend for tests: a few links and topics in every state, and a book of the orders it got.

mod peers;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use uuid::Uuid;

use super::json::{
    Affected, Awaited, Daemon, Group, GroupOffset, HeldBack, Link, LinkGroups, LinkRehearsal, LinkState, Member,
    MemoryBudget, OffsetsMode, Order, OrderDone, Partition, PartitionState, Peer, Problem, Readiness, Stop, Topic,
    TopicOffsets, TopicSelection, TopicState, Translated, TranslationName,
};
use super::{ApiError, Backend, BoxFuture, KnownOffset, TranslateQuestion};
use crate::types::{
    ClusterName, GroupKind, GroupName, GroupPositionState, LinkName, PartitionIndex, ResolveVerb, SourceOffset,
    TargetOffset, TopicName, Translation,
};

/// Says what a test needs, and remembers orders.
pub(crate) struct FakeBackend {
    pub(crate) orders: Mutex<Vec<(String, Order)>>,
    /// Reasons against being ready.
    pub(crate) reasons: Mutex<Vec<String>>,
    /// Each order takes one permit before it is answered.
    pub(crate) gate: Semaphore,
    /// Tells the test that an order waits at the gate.
    pub(crate) waiting: Semaphore,
    pub(crate) topics: Vec<Topic>,
}

impl Default for FakeBackend {
    fn default() -> Self {
        Self {
            orders: Mutex::default(),
            reasons: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            waiting: Semaphore::new(0),
            topics: vec![
                topic("audit.log", "audit.log", vec![stopped(0), mirroring(1, 250_000, Some(61_000))]),
                topic("orders", "orders", vec![mirroring(0, 10, Some(120)), mirroring(1, 0, Some(0))]),
                topic("orders.eu", "dr.orders.eu", vec![held_back(0)]),
            ],
        }
    }
}

impl FakeBackend {
    /// The orders so far.
    pub(crate) fn orders(&self) -> Vec<(String, Order)> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Backend for FakeBackend {
    fn links(&self) -> Vec<Link> {
        let partitions = || self.topics.iter().flat_map(|topic| &topic.partitions);
        let busy = Link {
            name: LinkName::new("onprem-to-aws").unwrap(),
            source: ClusterName::new("onprem").unwrap(),
            target: ClusterName::new("aws").unwrap(),
            source_cluster_id: Some("4L6g3nShT-eMCtK--X86sw".to_owned()),
            target_cluster_id: Some("pGhC2WnOQ0aCFGc2CrhMtg".to_owned()),
            state: LinkState::Active,
            offsets: OffsetsMode::Translate,
            served_here: true,
            config_mismatch: None,
            problems: vec![Problem {
                kind: "permission_missing".to_owned(),
                message: "cluster onprem: User:causeway may not Describe topic `payroll`; `causeway check --acls` \
                          prints the command that allows it"
                    .to_owned(),
                since_ms: Some(1_763_748_000_000),
                cluster: Some(ClusterName::new("onprem").unwrap()),
                principal: Some("User:causeway".to_owned()),
                resource: Some("topic payroll".to_owned()),
                operation: Some("Describe".to_owned()),
                ..Problem::default()
            }],
            topics: self.topics.len() as u64,
            partitions: partitions().count() as u64,
            partitions_stopped: partitions().filter(|partition| partition.error.is_some()).count() as u64,
            lag_records: partitions().map(|partition| partition.lag_records).sum(),
            lag_ms: partitions().filter_map(|partition| partition.lag_ms).max(),
            source_contact_age_ms: Some(40),
            groups: Some(LinkGroups {
                groups: 2,
                positions: 4,
                synced: 2,
                conflict: 2,
                complete_age_ms: Some(400),
                rehearsal: Some(LinkRehearsal { age_ms: 20_000, matching: 2, ..LinkRehearsal::default() }),
                ..LinkGroups::default()
            }),
            producer_id: Some(4001),
            producer_epoch: Some(0),
        };
        let elsewhere = Link {
            name: LinkName::new("aws-to-onprem").unwrap(),
            source: ClusterName::new("aws").unwrap(),
            target: ClusterName::new("onprem").unwrap(),
            state: LinkState::Starting,
            served_here: false,
            config_mismatch: Some("rate".to_owned()),
            problems: Vec::new(),
            topics: 0,
            partitions: 0,
            partitions_stopped: 0,
            lag_records: None,
            lag_ms: None,
            source_contact_age_ms: None,
            groups: None,
            ..busy.clone()
        };
        vec![elsewhere, busy]
    }

    fn link(&self, link: &str) -> Option<Link> {
        self.links().into_iter().find(|have| have.name.as_str() == link)
    }

    fn topics(&self, link: &str) -> Option<Vec<Topic>> {
        let link = self.link(link)?;
        Some(if link.served_here { self.topics.clone() } else { Vec::new() })
    }

    fn topic(&self, link: &str, topic: &str) -> Option<Topic> {
        self.topics(link)?.into_iter().find(|have| have.source_topic.as_str() == topic)
    }

    fn translate(&self, _link: &str, question: &TranslateQuestion) -> Result<Translated, ApiError> {
        let (topic, partition) = (question.topic.clone(), question.partition);
        // The map of the test: target = source - 2 from source offset 2 to 1000.
        Ok(match question.offset {
            KnownOffset::Source(asked) => Translated::forward(
                topic,
                partition,
                asked,
                match asked.get() {
                    0..2 => Translation::BelowMap,
                    2..1000 => Translation::Exact(TargetOffset::new(asked.get() - 2).unwrap()),
                    1000 => Translation::Next(TargetOffset::new(998).unwrap()),
                    _ => Translation::NotYetMirrored,
                },
            ),
            KnownOffset::Target(asked) => {
                Translated::reverse(topic, partition, asked, Translation::Exact(source(asked.get() + 2)))
            }
        })
    }

    fn groups(&self, link: &str) -> Option<Vec<Group>> {
        let link = self.link(link)?;
        Some(if link.served_here { vec![group("billing"), group("reports")] } else { Vec::new() })
    }

    fn group(&self, link: &str, group: &str) -> Option<Group> {
        self.groups(link)?.into_iter().find(|have| have.group.as_str() == group)
    }

    fn wait<'a>(
        &'a self,
        _link: &'a str,
        question: &'a TranslateQuestion,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Awaited, ApiError>> {
        Box::pin(async move {
            // All before 1000 is on the target; the rest never comes.
            let KnownOffset::Source(offset) = question.offset else { panic!("only source offsets are waited for") };
            let reached = offset.get() < 1000;
            if !reached {
                tokio::time::sleep(limit).await;
            }
            Ok(Awaited {
                topic: question.topic.clone(),
                partition: question.partition,
                source_offset: offset,
                reached,
                source_position: Some(source(1000)),
                missing: Some(offset.plus(1).distance_from(source(1000))),
                target_offset: reached.then(|| TargetOffset::new((offset.get() - 2).max(0)).unwrap()),
                waited_ms: 5,
            })
        })
    }

    fn order<'a>(&'a self, link: &'a str, order: Order) -> BoxFuture<'a, Result<OrderDone, ApiError>> {
        Box::pin(async move {
            self.waiting.add_permits(1);
            self.gate.acquire().await.unwrap().forget();
            if link == "aws-to-onprem" {
                return Err(ApiError::Refused(
                    "link `aws-to-onprem` is served elsewhere; ask a daemon there".to_owned(),
                ));
            }
            let affected = self.topics.iter().filter(|topic| order.topics.contains(&topic.source_topic));
            let effect = format!("mirroring -> {}", order.action.name());
            let affected = affected
                .map(|topic| Affected {
                    topic: topic.source_topic.clone(),
                    partition: matches!(order.topics, TopicSelection::These(_)).then_some(PartitionIndex(0)),
                    effect: effect.clone(),
                })
                .collect();
            let done =
                OrderDone { dry_run: order.dry_run, request: (!order.dry_run).then_some(Uuid::from_u128(7)), affected };
            self.orders.lock().unwrap_or_else(PoisonError::into_inner).push((link.to_owned(), order));
            Ok(done)
        })
    }

    fn readiness(&self) -> Readiness {
        Readiness::of(self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn metrics(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::ready("causeway_ready 1\n".to_owned()))
    }

    fn peers(&self) -> Vec<Peer> {
        peers::all()
    }

    fn daemon(&self) -> Daemon {
        let member = |id: &str| Member {
            id: id.to_owned(),
            version: "0.1.0".to_owned(),
            started_at_ms: 1_763_740_000_000,
            listen: "127.0.0.1:8480".to_owned(),
        };
        Daemon {
            id: "causeway-1".to_owned(),
            group: "causeway".to_owned(),
            version: "0.1.0".to_owned(),
            started_at_ms: 1_763_740_000_000,
            uptime_ms: 8_054_000,
            listen: "127.0.0.1:8480".to_owned(),
            shards_owned: 16,
            shards: 32,
            memory_budget: Some(MemoryBudget { bytes_used: 1_048_576, bytes_max: 67_108_864 }),
            members: vec![member("causeway-1"), member("causeway-2")],
        }
    }
}

fn source(offset: i64) -> SourceOffset {
    SourceOffset::new(offset).unwrap()
}

fn group(name: &str) -> Group {
    let offset = |partition: i32, state: GroupPositionState| GroupOffset {
        topic: TopicName::new("orders").unwrap(),
        partition: PartitionIndex(partition),
        source_offset: source(1042),
        target_offset: Some(TargetOffset::new(1040).unwrap()),
        translation: Some(TranslationName::Exact),
        committed_on_target: Some(TargetOffset::new(1040).unwrap()),
        conflict: state == GroupPositionState::Conflict,
        state,
    };
    Group {
        group: GroupName::new(name).unwrap(),
        target_group: GroupName::new(&format!("dr.{name}")).unwrap(),
        kind: GroupKind::Consumer,
        state: Some(GroupPositionState::Conflict),
        message: None,
        offsets: vec![offset(0, GroupPositionState::Synced), offset(1, GroupPositionState::Conflict)],
    }
}

fn topic(source_topic: &str, target_topic: &str, partitions: Vec<Partition>) -> Topic {
    Topic {
        source_topic: TopicName::new(source_topic).unwrap(),
        target_topic: TopicName::new(target_topic).unwrap(),
        state: TopicState::worst_of(&partitions),
        offsets: if source_topic == target_topic { TopicOffsets::Identical } else { TopicOffsets::Translated },
        error: None,
        partitions,
    }
}

/// A partition that mirrors, this many records behind.
pub(crate) fn mirroring(partition: i32, lag_records: u64, lag_ms: Option<u64>) -> Partition {
    let position = 1_990_000;
    Partition {
        offsets: TopicOffsets::Identical,
        offsets_since: None,
        offsets_because: None,
        map_start: Some(source(0)),
        partition: PartitionIndex(partition),
        state: PartitionState::Mirroring,
        source_log_start: Some(source(0)),
        source_high_watermark: Some(source(position).plus(lag_records)),
        source_last_stable: Some(source(position).plus(lag_records)),
        source_position: Some(source(position)),
        target_position: Some(TargetOffset::new(position).unwrap()),
        lag_records: Some(lag_records),
        lag_ms,
        retention_left_ms: Some(86_000_000),
        source_contact_age_ms: Some(40),
        held_back: None,
        daemon: Some("causeway-1".to_owned()),
        error: None,
    }
}

fn stopped(partition: i32) -> Partition {
    Partition {
        state: PartitionState::Stopped,
        error: Some(Stop {
            reason: "batch_too_large".to_owned(),
            message:
                "the batch at source offsets 1990000 to 1990009 has 1400210 bytes; topic `audit.log` on cluster aws \
                      takes 1048588: raise max.message.bytes there, then retry"
                    .to_owned(),
            since_ms: 1_763_745_000_000,
            source_offset: Some(source(1_990_000)),
            resolve: vec![ResolveVerb::Retry, ResolveVerb::Skip],
        }),
        ..mirroring(partition, 12_345_678, Some(7_300_000))
    }
}

fn held_back(partition: i32) -> Partition {
    Partition {
        held_back: Some(HeldBack { records: 42, producer_id: Some(9001), age_ms: Some(95_000) }),
        ..mirroring(partition, 42, Some(95_000))
    }
}
