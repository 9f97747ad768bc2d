//! Taking orders: from a body to an [`Order`], checked against what there is.

use std::net::SocketAddr;

use super::backend::Backend;
use super::error::ApiError;
use super::json::{Order, OrderAction, OrderBody, OrderDone, TopicSelection};
use super::query::bad;
use super::routes::{unknown_link, unknown_topic};

const WHO_CHARS_MAX: usize = 200;
const WHY_CHARS_MAX: usize = 1000;

/// The word of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Pause,
    Resume,
    Resolve,
}

/// Checks an order and hands it to the backend. What was ordered, by whom and why stands in the log.
pub(super) async fn take(
    backend: &dyn Backend,
    verb: Verb,
    link: &str,
    body: &[u8],
    caller: SocketAddr,
) -> Result<OrderDone, ApiError> {
    let body: OrderBody = serde_json::from_slice(body)
        .map_err(|error| ApiError::BadBody(format!("the body can't be read as an order: {error}")))?;
    let action = action(verb, &body)?;
    if backend.link(link).is_none() {
        return Err(unknown_link(backend, link));
    }
    if let TopicSelection::These(topics) = &body.topics {
        for topic in topics {
            let topic = topic.as_str();
            let known = backend.topic(link, topic).ok_or_else(|| unknown_topic(backend, link, topic))?;
            check_partition(action, topic, known.partitions.len())?;
        }
    }
    let who = match body.who {
        Some(who) => short("who", who, WHO_CHARS_MAX)?,
        None => format!("API caller at {}", caller.ip()),
    };
    let why = body.why.map(|why| short("why", why, WHY_CHARS_MAX)).transpose()?;
    tracing::info!(
        link,
        order = action.name(),
        particulars = ?action,
        topics = ?body.topics,
        dry_run = body.dry_run,
        who,
        why,
        caller = %caller.ip(),
        "order taken"
    );
    backend.order(link, Order { action, topics: body.topics, dry_run: body.dry_run, who, why }).await
}

fn action(verb: Verb, body: &OrderBody) -> Result<OrderAction, ApiError> {
    let only_resolve = || {
        let has = [("with", body.with.is_some()), ("partition", body.partition.is_some())];
        match has.into_iter().find(|(_, is_there)| *is_there) {
            Some((name, _)) => Err(bad(name, "belongs to `resolve` only")),
            None => Ok(()),
        }
    };
    match verb {
        Verb::Pause => only_resolve().map(|()| OrderAction::Pause),
        Verb::Resume => only_resolve().map(|()| OrderAction::Resume),
        Verb::Resolve => {
            let missing = || bad("with", "is missing: retry, skip, accept-gap, translate or remirror");
            let with = body.with.ok_or_else(missing)?;
            if body.partition.is_some_and(|partition| partition.0 < 0) {
                return Err(bad("partition", "must be a whole number from 0"));
            }
            Ok(OrderAction::Resolve { partition: body.partition, with })
        }
    }
}

fn check_partition(action: OrderAction, topic: &str, partitions: usize) -> Result<(), ApiError> {
    match action {
        OrderAction::Resolve { partition: Some(partition), .. }
            if usize::try_from(partition.0).is_ok_and(|index| index >= partitions) =>
        {
            Err(ApiError::UnknownPartition { topic: topic.to_owned(), partition: partition.0, partitions })
        }
        OrderAction::Pause | OrderAction::Resume | OrderAction::Resolve { .. } => Ok(()),
    }
}

fn short(name: &str, text: String, chars_max: usize) -> Result<String, ApiError> {
    if text.chars().count() > chars_max {
        return Err(bad(name, &format!("is longer than {chars_max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(bad(name, "has control characters"));
    }
    Ok(text)
}
