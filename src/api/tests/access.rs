use std::sync::Arc;

use super::client::{TOKEN, settings, start};
use crate::api::fake::FakeBackend;
use crate::api::{ApiStartError, serve};
use crate::secrets::SecretSource;
use crate::tasks::TaskGroup;
use crate::types::Secret;

const PAUSE: &str = "/v1/links/onprem-to-aws/pause";
const ALL: &str = r#"{"topics":"all"}"#;

#[tokio::test]
async fn without_a_configured_token_nothing_can_be_changed() {
    let mut settings = settings();
    settings.api_token = None;
    let server = start(settings).await;
    for headers in ["", "Authorization: Bearer \r\n", &format!("Authorization: Bearer {TOKEN}\r\n")] {
        let answer = server.post(PAUSE, headers, ALL).await;
        assert_eq!(answer.status, 403);
        let (code, message) = answer.error();
        assert_eq!(code, "forbidden");
        assert!(message.contains("daemon.api_token"), "{message}");
    }
    assert_eq!(server.get("/v1/links").await.status, 200, "reading needs no token");
    assert!(server.backend.orders().is_empty());
}

#[tokio::test]
async fn only_the_right_token_changes_anything() {
    let server = start(settings()).await;
    for headers in [
        String::new(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        "Authorization: Bearer wrong\r\n".to_owned(),
        format!("Authorization: Bearer {TOKEN}.\r\n"),
        format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
        format!("X-Token: {TOKEN}\r\n"),
        format!("Cookie: token={TOKEN}\r\n"),
    ] {
        let answer = server.post(PAUSE, &headers, ALL).await;
        assert_eq!((answer.status, answer.error().0.as_str()), (401, "unauthorized"), "{headers}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let answer = server.post(&format!("{PAUSE}?token={}", TOKEN.replace(' ', "+")), "", ALL).await;
    assert_eq!(answer.status, 401);
    assert!(server.backend.orders().is_empty());
    assert_eq!(server.post(PAUSE, &format!("authorization: bearer {TOKEN}\r\n"), ALL).await.status, 202);
    assert_eq!(server.backend.orders().len(), 1);
}

#[tokio::test]
async fn an_unauthorized_caller_learns_nothing_from_the_body_or_the_path() {
    let server = start(settings()).await;
    assert_eq!(server.post("/v1/links/none/pause", "", "not json").await.status, 401);
}

#[tokio::test]
async fn nothing_changes_by_another_method() {
    let server = start(settings()).await;
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request = format!(
            "{method} {PAUSE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        );
        let answer = server.send(&request).await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.headers["allow"], "POST");
    }
    assert!(server.backend.orders().is_empty());
}

#[tokio::test]
async fn the_token_is_read_anew_for_each_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "the first token, long\n").unwrap();
    let mut settings = settings();
    settings.api_token = Some(SecretSource::File(file.clone()));
    let server = start(settings).await;
    let status =
        async |token: &str| server.post(PAUSE, &format!("Authorization: Bearer {token}\r\n"), ALL).await.status;
    assert_eq!(status("the first token, long").await, 202);
    std::fs::write(&file, "the second token, long\n").unwrap();
    assert_eq!(status("the first token, long").await, 401);
    assert_eq!(status("the second token, long").await, 202);
    std::fs::write(&file, "\n").unwrap();
    assert_eq!(status("x").await, 503, "an emptied file is no token");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(status("the second token, long").await, 503);
}

#[tokio::test]
async fn on_loopback_only_our_own_names_are_answered() {
    let server = start(settings()).await;
    let status = async |target: &str, host: &str| {
        server.send(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await.status
    };
    for host in ["localhost", "LocalHost:1", "127.0.0.1", "127.9.9.9:8480", "[::1]", "[::1]:8480", "localhost."] {
        assert_eq!(status("/v1/links", host).await, 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8480", "localhost.evil.example", "10.0.0.1", "", "a b", "[::2]:1"] {
        for path in ["/", "/v1/links", "/metrics", "/healthz", "/nothing"] {
            assert_eq!(status(path, host).await, 403, "{host} {path}");
        }
    }
    assert_eq!(status("http://evil.example/v1/links", "localhost").await, 403);
    assert_eq!(server.send("GET /healthz HTTP/1.0\r\n\r\n").await.status, 200, "old health checks name no host");
}

#[tokio::test]
async fn a_token_needs_tls_off_loopback() {
    let mut settings = settings();
    settings.listen = "0.0.0.0:0".to_owned();
    let error = start_error(settings).await;
    assert!(matches!(error, ApiStartError::TokenWithoutTls { .. }) && error.is_configuration(), "{error}");
}

#[tokio::test]
async fn a_token_that_is_none_is_refused_at_the_start() {
    let mut empty = settings();
    empty.api_token = Some(SecretSource::Literal(Secret::new(String::new())));
    assert!(matches!(start_error(empty).await, ApiStartError::EmptyToken));
    let mut missing = settings();
    missing.api_token = Some(SecretSource::File("/nowhere/token".into()));
    let error = start_error(missing).await.to_string();
    assert!(error.starts_with("daemon.api_token: can't read /nowhere/token"), "{error}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = start(settings()).await;
    let mut second = settings();
    second.listen = server.address.to_string();
    let error = start_error(second).await;
    assert!(error.to_string().starts_with(&format!("can't listen on {}", server.address)), "{error}");
    assert!(!error.is_configuration());
}

async fn start_error(settings: crate::api::Settings) -> ApiStartError {
    serve(settings, Arc::new(FakeBackend::default()), &TaskGroup::new()).await.unwrap_err()
}
