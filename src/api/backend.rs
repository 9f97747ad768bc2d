//! The port onto the daemon: what the API asks and orders.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::error::ApiError;
use super::json;
use crate::types::{PartitionIndex, SourceOffset, TargetOffset, TopicName};

/// A future that may be sent between threads and holds nothing but `'a`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An offset whose place on the other side is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownOffset {
    /// Source to target.
    Source(SourceOffset),
    /// Target to source (`direction=reverse`).
    Target(TargetOffset),
}

/// Where does this offset lie on the other side?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslateQuestion {
    /// The topic's name at the source, in both directions.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The offset.
    pub offset: KnownOffset,
}

/// What the API needs of a daemon. All but [`Backend::order`] and [`Backend::wait`] answer from memory and do not wait.
///
/// Names of links and topics arrive as they were asked for; whether they exist is the backend's to say. Before
/// [`Backend::translate`] and [`Backend::order`] the API has already seen that the link (and the named topics) exist.
pub trait Backend: Send + Sync + 'static {
    /// All links, by name.
    fn links(&self) -> Vec<json::Link>;

    /// One link; `None`: there is none of this name.
    fn link(&self, link: &str) -> Option<json::Link>;

    /// The mirror topics of a link, by source topic; `None`: no such link.
    fn topics(&self, link: &str) -> Option<Vec<json::Topic>>;

    /// One mirror topic of a link; `None`: no such link or topic.
    fn topic(&self, link: &str, topic: &str) -> Option<json::Topic>;

    /// Where an offset lies on the other side.
    fn translate(&self, link: &str, question: &TranslateQuestion) -> Result<json::Translated, ApiError>;

    /// The consumer groups of a link, by name; `None`: no such link.
    fn groups(&self, link: &str) -> Option<Vec<json::Group>>;

    /// One consumer group of a link, by its name at the source; `None`: no such link or group.
    fn group(&self, link: &str, group: &str) -> Option<json::Group>;

    /// Waits until a source offset is on the target, at most so long.
    fn wait<'a>(
        &'a self,
        link: &'a str,
        question: &'a TranslateQuestion,
        limit: Duration,
    ) -> BoxFuture<'a, Result<json::Awaited, ApiError>>;

    /// Does what a person wants, or says what would be done. Returns when the order is stored, not when it is
    /// carried out.
    fn order<'a>(&'a self, link: &'a str, order: json::Order) -> BoxFuture<'a, Result<json::OrderDone, ApiError>>;

    /// Whether the daemon can do its work.
    fn readiness(&self) -> json::Readiness;

    /// All metrics in Prometheus' text form.
    fn metrics(&self) -> BoxFuture<'_, String>;

    /// The peers that are configured, by name.
    fn peers(&self) -> Vec<json::Peer>;

    /// The daemon itself.
    fn daemon(&self) -> json::Daemon;
}
