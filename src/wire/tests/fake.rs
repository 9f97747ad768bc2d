//! A broker at the other end of a pipe in memory: it says what the test tells it to say.

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, Request};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::types::BrokerId;
use crate::wire::{Connection, Settings, WireError};

/// What the client calls the broker at the other end of the pipe.
pub(crate) const ADDRESS: &str = "broker:9092";

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    body: Bytes,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct FakeBroker<S = DuplexStream> {
    pub(crate) stream: S,
}

impl Received {
    pub(crate) fn read<R: Request>(&self) -> R {
        assert_eq!(R::KEY, self.key as i16);
        R::decode(&mut self.body.clone(), self.version).unwrap()
    }

    /// The bytes of a response to this request.
    pub(crate) fn response<T: Encodable>(&self, response: &T) -> Bytes {
        self.response_at(response, self.version)
    }

    /// The same in another version's form.
    pub(crate) fn response_at<T: Encodable>(&self, response: &T, version: i16) -> Bytes {
        let mut frame = BytesMut::from(&[0; 4][..]);
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        header.encode(&mut frame, self.key.response_header_version(self.version)).unwrap();
        response.encode(&mut frame, version).unwrap();
        with_length(frame)
    }
}

/// Puts the length into the first four bytes.
pub(crate) fn with_length(mut frame: BytesMut) -> Bytes {
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

/// All that our codec can read.
pub(crate) fn all_versions() -> ApiVersionsResponse {
    let offer = |key: ApiKey| {
        let range = key.valid_versions();
        ApiVersion::default().with_api_key(key as i16).with_min_version(range.min).with_max_version(range.max)
    };
    ApiVersionsResponse::default().with_api_keys(ApiKey::iter().map(offer).collect())
}

impl FakeBroker {
    /// A pipe: the client's end, and the broker at the other one.
    pub(crate) fn pipe() -> (DuplexStream, Self) {
        let (ours, stream) = tokio::io::duplex(64 << 10);
        (ours, Self { stream })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> FakeBroker<S> {
    /// The next request; `None` when the client has hung up.
    pub(crate) async fn next(&mut self) -> Option<Received> {
        let length = self.stream.read_u32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await.ok()?;
        let mut body = Bytes::from(frame);
        let mut peek = body.clone();
        let (key, version) = (ApiKey::try_from(peek.get_i16()).unwrap(), peek.get_i16());
        let header = RequestHeader::decode(&mut body, key.request_header_version(version)).unwrap();
        Some(Received { key, version, correlation_id: header.correlation_id, body })
    }

    /// The next request, which must be of this kind.
    pub(crate) async fn expect<R: Request>(&mut self) -> (Received, R) {
        let received = self.next().await.expect("the client hung up");
        let request = received.read::<R>();
        (received, request)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn answer<T: Encodable>(&mut self, received: &Received, response: &T) {
        let bytes = received.response(response);
        self.send(&bytes).await;
    }

    /// Answers the version exchange.
    pub(crate) async fn introduce(&mut self) {
        let received = self.next().await.unwrap();
        assert_eq!(received.key, ApiKey::ApiVersions);
        self.answer(&received, &all_versions()).await;
    }
}

/// A connection over such a pipe; `script` is what the broker does until it is established.
pub(crate) async fn establish<F>(settings: &Settings, script: F) -> (Result<Connection, WireError>, FakeBroker)
where
    F: AsyncFnOnce(&mut FakeBroker),
{
    let (stream, mut broker) = FakeBroker::pipe();
    let (reader, writer) = tokio::io::split(stream);
    let connect = Connection::establish(reader, writer, ADDRESS, Some(BrokerId(1)), settings);
    let (connection, ()) = tokio::join!(connect, script(&mut broker));
    (connection, broker)
}

/// Plain settings.
pub(crate) fn settings() -> Settings {
    Settings::plain(vec![ADDRESS.to_owned()], "test")
}

/// An established connection.
pub(crate) async fn connected(settings: &Settings) -> (Connection, FakeBroker) {
    let (connection, broker) = establish(settings, FakeBroker::introduce).await;
    (connection.unwrap(), broker)
}
