use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::client::{TOKEN, read, settings, start, start_over};
use crate::api::fake::FakeBackend;

const PAUSE: &str = "/v1/links/onprem-to-aws/pause";

fn slow_backend() -> FakeBackend {
    FakeBackend { gate: Semaphore::new(0), ..FakeBackend::default() }
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let mut settings = settings();
    settings.limits.body_bytes_max = 1000;
    let server = start(settings).await;
    let answer = server.order(PAUSE, &" ".repeat(1001)).await;
    assert_eq!((answer.status, answer.error().0.as_str()), (413, "body_too_large"));
    let chunked = format!(
        "POST {PAUSE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n3e9\r\n{}\r\n0\r\n\r\n",
        " ".repeat(1001)
    );
    assert_eq!(server.send(&chunked).await.status, 413);
}

#[tokio::test]
async fn headers_have_a_limit() {
    let server = start(settings()).await;
    let answer =
        server.send(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024))).await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn slow_and_idle_callers_are_let_go() {
    let mut settings = settings();
    settings.limits.header_time = Duration::from_millis(50);
    let server = start(settings).await;
    for beginning in ["GET / HTTP/1.1\r\nHost: loc", ""] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
    }
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(read(idle).await.status, 200, "answered, kept open for a while, then closed by the server");
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let mut settings = settings();
    settings.limits.connections_max = 1;
    let server = start(settings).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut start_of_answer = [0; 12];
    first.read_exact(&mut start_of_answer).await.unwrap();
    assert_eq!(&start_of_answer, b"HTTP/1.1 200");
    let second = server.get("/healthz");
    let mut second = std::pin::pin!(second);
    assert!(tokio::time::timeout(Duration::from_millis(100), second.as_mut()).await.is_err(), "there is one place");
    drop(first);
    assert_eq!(second.await.status, 200);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_an_error() {
    let mut settings = settings();
    settings.limits.answer_time = Duration::from_millis(50);
    let server = start_over(settings, slow_backend()).await;
    let answer = server.order(PAUSE, r#"{"topics":"all"}"#).await;
    assert_eq!((answer.status, answer.error().0.as_str()), (504, "too_slow"));
}

#[tokio::test]
async fn stopping_lets_answers_under_way_finish() {
    let server = start_over(settings(), slow_backend()).await;
    let order = server.order(PAUSE, r#"{"topics":"all"}"#);
    let stop = async {
        server.backend.waiting.acquire().await.unwrap().forget();
        server.tasks.stop();
        server.backend.gate.add_permits(1);
        server.tasks.close().await;
    };
    let (answer, ()) = tokio::join!(order, stop);
    assert_eq!(answer.status, 202);
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn stopping_does_not_wait_for_idle_or_hanging_callers() {
    let mut settings = settings();
    settings.limits.drain_time = Duration::from_millis(50);
    let server = start_over(settings, slow_backend()).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    let mut hanging = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "POST {PAUSE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 16\r\n\r\n\
         {{\"topics\":\"all\"}}"
    );
    hanging.write_all(request.as_bytes()).await.unwrap();
    server.backend.waiting.acquire().await.unwrap().forget();
    server.tasks.close().await;
    drop(idle);
}
