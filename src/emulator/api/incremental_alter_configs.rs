//! `IncrementalAlterConfigs` 0 and 1: settings of topics, and of brokers (all of them at once).

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::describe_configs::{BROKER, TOPIC};
use super::{Api, Call, text};
use crate::emulator::configs::{self, Overrides, Setting};
use crate::emulator::state::{Objection, State};

pub(crate) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;
    const SHAPE: &'static str = "(1s(s1s))1";

    async fn answer(call: Call, request: IncrementalAlterConfigsRequest) -> Option<IncrementalAlterConfigsResponse> {
        let one = |resource: AlterConfigsResource| {
            let altered = match call.check() {
                Ok(()) => alter(&mut call.lock(), &resource, request.validate_only),
                Err(code) => Err((code, code.to_string())),
            };
            let response = AlterConfigsResourceResponse::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name)
                .with_error_message(None);
            match altered {
                Ok(()) => response,
                Err((code, why)) => response.with_error_code(code.code()).with_error_message(Some(text(&why))),
            }
        };
        let responses = request.resources.into_iter().map(one).collect();
        call.cluster.changed();
        Some(IncrementalAlterConfigsResponse::default().with_responses(responses))
    }
}

fn alter(state: &mut State, resource: &AlterConfigsResource, is_trial: bool) -> Result<(), Objection> {
    match resource.resource_type {
        TOPIC => {
            let name = resource.resource_name.as_str();
            let unknown = || (ResponseError::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."));
            let mut overrides = state.topics.get(name).ok_or_else(unknown)?.overrides.clone();
            for change in &resource.configs {
                apply(configs::TOPIC, &mut overrides, change)?;
            }
            let settings = state.topic_settings(&overrides);
            if let Some(topic) = state.topics.get_mut(name).filter(|_| !is_trial) {
                topic.settings = settings;
                topic.overrides = overrides;
            }
            Ok(())
        }
        BROKER => {
            let mut overrides = state.broker_settings.clone();
            for change in &resource.configs {
                apply(configs::BROKER, &mut overrides, change)?;
            }
            if !is_trial {
                state.broker_settings = overrides;
                state.adopt_broker_settings();
            }
            Ok(())
        }
        _ => Err((ResponseError::InvalidRequest, "Only topics and brokers have settings here.".to_owned())),
    }
}

fn apply(known: &[Setting], overrides: &mut Overrides, change: &AlterableConfig) -> Result<(), Objection> {
    let name = change.name.as_str();
    let given = change.value.as_ref().map(ToString::to_string);
    let current = || configs::value(known, overrides, name).split(',').filter(|one| !one.is_empty()).map(str::to_owned);
    let invalid = |why: &str| Err((ResponseError::InvalidConfig, why.to_owned()));
    let value = match (change.config_operation, given) {
        (1, _) => None,
        (0, Some(given)) => Some(given),
        (2, Some(given)) => {
            let added = given.split(',').filter(|one| !current().any(|has| has == *one)).map(str::to_owned);
            Some(current().chain(added).collect::<Vec<_>>().join(","))
        }
        (3, Some(given)) => {
            Some(current().filter(|has| !given.split(',').any(|one| one == has)).collect::<Vec<_>>().join(","))
        }
        (0, None) => return invalid("Null value not supported for: SET"),
        (2 | 3, None) => return invalid("Null value not supported for a list"),
        _ => return Err((ResponseError::InvalidRequest, "Unknown operation.".to_owned())),
    };
    match value {
        None if known.iter().any(|setting| setting.name == name) => {
            overrides.remove(name);
        }
        None => return invalid(&format!("Unknown topic config name: {name}")),
        Some(value) => {
            if let Some(why) = configs::objection(known, name, &value) {
                return invalid(&why);
            }
            overrides.insert(name.to_owned(), value);
        }
    }
    Ok(())
}
