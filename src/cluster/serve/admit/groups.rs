//! Questions about groups.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use kafka_protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, ListGroupsRequest, ListGroupsResponse,
    OffsetFetchRequest, OffsetFetchResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{Answered, Desk, PORT, form, host, take_out};
use crate::wire::ResponseError;
use crate::wire::form::Since;

/// The kind of key that is a group.
const GROUP: i8 = 0;

impl Answered for ListGroupsRequest {
    type Refused = ();
    const OLDEST: i16 = 3;
    const NEWEST: i16 = 5;
    const FORM: &'static [Since] = form::LIST_GROUPS;

    fn admit(&mut self, _desk: &Desk<'_>) {}

    fn finish(response: &mut ListGroupsResponse, (): (), desk: &Desk<'_>) {
        response.groups.retain(|group| desk.exposure.has_group(group.group_id.as_str()));
    }
}

impl Answered for FindCoordinatorRequest {
    type Refused = Vec<StrBytes>;
    const OLDEST: i16 = 4;
    const NEWEST: i16 = 5;
    const FORM: &'static [Since] = form::FIND_COORDINATOR;

    fn admit(&mut self, desk: &Desk<'_>) -> Vec<StrBytes> {
        let is_group = self.key_type == GROUP;
        self.key_type = GROUP;
        take_out(&mut self.coordinator_keys, |key| is_group && desk.exposure.has_group(key.as_str()))
    }

    fn finish(response: &mut FindCoordinatorResponse, refused: Vec<StrBytes>, _desk: &Desk<'_>) {
        for coordinator in &mut response.coordinators {
            (coordinator.host, coordinator.port) = (host(coordinator.node_id.0), PORT);
        }
        let refusal = |key| {
            Coordinator::default()
                .with_key(key)
                .with_node_id((-1).into())
                .with_error_code(ResponseError::GroupAuthorizationFailed.code())
                .with_error_message(Some(StrBytes::from_static_str("the peer does not expose it")))
        };
        response.coordinators.extend(refused.into_iter().map(refusal));
    }
}

impl Answered for OffsetFetchRequest {
    type Refused = Vec<GroupId>;
    const OLDEST: i16 = 8;
    const NEWEST: i16 = 9;
    const FORM: &'static [Since] = form::OFFSET_FETCH;

    fn admit(&mut self, desk: &Desk<'_>) -> Vec<GroupId> {
        let out = take_out(&mut self.groups, |group| desk.exposure.has_group(group.group_id.as_str()));
        for group in &mut self.groups {
            // As a member of the group it would be more than a reader.
            (group.member_id, group.member_epoch) = (None, -1);
            if let Some(topics) = &mut group.topics {
                topics.retain(|topic| desk.has_topic(&topic.name));
            }
        }
        out.into_iter().map(|group| group.group_id).collect()
    }

    fn finish(response: &mut OffsetFetchResponse, refused: Vec<GroupId>, desk: &Desk<'_>) {
        for group in &mut response.groups {
            group.topics.retain(|topic| desk.has_topic(&topic.name));
        }
        let refusal = |group| {
            OffsetFetchResponseGroup::default()
                .with_group_id(group)
                .with_error_code(ResponseError::GroupAuthorizationFailed.code())
        };
        response.groups.extend(refused.into_iter().map(refusal));
    }
}
