//! One stream of a peer, and the connection to a broker that stands behind it.

use std::collections::HashSet;
use std::io;
use std::sync::Mutex;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, DescribeConfigsRequest, DescribeProducersRequest,
    FetchRequest, FindCoordinatorRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, ResponseHeader,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request};
use rand::seq::IndexedRandom;
use tokio::io::AsyncReadExt;

use super::admit::{Answered, Desk};
use super::{Exposed, Wanted};
use crate::peer::{Caller, ResetReason, Stream, StreamReader, StreamWriter};
use crate::tasks::BytePermit;
use crate::wire::form::fits;
use crate::wire::{Connection, Parts, ResponseError, WireError};

/// The largest request. Ten thousand partitions fit in one.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What is held at most of a Fetch's answer: what waits on the stream, and parts on their way there.
const ON_THE_WAY_BYTES: usize = 1 << 20;
/// A Fetch may take this part of what is free, so that there is always some for the next one.
const FREE_SHARE: usize = 4;
/// The least that is worth a question.
const FETCH_BYTES_LEAST: usize = 64 << 10;
/// The first version of Fetch that has ids in place of names (KIP-516).
const TOPIC_IDS_FROM: i16 = 13;
/// Of the number that ties a response to its request.
const CORRELATION_ID_BYTES: usize = 4;

/// Why a stream is not served any further.
#[derive(Debug, thiserror::Error)]
enum Unserved {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("it asked for API {0}, which is never answered")]
    Api(i16),
    #[error("its request to API {0}, version {1}, has not the form of one")]
    Form(i16, i16),
    #[error("a request of {0} bytes")]
    Size(usize),
    #[error("a response that can't be written: {0}")]
    Response(String),
}

/// A request, as far as everything has it.
struct Asked {
    key: i16,
    version: i16,
    correlation_id: i32,
    body: Bytes,
}

/// The answer.
enum Told {
    /// What follows the correlation id.
    Whole(Bytes),
    /// The broker's own bytes, and the right to hold what is on the way of them.
    Passing(Parts, BytePermit),
}

/// Serves a stream until it ends.
pub(super) async fn serve(exposed: &Exposed, wanted: Wanted, caller: &Caller, stream: Stream) {
    let connection = match connect(exposed, wanted).await {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(peer = %caller.peer, ?wanted, %error, "no broker for a peer's stream");
            return stream.reset(ResetReason::Failed);
        }
    };
    let (mut reader, mut writer) = stream.into_split();
    let served = tokio::select! {
        served = relay(exposed, &connection, &mut reader, &mut writer) => served,
        // The other side sees its connection end, as it would see the broker's.
        () = connection.closed() => Ok(()),
    };
    match served {
        Ok(()) => writer.finish(),
        Err(Unserved::Io(_) | Unserved::Wire(_)) => {}
        Err(error) => tracing::warn!(peer = %caller.peer, instance = %caller.instance, %error, "a peer was refused"),
    }
}

async fn connect(exposed: &Exposed, wanted: Wanted) -> Result<Connection, WireError> {
    let client = exposed.cluster.client();
    if let Wanted::Broker(broker) = wanted {
        return client.connect(broker).await;
    }
    client.metadata(Some(&[])).await?;
    let brokers: Vec<_> = client.brokers().keys().copied().collect();
    let any = brokers.choose(&mut rand::rng()).copied();
    let none = || WireError::NotAvailable { what: "a broker".to_owned(), reason: "none is known".to_owned() };
    client.connect(any.ok_or_else(none)?).await
}

async fn relay(
    exposed: &Exposed,
    connection: &Connection,
    reader: &mut StreamReader,
    writer: &mut StreamWriter,
) -> Result<(), Unserved> {
    let desk = Desk { exposure: &exposed.exposure, ids: Mutex::new(HashSet::new()) };
    while let Some(asked) = next(reader).await? {
        let correlation_id = asked.correlation_id;
        match answer(exposed, connection, &desk, asked).await? {
            Told::Whole(rest) => {
                writer.send(head(correlation_id, rest.len())?).await?;
                writer.send(rest).await?;
            }
            Told::Passing(mut parts, _permit) => {
                writer.send(head(correlation_id, parts.begin().await?)?).await?;
                while let Some(part) = parts.next().await? {
                    writer.send(part).await?;
                }
            }
        }
    }
    Ok(())
}

