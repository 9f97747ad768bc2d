use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::peer::frame::*;
use crate::peer::streams::*;
use crate::peer::{Class, ResetReason, Side, Violation};
use crate::tasks::ByteBudget;

const BUDGET: u32 = 4 << 20;

fn streams(side: Side) -> Streams {
    Streams::new(side, 2 << 20, ByteBudget::new(BUDGET))
}

fn frames(streams: &mut Streams) -> Vec<Frame> {
    let mut frames = Vec::new();
    streams.next_frames(1 << 20, true, Instant::now(), &mut frames);
    frames
}

fn receive(streams: &mut Streams, frame: Frame) -> Result<Event, Violation> {
    streams.receive(frame, Instant::now())
}

fn data(stream: StreamId, bytes: usize) -> Frame {
    Frame::Data { stream, payload: vec![1; bytes].into(), is_last: false, is_compressed: false }
}

fn opened(streams: &mut Streams, number: u32, class: Class) -> StreamId {
    let stream = StreamId(number);
    let event = receive(streams, Frame::Open { stream, class, window: 100_000, purpose: Bytes::new() }).unwrap();
    assert_eq!(event, Event::Opened(stream, class, Bytes::new()));
    stream
}

fn read(streams: &mut Streams, stream: StreamId) -> Poll<Result<Option<Bytes>, StreamEnd>> {
    streams.poll_read(stream, usize::MAX, &mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn control_goes_ahead_of_bulk_and_streams_take_turns() {
    let mut own = streams(Side::Listener);
    let [one, other] = [1, 3].map(|number| opened(&mut own, number, Class::Bulk));
    let control = opened(&mut own, 5, Class::Control);
    own.put(one, vec![0; 90_000].into());
    own.put(other, vec![0; 90_000].into());
    own.put(control, vec![0; 10].into());
    let order: Vec<_> = frames(&mut own)
        .into_iter()
        .filter_map(|frame| match frame {
            Frame::Data { stream, payload, .. } => Some((stream.0, payload.len())),
            _ => None,
        })
        .collect();
    assert_eq!(order, [(5, 10), (1, 65_536), (3, 65_536), (1, 24_464), (3, 24_464)], "frame by frame");
}

#[tokio::test]
async fn bulk_is_held_back_when_the_rate_says_so_and_control_is_not() {
    let mut own = streams(Side::Listener);
    let bulk = opened(&mut own, 1, Class::Bulk);
    let control = opened(&mut own, 3, Class::Control);
    own.put(bulk, vec![0; 50_000].into());
    own.put(control, vec![0; 10].into());
    let mut sent = Vec::new();
    assert!(own.next_frames(1 << 20, false, Instant::now(), &mut sent));
    assert!(matches!(sent.as_slice(), [Frame::Data { stream: StreamId(3), .. }]), "{sent:?}");
}

#[tokio::test]
async fn no_more_is_sent_than_the_credit_allows() {
    let mut own = streams(Side::Listener);
    let stream = opened(&mut own, 1, Class::Bulk);
    own.put(stream, vec![0; 200_000].into());
    let sent = |frames: Vec<Frame>| -> usize {
        let charge = |frame: &Frame| match frame {
            Frame::Data { payload, .. } => payload.len() + FRAME_CHARGE,
            _ => 0,
        };
        frames.iter().map(charge).sum()
    };
    assert_eq!(sent(frames(&mut own)), 100_000);
    assert_eq!(sent(frames(&mut own)), 0);
    receive(&mut own, Frame::Credit { stream, bytes: 500 }).unwrap();
    assert_eq!(sent(frames(&mut own)), 500);
}

#[tokio::test]
async fn more_than_the_credit_is_a_violation() {
    let mut own = streams(Side::Listener);
    let stream = opened(&mut own, 1, Class::Bulk);
    for _ in 0..WINDOW_FIRST_BYTES / (1000 + FRAME_CHARGE) {
        receive(&mut own, data(stream, 1000)).unwrap();
    }
    assert_eq!(receive(&mut own, data(stream, 1000)), Err(Violation::CreditOverrun));
}

#[tokio::test]
async fn tiny_frames_cost_credit_too() {
    let mut own = streams(Side::Listener);
    let stream = opened(&mut own, 1, Class::Bulk);
    let count = (0..=WINDOW_FIRST_BYTES).take_while(|_| receive(&mut own, data(stream, 1)).is_ok()).count();
    assert_eq!(count, WINDOW_FIRST_BYTES / (1 + FRAME_CHARGE));
    let empty = Frame::Data { stream, payload: Bytes::new(), is_last: false, is_compressed: false };
    assert_eq!(receive(&mut own, empty), Err(Violation::Malformed("data")));
}

#[tokio::test]
async fn credit_beyond_any_window_is_a_violation() {
    let mut own = streams(Side::Listener);
    let stream = opened(&mut own, 1, Class::Bulk);
    assert_eq!(receive(&mut own, Frame::Credit { stream, bytes: u32::MAX }), Err(Violation::CreditOverflow));
    let open = Frame::Open { stream: StreamId(3), class: Class::Bulk, window: u32::MAX, purpose: Bytes::new() };
    assert_eq!(receive(&mut own, open), Err(Violation::CreditOverflow));
}

#[tokio::test]
async fn stream_numbers_are_the_openers_and_only_rise() {
    let mut own = streams(Side::Listener);
    opened(&mut own, 5, Class::Control);
    for number in [5, 3, 6] {
        let open = Frame::Open { stream: StreamId(number), class: Class::Bulk, window: 1, purpose: Bytes::new() };
        assert_eq!(receive(&mut own, open), Err(Violation::StreamNumber), "{number}");
    }
    // Data and answers for what was never asked.
    for number in [2, 7, 9] {
        assert_eq!(receive(&mut own, data(StreamId(number), 1)), Err(Violation::UnknownStream), "{number}");
        let reset = Frame::Reset { stream: StreamId(number), reason: ResetReason::Failed };
        assert_eq!(receive(&mut own, reset), Err(Violation::UnknownStream), "{number}");
    }
    assert_eq!(receive(&mut own, Frame::Pong { number: 1 }), Err(Violation::UnaskedPong));
}

#[tokio::test]
async fn streams_without_end_are_a_violation() {
    let mut own = streams(Side::Listener);
    let refused = (0..).map(|turn| turn * 2 + 1).find_map(|number| {
        let open = Frame::Open { stream: StreamId(number), class: Class::Bulk, window: 1, purpose: Bytes::new() };
        receive(&mut own, open).err()
    });
    assert_eq!(refused, Some(Violation::TooManyStreams(STREAMS_MAX)));
    // Opened and given up, without ever reading our answers.
    let mut own = streams(Side::Listener);
    let refused = (0..100_000).map(|turn| turn * 2 + 1).find_map(|number| {
        let stream = StreamId(number);
        let open = Frame::Open { stream, class: Class::Bulk, window: 1, purpose: Bytes::new() };
        let opened = receive(&mut own, open);
        receive(&mut own, Frame::Reset { stream, reason: ResetReason::Abandoned }).ok();
        own.drop_reader(stream);
        own.drop_writer(stream);
        opened.err()
    });
    assert_eq!(refused, Some(Violation::TooManyStreams(STREAMS_MAX)));
}

#[tokio::test]
async fn data_after_the_end_is_a_violation() {
    let mut own = streams(Side::Listener);
    let stream = opened(&mut own, 1, Class::Control);
    let last = Frame::Data { stream, payload: Bytes::from_static(b"x"), is_last: true, is_compressed: false };
    receive(&mut own, last).unwrap();
    assert_eq!(receive(&mut own, data(stream, 1)), Err(Violation::AfterEnd));
    assert_eq!(read(&mut own, stream), Poll::Ready(Ok(Some(Bytes::from_static(b"x")))));
    assert_eq!(read(&mut own, stream), Poll::Ready(Ok(None)));
}

#[tokio::test(start_paused = true)]
async fn a_window_doubles_while_the_reader_keeps_up_and_not_beyond_its_limit() {
    let mut own = streams(Side::Listener);
    let stream = opened(&mut own, 1, Class::Bulk);
    let given = |own: &mut Streams| -> usize {
        let credit = |frame: &Frame| match frame {
            Frame::Credit { bytes, .. } => usize::try_from(*bytes).unwrap(),
            _ => 0,
        };
        frames(own).iter().map(credit).sum()
    };
    let mut total = WINDOW_FIRST_BYTES;
    let mut used = 0;
    for _ in 0..2000 {
        if receive(&mut own, data(stream, 16_000)).is_err() {
            break;
        }
        used += 16_000 + FRAME_CHARGE;
        while let Poll::Ready(Ok(Some(_))) = read(&mut own, stream) {}
        total += given(&mut own);
    }
    let window = total - used;
    assert!(window > (1 << 20) && window <= (2 << 20), "{window}");
    // A slow reader's window stays as it is.
    let slow = opened(&mut own, 3, Class::Bulk);
    let mut total = WINDOW_FIRST_BYTES;
    let mut used = 0;
    for _ in 0..50 {
        receive(&mut own, data(slow, 16_000)).unwrap();
        used += 16_000 + FRAME_CHARGE;
        tokio::time::advance(Duration::from_secs(1)).await;
        while let Poll::Ready(Ok(Some(_))) = read(&mut own, slow) {}
        total += given(&mut own);
    }
    assert!(total - used <= WINDOW_FIRST_BYTES);
}

#[tokio::test]
async fn a_reset_from_both_sides_leaves_nothing_behind() {
    let (mut own, mut other) = (streams(Side::Dialler), streams(Side::Listener));
    let stream = own.open(Class::Bulk, Bytes::new()).unwrap();
    for frame in frames(&mut own) {
        receive(&mut other, frame).unwrap();
    }
    own.put(stream, Bytes::from_static(b"on its way"));
    let on_its_way = frames(&mut own);
    own.drop_reader(stream);
    own.drop_writer(stream);
    other.drop_reader(stream);
    other.drop_writer(stream);
    for frame in on_its_way.into_iter().chain(frames(&mut own)) {
        receive(&mut other, frame).unwrap();
    }
    for frame in frames(&mut other) {
        receive(&mut own, frame).unwrap();
    }
    assert_eq!((own.load(), other.load()), ((0, 0), (0, 0)));
}

#[tokio::test]
async fn an_answer_arrives_although_nobody_reads_any_more() {
    let (mut own, mut other) = (streams(Side::Dialler), streams(Side::Listener));
    let stream = own.open(Class::Control, Bytes::new()).unwrap();
    for frame in frames(&mut own) {
        receive(&mut other, frame).unwrap();
    }
    other.drop_reader(stream);
    other.put(stream, Bytes::from_static(b"answer"));
    other.finish(stream);
    other.drop_writer(stream);
    for frame in frames(&mut other).into_iter().chain(frames(&mut other)) {
        receive(&mut own, frame).unwrap();
    }
    assert_eq!(read(&mut own, stream), Poll::Ready(Ok(Some(Bytes::from_static(b"answer")))));
    assert_eq!(read(&mut own, stream), Poll::Ready(Ok(None)));
    own.drop_reader(stream);
    own.drop_writer(stream);
    for frame in frames(&mut own) {
        receive(&mut other, frame).unwrap();
    }
    assert_eq!((own.load(), other.load()), ((0, 0), (0, 0)));
}
