//! A peer with a good certificate and bad behaviour.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::peer::frame::{FRAME_CHARGE, Frame, HEAD_BYTES, Head, StreamId};
use crate::peer::hello::{Announcement, Claim, SessionId, VERSIONS, decode_verdict, read_hello, write_hello};

/// A listener, and the bare end of a connection to it.
struct Attack {
    listener: Peers,
    line: DuplexStream,
    binding: Binding,
}

fn attack() -> Attack {
    let listener = piped(&settings("l0", of_peer("onprem", &[])));
    dial(listener)
}

fn dial(listener: Peers) -> Attack {
    let (line, far) = tokio::io::duplex(64 << 10);
    let (reader, writer) = tokio::io::split(far);
    let binding = rand::random();
    let transport = Transport {
        reader: Box::new(reader),
        writer: Box::new(writer),
        socket: None,
        peer: peer_name("onprem"),
        address: "attacker".to_owned(),
        binding,
        valid_for: None,
    };
    let directory = Arc::clone(&listener.directory);
    let limit = directory.limits.handshake_max;
    listener.directory.tasks.spawn_until_stopped("test hello", async move {
        tokio::time::timeout(limit, listener::hello(&directory, transport)).await.ok();
    });
    Attack { listener, line, binding }
}

impl Attack {
    fn claim(&self) -> Claim {
        Claim {
            versions: VERSIONS,
            instance: InstanceId::new("evil").unwrap(),
            session: SessionId([1; 16]),
            epoch: SessionEpoch(5),
            slot: 0,
            slots: 4,
            clock_ms: crate::tasks::wall_clock_ms(),
            binding: self.binding,
        }
    }

    /// Sends a claim and tells the verdict; `None` when the connection was closed.
    async fn join(&mut self, claim: &Claim) -> Option<Result<(), Refusal>> {
        Announcement::decode(read_hello(&mut self.line).await.ok()?).unwrap();
        write_hello(&mut self.line, &claim.encode()).await.ok()?;
        Some(decode_verdict(read_hello(&mut self.line).await.ok()?).unwrap())
    }

    async fn send(&mut self, frame: Frame) {
        let (head, payload) = frame.encode();
        self.line.write_all(&head).await.ok();
        self.line.write_all(&payload).await.ok();
    }

    /// Frames that come until the connection is closed.
    async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            let mut head = [0; HEAD_BYTES];
            if self.line.read_exact(&mut head).await.is_err() {
                return frames;
            }
            let head = Head::decode(&head).unwrap();
            let mut payload = vec![0; head.payload_bytes()];
            self.line.read_exact(&mut payload).await.unwrap();
            frames.push(head.with(payload.into()).unwrap());
        }
    }

    /// The connection is closed because of that.
    async fn is_thrown_out(&mut self, because: &str) {
        let rest = self.rest().await;
        assert!(rest.contains(&Frame::Goodbye { farewell: Farewell::Violation }), "{rest:?}");
        let listener = self.listener.clone();
        until(|| listener.status()[0].trouble.is_some()).await;
        let reason = self.listener.status()[0].trouble.clone().unwrap().reason;
        assert!(reason.contains(because), "{reason}");
        until(|| up(&listener) == 0).await;
    }
}

fn open(number: u32, purpose: &'static [u8]) -> Frame {
    let purpose = Bytes::from_static(purpose);
    Frame::Open { stream: StreamId(number), class: Class::Bulk, window: 1 << 20, purpose }
}

