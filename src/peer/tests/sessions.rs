use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use super::*;

#[tokio::test(start_paused = true)]
async fn both_sides_open_streams_over_one_session() {
    let pair = Pair::new(&["cloud:1"], 1);
    pair.until_up(4).await;
    let mut stream = pair.open("echo").unwrap();
    assert_eq!(echo(&mut stream, "hello").await.unwrap(), "hello");
    // Who dialled does not matter.
    let listener = pair.listener(0);
    let mut asked = listener.open(&peer_name("onprem"), Class::Bulk, &Bytes::from_static(b"who")).unwrap();
    assert_eq!(asked.message(100).await.unwrap(), "cloud l0");
    let status = &pair.dialler.status()[0];
    assert_eq!(status.sessions[0].connections, (4, 4));
    assert!(status.sessions[0].round_trip.is_some());
    assert!(status.trouble.is_none());
}

#[tokio::test(start_paused = true)]
async fn many_bytes_arrive_in_order_beyond_any_window() {
    let pair = Pair::new(&["cloud:1"], 1);
    pair.until_up(4).await;
    let stream = pair.dialler.open(&peer_name("cloud"), Class::Bulk, &Bytes::from_static(b"pour")).unwrap();
    let (mut reader, _writer) = stream.into_split();
    let mut block = vec![0; 100_000];
    for turn in 0_u64..300 {
        reader.read_exact(&mut block).await.unwrap();
        assert!(block.iter().all(|byte| u64::from(*byte) == turn % 251), "block {turn}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_read_is_not_sent_on() {
    let pair = Pair::new(&["cloud:1"], 1);
    pair.until_up(4).await;
    let mut stuck = pair.dialler.open(&peer_name("cloud"), Class::Bulk, &Bytes::from_static(b"pour")).unwrap();
    // It fills its window and waits. Others go on, on the same connection too.
    tokio::time::sleep(Duration::from_mins(1)).await;
    for _ in 0..8 {
        let mut other = pair.open("echo").unwrap();
        assert_eq!(echo(&mut other, "still here").await.unwrap(), "still here");
    }
    let received = pair.dialler.status()[0].sessions[0].bytes_received;
    assert!(received < 2 << 20, "{received}");
    assert_eq!(stuck.message(1 << 20).await.unwrap(), "", "zeros are a length");
}

#[tokio::test(start_paused = true)]
async fn a_refused_purpose_is_told() {
    let pair = Pair::new(&["cloud:1"], 1);
    pair.until_up(4).await;
    let mut stream = pair.open("something else").unwrap();
    let error = stream.message(10).await.unwrap_err().to_string();
    assert_eq!(error, "the peer ended the stream: it serves no such thing");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_goes_dead_is_noticed_and_made_anew() {
    let pair = Pair::new(&["cloud:1"], 1);
    pair.until_up(4).await;
    let mut stream = pair.open("echo").unwrap();
    assert_eq!(echo(&mut stream, "before").await.unwrap(), "before");
    for round in 0..20 {
        pair.cut();
        let error = echo(&mut stream, "into the void").await.unwrap_err().to_string();
        assert!(error.contains("lost"), "{error}");
        until(|| up(&pair.dialler) == 4 && up(&pair.listener(0)) == 4).await;
        stream = pair.open("echo").unwrap();
        assert_eq!(echo(&mut stream, "again").await.unwrap(), "again", "round {round}");
    }
    let trouble = pair.dialler.status()[0].trouble.clone().unwrap();
    assert!(trouble.reason.contains("lost"), "{}", trouble.reason);
}

#[tokio::test(start_paused = true)]
async fn every_daemon_behind_a_load_balancer_gets_its_session() {
    let pair = Pair::new(&["balancer:99"], 3);
    pair.until_up(12).await;
    let status = &pair.dialler.status()[0];
    let instances: Vec<_> = status.sessions.iter().map(|session| session.instance.to_string()).collect();
    assert_eq!(instances, ["l0", "l1", "l2"]);
    assert!(status.sessions.iter().all(|session| session.connections == (4, 4)));
    // One dies: the others serve.
    let gone = lock(&pair.pipes.listeners)[1].take().unwrap();
    gone.close().await;
    pair.until_up(8).await;
    let mut stream = pair.open("echo").unwrap();
    assert_eq!(echo(&mut stream, "hello").await.unwrap(), "hello");
    // It comes back.
    lock(&pair.pipes.listeners)[1] = Some(piped(&settings("l1", of_peer("onprem", &[]))));
    pair.until_up(12).await;
}

#[tokio::test(start_paused = true)]
async fn several_addresses_are_all_dialled() {
    let pair = Pair::new(&["one:1", "two:2"], 2);
    pair.until_up(8).await;
    // Two addresses of one daemon make one session.
    let pair = Pair::new(&["one:1", "alias:1"], 1);
    pair.until_up(4).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(up(&pair.dialler), 4);
    assert_eq!(pair.dialler.status()[0].sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_was_away_for_long_is_found_again() {
    let pair = Pair::new(&["cloud:1"], 1);
    pair.until_up(4).await;
    let gone = lock(&pair.pipes.listeners)[0].take().unwrap();
    gone.close().await;
    pair.until_up(0).await;
    let error = pair.open("echo").unwrap_err().to_string();
    assert!(error.starts_with("there is no session with peer cloud: "), "{error}");
    tokio::time::sleep(Duration::from_hours(50)).await;
    lock(&pair.pipes.listeners)[0] = Some(piped(&settings("l0", of_peer("onprem", &[]))));
    pair.until_up(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_session_of_a_daemon_fences_the_older_one() {
    let pair = Pair::new(&["cloud:1"], 1);
    pair.until_up(4).await;
    let mut old = pair.open("echo").unwrap();
    assert_eq!(echo(&mut old, "hello").await.unwrap(), "hello");
    // The same daemon, started anew somewhere else. Its epoch is its clock's.
    std::thread::sleep(Duration::from_millis(5));
    let again = piped(&settings("d", of_peer("cloud", &["cloud:1"])));
    Peers::dial_all(&again.directory, &pair.pipes);
    until(|| up(&again) == 4).await;
    assert!(echo(&mut old, "still?").await.is_err());
    until(|| up(&pair.dialler) == 0).await;
    assert_eq!(up(&pair.listener(0)), 4);
    let trouble = pair.dialler.status()[0].trouble.clone().unwrap();
    assert!(trouble.reason.contains("a newer session took its place"), "{}", trouble.reason);
}

#[tokio::test(start_paused = true)]
async fn closing_says_good_bye() {
    let pair = Pair::new(&["cloud:1"], 1);
    pair.until_up(4).await;
    let mut stream = pair.open("hang").unwrap();
    pair.listener(0).close().await;
    let error = stream.message(10).await.unwrap_err().to_string();
    assert!(error.contains("it is shutting down"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn compressed_frames_are_restored_exactly() {
    let mut of_cloud = of_peer("cloud", &["cloud:1"]);
    of_cloud.is_compressed = true;
    let pair = Pair::with(&settings("d", of_cloud), 1);
    pair.until_up(4).await;
    let mut stream = pair.open("echo").unwrap();
    let message = Bytes::from(vec![b'k'; 900_000]);
    stream.send_message(message.clone()).await.unwrap();
    assert_eq!(stream.message(1 << 20).await.unwrap(), message);
    let status = &pair.dialler.status()[0].sessions[0];
    assert!(status.bytes_sent < 50_000 && status.bytes_received > 900_000, "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_holds_and_control_goes_past_it() {
    let mut of_cloud = of_peer("cloud", &["cloud:1"]);
    of_cloud.bytes_per_second = Some(1 << 20);
    let pair = Pair::with(&settings("d", of_cloud), 1);
    pair.until_up(4).await;
    let began = tokio::time::Instant::now();
    let bulk = pair.dialler.open(&peer_name("cloud"), Class::Bulk, &Bytes::from_static(b"sink")).unwrap();
    let (_reader, mut writer) = bulk.into_split();
    let pouring = async {
        for _ in 0..40 {
            writer.send(vec![0; 100_000].into()).await.unwrap();
        }
    };
    let asking = async {
        let mut longest = Duration::ZERO;
        for _ in 0..10 {
            let asked = tokio::time::Instant::now();
            let mut stream = pair.open("echo").unwrap();
            echo(&mut stream, "quick").await.unwrap();
            longest = longest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        longest
    };
    let ((), longest) = tokio::join!(pouring, asking);
    assert!(longest < Duration::from_millis(10), "{longest:?}");
    // 4 MB less what may still be queued.
    let seconds = began.elapsed().as_secs_f64();
    assert!((3.0..5.0).contains(&seconds), "{seconds}");
}
