//! `DescribeCluster` 0 to 2, of brokers. No authorized operations, no controllers of their own.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::{Api, Call, text};

pub(crate) struct DescribeCluster;

/// Kafka's number for "the brokers, not the controllers".
const BROKERS: i8 = 1;

impl Api for DescribeCluster {
    type Request = DescribeClusterRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;
    const SHAPE: &'static str = "1 1@1 1@2";

    async fn answer(call: Call, request: DescribeClusterRequest) -> Option<DescribeClusterResponse> {
        let is_of_brokers = call.version < 1 || request.endpoint_type == BROKERS;
        let outcome = if is_of_brokers { call.check() } else { Err(ResponseError::MismatchedEndpointType) };
        let response = DescribeClusterResponse::default().with_cluster_authorized_operations(i32::MIN);
        if let Err(code) = outcome {
            return Some(response.with_error_code(code.code()).with_controller_id(BrokerId(-1)));
        }
        let state = call.lock();
        let brokers = state.brokers.iter().filter(|(_, broker)| broker.is_up).map(|(id, broker)| {
            let (host, port) = (text(&broker.host), i32::from(broker.port));
            DescribeClusterBroker::default().with_broker_id(BrokerId(*id)).with_host(host).with_port(port)
        });
        let response = response
            .with_error_message(None)
            .with_cluster_id(text(&state.cluster_id))
            .with_controller_id(BrokerId(state.controller()))
            .with_brokers(brokers.collect());
        Some(if call.version >= 1 { response.with_endpoint_type(BROKERS) } else { response })
    }
}
