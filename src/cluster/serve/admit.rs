//! Request by request: what of it is let through, and what its answer may tell.
//!
//! Owns: one entry for each kind of request that is answered.
//! Promises: what asks for something not exposed is taken out before the broker sees it, and answered with Kafka's
//! own code for "not allowed"; answers lose what is not exposed, and every address.
//! Does not know: how requests arrive.

mod groups;
mod partitions;

use std::collections::HashSet;
use std::sync::Mutex;

use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, DescribeConfigsRequest, DescribeConfigsResponse, MetadataRequest,
    MetadataResponse, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use uuid::Uuid;

use super::Exposure;
use super::form;
use crate::wire::ResponseError;
use crate::wire::form::Since;

/// Read (3), Describe (8), `DescribeConfigs` (10): all that a peer is ever allowed.
const READING: i32 = 1 << 3 | 1 << 8 | 1 << 10;
/// Kafka's number for "not told".
const NOT_TOLD: i32 = i32::MIN;
/// A resource that is a topic.
const TOPIC: i8 = 2;

/// What is known while a stream is served.
pub(super) struct Desk<'a> {
    pub(super) exposure: &'a Exposure,
    /// Ids of topics that may be read, learned from metadata.
    pub(super) ids: Mutex<HashSet<Uuid>>,
}

impl Desk<'_> {
    pub(super) fn has_topic(&self, name: &TopicName) -> bool {
        self.exposure.has_topic(name.as_str())
    }

    pub(super) fn has_id(&self, id: &Uuid) -> bool {
        self.ids().contains(id)
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, HashSet<Uuid>> {
        self.ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A request that is answered.
pub(super) trait Answered: Request {
    /// What was taken out of a request, to be answered by us.
    type Refused: Send;
    /// The oldest version that is offered: a flexible one.
    const OLDEST: i16;
    /// The newest version whose form and meaning is known here.
    const NEWEST: i16;
    /// The form.
    const FORM: &'static [Since];

    /// Takes out what is not allowed, and makes the rest harmless.
    fn admit(&mut self, desk: &Desk<'_>) -> Self::Refused;
    /// Takes out of the answer what may not be told, and answers what was refused.
    fn finish(response: &mut Self::Response, refused: Self::Refused, desk: &Desk<'_>);
}

/// Takes those out of a list that don't pass.
pub(super) fn take_out<T>(list: &mut Vec<T>, passes: impl Fn(&T) -> bool) -> Vec<T> {
    let (kept, out) = std::mem::take(list).into_iter().partition(passes);
    *list = kept;
    out
}

/// The host that stands for a broker's: where it really is concerns nobody but its own side.
pub(super) fn host(broker: i32) -> StrBytes {
    StrBytes::from_string(format!("broker-{broker}"))
}

/// The port that goes with it.
pub(super) const PORT: i32 = 9092;

fn reading_only(operations: i32) -> i32 {
    if operations == NOT_TOLD { NOT_TOLD } else { operations & READING }
}

impl Answered for MetadataRequest {
    type Refused = Vec<TopicName>;
    const OLDEST: i16 = 9;
    const NEWEST: i16 = 13;
    const FORM: &'static [Since] = form::METADATA;

    fn admit(&mut self, desk: &Desk<'_>) -> Vec<TopicName> {
        self.allow_auto_topic_creation = false;
        let Some(topics) = &mut self.topics else { return Vec::new() };
        // Topics that are asked for by id are judged by the name in the answer.
        let out = take_out(topics, |topic| topic.name.as_ref().is_none_or(|name| desk.has_topic(name)));
        out.into_iter().filter_map(|topic| topic.name).collect()
    }

    fn finish(response: &mut MetadataResponse, refused: Vec<TopicName>, desk: &Desk<'_>) {
        for broker in &mut response.brokers {
            (broker.host, broker.port, broker.rack) = (host(broker.node_id.0), PORT, None);
        }
        response.topics.retain(|topic| topic.name.as_ref().is_none_or(|name| desk.has_topic(name)));
        for topic in &mut response.topics {
            topic.topic_authorized_operations = reading_only(topic.topic_authorized_operations);
        }
        let known = response.topics.iter().filter(|topic| topic.name.is_some()).map(|topic| topic.topic_id);
        desk.ids().extend(known.filter(|id| !id.is_nil()));
        let refusal = |name| {
            MetadataResponseTopic::default()
                .with_error_code(ResponseError::TopicAuthorizationFailed.code())
                .with_name(Some(name))
        };
        response.topics.extend(refused.into_iter().map(refusal));
        response.cluster_authorized_operations = reading_only(response.cluster_authorized_operations);
    }
}

impl Answered for DescribeClusterRequest {
    type Refused = ();
    const OLDEST: i16 = 0;
    const NEWEST: i16 = 1;
    const FORM: &'static [Since] = form::DESCRIBE_CLUSTER;

    fn admit(&mut self, _desk: &Desk<'_>) {
        // Brokers, never controllers.
        self.endpoint_type = 1;
    }

    fn finish(response: &mut DescribeClusterResponse, (): (), _desk: &Desk<'_>) {
        for broker in &mut response.brokers {
            (broker.host, broker.port, broker.rack) = (host(broker.broker_id.0), PORT, None);
        }
        response.cluster_authorized_operations = reading_only(response.cluster_authorized_operations);
    }
}

impl Answered for DescribeConfigsRequest {
    type Refused = Vec<(i8, StrBytes)>;
    const OLDEST: i16 = 4;
    const NEWEST: i16 = 4;
    const FORM: &'static [Since] = form::DESCRIBE_CONFIGS;

    fn admit(&mut self, desk: &Desk<'_>) -> Vec<(i8, StrBytes)> {
        let out = take_out(&mut self.resources, |resource| {
            resource.resource_type == TOPIC && desk.exposure.has_topic(resource.resource_name.as_str())
        });
        out.into_iter().map(|resource| (resource.resource_type, resource.resource_name)).collect()
    }

    fn finish(response: &mut DescribeConfigsResponse, refused: Vec<(i8, StrBytes)>, _desk: &Desk<'_>) {
        let refusal = |(kind, name)| {
            let code = match kind {
                TOPIC => ResponseError::TopicAuthorizationFailed,
                _ => ResponseError::ClusterAuthorizationFailed,
            };
            DescribeConfigsResult::default()
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_static_str("the peer does not expose it")))
                .with_resource_type(kind)
                .with_resource_name(name)
        };
        response.results.extend(refused.into_iter().map(refusal));
    }
}
