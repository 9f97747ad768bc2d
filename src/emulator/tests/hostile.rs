use kafka_protocol::messages::ApiKey;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Client, cluster};
use crate::emulator::{Cluster, api, shape};

/// Sends a frame; what comes back until the end, or until nothing comes any more.
async fn send(cluster: &Cluster, frame: &[u8]) -> Vec<u8> {
    let mut stream = cluster.dial("hostile", 1).unwrap();
    stream.write_all(&u32::try_from(frame.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(frame).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(std::time::Duration::from_mins(2), stream.read_to_end(&mut answer)).await;
    answer
}

fn request(key: i16, version: i16, is_flexible: bool, body: &[u8]) -> Vec<u8> {
    let mut frame = [key.to_be_bytes(), version.to_be_bytes()].concat();
    frame.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff]);
    if is_flexible {
        frame.push(0);
    }
    frame.extend_from_slice(body);
    frame
}

fn is_flexible(key: i16, version: i16) -> bool {
    ApiKey::try_from(key).unwrap().request_header_version(version) >= 2
}

#[tokio::test(start_paused = true)]
async fn lengths_that_lie_close_the_connection() {
    let cluster = cluster(1).await;
    for offer in api::offered() {
        for version in offer.versions.clone() {
            let lies: [&[u8]; 4] = [&[0x7f; 40], &[0xff; 40], &[0xfe, 0xff, 0xff, 0xff, 0x0f], &[]];
            for lie in lies {
                let frame = request(offer.key, version, is_flexible(offer.key, version), lie);
                send(&cluster, &frame).await;
            }
        }
    }
    let mut stream = cluster.dial("hostile", 1).unwrap();
    stream.write_all(&i32::MAX.to_be_bytes()).await.unwrap();
    assert_eq!(stream.read(&mut [0; 10]).await.unwrap(), 0, "too large: closed");
    Client::of(&cluster, 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_version_of_the_version_question_is_answered() {
    let cluster = cluster(1).await;
    let answer = send(&cluster, &request(18, 99, true, &[])).await;
    assert_eq!(answer[8..10], [0, 35], "UNSUPPORTED_VERSION, in version 0");
    assert!(send(&cluster, &request(3, 99, true, &[])).await.is_empty(), "others: closed");
}

#[test]
fn shapes_are_counted() {
    let two = [0, 0, 0, 2, 0, 1, b'a', 0, 1, b'b'];
    assert!(shape::fits("[s]", 0, false, &two));
    assert!(!shape::fits("[s]", 0, false, &two[..8]));
    assert!(!shape::fits("[s]", 0, false, &[0x7f, 0xff, 0xff, 0xff]));
    assert!(shape::fits("4@3[s]@0-2", 2, false, &two));
    assert!(shape::fits("(s[4])1@5", 4, true, &[2, 2, b'a', 2, 0, 0, 0, 1, 0, 0]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn garbage_is_survived(key in 0_usize..17, version in 0_i16..14, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let cluster = cluster(1).await;
            let offered = api::offered();
            let key = offered[key % offered.len()].key;
            let version_max = ApiKey::try_from(key).unwrap().valid_versions().max;
            let version = version.min(version_max);
            send(&cluster, &request(key, version, is_flexible(key, version), &body)).await;
            Client::of(&cluster, 1).await;
        });
    }
}
