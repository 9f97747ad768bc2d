//! `DescribeConfigs` 1 to 4, of topics and brokers. No synonyms, no documentation.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Api, Call, text};
use crate::emulator::configs::{self, Kind, Setting};
use crate::emulator::state::{INHERITED, State};

pub(crate) struct DescribeConfigs;

/// Kafka's numbers for kinds of resources.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// Kafka's numbers for where a value comes from.
const SET_ON_TOPIC: i8 = 1;
const SET_ON_BROKER: i8 = 2;
const FILE_OF_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=4;
    const SHAPE: &'static str = "(1s[s])1 1@3";

    async fn answer(call: Call, request: DescribeConfigsRequest) -> Option<DescribeConfigsResponse> {
        let state = call.lock();
        let one = |resource: DescribeConfigsResource| {
            let told = call.check().and_then(|()| described(&state, &resource));
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            match told {
                Ok(configs) => {
                    let keys = resource.configuration_keys;
                    let is_asked = |config: &DescribeConfigsResourceResult| {
                        keys.as_ref().is_none_or(|keys| keys.contains(&config.name))
                    };
                    result.with_configs(configs.into_iter().filter(is_asked).collect())
                }
                Err(code) => result.with_error_code(code.code()).with_error_message(Some(text(&code.to_string()))),
            }
        };
        Some(DescribeConfigsResponse::default().with_results(request.resources.into_iter().map(one).collect()))
    }
}

fn described(
    state: &State,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribeConfigsResourceResult>, ResponseError> {
    match resource.resource_type {
        TOPIC => {
            let topic = state.topics.get(resource.resource_name.as_str());
            let overrides = &topic.ok_or(ResponseError::UnknownTopicOrPartition)?.overrides;
            let one = |setting: &Setting| {
                let of_broker = INHERITED.iter().find(|(_, of_topic)| *of_topic == setting.name);
                let inherited = of_broker.and_then(|(of_broker, _)| state.broker_settings.get(*of_broker));
                match (overrides.get(setting.name), inherited) {
                    (Some(value), _) => told(setting, value, SET_ON_TOPIC),
                    (None, Some(value)) => told(setting, value, FILE_OF_BROKER),
                    (None, None) => told(setting, setting.default, DEFAULT),
                }
            };
            Ok(configs::TOPIC.iter().map(one).collect())
        }
        BROKER => {
            let one = |setting: &Setting| match state.broker_settings.get(setting.name) {
                Some(value) => told(setting, value, SET_ON_BROKER),
                None => told(setting, setting.default, DEFAULT),
            };
            Ok(configs::BROKER.iter().map(one).collect())
        }
        _ => Err(ResponseError::InvalidRequest),
    }
}

fn told(setting: &Setting, value: &str, from: i8) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(text(setting.name))
        .with_value(Some(text(value)))
        .with_config_source(from)
        .with_config_type(match setting.kind {
            Kind::Boolean => 1,
            Kind::OneOf(_) | Kind::Anything => 2,
            Kind::Integer { .. } => 5,
            Kind::Fraction => 6,
            Kind::ListOf(_) => 7,
        })
}
