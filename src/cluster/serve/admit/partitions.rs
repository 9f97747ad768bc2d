//! Questions about partitions, and reading them.

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, TopicResponse};
use kafka_protocol::messages::list_offsets_request::ListOffsetsTopic;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderTopic;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, FetchRequest, FetchResponse, ListOffsetsRequest,
    ListOffsetsResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Answered, Desk, form, take_out};
use crate::wire::ResponseError;
use crate::wire::form::Since;

/// No Fetch waits longer, in milliseconds.
const WAIT_MAX_MS: i32 = 30_000;

fn denied() -> i16 {
    ResponseError::TopicAuthorizationFailed.code()
}

/// A Fetch is let through as a whole or not at all: its answer is not looked into.
impl Answered for FetchRequest {
    type Refused = bool;
    const OLDEST: i16 = 12;
    // From 16 on the answer tells addresses.
    const NEWEST: i16 = 15;
    const FORM: &'static [Since] = form::FETCH;

    fn admit(&mut self, desk: &Desk<'_>) -> bool {
        // A consumer, never a replica.
        self.replica_id = (-1).into();
        self.replica_state.replica_id = (-1).into();
        self.cluster_id = None;
        self.rack_id = StrBytes::default();
        self.max_bytes = self.max_bytes.max(0);
        self.max_wait_ms = self.max_wait_ms.clamp(0, WAIT_MAX_MS);
        let is_refused = self.topics.iter().any(|topic| {
            if topic.topic_id.is_nil() { !desk.has_topic(&topic.topic) } else { !desk.has_id(&topic.topic_id) }
        });
        if is_refused {
            self.topics.clear();
            self.forgotten_topics_data.clear();
            (self.session_id, self.session_epoch, self.max_wait_ms) = (0, -1, 0);
        }
        is_refused
    }

    fn finish(response: &mut FetchResponse, is_refused: bool, _desk: &Desk<'_>) {
        if is_refused {
            response.error_code = denied();
        }
    }
}

impl Answered for ListOffsetsRequest {
    type Refused = Vec<ListOffsetsTopic>;
    const OLDEST: i16 = 6;
    const NEWEST: i16 = 10;
    const FORM: &'static [Since] = form::LIST_OFFSETS;

    fn admit(&mut self, desk: &Desk<'_>) -> Vec<ListOffsetsTopic> {
        self.replica_id = (-1).into();
        take_out(&mut self.topics, |topic| desk.has_topic(&topic.name))
    }

    fn finish(response: &mut ListOffsetsResponse, refused: Vec<ListOffsetsTopic>, _desk: &Desk<'_>) {
        for topic in refused {
            let refusal =
                |index| ListOffsetsPartitionResponse::default().with_partition_index(index).with_error_code(denied());
            let partitions = topic.partitions.iter().map(|asked| refusal(asked.partition_index)).collect();
            response.topics.push(ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions));
        }
    }
}

impl Answered for OffsetForLeaderEpochRequest {
    type Refused = Vec<OffsetForLeaderTopic>;
    const OLDEST: i16 = 4;
    const NEWEST: i16 = 4;
    const FORM: &'static [Since] = form::EPOCH_ENDS;

    fn admit(&mut self, desk: &Desk<'_>) -> Vec<OffsetForLeaderTopic> {
        self.replica_id = (-1).into();
        take_out(&mut self.topics, |topic| desk.has_topic(&topic.topic))
    }

    fn finish(response: &mut OffsetForLeaderEpochResponse, refused: Vec<OffsetForLeaderTopic>, _desk: &Desk<'_>) {
        for topic in refused {
            let refusal = |index| EpochEndOffset::default().with_partition(index).with_error_code(denied());
            let partitions = topic.partitions.iter().map(|asked| refusal(asked.partition)).collect();
            let told = OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions);
            response.topics.push(told);
        }
    }
}

impl Answered for DescribeProducersRequest {
    type Refused = Vec<TopicRequest>;
    const OLDEST: i16 = 0;
    const NEWEST: i16 = 0;
    const FORM: &'static [Since] = form::DESCRIBE_PRODUCERS;

    fn admit(&mut self, desk: &Desk<'_>) -> Vec<TopicRequest> {
        take_out(&mut self.topics, |topic| desk.has_topic(&topic.name))
    }

    fn finish(response: &mut DescribeProducersResponse, refused: Vec<TopicRequest>, _desk: &Desk<'_>) {
        for topic in refused {
            let refusal =
                |index: &i32| PartitionResponse::default().with_partition_index(*index).with_error_code(denied());
            let partitions = topic.partition_indexes.iter().map(refusal).collect();
            response.topics.push(TopicResponse::default().with_name(topic.name).with_partitions(partitions));
        }
    }
}
