use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, HeartbeatRequest, HeartbeatResponse,
    MetadataRequest, MetadataResponse, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use crate::secrets::SecretSource;
use crate::types::Secret;
use crate::wire::tests::fake::{FakeBroker, connected, establish, settings, with_length};
use crate::wire::{Connection, Pending, ResponseError, SaslSettings, Settings, WireError};

fn brief() -> Settings {
    Settings { request_timeout: Duration::from_secs(5), ..settings() }
}

async fn start(connection: &Connection, group: &str) -> Pending<HeartbeatResponse> {
    let request = HeartbeatRequest::default().with_group_id(StrBytes::from_string(group.to_owned()).into());
    connection.start(&request, 4).await.unwrap()
}

fn beat(code: i16) -> HeartbeatResponse {
    HeartbeatResponse::default().with_error_code(code)
}

fn fetch(wait: Duration) -> FetchRequest {
    FetchRequest::default().with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn requests_arrive_in_order_and_answers_find_their_waiter() {
    let (connection, mut broker) = connected(&brief()).await;
    let mut pending = Vec::new();
    for n in 0..40 {
        pending.push(start(&connection, &n.to_string()).await);
    }
    let mut received = Vec::new();
    for n in 0..40 {
        let (request, body) = broker.expect::<HeartbeatRequest>().await;
        assert_eq!(body.group_id.0.as_str(), n.to_string());
        received.push(request);
    }
    // A real broker answers in order; that we don't rely on it is shown by going backwards.
    for (n, request) in received.iter().enumerate().rev() {
        broker.answer(request, &beat(i16::try_from(n).unwrap())).await;
    }
    for (n, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.await.unwrap().error_code, i16::try_from(n).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_loss_is_told_to_everyone() {
    let (connection, mut broker) = connected(&brief()).await;
    let (first, second) = (start(&connection, "a").await, start(&connection, "b").await);
    broker.next().await.unwrap();
    drop(broker);
    for pending in [first, second] {
        let error = pending.await.unwrap_err();
        assert!(matches!(error, WireError::Closed { .. }) && error.is_outcome_unknown(), "{error:?}");
    }
    connection.closed().await;
    assert!(connection.is_closed());
    let later = connection.call(&HeartbeatRequest::default()).await.unwrap_err();
    assert!(matches!(later, WireError::Closed { .. }), "{later:?}");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_closes_the_connection() {
    let (connection, mut broker) = connected(&brief()).await;
    let began = Instant::now();
    let late = start(&connection, "late").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let other = start(&connection, "other").await;
    let error = late.await.unwrap_err();
    assert!(matches!(&error, WireError::Timeout { api: "Heartbeat", limit, .. } if limit.as_secs() == 5), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 5);
    assert!(matches!(other.await.unwrap_err(), WireError::Closed { .. }));
    assert!(broker.next().await.is_some() && broker.next().await.is_some() && broker.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn long_polls_and_what_waits_behind_them_get_their_time() {
    let (connection, mut broker) = connected(&brief()).await;
    let poll = connection.start(&fetch(Duration::from_mins(1)), 12).await.unwrap();
    let newer_poll = connection.start(&fetch(Duration::from_mins(1)), 17).await.unwrap();
    let behind = start(&connection, "behind").await;
    for pause in [58, 58] {
        let (request, _) = broker.expect::<FetchRequest>().await;
        tokio::time::sleep(Duration::from_secs(pause)).await;
        broker.answer(&request, &FetchResponse::default()).await;
    }
    let (request, _) = broker.expect::<HeartbeatRequest>().await;
    broker.answer(&request, &beat(0)).await;
    poll.await.unwrap();
    newer_poll.await.unwrap();
    behind.await.unwrap();
    let began = Instant::now();
    let patient =
        connection.start_with_deadline(&HeartbeatRequest::default(), 4, Duration::from_secs(90)).await.unwrap();
    assert!(matches!(patient.await.unwrap_err(), WireError::Timeout { .. }));
    assert_eq!(began.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn an_oversized_frame_is_refused_before_memory_is_set_aside() {
    let (connection, mut broker) = connected(&Settings { frame_bytes_max: 1_000, ..brief() }).await;
    let (culprit, other) = (start(&connection, "a").await, start(&connection, "b").await);
    let request = broker.next().await.unwrap();
    broker.send(&u32::MAX.to_be_bytes()).await;
    broker.send(&request.correlation_id.to_be_bytes()).await;
    let error = culprit.await.unwrap_err();
    assert!(matches!(error, WireError::FrameTooLarge { bytes: 0xffff_ffff, bytes_max: 1_000, .. }), "{error:?}");
    assert!(matches!(other.await.unwrap_err(), WireError::Closed { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_nothing_closes_the_connection() {
    let (connection, mut broker) = connected(&brief()).await;
    let pending = start(&connection, "a").await;
    broker.next().await.unwrap();
    let mut frame = BytesMut::from(&[0; 4][..]);
    frame.put_i32(77_777);
    broker.send(&with_length(frame)).await;
    let error = pending.await.unwrap_err();
    assert!(matches!(&error, WireError::Malformed { reason, .. } if reason.contains("77777")), "{error:?}");
    assert!(connection.is_closed() && broker.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_response_that_cannot_be_read_closes_the_connection() {
    let (connection, mut broker) = connected(&brief()).await;
    let (garbled, other) = (start(&connection, "a").await, start(&connection, "b").await);
    let request = broker.next().await.unwrap();
    let mut frame = BytesMut::from(&[0; 4][..]);
    frame.put_i32(request.correlation_id);
    frame.put_u8(0);
    broker.send(&with_length(frame)).await;
    let error = garbled.await.unwrap_err();
    assert!(matches!(&error, WireError::Malformed { api: "Heartbeat", .. }), "{error:?}");
    assert!(matches!(other.await.unwrap_err(), WireError::Closed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_frame_too_short_for_its_correlation_id_closes_the_connection() {
    let (connection, mut broker) = connected(&brief()).await;
    let pending = start(&connection, "a").await;
    broker.send(&[0, 0, 0, 2, 0, 0, 0, 0]).await;
    assert!(matches!(pending.await.unwrap_err(), WireError::Malformed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_pending_disturbs_nobody() {
    let (connection, mut broker) = connected(&brief()).await;
    drop(start(&connection, "dropped").await);
    let kept = start(&connection, "kept").await;
    for code in [1, 2] {
        let request = broker.next().await.unwrap();
        broker.answer(&request, &beat(code)).await;
    }
    assert_eq!(kept.await.unwrap().error_code, 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_the_connection_and_a_pending_is_one() {
    let (connection, mut broker) = connected(&brief()).await;
    let pending = start(&connection, "a").await;
    drop(connection);
    let request = broker.next().await.unwrap();
    broker.answer(&request, &beat(3)).await;
    assert_eq!(pending.await.unwrap().error_code, 3);
    assert!(broker.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn large_frames_arrive_whole_in_whatever_pieces() {
    let (connection, mut broker) = connected(&brief()).await;
    let host = "h".repeat(30_000);
    let metadata = MetadataResponse::default().with_brokers(
        (0..40)
            .map(|_| {
                let broker = kafka_protocol::messages::metadata_response::MetadataResponseBroker::default();
                broker.with_host(StrBytes::from_string(host.clone()))
            })
            .collect(),
    );
    let pending = connection.start(&MetadataRequest::default(), 12).await.unwrap();
    let request = broker.next().await.unwrap();
    let bytes = request.response(&metadata);
    assert!(bytes.len() > 1 << 20);
    let sending = async {
        for piece in bytes.chunks(70_001) {
            broker.send(piece).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (response, ()) = tokio::join!(pending, sending);
    assert_eq!(response.unwrap(), metadata);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_waiting_for_its_place_leaves_no_trace() {
    let (connection, mut broker) = connected(&brief()).await;
    // The pipe holds 64 KiB, so the queue fills behind a writer that can't go on.
    let text = "x".repeat(32_000);
    let mut pending = Vec::new();
    while let Ok(started) = tokio::time::timeout(Duration::from_millis(1), start(&connection, &text)).await {
        pending.push(started);
    }
    assert!(pending.len() >= 64);
    for _ in 0..pending.len() {
        let request = broker.next().await.unwrap();
        broker.answer(&request, &beat(0)).await;
    }
    for pending in pending {
        pending.await.unwrap();
    }
    // Nothing is waited for any more, so no deadline passes either.
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(!connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn an_old_broker_is_asked_again_in_its_own_version() {
    for (listed, then_asked) in [(Some((0, 2)), 2), (None, 0)] {
        let (connection, _broker) = establish(&brief(), async |broker: &mut FakeBroker| {
            let (request, _) = broker.expect::<ApiVersionsRequest>().await;
            assert_eq!(request.version, 3);
            let keys = listed.map(|(min, max)| {
                ApiVersion::default()
                    .with_api_key(ApiKey::ApiVersions as i16)
                    .with_min_version(min)
                    .with_max_version(max)
            });
            let refusal = ApiVersionsResponse::default()
                .with_error_code(ResponseError::UnsupportedVersion.code())
                .with_api_keys(keys.into_iter().collect());
            let refusal = request.response_at(&refusal, 0);
            broker.send(&refusal).await;
            let (request, _) = broker.expect::<ApiVersionsRequest>().await;
            assert_eq!(request.version, then_asked);
            let heartbeat = ApiVersion::default().with_api_key(ApiKey::Heartbeat as i16).with_max_version(2);
            broker.answer(&request, &ApiVersionsResponse::default().with_api_keys(vec![heartbeat])).await;
        })
        .await;
        let connection = connection.unwrap();
        assert_eq!(connection.version::<HeartbeatRequest>().unwrap(), 2);
        assert_eq!(connection.version_at_most::<HeartbeatRequest>(1).unwrap(), 1);
        assert!(matches!(connection.version::<FetchRequest>(), Err(WireError::Unsupported { api: "Fetch", .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_with_other_settings_is_recognised() {
    let (connection, _broker) = establish(&brief(), async |broker: &mut FakeBroker| {
        broker.send(&[21, 3, 3, 0, 2, 2, 80, 0]).await;
    })
    .await;
    assert!(matches!(connection.unwrap_err(), WireError::Tls { .. }));
    let (stream, broker) = FakeBroker::pipe();
    drop(broker);
    let (reader, writer) = tokio::io::split(stream);
    let error = Connection::establish(reader, writer, "a:1", None, &brief()).await.unwrap_err();
    assert!(matches!(error, WireError::Closed { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn throttling_is_noted() {
    let (connection, mut broker) = connected(&brief()).await;
    assert_eq!(connection.throttled_until(), None);
    let pending = connection.start(&fetch(Duration::ZERO), 12).await.unwrap();
    let request = broker.next().await.unwrap();
    broker.answer(&request, &FetchResponse::default().with_throttle_time_ms(700)).await;
    pending.await.unwrap();
    assert_eq!(connection.throttled_until(), Some(Instant::now() + Duration::from_millis(700)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(connection.throttled_until(), None);
}

async fn authenticate(broker: &mut FakeBroker, lifetime_ms: i64) {
    let (request, handshake) = broker.expect::<SaslHandshakeRequest>().await;
    assert_eq!(handshake.mechanism.as_str(), "PLAIN");
    broker.answer(&request, &SaslHandshakeResponse::default()).await;
    let (request, token) = broker.expect::<SaslAuthenticateRequest>().await;
    assert_eq!(token.auth_bytes, Bytes::from_static(b"\0alice\0secret"));
    broker.answer(&request, &SaslAuthenticateResponse::default().with_session_lifetime_ms(lifetime_ms)).await;
}

fn plain() -> Settings {
    let password = SecretSource::Literal(Secret::new("secret".to_owned()));
    Settings { sasl: Some(SaslSettings::Plain { username: "alice".to_owned(), password }), ..brief() }
}

#[tokio::test(start_paused = true)]
async fn nothing_comes_between_the_steps_of_a_renewal() {
    let began = Instant::now();
    let (connection, mut broker) = establish(&plain(), async |broker: &mut FakeBroker| {
        broker.introduce().await;
        authenticate(broker, 100_000).await;
    })
    .await;
    let connection = connection.unwrap();
    let before = start(&connection, "before").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (request, _) = broker.expect::<HeartbeatRequest>().await;
    broker.answer(&request, &beat(0)).await;
    before.await.unwrap();
    tokio::time::sleep_until(began + Duration::from_millis(84_900)).await;
    let asked_before = start(&connection, "asked before").await;
    tokio::time::sleep_until(began + Duration::from_millis(85_100)).await;
    // The renewal is in the queue behind the request that is still unanswered; these must wait for its end.
    let (during, also_during) = (start(&connection, "during").await, start(&connection, "also").await);
    let (request, _) = broker.expect::<HeartbeatRequest>().await;
    broker.answer(&request, &beat(11)).await;
    authenticate(&mut broker, 0).await;
    for code in [12, 13] {
        let (request, _) = broker.expect::<HeartbeatRequest>().await;
        broker.answer(&request, &beat(code)).await;
    }
    assert_eq!(asked_before.await.unwrap().error_code, 11);
    assert_eq!(during.await.unwrap().error_code, 12);
    assert_eq!(also_during.await.unwrap().error_code, 13);
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_loses_the_connection_without_denying_what_was_sent() {
    let (connection, mut broker) = establish(&plain(), async |broker: &mut FakeBroker| {
        broker.introduce().await;
        authenticate(broker, 4_000).await;
    })
    .await;
    let connection = connection.unwrap();
    let sent = start(&connection, "sent").await;
    broker.next().await.unwrap();
    let (request, _) = broker.expect::<SaslHandshakeRequest>().await;
    let refusal = SaslHandshakeResponse::default().with_error_code(ResponseError::UnsupportedSaslMechanism.code());
    broker.answer(&request, &refusal).await;
    let error = sent.await.unwrap_err();
    assert!(matches!(error, WireError::Closed { .. }) && error.is_outcome_unknown(), "{error:?}");
    assert!(connection.is_closed() && broker.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_version_with_a_field_too_many_is_not_used_again() {
    let (connection, mut broker) = connected(&brief()).await;
    let newest = connection.version::<FetchRequest>().unwrap();
    let pending = connection.start(&fetch(Duration::ZERO), 12).await.unwrap();
    let request = broker.next().await.unwrap();
    // `node_endpoints` (tag 0) belongs to version 16.
    let mut frame = BytesMut::from(request.response(&FetchResponse::default()));
    frame.truncate(frame.len() - 1);
    frame.put_slice(&[1, 0, 1, 1]);
    broker.send(&with_length(frame)).await;
    assert!(matches!(pending.await.unwrap_err(), WireError::Malformed { .. }));
    assert!(connection.is_closed());
    assert_eq!((newest, connection.version::<FetchRequest>().unwrap()), (18, 11));
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_is_no_dead_one() {
    let metadata = |bytes: usize| {
        let broker = kafka_protocol::messages::metadata_response::MetadataResponseBroker::default();
        let broker = broker.with_host(StrBytes::from_string("h".repeat(30_000)));
        MetadataResponse::default().with_brokers(vec![broker; bytes / 30_000])
    };
    // One brings its response at 20 KB a second, the other one lets it drip.
    for (piece, is_slow_only) in [(80_000, true), (1_000, false)] {
        let (connection, mut broker) = connected(&brief()).await;
        let pending = connection.start(&MetadataRequest::default(), 12).await.unwrap();
        let behind = start(&connection, "behind").await;
        let request = broker.next().await.unwrap();
        let beating = broker.next().await.unwrap();
        let bytes = request.response(&metadata(900_000));
        let sending = async {
            for piece in bytes.chunks(piece) {
                if connection.is_closed() {
                    return;
                }
                broker.send(piece).await;
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            broker.answer(&beating, &beat(6)).await;
        };
        let (response, behind, ()) = tokio::join!(pending, behind, sending);
        if is_slow_only {
            assert_eq!(response.unwrap(), metadata(900_000));
            assert_eq!(behind.unwrap().error_code, 6);
        } else {
            assert!(matches!(response.unwrap_err(), WireError::Timeout { .. }));
        }
    }
}
