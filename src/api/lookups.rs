//! Looking up groups, many translations at once, and waiting for an offset.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;

use super::backend::{Backend, TranslateQuestion};
use super::error::{ApiError, nearest};
use super::json::{Awaited, Group, Groups, TranslateBody, Translations};
use super::query::{Parameters, bad};
use super::routes::{Answer, App, Name, TwoNames, bad_path, unknown_link, unknown_topic};
use crate::types::PartitionIndex;

/// Positions of one call: about what a body may hold.
const POSITIONS_MAX: usize = 5_000;
/// How long a call waits that does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// The longest that a call may wait.
const WAIT_MAX: Duration = Duration::from_mins(10);

pub(super) async fn groups(State(app): State<App>, link: Name) -> Answer<Groups> {
    let Path(link) = link.map_err(|error| bad_path(&error))?;
    let groups = app.backend.groups(&link).ok_or_else(|| unknown_link(&*app.backend, &link))?;
    Ok(Json(Groups { groups }))
}

pub(super) async fn group(State(app): State<App>, names: TwoNames) -> Answer<Group> {
    let Path((link, group)) = names.map_err(|error| bad_path(&error))?;
    app.backend.group(&link, &group).map(Json).ok_or_else(|| unknown_group(&*app.backend, &link, &group))
}

/// Translates a list, or refuses it as a whole: a list with holes would be taken for a whole one.
pub(super) async fn translate_many(
    State(app): State<App>,
    link: Name,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Translations> {
    let Path(link) = link.map_err(|error| bad_path(&error))?;
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge { bytes_max: app.body_bytes_max },
        _ => ApiError::BadBody(error.body_text()),
    })?;
    let body: TranslateBody = serde_json::from_slice(&body)
        .map_err(|error| ApiError::BadBody(format!("the body can't be read as a list of positions: {error}")))?;
    if body.positions.len() > POSITIONS_MAX {
        return Err(bad("positions", &format!("has {}; at most {POSITIONS_MAX} a call", body.positions.len())));
    }
    let questions = body.questions().map_err(|error| bad("positions", &error.to_string()))?;
    let mut partitions = BTreeMap::new();
    for question in &questions {
        if !partitions.contains_key(&question.topic) {
            partitions.insert(question.topic.clone(), partitions_of(&*app.backend, &link, question)?);
        }
        let of_topic = partitions.get(&question.topic).map(Vec::as_slice).unwrap_or_default();
        check_partition(of_topic, question)?;
    }
    let translate = |question: &TranslateQuestion| app.backend.translate(&link, question);
    let translations = questions.iter().map(translate).collect::<Result<Vec<_>, _>>()?;
    Ok(Json(Translations { translations }))
}

pub(super) async fn wait(
    State(app): State<App>,
    link: Name,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Answer<Awaited> {
    let Path(link) = link.map_err(|error| bad_path(&error))?;
    let Query(pairs) = query.map_err(|error| bad("query", &error.body_text()))?;
    let parameters = Parameters::new(pairs, &["topic", "partition", "offset", "timeout"])?;
    let question = parameters.translate_question()?;
    let limit = parameters.duration("timeout", WAIT_DEFAULT, WAIT_MAX)?;
    check_partition(&partitions_of(&*app.backend, &link, &question)?, &question)?;
    app.backend.wait(&link, &question, limit).await.map(Json)
}

/// The partitions of the topic that a question is about.
pub(super) fn partitions_of(
    backend: &dyn Backend,
    link: &str,
    question: &TranslateQuestion,
) -> Result<Vec<PartitionIndex>, ApiError> {
    let name = question.topic.as_str();
    let topic = backend.topic(link, name).ok_or_else(|| unknown_topic(backend, link, name))?;
    Ok(topic.partitions.iter().map(|partition| partition.partition).collect())
}

pub(super) fn check_partition(partitions: &[PartitionIndex], question: &TranslateQuestion) -> Result<(), ApiError> {
    if partitions.contains(&question.partition) {
        return Ok(());
    }
    Err(ApiError::UnknownPartition {
        topic: question.topic.to_string(),
        partition: question.partition.0,
        partitions: partitions.len(),
    })
}

/// The answer for a group that is not there; also for a link that is not there.
fn unknown_group(backend: &dyn Backend, link: &str, group: &str) -> ApiError {
    let Some(groups) = backend.groups(link) else { return unknown_link(backend, link) };
    let nearest = nearest(group, groups.iter().map(|group| group.group.as_str()));
    ApiError::UnknownGroup { link: link.to_owned(), group: group.to_owned(), nearest }
}
