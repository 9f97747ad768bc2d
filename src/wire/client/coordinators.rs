//! Finding the coordinator of a group or a transactional id.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::{Inner, PAUSE_FIRST, PAUSE_LONGEST, Route};
use crate::tasks::Backoff;
use crate::types::BrokerId;
use crate::wire::{BrokerAddress, ResponseError, WireError, lock};

/// From here on a request asks for several keys.
const FIRST_WITH_MANY_KEYS: i16 = 4;

/// Groups of one request.
const GROUPS_AT_ONCE: usize = 500;

/// Who coordinates each of these groups; one attempt for those that are not known.
pub(super) async fn find_many(
    inner: &Arc<Inner>,
    groups: &[String],
) -> Result<BTreeMap<String, Result<BrokerId, WireError>>, WireError> {
    let mut found = BTreeMap::new();
    let mut unknown = Vec::new();
    {
        let view = lock(&inner.view);
        for group in groups {
            match view.coordinator(&Route::Group(group.clone())) {
                Some(broker) => drop(found.insert(group.clone(), Ok(broker))),
                None => unknown.push(group.clone()),
            }
        }
    }
    for some in unknown.chunks(GROUPS_AT_ONCE) {
        for coordinator in ask_many(inner, some).await? {
            let group = coordinator.key.to_string();
            let answer = learn(inner, &Route::Group(group.clone()), &coordinator);
            found.insert(group, answer);
        }
    }
    Ok(found)
}

/// What a coordinator's answer says, remembered where it is one.
fn learn(inner: &Arc<Inner>, route: &Route, coordinator: &Coordinator) -> Result<BrokerId, WireError> {
    let what = || format!("the coordinator of group {}", coordinator.key.as_str());
    match ResponseError::try_from_code(coordinator.error_code) {
        None => {
            let broker = BrokerId(coordinator.node_id.0);
            let port = u16::try_from(coordinator.port).unwrap_or_default();
            let address = BrokerAddress { host: coordinator.host.to_string(), port };
            lock(&inner.view).learn_coordinator(route.clone(), broker, address);
            Ok(broker)
        }
        Some(error) if error.is_retriable() => Err(WireError::NotAvailable { what: what(), reason: error.to_string() }),
        Some(error) => Err(WireError::Denied { what: what(), reason: error.to_string() }),
    }
}

async fn ask_many(inner: &Arc<Inner>, groups: &[String]) -> Result<Vec<Coordinator>, WireError> {
    let connection = inner.any_connection().await?;
    let version = connection.version::<FindCoordinatorRequest>()?;
    if version < FIRST_WITH_MANY_KEYS {
        let mut all = Vec::new();
        for group in groups {
            all.push(ask(inner, group, 0).await?.with_key(StrBytes::from_string(group.clone())));
        }
        return Ok(all);
    }
    let keys = groups.iter().map(|group| StrBytes::from_string(group.clone())).collect();
    let request = FindCoordinatorRequest::default().with_key_type(0).with_coordinator_keys(keys);
    Ok(super::send(&connection, &request, version).await?.coordinators)
}

/// Asks which broker coordinates; asks again, within the request timeout, while there is none yet.
pub(super) async fn find(inner: &Arc<Inner>, route: &Route) -> Result<BrokerId, WireError> {
    let (what, key, key_type) = match route {
        Route::Group(group) => (format!("the coordinator of group {group}"), group, 0),
        Route::Transaction(id) => (format!("the coordinator of transactional id {id}"), id, 1),
        Route::Any | Route::Controller | Route::Broker(_) => {
            let reason = "this route has no coordinator".to_owned();
            return Err(WireError::NotAvailable { what: "a coordinator".to_owned(), reason });
        }
    };
    let start = Instant::now();
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_LONGEST);
    loop {
        let coordinator = ask(inner, key, key_type).await?;
        let reason = match ResponseError::try_from_code(coordinator.error_code) {
            None => {
                let broker = BrokerId(coordinator.node_id.0);
                let port = u16::try_from(coordinator.port).unwrap_or_default();
                let address = BrokerAddress { host: coordinator.host.to_string(), port };
                lock(&inner.view).learn_coordinator(route.clone(), broker, address);
                return Ok(broker);
            }
            Some(error) if error.is_retriable() => error.to_string(),
            Some(error) => return Err(WireError::Denied { what, reason: error.to_string() }),
        };
        let pause = backoff.next_pause();
        if start.elapsed() + pause >= inner.settings.request_timeout {
            return Err(WireError::NotAvailable { what, reason });
        }
        tokio::time::sleep(pause).await;
    }
}

async fn ask(inner: &Arc<Inner>, key: &str, key_type: i8) -> Result<Coordinator, WireError> {
    let connection = inner.any_connection().await?;
    let version = connection.version::<FindCoordinatorRequest>()?;
    let key = StrBytes::from_string(key.to_owned());
    let request = FindCoordinatorRequest::default().with_key_type(key_type);
    let request =
        if version >= FIRST_WITH_MANY_KEYS { request.with_coordinator_keys(vec![key]) } else { request.with_key(key) };
    let response = super::send(&connection, &request, version).await?;
    if version >= FIRST_WITH_MANY_KEYS {
        let address = connection.address().to_owned();
        let reason = "it names no coordinator".to_owned();
        let missing = WireError::Malformed { address, api: "FindCoordinator", reason };
        response.coordinators.into_iter().next().ok_or(missing)
    } else {
        Ok(only_coordinator(response))
    }
}

fn only_coordinator(response: FindCoordinatorResponse) -> Coordinator {
    Coordinator::default()
        .with_node_id(response.node_id)
        .with_host(response.host)
        .with_port(response.port)
        .with_error_code(response.error_code)
}
