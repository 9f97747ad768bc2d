//! What is made to go wrong.
//!
//! Owns: rules, and how often each applied.
//! Promises: rules are asked in the order in which they were given, and the first that applies decides; the n-th call
//! is counted among those that the rule is about.
//! Does not know: what an API does; a failure is a code that each API puts where it puts its codes.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiKey;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is answered.
    Answer,
    /// It is not done, and answered with this code.
    Fail(ResponseError),
    /// It is done and answered, after a while.
    Delay(Duration),
    /// It is done, and answered after a while.
    DelayResponse(Duration),
    /// It is done; the response never comes and the connection is closed.
    DropResponse,
    /// It is not done, and the connection is closed.
    Close,
    /// It is done; one byte of the response is wrong.
    Corrupt,
    /// It is done; nothing comes ever again on this connection, which stays open.
    Stall,
}

/// A request as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Which API.
    pub api: ApiKey,
    /// In which version.
    pub version: i16,
    /// Which broker got it.
    pub broker: i32,
    /// As whom the client introduces itself.
    pub client_id: &'a str,
    /// The request as it came, without its header.
    pub body: &'a [u8],
}

type Predicate = Arc<dyn Fn(&Request<'_>) -> bool + Send + Sync>;

/// What to do with which requests.
#[derive(Clone)]
pub struct Rule {
    api: Option<ApiKey>,
    broker: Option<i32>,
    skip: u32,
    times: Option<u32>,
    predicate: Option<Predicate>,
    action: Action,
}

impl Rule {
    /// This, with every request.
    #[must_use]
    pub fn new(action: Action) -> Self {
        Self { api: None, broker: None, skip: 0, times: None, predicate: None, action }
    }

    /// With requests of this API only.
    #[must_use]
    pub fn api(mut self, api: ApiKey) -> Self {
        self.api = Some(api);
        self
    }

    /// With requests to this broker only.
    #[must_use]
    pub fn broker(mut self, broker: i32) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Not with the first so many.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Self {
        self.skip = calls;
        self
    }

    /// So many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// With requests of which this is true. It is called with a lock held: it must not touch the cluster.
    #[must_use]
    pub fn when(mut self, predicate: impl Fn(&Request<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.predicate = Some(Arc::new(predicate));
        self
    }

    fn is_about(&self, request: &Request<'_>) -> bool {
        self.api.is_none_or(|api| api == request.api)
            && self.broker.is_none_or(|broker| broker == request.broker)
            && self.predicate.as_ref().is_none_or(|predicate| predicate(request))
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = (self.api, self.broker, self.skip, self.times, self.action);
        f.debug_tuple("Rule").field(&what).finish()
    }
}

/// The rules of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Counted>>,
}

#[derive(Debug)]
struct Counted {
    rule: Rule,
    seen: u32,
    applied: u32,
}

impl Faults {
    pub(crate) fn add(&self, rule: Rule) {
        super::lock(&self.rules).push(Counted { rule, seen: 0, applied: 0 });
    }

    pub(crate) fn clear(&self) {
        super::lock(&self.rules).clear();
    }

    /// How often a rule has applied, in the order in which they were given.
    pub(crate) fn applied(&self) -> Vec<u32> {
        super::lock(&self.rules).iter().map(|counted| counted.applied).collect()
    }

    pub(crate) fn decide(&self, request: &Request<'_>) -> Action {
        for counted in super::lock(&self.rules).iter_mut() {
            if !counted.rule.is_about(request) {
                continue;
            }
            counted.seen += 1;
            let is_its_turn = counted.seen > counted.rule.skip;
            if is_its_turn && counted.rule.times.is_none_or(|times| counted.applied < times) {
                counted.applied += 1;
                return counted.rule.action;
            }
        }
        Action::Answer
    }
}
