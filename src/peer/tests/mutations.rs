//! Frames, hellos, compressed payloads and certificates, broken in every way that a mutator finds; the same on every
//! run.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::frames::{announcement, claim};
use crate::peer::Side;
use crate::peer::certificate::validity;
use crate::peer::frame::*;
use crate::peer::hello::*;
use crate::peer::squeeze::{Squeezer, restore};
use crate::peer::streams::Streams;
use crate::tasks::ByteBudget;
use crate::wire::tests::mutation::mutants;

const ROUNDS: usize = 20_000;

fn corpus() -> Vec<Frame> {
    let stream = StreamId(1);
    let payload = Bytes::from(vec![7; 300]);
    vec![
        Frame::Open { stream, class: Class::Bulk, window: 65_536, purpose: Bytes::from_static(b"kafka 1 ....") },
        Frame::Open { stream: StreamId(3), class: Class::Control, window: 1, purpose: Bytes::new() },
        Frame::Data { stream, payload: payload.clone(), is_last: false, is_compressed: false },
        Frame::Data { stream, payload, is_last: true, is_compressed: false },
        Frame::Credit { stream, bytes: 65_536 },
        Frame::Reset { stream, reason: ResetReason::Abandoned },
        Frame::Ping { number: 9 },
        Frame::Pong { number: 1 },
        Frame::Goodbye { farewell: Farewell::Stopping },
    ]
}

fn bytes_of(frame: Frame) -> Vec<u8> {
    let (head, payload) = frame.encode();
    [head, payload].concat()
}

/// Reads frames as a connection does, as long as there are any and none is refused.
fn decode_all(mut bytes: &[u8], mut take: impl FnMut(Frame) -> bool) {
    while let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() {
        let Ok(head) = Head::decode(head) else { return };
        assert!(head.payload_bytes() <= PAYLOAD_BYTES_MAX + PURPOSE_BYTES_MAX);
        let Some((payload, rest)) = rest.split_at_checked(head.payload_bytes()) else { return };
        match head.with(Bytes::copy_from_slice(payload)) {
            Ok(frame) if take(frame.clone()) => bytes = rest,
            Ok(_) | Err(_) => return,
        }
    }
}

#[tokio::test]
async fn broken_frames_leave_streams_whole() {
    let conversation: Vec<u8> = corpus().into_iter().take(8).flat_map(bytes_of).collect();
    mutants(&conversation, ROUNDS, 1, |bytes| {
        let budget = ByteBudget::new(1 << 20);
        let mut streams = Streams::new(Side::Listener, 1 << 20, budget.clone());
        decode_all(bytes, |frame| streams.receive(frame, Instant::now()).is_ok());
        let (count, queued) = streams.load();
        assert!(count <= 128 && queued <= bytes.len() + 128 * FRAME_CHARGE, "{count} streams, {queued} bytes");
        // What is to be said in answer stays small, and can be encoded.
        let mut answers = Vec::new();
        streams.next_frames(1 << 20, true, Instant::now(), &mut answers);
        assert!(answers.len() <= bytes.len());
        streams.lose();
        drop(streams);
    });
}

/// Valid frames in an order that makes no sense.
#[tokio::test]
async fn frames_in_any_order_leave_streams_whole() {
    let mut random = StdRng::seed_from_u64(2);
    for _ in 0..2_000 {
        let mut streams = Streams::new(Side::Listener, 1 << 20, ByteBudget::new(1 << 20));
        let mut received = 0;
        for _ in 0..random.random_range(1..60) {
            let frames = corpus();
            let frame = frames[random.random_range(0..frames.len())].clone();
            received += bytes_of(frame.clone()).len();
            if streams.receive(frame, Instant::now()).is_err() {
                break;
            }
            if random.random_range(0..4) == 0 {
                let mut answers = Vec::new();
                streams.next_frames(1 << 16, random.random(), Instant::now(), &mut answers);
            }
        }
        let (count, queued) = streams.load();
        assert!(count <= 128 && queued <= received + 128 * FRAME_CHARGE);
    }
}

#[test]
fn broken_hellos_are_read_or_refused() {
    let texts = [announcement().encode(), claim().encode(), encode_verdict(Err(Refusal::Stale(SessionEpoch(9))))];
    for (seed, text) in texts.iter().enumerate() {
        mutants(text, ROUNDS / 2, seed as u64, |bytes| {
            let text = Bytes::copy_from_slice(bytes);
            if let Ok(claim) = Claim::decode(text.clone()) {
                assert!(claim.slot < claim.slots && claim.slots <= 64);
            }
            drop(Announcement::decode(text.clone()));
            drop(decode_verdict(text));
        });
    }
}

#[test]
fn broken_payloads_restore_to_what_a_frame_may_have_or_to_nothing() {
    let payload = Bytes::from(b"the same again, ".repeat(1_000));
    let squeezed = Squeezer::default().squeeze(&payload).unwrap();
    mutants(&squeezed, ROUNDS / 4, 3, |bytes| {
        if let Ok(restored) = restore(Bytes::copy_from_slice(bytes)) {
            assert!(restored.len() <= PAYLOAD_BYTES_MAX);
        }
    });
}

#[test]
fn broken_certificates_have_dates_or_none() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["peer.example".to_owned()]).unwrap().self_signed(&key);
    let certificate = certificate.unwrap();
    assert!(validity(certificate.der()).is_some());
    mutants(certificate.der(), ROUNDS, 4, |bytes| {
        let _: Option<_> = validity(bytes);
    });
}
