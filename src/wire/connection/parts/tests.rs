use std::time::Duration;

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{FetchRequest, HeartbeatRequest, HeartbeatResponse};
use proptest::prelude::*;

use super::{PART_BYTES_MAX, Parts, WAITING_MAX};
use crate::wire::tests::fake::{FakeBroker, Received, connected, settings, with_length};
use crate::wire::{Connection, Settings, WireError};

const LIMIT: Duration = Duration::from_secs(5);

fn brief() -> Settings {
    Settings { request_timeout: LIMIT, ..settings() }
}

async fn fetch(connection: &Connection, broker: &mut FakeBroker) -> (Parts, Received) {
    let parts = connection.start_in_parts(&FetchRequest::default(), 12).await.unwrap();
    (parts, broker.next().await.unwrap())
}

/// A response to it, with so many bytes that mean nothing.
fn response(request: &Received, bytes: usize) -> Vec<u8> {
    let mut frame = BytesMut::from(&[0; 4][..]);
    frame.put_i32(request.correlation_id);
    // No tagged fields, not throttled.
    frame.put_slice(&[0, 0, 0, 0, 0]);
    frame.extend((0..bytes).map(|at| u8::try_from(at % 251).unwrap()));
    with_length(frame).to_vec()
}

async fn take(parts: &mut Parts) -> Result<Vec<u8>, WireError> {
    let announced = parts.begin().await?;
    let mut taken = Vec::new();
    while let Some(part) = parts.next().await? {
        assert!(!part.is_empty() && part.len() <= PART_BYTES_MAX);
        taken.extend_from_slice(&part);
    }
    assert_eq!(taken.len(), announced);
    Ok(taken)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn bytes_arrive_as_they_were_in_whatever_pieces(
        sizes in proptest::collection::vec(prop_oneof![0..200_usize, 60_000..140_000_usize, 250_000..700_000_usize], 1..4),
        piece in 1_000..200_000_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (connection, mut broker) = connected(&brief()).await;
            for size in sizes {
                let (mut parts, request) = fetch(&connection, &mut broker).await;
                let sent = response(&request, size);
                let sending = async {
                    for piece in sent.chunks(piece) {
                        broker.send(piece).await;
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                };
                let (taken, ()) = tokio::join!(take(&mut parts), sending);
                assert_eq!(taken.unwrap(), sent[8..]);
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_is_taken() {
    let (connection, mut broker) = connected(&brief()).await;
    let (mut parts, request) = fetch(&connection, &mut broker).await;
    let sent = response(&request, 8 << 20);
    let mut left = sent.as_slice();
    while let Ok(()) = tokio::time::timeout(Duration::from_millis(1), broker.send(&left[..10_000])).await {
        left = &left[10_000..];
    }
    let read = sent.len() - left.len();
    // The first part, those that wait, the one that is being read, and what the pipe holds.
    assert!(read <= (WAITING_MAX + 2) * PART_BYTES_MAX + (80 << 10), "{read} bytes");
    assert_eq!(parts.begin().await.unwrap(), sent.len() - 8);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_breaks_off_is_an_error() {
    for bytes in [100, 300_000] {
        let (connection, mut broker) = connected(&brief()).await;
        let (mut parts, request) = fetch(&connection, &mut broker).await;
        let sent = response(&request, bytes);
        let sending = async move {
            broker.send(&sent[..sent.len() - 1]).await;
            drop(broker);
        };
        let (taken, ()) = tokio::join!(take(&mut parts), sending);
        assert!(matches!(taken.unwrap_err(), WireError::Closed { .. }));
        connection.closed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_stops_in_the_middle_is_not_waited_for() {
    let (connection, mut broker) = connected(&brief()).await;
    let (mut parts, request) = fetch(&connection, &mut broker).await;
    let sent = response(&request, 300_000);
    let sending = async {
        broker.send(&sent[..200_000]).await;
        connection.closed().await;
    };
    let (taken, ()) = tokio::join!(take(&mut parts), sending);
    taken.unwrap_err();
    let cause = connection.call(&HeartbeatRequest::default()).await.unwrap_err().to_string();
    assert!(cause.contains("5s"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_on_slowly_makes_nothing_behind_it_late() {
    let (connection, mut broker) = connected(&brief()).await;
    let (mut parts, request) = fetch(&connection, &mut broker).await;
    let behind = connection.start(&HeartbeatRequest::default(), 4).await.unwrap();
    let serving = async {
        broker.send(&response(&request, 1 << 20)).await;
        let request = broker.next().await.unwrap();
        broker.answer(&request, &HeartbeatResponse::default().with_error_code(7)).await;
    };
    let taking = async {
        parts.begin().await.unwrap();
        while let Some(_part) = parts.next().await.unwrap() {
            tokio::time::sleep(LIMIT).await;
        }
        behind.await.unwrap()
    };
    let (answer, ()) = tokio::join!(taking, serving);
    assert_eq!(answer.error_code, 7);
    // From here on time counts again.
    let late = connection.start(&HeartbeatRequest::default(), 4).await.unwrap();
    assert!(matches!(late.await.unwrap_err(), WireError::Timeout { .. }));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_in_the_middle_disturbs_nobody() {
    let (connection, mut broker) = connected(&brief()).await;
    let (mut parts, request) = fetch(&connection, &mut broker).await;
    let kept = connection.start(&HeartbeatRequest::default(), 4).await.unwrap();
    let giving_up = async {
        parts.begin().await.unwrap();
        parts.next().await.unwrap();
        drop(parts);
        kept.await.unwrap()
    };
    let serving = async {
        broker.send(&response(&request, 2 << 20)).await;
        let request = broker.next().await.unwrap();
        broker.answer(&request, &HeartbeatResponse::default().with_error_code(2)).await;
    };
    let (kept, ()) = tokio::join!(giving_up, serving);
    assert_eq!(kept.error_code, 2);
}
