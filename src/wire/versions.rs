//! Which version of an API both sides speak.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Buf;
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::{Decodable, Message, Request, StrBytes};

use super::connection::Line;
use super::encode::{judge, response_body};
use super::{ResponseError, WireError, api_name, form, lock};

/// The version of `ApiVersions` that is tried first. Later ones tell nothing that we use.
const FIRST_TRY: i16 = 3;

/// What a broker offers, by API key.
#[derive(Debug)]
pub(super) struct Versions {
    offered: BTreeMap<i16, (i16, i16)>,
    ceilings: Ceilings,
}

/// Versions that turned out to be unreadable, by API key. Some brokers put fields into a version that does not have
/// them; one version lower they are usually right. Shared by all connections to a cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Ceilings(Arc<Mutex<BTreeMap<i16, i16>>>);

impl Ceilings {
    /// A response at this version could not be read because of a field that it should not have.
    pub(super) fn lower(&self, api_key: i16, unreadable: i16) {
        let mut ceilings = lock(&self.0);
        let ceiling = ceilings.entry(api_key).or_insert(i16::MAX);
        *ceiling = (*ceiling).min(unreadable - 1);
    }

    fn of(&self, api_key: i16) -> i16 {
        lock(&self.0).get(&api_key).copied().unwrap_or(i16::MAX)
    }
}

impl Versions {
    /// Asks the broker. A broker that doesn't know our version of the question says so in version 0, with the
    /// versions that it knows (KIP-511).
    pub(super) async fn ask(line: &Line, ceilings: Ceilings) -> Result<Self, WireError> {
        let mut version = FIRST_TRY;
        loop {
            let response = ask_once(line, version).await?;
            let offered = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
            let offered: BTreeMap<_, _> = if line.is_judged() {
                offered.filter_map(|(key, offered)| Some((key, judgeable(key, offered)?))).collect()
            } else {
                offered.collect()
            };
            match ResponseError::try_from_code(response.error_code) {
                None => return Ok(Self { offered, ceilings }),
                Some(ResponseError::UnsupportedVersion) if version > 0 => {
                    let newest = offered.get(&ApiVersionsRequest::KEY).map_or(0, |(_, newest)| *newest);
                    version = newest.clamp(0, version - 1);
                }
                Some(error) => {
                    return Err(line.malformed(api_name::<ApiVersionsRequest>(), &format!("it answered {error}")));
                }
            }
        }
    }

    /// The newest common version, at most `version_max`; `None` when there is none.
    pub(super) fn newest<R: Request>(&self, version_max: i16) -> Option<i16> {
        let (oldest, newest) = self.offered.get(&R::KEY)?;
        let ours = R::VERSIONS;
        let lowest = ours.min.max(*oldest);
        let highest = ours.max.min(*newest).min(version_max);
        // A ceiling below everything that is offered would only hide the real error.
        let highest = highest.min(self.ceilings.of(R::KEY).max(lowest));
        (lowest <= highest).then_some(highest)
    }

    /// The versions that both speak, from the oldest to the newest.
    pub(super) fn common<R: Request>(&self) -> Option<(i16, i16)> {
        let newest = self.newest::<R>(i16::MAX)?;
        let (oldest, _) = self.offered.get(&R::KEY)?;
        Some((R::VERSIONS.min.max(*oldest), newest))
    }

    /// Notes that a response could not be read.
    pub(super) fn note_unreadable(&self, api_key: i16, version: i16, reason: &str) {
        if reason.contains("is not valid for version") {
            self.ceilings.lower(api_key, version);
        }
    }
}

/// What of the offered versions can be judged.
fn judgeable(api_key: i16, (oldest, newest): (i16, i16)) -> Option<(i16, i16)> {
    let (first, last) = form::known_versions(api_key)?;
    let (oldest, newest) = (oldest.max(first), newest.min(last));
    (oldest <= newest).then_some((oldest, newest))
}

async fn ask_once(line: &Line, version: i16) -> Result<ApiVersionsResponse, WireError> {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str(env!("CARGO_PKG_NAME")))
        .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
    let frame = line.exchange(&request, version).await?;
    let api = api_name::<ApiVersionsRequest>();
    if line.is_judged() {
        judge::<ApiVersionsRequest>(&frame, version).map_err(|error| line.malformed(api, &error))?;
    }
    let mut body = response_body::<ApiVersionsRequest>(frame, version).map_err(|error| line.malformed(api, &error))?;
    let error_code = body.as_ref().try_get_i16().unwrap_or_default();
    let is_refused = ResponseError::try_from_code(error_code) == Some(ResponseError::UnsupportedVersion);
    let answered_in = if is_refused { 0 } else { version };
    debug_assert!(answered_in <= ApiVersionsResponse::VERSIONS.max);
    ApiVersionsResponse::decode(&mut body, answered_in).map_err(|error| line.malformed(api, &error.to_string()))
}
