//! A caller that sends exactly the bytes it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api::fake::FakeBackend;
use crate::api::{Limits, Settings, serve};
use crate::secrets::SecretSource;
use crate::tasks::TaskGroup;
use crate::types::Secret;

pub(super) const TOKEN: &str = "a token that is long enough";

/// An API over a fake backend.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) backend: Arc<FakeBackend>,
    pub(super) tasks: TaskGroup,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
}

pub(super) fn settings() -> Settings {
    Settings {
        listen: "127.0.0.1:0".to_owned(),
        api_token: Some(SecretSource::Literal(Secret::new(TOKEN.to_owned()))),
        tls: None,
        limits: Limits::default(),
    }
}

pub(super) async fn start(settings: Settings) -> Server {
    start_over(settings, FakeBackend::default()).await
}

pub(super) async fn start_over(settings: Settings, backend: FakeBackend) -> Server {
    let (backend, tasks) = (Arc::new(backend), TaskGroup::new());
    let address = serve(settings, Arc::clone(&backend) as Arc<_>, &tasks).await.unwrap();
    Server { address, backend, tasks }
}

impl Server {
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)).await
    }

    pub(super) async fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let host = self.address;
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}");
        self.send(&format!("{head}\r\n{headers}\r\n{body}")).await
    }

    pub(super) async fn order(&self, path: &str, body: &str) -> Answer {
        self.post(path, &format!("Authorization: Bearer {TOKEN}\r\n"), body).await
    }

    pub(super) async fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        read(stream).await
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The word and the sentence of an error.
    pub(super) fn error(&self) -> (String, String) {
        let body = self.json();
        let text = |name: &str| body["error"][name].as_str().unwrap().to_owned();
        (text("code"), text("message"))
    }
}

/// Reads to the end of the connection.
pub(super) async fn read(mut stream: impl AsyncReadExt + Unpin) -> Answer {
    let mut bytes = Vec::new();
    // A server that refuses before it has read everything may reset the connection after its answer.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: `{text}`"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer { status, headers, body: body.to_owned() }
}
