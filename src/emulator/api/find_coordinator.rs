//! `FindCoordinator` 0 to 5: of groups and of transactional ids, which one broker may both be. No share groups.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Api, Call, text};

pub(crate) struct FindCoordinator;

/// Kafka's numbers for groups (0) and transactional ids.
const TRANSACTIONS: i8 = 1;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const SHAPE: &'static str = "s@0-3 1@1 [s]@4";

    async fn answer(call: Call, request: FindCoordinatorRequest) -> Option<FindCoordinatorResponse> {
        let kind = request.key_type;
        if call.version >= 4 {
            let all = request.coordinator_keys.iter().map(|key| find(&call, key, kind)).collect();
            return Some(FindCoordinatorResponse::default().with_coordinators(all));
        }
        let found = find(&call, &request.key, kind);
        Some(
            FindCoordinatorResponse::default()
                .with_error_code(found.error_code)
                .with_error_message(found.error_message)
                .with_node_id(found.node_id)
                .with_host(found.host)
                .with_port(found.port),
        )
    }
}

fn find(call: &Call, key: &str, kind: i8) -> Coordinator {
    let state = call.lock();
    let outcome = if (0..=TRANSACTIONS).contains(&kind) {
        call.check().and_then(|()| state.coordinator_of(key).ok_or(ResponseError::CoordinatorNotAvailable))
    } else {
        Err(ResponseError::InvalidRequest)
    };
    let found = Coordinator::default().with_key(text(key)).with_error_message(None);
    match outcome.map(|id| (id, state.brokers.get(&id))) {
        Ok((id, Some(broker))) => {
            found.with_node_id(BrokerId(id)).with_host(text(&broker.host)).with_port(i32::from(broker.port))
        }
        Ok((_, None)) => found.with_error_code(ResponseError::CoordinatorNotAvailable.code()),
        Err(code) => found
            .with_error_code(code.code())
            .with_error_message(Some(text(&code.to_string())))
            .with_node_id(BrokerId(-1))
            .with_port(-1),
    }
}
