//! Membership by an ordinary rdkafka consumer that never fetches.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::client::OAuthToken;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::context::{Access, log_line, needs_a_person};
use crate::shards::{GroupMember, MemberError, Ownership};

/// What a member needs.
#[derive(Debug, Clone)]
pub struct MemberSettings {
    /// How to reach the cluster.
    pub access: Access,
    /// The consumer group.
    pub group: String,
    /// The topic whose partitions are the shards.
    pub topic: String,
    /// The static member name.
    pub daemon_id: String,
    /// When the coordinator gives up on a silent member.
    pub session_timeout: Duration,
}

struct MemberContext {
    group: String,
    access: Access,
    ownership: Arc<Ownership<ConsumerGroupMetadata>>,
    topic: String,
    is_over: Arc<AtomicBool>,
}

impl ClientContext for MemberContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.access.log_error(&error, reason);
    }

    /// A file that hangs stops this thread's pulse, and so gives the shards up, as any other standstill.
    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.access.token()
    }
}

impl ConsumerContext for MemberContext {
    /// Takes the place of rdkafka's own handling, which would begin to fetch.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let shards = self.shards(list);
        if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assigned(consumer, list, &shards);
        } else {
            self.revoked(consumer, list, &shards);
        }
    }
}

impl MemberContext {
    fn shards(&self, list: &TopicPartitionList) -> Vec<i32> {
        list.elements_for_topic(&self.topic)
            .iter()
            .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
            .collect()
    }

    fn assigned(&self, consumer: &BaseConsumer<Self>, list: &mut TopicPartitionList, shards: &[i32]) {
        // The metadata is taken before the assignment is acknowledged: until then librdkafka doesn't join the next
        // generation, so it is this generation's.
        let metadata = consumer.group_metadata();
        let assigned = list
            .set_all_offsets(Offset::End)
            .and_then(|()| consumer.incremental_assign(list))
            .and_then(|()| if shards.is_empty() { Ok(()) } else { consumer.pause(list) });
        if let Err(error) = assigned {
            tracing::warn!(%error, ?shards, "assignment could not be taken");
            return;
        }
        if self.is_over.load(Ordering::Acquire) || consumer.assignment_lost() {
            return;
        }
        if let Some(metadata) = metadata {
            tracing::info!(?shards, "shards assigned");
            self.ownership.assign(shards, metadata);
        }
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, list: &TopicPartitionList, shards: &[i32]) {
        self.ownership.revoke(shards);
        let is_lost = consumer.assignment_lost();
        if is_lost {
            self.ownership.lose_all();
        }
        tracing::info!(?shards, is_lost, "shards revoked");
        if let Err(error) = consumer.incremental_unassign(list) {
            tracing::debug!(%error, "revocation could not be acknowledged");
        }
    }
}

/// One life of the consumer.
pub struct KafkaMember {
    consumer: BaseConsumer<MemberContext>,
    is_over: Arc<AtomicBool>,
    last_error: Option<RDKafkaErrorCode>,
}

impl std::fmt::Debug for KafkaMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaMember").finish_non_exhaustive()
    }
}

impl KafkaMember {
    /// Makes a consumer and subscribes it; joining happens while it is polled.
    pub fn join(
        settings: &MemberSettings,
        ownership: &Arc<Ownership<ConsumerGroupMetadata>>,
    ) -> Result<Self, MemberError> {
        let session_ms = settings.session_timeout.as_millis();
        let mut config = settings.access.config(&settings.daemon_id);
        config
            .set("group.id", &settings.group)
            .set("group.protocol", "classic")
            .set("group.instance.id", &settings.daemon_id)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", session_ms.to_string())
            .set("heartbeat.interval.ms", (session_ms / 3).max(1).to_string())
            // Also how long the coordinator waits for a member that heartbeats but doesn't answer a rebalance. Ours
            // answers within a poll, so the shortest that librdkafka takes is right.
            .set("max.poll.interval.ms", session_ms.to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        let is_over = Arc::new(AtomicBool::new(false));
        let context = MemberContext {
            group: settings.group.clone(),
            access: settings.access.clone(),
            ownership: Arc::clone(ownership),
            topic: settings.topic.clone(),
            is_over: Arc::clone(&is_over),
        };
        let consumer = BaseConsumer::from_config_and_context(&config, context)
            .and_then(|consumer| consumer.subscribe(&[&settings.topic]).map(|()| consumer))
            .map_err(|error| MemberError::Lost(error.to_string()))?;
        Ok(Self { consumer, is_over, last_error: None })
    }

    fn judge(&mut self, error: &KafkaError) -> Result<(), MemberError> {
        if let Some((code, reason)) = self.consumer.client().fatal_error() {
            return Err(if is_fenced(code) {
                MemberError::Fenced("another running daemon has the same daemon.id".to_owned())
            } else {
                MemberError::Lost(reason)
            });
        }
        let code = error.rdkafka_error_code();
        if code.is_some_and(is_fenced) {
            return Err(MemberError::Fenced("another running daemon has the same daemon.id".to_owned()));
        }
        if needs_a_person(error) {
            let MemberContext { ownership, group, .. } = &**self.consumer.context();
            let missing = match code {
                Some(RDKafkaErrorCode::GroupAuthorizationFailed) => format!("Read on group {group} is missing: "),
                _ => String::new(),
            };
            ownership.hinder(format!("the daemon group can't be joined: {missing}{error}"));
        }
        if code != self.last_error {
            self.last_error = code;
            self.consumer.context().access.log_error(error, "membership of the daemon group");
        }
        Ok(())
    }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    code == RDKafkaErrorCode::FencedInstanceId
}

impl GroupMember for KafkaMember {
    fn poll(&mut self, timeout: Duration) -> Result<(), MemberError> {
        let error = match self.consumer.poll(timeout) {
            // A record can't come, all partitions are paused; if one did it would mean nothing.
            None | Some(Ok(_)) => return Ok(()),
            Some(Err(error)) => error,
        };
        self.judge(&error)
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        // The consumer's own drop polls until it is closed; an assignment that comes out of that is nobody's.
        self.is_over.store(true, Ordering::Release);
    }
}
