//! Paths, and what answers there.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};

use super::access::{self, Access};
use super::backend::Backend;
use super::error::{ApiError, nearest};
use super::json::{Daemon, Health, Link, Links, Peers, Readiness, Topic, Topics, Translated};
use super::lookups;
use super::orders::{self, Verb};
use super::page::Page;
use super::query::{Parameters, bad};
use super::settings::Limits;

const OPENAPI: &str = include_str!("openapi.json");

pub(super) type Answer<T> = Result<Json<T>, ApiError>;
pub(super) type Name = Result<Path<String>, PathRejection>;
pub(super) type TwoNames = Result<Path<(String, String)>, PathRejection>;

#[derive(Clone)]
pub(super) struct App {
    pub(super) backend: Arc<dyn Backend>,
    page: Arc<Page>,
    pub(super) body_bytes_max: usize,
}

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) SocketAddr);

/// All paths.
pub(super) fn router(backend: Arc<dyn Backend>, access: Access, limits: &Limits) -> Router {
    let access = Arc::new(access);
    let app = App { backend, page: Arc::new(Page::new()), body_bytes_max: limits.body_bytes_max };
    let answer_time = limits.answer_time;
    let orders = Router::new()
        .route("/v1/links/{link}/pause", post(pause))
        .route("/v1/links/{link}/resume", post(resume))
        .route("/v1/links/{link}/resolve", post(resolve))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&access), access::only_with_token));
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .route("/v1/daemon", get(daemon))
        .route("/v1/peers", get(peers))
        .route("/v1/links", get(links))
        .route("/v1/links/{link}", get(link))
        .route("/v1/links/{link}/topics", get(topics))
        .route("/v1/links/{link}/topics/{topic}", get(topic))
        .route("/v1/links/{link}/groups", get(lookups::groups))
        .route("/v1/links/{link}/groups/{group}", get(lookups::group))
        .route("/v1/links/{link}/translate", get(translate).post(lookups::translate_many))
        .merge(orders)
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(limits.body_bytes_max))
        .layer(middleware::from_fn(move |request: Request, next: Next| async move {
            let too_slow = ApiError::TooSlow { seconds: answer_time.as_secs() };
            tokio::time::timeout(answer_time, next.run(request)).await.unwrap_or_else(|_| too_slow.into_response())
        }))
        // Its caller says how long it may take.
        .route("/v1/links/{link}/await", get(lookups::wait))
        .layer(middleware::from_fn_with_state(access, access::only_to_our_name))
        .layer(middleware::map_response(careful_headers))
        .with_state(app)
}

async fn careful_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

async fn page(State(app): State<App>) -> Page {
    app.page.as_ref().clone()
}

async fn healthz() -> Json<Health> {
    Json(Health { alive: true, version: env!("CARGO_PKG_VERSION").to_owned() })
}

async fn readyz(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    let readiness = app.backend.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.backend.metrics().await)
}

async fn openapi() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn daemon(State(app): State<App>) -> Json<Daemon> {
    Json(app.backend.daemon())
}

async fn peers(State(app): State<App>) -> Json<Peers> {
    Json(Peers { peers: app.backend.peers() })
}

async fn links(State(app): State<App>) -> Json<Links> {
    Json(Links { links: app.backend.links() })
}

async fn link(State(app): State<App>, link: Name) -> Answer<Link> {
    let Path(link) = link.map_err(|error| bad_path(&error))?;
    app.backend.link(&link).map(Json).ok_or_else(|| unknown_link(&*app.backend, &link))
}

async fn topics(State(app): State<App>, link: Name) -> Answer<Topics> {
    let Path(link) = link.map_err(|error| bad_path(&error))?;
    let topics = app.backend.topics(&link).ok_or_else(|| unknown_link(&*app.backend, &link))?;
    Ok(Json(Topics { topics }))
}

async fn topic(State(app): State<App>, names: TwoNames) -> Answer<Topic> {
    let Path((link, topic)) = names.map_err(|error| bad_path(&error))?;
    app.backend.topic(&link, &topic).map(Json).ok_or_else(|| unknown_topic(&*app.backend, &link, &topic))
}

async fn translate(
    State(app): State<App>,
    link: Name,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Answer<Translated> {
    let Path(link) = link.map_err(|error| bad_path(&error))?;
    let Query(pairs) = query.map_err(|error| bad("query", &error.body_text()))?;
    let parameters = Parameters::new(pairs, &["topic", "partition", "offset", "direction"])?;
    let question = parameters.translate_question()?;
    lookups::check_partition(&lookups::partitions_of(&*app.backend, &link, &question)?, &question)?;
    app.backend.translate(&link, &question).map(Json)
}

async fn pause(
    app: State<App>,
    caller: Extension<Caller>,
    link: Name,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    order(Verb::Pause, app, caller, link, body).await
}

async fn resume(
    app: State<App>,
    caller: Extension<Caller>,
    link: Name,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    order(Verb::Resume, app, caller, link, body).await
}

async fn resolve(
    app: State<App>,
    caller: Extension<Caller>,
    link: Name,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    order(Verb::Resolve, app, caller, link, body).await
}

async fn order(
    verb: Verb,
    State(app): State<App>,
    Extension(Caller(caller)): Extension<Caller>,
    link: Name,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let Path(link) = link.map_err(|error| bad_path(&error))?;
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge { bytes_max: app.body_bytes_max },
        _ => ApiError::BadBody(error.body_text()),
    })?;
    let done = orders::take(&*app.backend, verb, &link, &body, caller).await?;
    // 202: the order is stored; the owner of the link carries it out.
    let status = if done.request.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(done)).into_response())
}

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::UnknownPath(uri.path().to_owned())
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::WrongMethod { method: method.to_string(), path: uri.path().to_owned() }
}

pub(super) fn bad_path(error: &PathRejection) -> ApiError {
    bad("path", &error.body_text())
}

/// The answer for a link that is not there.
pub(super) fn unknown_link(backend: &dyn Backend, link: &str) -> ApiError {
    let links = backend.links();
    let nearest = nearest(link, links.iter().map(|link| link.name.as_str()));
    ApiError::UnknownLink { link: link.to_owned(), nearest }
}

/// The answer for a topic that is not there; also for a link that is not there.
pub(super) fn unknown_topic(backend: &dyn Backend, link: &str, topic: &str) -> ApiError {
    let Some(topics) = backend.topics(link) else { return unknown_link(backend, link) };
    let nearest = nearest(topic, topics.iter().map(|topic| topic.source_topic.as_str()));
    ApiError::UnknownTopic { link: link.to_owned(), topic: topic.to_owned(), nearest }
}
