use proptest::prelude::*;

use crate::peer::frame::*;
use crate::peer::hello::*;
use crate::peer::settings::InstanceId;
use crate::peer::squeeze::{Squeezer, restore};
use crate::peer::{Class, Farewell, ResetReason, Violation};
use bytes::{Bytes, BytesMut};

fn decode(bytes: &[u8]) -> Result<Frame, Violation> {
    let head = Head::decode(bytes[..HEAD_BYTES].try_into().unwrap())?;
    let payload = &bytes[HEAD_BYTES..];
    head.with(Bytes::copy_from_slice(&payload[..payload.len().min(head.payload_bytes())]))
}

fn encoded(frame: Frame) -> BytesMut {
    let (head, payload) = frame.encode();
    let mut whole = BytesMut::from(head.as_ref());
    whole.extend_from_slice(&payload);
    whole
}

#[test]
fn frames_come_back_as_they_were() {
    let stream = StreamId(7);
    let payload = Bytes::from_static(b"bytes");
    let all = [
        Frame::Open { stream, class: Class::Control, window: 9, purpose: payload.clone() },
        Frame::Open { stream, class: Class::Bulk, window: u32::MAX, purpose: Bytes::new() },
        Frame::Data { stream, payload: payload.clone(), is_last: false, is_compressed: false },
        Frame::Data { stream, payload: Bytes::new(), is_last: true, is_compressed: true },
        Frame::Credit { stream, bytes: 3 },
        Frame::Reset { stream, reason: ResetReason::Abandoned },
        Frame::Reset { stream, reason: ResetReason::Refused },
        Frame::Reset { stream, reason: ResetReason::Failed },
        Frame::Ping { number: 4 },
        Frame::Pong { number: u64::MAX },
        Frame::Goodbye { farewell: Farewell::Stopping },
        Frame::Goodbye { farewell: Farewell::Fenced },
        Frame::Goodbye { farewell: Farewell::Violation },
        Frame::Goodbye { farewell: Farewell::Expired },
    ];
    for frame in all {
        assert_eq!(decode(&encoded(frame.clone())).unwrap(), frame);
    }
}

#[test]
fn a_length_is_judged_before_the_payload() {
    let mut head = [0; HEAD_BYTES];
    head[0..4].copy_from_slice(&u32::MAX.to_be_bytes());
    head[4] = 2;
    head[9] = 1;
    assert!(matches!(Head::decode(&head), Err(Violation::TooLong { bytes_max: PAYLOAD_BYTES_MAX, .. })));
    head[4] = 99;
    assert_eq!(Head::decode(&head), Err(Violation::Kind(99)));
}

#[test]
fn what_was_squeezed_is_restored_and_bombs_are_not() {
    let mut squeezer = Squeezer::default();
    let text = vec![b'x'; PAYLOAD_BYTES_MAX];
    let squeezed = squeezer.squeeze(&text).unwrap();
    assert!(squeezed.len() < 1000);
    assert_eq!(restore(squeezed.clone()).unwrap(), text);
    let noise: Vec<u8> = (0..4096).map(|_| rand::random()).collect();
    assert!(squeezer.squeeze(&noise).is_none());
    assert!(squeezer.squeeze(&text).is_none(), "not tried again at once");
    // It says less than it restores to, and more than is allowed.
    for length in [10_u32, u32::MAX, 0] {
        let mut lie = BytesMut::from(squeezed.as_ref());
        lie[0..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(restore(lie.freeze()), Err(Violation::Compression));
    }
    assert_eq!(restore(Bytes::from_static(b"abc")), Err(Violation::Compression));
}

pub(super) fn announcement() -> Announcement {
    let instance = InstanceId::new("causeway-1").unwrap();
    Announcement { versions: VERSIONS, instance, clock_ms: 5, binding: [1; 32] }
}

pub(super) fn claim() -> Claim {
    Claim {
        versions: VERSIONS,
        instance: InstanceId::new("causeway-2").unwrap(),
        session: SessionId([2; 16]),
        epoch: SessionEpoch(3),
        slot: 7,
        slots: 8,
        clock_ms: 6,
        binding: [4; 32],
    }
}

#[test]
fn hellos_come_back_and_may_grow() {
    let mut longer = BytesMut::from(announcement().encode().as_ref());
    longer.extend_from_slice(b"what a newer version adds");
    assert_eq!(Announcement::decode(longer.freeze()).unwrap(), announcement());
    assert_eq!(Claim::decode(claim().encode()).unwrap(), claim());
    let verdicts = [
        Ok(()),
        Err(Refusal::Version),
        Err(Refusal::Stale(SessionEpoch(9))),
        Err(Refusal::TooMany),
        Err(Refusal::Stopping),
    ];
    for verdict in verdicts {
        assert_eq!(decode_verdict(encode_verdict(verdict)).unwrap(), verdict);
    }
    let out_of_range = Claim { slot: 8, ..claim() };
    assert!(Claim::decode(out_of_range.encode()).is_err());
}

#[test]
fn versions_have_the_newest_in_common_or_none() {
    let versions = |oldest, newest| Versions { oldest, newest };
    assert_eq!(versions(1, 3).common(versions(2, 9)), Some(3));
    assert_eq!(versions(1, 3).common(versions(4, 9)), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_bytes_decode_to_a_frame_or_a_violation(bytes in proptest::collection::vec(any::<u8>(), HEAD_BYTES..200)) {
        if let Ok(frame) = decode(&bytes) {
            // Data may be cut here, so only what is whole is compared.
            let again = encoded(frame.clone());
            if again.len() <= bytes.len() {
                prop_assert_eq!(decode(&again), Ok(frame));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_hello_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let with_magic = Bytes::from([b"causeway".as_ref(), bytes.as_ref()].concat());
        for text in [bytes, with_magic] {
            drop(Announcement::decode(text.clone()));
            drop(Claim::decode(text.clone()));
            drop(decode_verdict(text.clone()));
            drop(restore(text.clone()));
            let _: Option<_> = crate::peer::certificate::validity(&text);
        }
    }
}
