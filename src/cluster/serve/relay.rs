//! One stream of a peer, and the connection to a broker that stands behind it.

use std::collections::HashSet;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest, DescribeConfigsRequest, DescribeProducersRequest,
    FetchRequest, FindCoordinatorRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};
use rand::seq::IndexedRandom;
use tokio::io::AsyncReadExt;

use super::admit::{Answered, Desk};
use super::{Exposed, Wanted};
use crate::peer::{Caller, ResetReason, Stream, StreamReader, StreamWriter};
use crate::tasks::BytePermit;
use crate::wire::form::fits;
use crate::wire::{Connection, ResponseError, WireError};

/// The largest request. Ten thousand partitions fit in one.
const REQUEST_BYTES_MAX: usize = 1 << 20;

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
    #[error("a response that can't be read: {0}")]
    Response(String),
}

/// A request, as far as everything has it.
struct Asked {
    key: i16,
    version: i16,
    correlation_id: i32,
    body: Bytes,
}

/// What a response is, and the right to hold it.
struct Told {
    correlation_id: i32,
    /// What follows it. The broker's bytes are handed on, not copied.
    rest: Bytes,
    _permit: Option<BytePermit>,
}

impl Told {
    /// From a frame that begins with whatever number.
    fn new(correlation_id: i32, frame: &Bytes, permit: Option<BytePermit>) -> Result<Self, Unserved> {
        if frame.len() < CORRELATION_ID_BYTES {
            return Err(Unserved::Response("it is too short".to_owned()));
        }
        Ok(Self { correlation_id, rest: frame.slice(CORRELATION_ID_BYTES..), _permit: permit })
    }

    /// What goes before the rest: the length of all and the number.
    fn head(&self) -> Result<Bytes, Unserved> {
        let length = CORRELATION_ID_BYTES + self.rest.len();
        let mut head = BytesMut::with_capacity(2 * CORRELATION_ID_BYTES);
        head.put_u32(u32::try_from(length).map_err(|_| Unserved::Size(length))?);
        head.put_i32(self.correlation_id);
        Ok(head.freeze())
    }
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
    let desk =
        Desk { exposure: &exposed.exposure, ids: Mutex::new(HashSet::new()), fetch_bytes_max: AtomicI32::new(0) };
    while let Some(asked) = next(reader).await? {
        let told = answer(exposed, connection, &desk, asked).await?;
        writer.send(told.head()?).await?;
        writer.send(told.rest.clone()).await?;
    }
    Ok(())
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
                    let (told, refused, asked) = ask::<$api>(connection, desk, asked).await?;
                    reply::<$api>(told, refused, desk, &asked)
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
    let frame = encode(&response, asked.correlation_id, if is_known { asked.version } else { 0 })?;
    Told::new(asked.correlation_id, &frame, None)
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

/// Judges a request and puts what is left of it to the broker.
async fn ask<R: Answered>(
    connection: &Connection,
    desk: &Desk<'_>,
    asked: Asked,
) -> Result<(Bytes, R::Refused, Asked), Unserved> {
    let malformed = || Unserved::Form(asked.key, asked.version);
    let (oldest, newest) = range::<R>(connection).ok_or(Unserved::Api(asked.key))?;
    if !(oldest..=newest).contains(&asked.version) || !fits(&asked.body, R::FORM, asked.version) {
        return Err(malformed());
    }
    let mut request = R::decode(&mut asked.body.clone(), asked.version).map_err(|_| malformed())?;
    let refused = request.admit(desk);
    let told = connection.start_raw(&request, asked.version).await?.await?;
    Ok((told, refused, asked))
}

fn reply<R: Answered>(told: Bytes, refused: R::Refused, desk: &Desk<'_>, asked: &Asked) -> Result<Told, Unserved> {
    let unreadable = |reason: String| Unserved::Response(reason);
    let mut body = told;
    let header_version = <R::Response as HeaderVersion>::header_version(asked.version);
    ResponseHeader::decode(&mut body, header_version).map_err(|error| unreadable(error.to_string()))?;
    let mut response = R::Response::decode(&mut body, asked.version).map_err(|error| unreadable(error.to_string()))?;
    R::finish(&mut response, refused, desk);
    Told::new(asked.correlation_id, &encode(&response, asked.correlation_id, asked.version)?, None)
}

/// A Fetch's answer is handed on as it came, but for the number that ties it to its question.
async fn fetch(exposed: &Exposed, connection: &Connection, desk: &Desk<'_>, asked: Asked) -> Result<Told, Unserved> {
    let bytes_wanted = prepare(connection, desk, &asked).await?;
    // Reserved before anything is asked, and as much as is asked for: what many streams bring at once stays bounded.
    // A broker adds at most one batch to it.
    let bytes = bytes_wanted.min(exposed.held.bytes_free() / FREE_SHARE).max(FETCH_BYTES_LEAST);
    let permit = exposed.held.acquire(bytes).await;
    desk.fetch_bytes_max.store(i32::try_from(permit.bytes()).unwrap_or(i32::MAX), Ordering::Relaxed);
    let (told, is_refused, asked) = ask::<FetchRequest>(connection, desk, asked).await?;
    if is_refused {
        return reply::<FetchRequest>(told, is_refused, desk, &asked);
    }
    Told::new(asked.correlation_id, &told, Some(permit))
}

/// How many bytes a Fetch asks for. Its topics go by id: those of a stream that never asked for metadata are looked up
/// once.
async fn prepare(connection: &Connection, desk: &Desk<'_>, asked: &Asked) -> Result<usize, Unserved> {
    let malformed = || Unserved::Form(asked.key, asked.version);
    if !fits(&asked.body, <FetchRequest as Answered>::FORM, asked.version) {
        return Err(malformed());
    }
    let request = FetchRequest::decode(&mut asked.body.clone(), asked.version).map_err(|_| malformed())?;
    let bytes_wanted = usize::try_from(request.max_bytes).unwrap_or(0);
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
    Ok(bytes_wanted)
}

fn encode<T: Encodable + HeaderVersion>(response: &T, correlation_id: i32, version: i16) -> Result<Bytes, Unserved> {
    let unwritable = |error: &dyn std::fmt::Display| Unserved::Response(error.to_string());
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header.encode(&mut frame, T::header_version(version)).map_err(|error| unwritable(&error))?;
    response.encode(&mut frame, version).map_err(|error| unwritable(&error))?;
    Ok(frame.freeze())
}