#[tokio::test(start_paused = true)]
async fn garbage_for_a_hello_is_hung_up_on() {
    for garbage in [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".as_slice(), &[0xff; 2000], &[0; 2000]] {
        let mut attack = attack();
        read_hello(&mut attack.line).await.unwrap();
        attack.line.write_all(garbage).await.ok();
        assert!(attack.rest().await.is_empty());
        assert_eq!(up(&attack.listener), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dripping_hello_is_not_waited_for() {
    let mut attack = attack();
    read_hello(&mut attack.line).await.unwrap();
    let began = tokio::time::Instant::now();
    while attack.line.write_all(&[0]).await.is_ok() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(13), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hello_recorded_on_another_tls_session_is_worth_nothing() {
    let mut attack = attack();
    let replayed = Claim { binding: [9; 32], ..attack.claim() };
    assert_eq!(attack.join(&replayed).await, None);
    assert_eq!(up(&attack.listener), 0);
}

#[tokio::test(start_paused = true)]
async fn an_older_session_can_not_come_back() {
    let mut first = attack();
    let claim = first.claim();
    assert_eq!(first.join(&claim).await, Some(Ok(())));
    let mut second = dial(first.listener.clone());
    let newer = Claim { epoch: SessionEpoch(6), session: SessionId([2; 16]), ..second.claim() };
    assert_eq!(second.join(&newer).await, Some(Ok(())));
    let farewell = first.rest().await;
    assert!(farewell.contains(&Frame::Goodbye { farewell: Farewell::Fenced }), "{farewell:?}");
    for (epoch, session) in [(5, 1), (6, 1)] {
        let mut replay = dial(first.listener.clone());
        let old = Claim { epoch: SessionEpoch(epoch), session: SessionId([session; 16]), ..replay.claim() };
        assert_eq!(replay.join(&old).await, Some(Err(Refusal::Stale(SessionEpoch(6)))));
    }
    assert_eq!(up(&first.listener), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_of_another_version_is_told_so_on_both_sides() {
    let mut attack = attack();
    let newer = Claim { versions: Versions { oldest: 7, newest: 9 }, ..attack.claim() };
    assert_eq!(attack.join(&newer).await, Some(Err(Refusal::Version)));
    let listener = attack.listener.clone();
    until(|| listener.status()[0].trouble.is_some()).await;
    assert!(listener.status()[0].trouble.clone().unwrap().reason.contains("Version"));
}

#[tokio::test(start_paused = true)]
async fn daemons_without_number_are_refused() {
    let listener = piped(&settings("l0", of_peer("onprem", &[])));
    let mut lines = Vec::new();
    let mut refused = None;
    for number in 0..100 {
        let mut attack = dial(listener.clone());
        let claim = Claim { instance: InstanceId::new(&format!("evil-{number}")).unwrap(), ..attack.claim() };
        match attack.join(&claim).await.unwrap() {
            Ok(()) => lines.push(attack),
            Err(refusal) => refused = Some(refusal),
        }
    }
    assert_eq!((lines.len(), refused), (64, Some(Refusal::TooMany)));
}

#[tokio::test(start_paused = true)]
async fn broken_rules_end_the_connection_and_nothing_else() {
    let stream = StreamId(1);
    let bytes = |count: usize| Bytes::from(vec![0; count]);
    let data = |payload| Frame::Data { stream, payload, is_last: false, is_compressed: false };
    let cases: Vec<(&str, Vec<Frame>)> = vec![
        ("more data than the credit", vec![open(1, b"hang"), data(bytes(65_000)), data(bytes(65_000))]),
        ("more credit than", vec![open(1, b"hang"), Frame::Credit { stream, bytes: u32::MAX }]),
        ("was never opened", vec![data(bytes(10))]),
        ("a number that is not free", vec![open(2, b"hang")]),
        ("a number that is not free", vec![open(1, b"hang"), open(1, b"hang")]),
        ("never sent", vec![Frame::Pong { number: 77 }]),
        (
            "can't be restored",
            vec![open(1, b"hang"), Frame::Data { stream, payload: bytes(100), is_last: false, is_compressed: true }],
        ),
        ("more than 128 streams", (0..300).map(|turn| open(turn * 2 + 1, b"hang")).collect()),
    ];
    for (because, frames) in cases {
        let mut attack = attack();
        let claim = attack.claim();
        assert_eq!(attack.join(&claim).await, Some(Ok(())));
        let mut good = dial(attack.listener.clone());
        let other = Claim { instance: InstanceId::new("good").unwrap(), ..good.claim() };
        assert_eq!(good.join(&other).await, Some(Ok(())));
        for frame in frames {
            attack.send(frame).await;
        }
        let rest = attack.rest().await;
        assert!(rest.contains(&Frame::Goodbye { farewell: Farewell::Violation }), "{because}: {rest:?}");
        let listener = attack.listener.clone();
        until(|| listener.status()[0].trouble.is_some()).await;
        let reason = listener.status()[0].trouble.clone().unwrap().reason;
        assert!(reason.contains(because), "{reason}");
        assert_eq!(up(&listener), 1, "the other session does not notice");
    }
}

#[tokio::test(start_paused = true)]
async fn an_oversized_frame_is_refused_by_its_head() {
    let mut attack = attack();
    let claim = attack.claim();
    attack.join(&claim).await;
    attack.line.write_all(&[0x7f, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1]).await.unwrap();
    attack.is_thrown_out("more than the 65536 allowed").await;
}

#[tokio::test(start_paused = true)]
async fn dripping_bytes_do_not_keep_a_connection_alive() {
    let mut attack = attack();
    let claim = attack.claim();
    attack.join(&claim).await;
    let began = tokio::time::Instant::now();
    let listener = attack.listener.clone();
    // The head of a large frame, then a byte a second.
    attack.line.write_all(&[0, 0, 0xff, 0xff, 2, 0, 0, 0, 0, 1]).await.unwrap();
    while up(&listener) > 0 {
        attack.line.write_all(&[0]).await.ok();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_nothing_is_let_go_and_little_is_kept_for_it() {
    let mut attack = attack();
    let claim = attack.claim();
    attack.join(&claim).await;
    let listener = attack.listener.clone();
    for turn in 0..100 {
        attack.send(open(turn * 2 + 1, b"pour")).await;
    }
    let began = tokio::time::Instant::now();
    let mut queued_max = 0;
    while up(&listener) > 0 {
        // Pings that want answers, which are not read.
        let ping = async { attack.send(Frame::Ping { number: 1 }).await };
        tokio::time::timeout(Duration::from_millis(100), ping).await.ok();
        tokio::time::sleep(Duration::from_millis(100)).await;
        queued_max = queued_max.max(listener.status()[0].sessions.iter().map(|session| session.queued_bytes).sum());
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(queued_max <= 100 * (256 << 10) + 100 * 100_000 + FRAME_CHARGE, "{queued_max}");
}
