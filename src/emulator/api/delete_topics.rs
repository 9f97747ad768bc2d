//! `DeleteTopics` 1 to 6, by name and by id.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use super::{Api, Call, topic_name};

pub(crate) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=6;
    const SHAPE: &'static str = "(su)@6 [s]@1-5 4";

    async fn answer(call: Call, request: DeleteTopicsRequest) -> Option<DeleteTopicsResponse> {
        let by_name = request.topic_names.into_iter().map(|name| (Some(name), uuid::Uuid::nil()));
        let by_either = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id));
        let one = |(name, id): (Option<kafka_protocol::messages::TopicName>, uuid::Uuid)| {
            let mut state = call.lock();
            let missing =
                if name.is_some() { ResponseError::UnknownTopicOrPartition } else { ResponseError::UnknownTopicId };
            let known = name.as_ref().map(|name| name.to_string()).or_else(|| state.name_of(id).cloned());
            let deleted =
                call.check().and_then(|()| known.as_ref().and_then(|name| state.delete_topic(name)).ok_or(missing));
            let name = name.or_else(|| known.as_deref().map(topic_name));
            let result = DeletableTopicResult::default().with_name(name);
            match deleted {
                Ok(id) => result.with_topic_id(id),
                Err(code) => result.with_topic_id(id).with_error_code(code.code()),
            }
        };
        let responses = by_name.chain(by_either).map(one).collect();
        call.cluster.changed();
        Some(DeleteTopicsResponse::default().with_responses(responses))
    }
}