/// What goes before the rest of a response: the length of all and the number.
fn head(correlation_id: i32, rest_bytes: usize) -> Result<Bytes, Unserved> {
    let length = CORRELATION_ID_BYTES + rest_bytes;
    let mut head = BytesMut::with_capacity(2 * CORRELATION_ID_BYTES);
    head.put_u32(u32::try_from(length).map_err(|_| Unserved::Size(length))?);
    head.put_i32(correlation_id);
    Ok(head.freeze())
}

/// The next request; `None` at the stream's end.
async fn next(reader: &mut StreamReader) -> Result<Option<Asked>, Unserved> {
    let length = match reader.read_u32().await {
        Ok(length) => usize::try_from(length).unwrap_or(usize::MAX),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if length > REQUEST_BYTES_MAX {
        return Err(Unserved::Size(length));
    }
    let mut frame = BytesMut::new();
    while frame.len() < length {
        match reader.chunk(length - frame.len()).await? {
            Some(chunk) => frame.put(chunk),
            None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
    let mut frame = frame.freeze();
    if length < 10 {
        return Err(Unserved::Size(length));
    }
    let (key, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
    let form = || Unserved::Form(key, version);
    let client_id_bytes = usize::try_from(frame.get_i16().max(0)).unwrap_or(0);
    if client_id_bytes > frame.len() {
        return Err(form());
    }
    frame.advance(client_id_bytes);
    // The flexible header's tagged fields, of which there are none. ApiVersions has them from version 3 on.
    let is_flexible = key != ApiVersionsRequest::KEY || version >= 3;
    if is_flexible && (frame.is_empty() || frame.get_u8() != 0) {
        return Err(form());
    }
    Ok(Some(Asked { key, version, correlation_id, body: frame }))
}

/// Every API that is answered stands here, and nowhere else.
macro_rules! answered {
    ($use:ident) => {
        $use!(
            MetadataRequest,
            ListOffsetsRequest,
            OffsetForLeaderEpochRequest,
            DescribeProducersRequest,
            DescribeConfigsRequest,
            DescribeClusterRequest,
            ListGroupsRequest,
            FindCoordinatorRequest,
            OffsetFetchRequest
        )
    };
}

async fn answer(exposed: &Exposed, connection: &Connection, desk: &Desk<'_>, asked: Asked) -> Result<Told, Unserved> {
    macro_rules! dispatch {
        ($($api:ty),*) => {
            match asked.key {
                ApiVersionsRequest::KEY => offer(connection, &asked),
                FetchRequest::KEY => fetch(exposed, connection, desk, asked).await,
                $(<$api>::KEY => {
                    let mut request = decode::<$api>(connection, &asked)?;
                    let refused = request.admit(desk);
                    ask::<$api>(connection, desk, &asked, request, refused).await
                })*
                other => Err(Unserved::Api(other)),
            }
        };
    }
    answered!(dispatch)
}

/// Which APIs and versions we answer: those that the broker has, too.
fn offer(connection: &Connection, asked: &Asked) -> Result<Told, Unserved> {
    let mut offered =
        vec![ApiVersion::default().with_api_key(ApiVersionsRequest::KEY).with_min_version(0).with_max_version(3)];
    macro_rules! offer_all {
        ($($api:ty),*) => { $(offered.extend(offer_of::<$api>(connection));)* };
    }
    answered!(offer_all);
    offered.extend(offer_of::<FetchRequest>(connection));
    let is_known = (0..=3).contains(&asked.version);
    let error = if is_known { 0 } else { ResponseError::UnsupportedVersion.code() };
    let response = ApiVersionsResponse::default().with_error_code(error).with_api_keys(offered);
    encode(&response, if is_known { asked.version } else { 0 })
}

fn offer_of<R: Answered>(connection: &Connection) -> Option<ApiVersion> {
    let (oldest, newest) = range::<R>(connection)?;
    Some(ApiVersion::default().with_api_key(R::KEY).with_min_version(oldest).with_max_version(newest))
}

fn range<R: Answered>(connection: &Connection) -> Option<(i16, i16)> {
    let (oldest, newest) = connection.common_versions::<R>()?;
    let (oldest, newest) = (oldest.max(R::OLDEST), newest.min(R::NEWEST));
    (oldest <= newest).then_some((oldest, newest))
}

/// Judges a request by its form.
fn decode<R: Answered>(connection: &Connection, asked: &Asked) -> Result<R, Unserved> {
    let malformed = || Unserved::Form(asked.key, asked.version);
    let (oldest, newest) = range::<R>(connection).ok_or(Unserved::Api(asked.key))?;
    if !(oldest..=newest).contains(&asked.version) || !fits(&asked.body, R::FORM, asked.version) {
        return Err(malformed());
    }
    R::decode(&mut asked.body.clone(), asked.version).map_err(|_| malformed())
}

/// Puts what is left of a request to the broker.
async fn ask<R: Answered>(
    connection: &Connection,
    desk: &Desk<'_>,
    asked: &Asked,
    request: R,
    refused: R::Refused,
) -> Result<Told, Unserved> {
    let mut response = connection.start(&request, asked.version).await?.await?;
    R::finish(&mut response, refused, desk);
    encode(&response, asked.version)
}

/// A Fetch's answer is handed on as it comes, but for the number that ties it to its question.
async fn fetch(exposed: &Exposed, connection: &Connection, desk: &Desk<'_>, asked: Asked) -> Result<Told, Unserved> {
    let mut request = decode::<FetchRequest>(connection, &asked)?;
    learn_ids(connection, desk, &asked, &request).await?;
    if request.admit(desk) {
        return ask(connection, desk, &asked, request, true).await;
    }
    let bytes_wanted = usize::try_from(request.max_bytes).unwrap_or(0);
    // Reserved before anything is asked: what many streams hold at once stays bounded. With less than what is on the
    // way at most, no more than that is asked for; a broker adds at most one batch to it.
    let bytes = ON_THE_WAY_BYTES.min(bytes_wanted).min(exposed.held.bytes_free() / FREE_SHARE).max(FETCH_BYTES_LEAST);
    let permit = exposed.held.acquire(bytes).await;
    if permit.bytes() < ON_THE_WAY_BYTES {
        request.max_bytes = request.max_bytes.min(i32::try_from(permit.bytes()).unwrap_or(i32::MAX));
    }
    Ok(Told::Passing(connection.start_in_parts(&request, asked.version).await?, permit))
}

/// A Fetch's topics may go by id: those of a stream that never asked for metadata are looked up once.
async fn learn_ids(
    connection: &Connection,
    desk: &Desk<'_>,
    asked: &Asked,
    request: &FetchRequest,
) -> Result<(), Unserved> {
    let has_ids = asked.version >= TOPIC_IDS_FROM;
    if has_ids
        && !request.topics.iter().all(|topic| desk.has_id(&topic.topic_id))
        && let Some((_, newest)) = range::<MetadataRequest>(connection)
    {
        let mut all = MetadataRequest::default().with_topics(None);
        all.admit(desk);
        let mut told = connection.start(&all, newest).await?.await?;
        MetadataRequest::finish(&mut told, Vec::new(), desk);
    }
    Ok(())
}

/// A response of ours, or one that was changed.
fn encode<T: Encodable + HeaderVersion>(response: &T, version: i16) -> Result<Told, Unserved> {
    let unwritable = |error: &dyn std::fmt::Display| Unserved::Response(error.to_string());
    let mut frame = BytesMut::new();
    ResponseHeader::default().encode(&mut frame, T::header_version(version)).map_err(|error| unwritable(&error))?;
    // The relay writes the number that it begins with.
    frame.advance(CORRELATION_ID_BYTES);
    response.encode(&mut frame, version).map_err(|error| unwritable(&error))?;
    Ok(Told::Whole(frame.freeze()))
}
