//! A connection, as a broker sees it.
//!
//! Owns: frames, request headers, where faults strike.
//! Promises: requests of one connection are answered one after the other, as brokers do; whatever comes in, the
//! outcome is an answer or a closed connection, and memory is set aside for what has arrived only.
//! Does not know: what an API does.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Cluster;
use super::api::{self, Call};
use super::faults::{Action, Request};

/// Why a connection ends.
enum End {
    /// The other side hung up, or sent what no client sends.
    Close,
    /// A rule wants silence.
    Stall,
}

/// Serves until the client hangs up.
pub(crate) async fn connection<S>(cluster: Cluster, broker: i32, mut stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    loop {
        let Some(frame) = read_frame(&mut stream, cluster.settings().frame_bytes_max).await else { return };
        match answer(&cluster, broker, frame).await {
            Ok(Some(response)) => {
                if stream.write_all(&response).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(End::Close) => return,
            Err(End::Stall) => {
                // What the client still sends is taken, and nothing is said.
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                return;
            }
        }
    }
}

/// The next frame; `None` at the end, and when it is larger than allowed.
async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S, bytes_max: usize) -> Option<Bytes> {
    let length = usize::try_from(stream.read_i32().await.ok()?).ok()?;
    if length > bytes_max {
        return None;
    }
    // Grows with what arrives: a length is easily said.
    let mut frame = Vec::new();
    stream.take(u64::try_from(length).ok()?).read_to_end(&mut frame).await.ok()?;
    (frame.len() == length).then(|| Bytes::from(frame))
}

async fn answer(cluster: &Cluster, broker: i32, mut frame: Bytes) -> Result<Option<Bytes>, End> {
    let mut peek = frame.clone();
    let key = peek.try_get_i16().map_err(|_| End::Close)?;
    let version = peek.try_get_i16().map_err(|_| End::Close)?;
    let api_key = ApiKey::try_from(key).map_err(|()| End::Close)?;
    let header = RequestHeader::decode(&mut frame, api_key.request_header_version(version)).map_err(|_| End::Close)?;
    let client_id = header.client_id.as_deref().unwrap_or_default();
    let correlation_id = header.correlation_id;
    let Some(offer) = api::offered().into_iter().find(|offer| offer.key == key) else { return Err(End::Close) };
    if !offer.versions.contains(&version) {
        // Only a client that asks for versions gets an answer that it can read (KIP-511).
        return if api_key == ApiKey::ApiVersions { Ok(api::unsupported(correlation_id)) } else { Err(End::Close) };
    }
    let request = Request { api: api_key, version, broker, client_id, body: &frame };
    let action = cluster.faults().decide(&request);
    let mut failure: Option<ResponseError> = None;
    match action {
        Action::Close => return Err(End::Close),
        Action::Fail(code) => failure = Some(code),
        Action::Delay(pause) => tokio::time::sleep(pause).await,
        Action::Answer | Action::DelayResponse(_) | Action::DropResponse | Action::Corrupt | Action::Stall => {}
    }
    let call = Call { cluster: cluster.clone(), broker, version, client_id: client_id.to_owned(), failure };
    let mut response = BytesMut::from([0; 4].as_slice());
    let head = ResponseHeader::default().with_correlation_id(correlation_id);
    head.encode(&mut response, api_key.response_header_version(version)).map_err(|_| End::Close)?;
    let is_answered = api::answer(key, call, frame, &mut response).await.map_err(|reason| {
        tracing::debug!(api = ?api_key, version, reason, "a request can't be answered");
        End::Close
    })?;
    finish(response, action, is_answered).await
}

/// The length in front, and what a rule does to the response.
async fn finish(mut response: BytesMut, action: Action, is_answered: bool) -> Result<Option<Bytes>, End> {
    let length = i32::try_from(response.len() - 4).map_err(|_| End::Close)?;
    if let Some(mut place) = response.get_mut(..4) {
        place.put_i32(length);
    }
    match action {
        Action::DropResponse => return Err(End::Close),
        Action::Stall => return Err(End::Stall),
        Action::DelayResponse(pause) => tokio::time::sleep(pause).await,
        Action::Corrupt => {
            if let Some(byte) = response.last_mut() {
                *byte ^= 0x55;
            }
        }
        Action::Answer | Action::Fail(_) | Action::Delay(_) | Action::Close => {}
    }
    Ok(is_answered.then(|| response.freeze()))
}
