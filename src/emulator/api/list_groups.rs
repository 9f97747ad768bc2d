//! ListGroups 0 to 5: the groups that this broker coordinates.

use std::ops::RangeInclusive;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Api, Call};

pub(crate) struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;
    const SHAPE: &'static str = "[s]@4 [s]@5";

    async fn answer(call: Call, request: ListGroupsRequest) -> Option<ListGroupsResponse> {
        if let Err(error) = call.check() {
            return Some(ListGroupsResponse::default().with_error_code(error.code()));
        }
        let state = call.lock();
        if state.brokers.get(&call.broker).is_some_and(|broker| broker.is_loading) {
            let error = ResponseError::CoordinatorLoadInProgress;
            return Some(ListGroupsResponse::default().with_error_code(error.code()));
        }
        let names = |filter: &'_ [StrBytes]| filter.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (states, types) = (names(&request.states_filter), names(&request.types_filter));
        let states: Vec<&str> = states.iter().map(String::as_str).collect();
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let mut groups = state.coordinators.groups.list(&states, &types);
        groups.retain(|group| state.coordinator_of(&group.group_id) == Some(call.broker));
        for group in &mut groups {
            if call.version < 4 {
                group.group_state = StrBytes::default();
            }
            if call.version < 5 {
                group.group_type = StrBytes::default();
            }
        }
        Some(ListGroupsResponse::default().with_groups(groups))
    }
}
