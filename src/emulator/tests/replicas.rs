use std::time::Duration;

use kafka_protocol::error::ResponseError::*;

use super::support::{Client, TOPIC, batch, cluster};
use crate::emulator::{Cluster, Line, Restart};

async fn pair(configs: &[(&str, &str)]) -> (Cluster, Client, Client) {
    let cluster = cluster(2).await;
    cluster.create_topic(TOPIC, 1, 2, configs).unwrap();
    let (first, second) = (Client::of(&cluster, 1).await, Client::of(&cluster, 2).await);
    (cluster, first, second)
}

#[tokio::test(start_paused = true)]
async fn a_slow_follower_holds_the_high_watermark() {
    let (cluster, leader, follower) = pair(&[]).await;
    leader.produce(batch(7, 0, 0, &["a"]).seal()).await.unwrap();
    cluster.set_following(2, false);
    assert_eq!(leader.produce(batch(7, 0, 1, &["b"]).seal()).await, Err(RequestTimedOut), "appended, not acknowledged");
    assert_eq!(leader.list(-1).await, Ok(1));
    assert_eq!(leader.epoch_end(0).await, Ok((0, 2)), "the log end is told by epochs only");
    assert!(leader.fetch(1, false).await.records.unwrap().is_empty());
    assert_eq!(follower.produce(batch(7, 0, 1, &["b"]).seal()).await, Err(NotLeaderOrFollower));
    cluster.set_following(2, true);
    assert_eq!(leader.list(-1).await, Ok(2));
    assert_eq!(leader.produce(batch(7, 0, 1, &["b"]).seal()).await, Ok(1), "the retry is a duplicate");
    cluster.set_following(2, false);
    leader.produce(batch(7, 0, 2, &["c"]).seal()).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(32)).await;
    assert_eq!(leader.list(-1).await, Ok(3), "who is late is in sync no more");
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_shows_what_it_has_when_the_others_have_fetched_from_it() {
    let (cluster, leader, follower) = pair(&[]).await;
    leader.produce(batch(7, 0, 0, &["a"]).seal()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    leader.produce(batch(7, 0, 1, &["b"]).seal()).await.unwrap();
    assert!(cluster.move_leader(TOPIC, 0, 2, false));
    let view = cluster.partition(TOPIC, 0).unwrap();
    assert_eq!((view.log_end, view.high_watermark), (2, 1), "acknowledged, and not shown");
    assert_eq!(follower.list(-1).await, Err(OffsetNotAvailable));
    assert!(follower.fetch(1, false).await.records.unwrap().is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(follower.list(-1).await, Ok(2));
    assert!(!follower.fetch(1, false).await.records.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unclean_election_loses_the_tail() {
    let (cluster, leader, follower) = pair(&[]).await;
    leader.produce(batch(7, 0, 0, &["a"]).seal()).await.unwrap();
    cluster.set_following(2, false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    leader.produce(batch(7, 0, 1, &["b"]).seal()).await.unwrap_err();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert!(!cluster.move_leader(TOPIC, 0, 2, false), "not in sync");
    assert!(cluster.move_leader(TOPIC, 0, 2, true));
    let view = cluster.partition(TOPIC, 0).unwrap();
    assert_eq!((view.leader, view.leader_epoch, view.log_end, view.high_watermark), (Some(2), 1, 1, 1));
    assert_eq!(leader.produce(batch(7, 0, 2, &["c"]).seal()).await, Err(NotLeaderOrFollower));
    assert_eq!(
        follower.produce(batch(7, 0, 2, &["c"]).seal()).await,
        Err(OutOfOrderSequenceNumber),
        "lost from state too"
    );
    assert_eq!(follower.produce(batch(7, 0, 1, &["b"]).seal()).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_leader_is_followed_by_another() {
    let (cluster, leader, follower) = pair(&[("min.insync.replicas", "2")]).await;
    leader.produce(batch(7, 0, 0, &["a"]).seal()).await.unwrap();
    cluster.stop_broker(1);
    leader.connection.closed().await;
    assert!(cluster.dial("test", 1).is_err());
    assert_eq!(follower.produce(batch(7, 0, 1, &["b"]).seal()).await, Err(NotEnoughReplicas));
    cluster.start_broker(1, Restart::Kill);
    assert_eq!(follower.produce(batch(7, 0, 1, &["b"]).seal()).await, Ok(1));
    assert!(cluster.move_leader(TOPIC, 0, 1, false));
    let leader = Client::of(&cluster, 1).await;
    assert_eq!(leader.produce(batch(7, 0, 2, &["c"]).seal()).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn lines_delay_break_and_fall_silent() {
    let (cluster, client, _) = pair(&[]).await;
    let delay = Duration::from_millis(40);
    cluster.set_line(Some("test"), None, Line { delay, ..Line::default() });
    let begun = tokio::time::Instant::now();
    client.produce(batch(7, 0, 0, &["a"]).seal()).await.unwrap();
    assert!(begun.elapsed() >= delay * 2, "{:?}", begun.elapsed());
    cluster.set_line(Some("test"), Some(1), Line { is_mute: true, ..Line::default() });
    let answer = tokio::time::timeout(Duration::from_secs(5), client.list(-1)).await;
    assert!(answer.is_err(), "half-open");
    cluster.set_line(Some("test"), Some(1), Line { is_cut: true, ..Line::default() });
    client.connection.closed().await;
    assert!(cluster.dial("test", 1).is_err());
    assert!(cluster.dial("other", 1).is_ok());
}
