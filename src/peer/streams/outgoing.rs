//! What goes out next.

use tokio::time::Instant;

use super::{OUTBOUND_BYTES_MAX, Ping, Streams};
use crate::peer::frame::{Farewell, Frame, HEAD_BYTES, PAYLOAD_BYTES_MAX, StreamId};

/// No payload is cut to less.
const PAYLOAD_BYTES_LEAST: usize = 4 << 10;

impl Streams {
    /// The next frames, about `bytes_max` together: notices, heartbeats and credits, then control, then bulk if it
    /// may go now. Streams of a class take turns, frame by frame. Returns whether bulk was held back.
    pub(in crate::peer) fn next_frames(
        &mut self,
        bytes_max: usize,
        is_bulk_allowed: bool,
        now: Instant,
        frames: &mut Vec<Frame>,
    ) -> bool {
        let mut bytes = 0;
        let payload_max = bytes_max.clamp(PAYLOAD_BYTES_LEAST, PAYLOAD_BYTES_MAX);
        if let Some(farewell) = self.farewell.take() {
            frames.push(Frame::Goodbye { farewell });
        }
        if let Ping::Due(number) = self.ping {
            self.ping = Ping::Sent(number, now);
            frames.push(Frame::Ping { number });
        }
        if let Some(number) = self.pong_due.take() {
            frames.push(Frame::Pong { number });
        }
        while bytes < bytes_max
            && let Some(notice) = self.notices.pop_front()
        {
            bytes += HEAD_BYTES;
            frames.push(notice);
        }
        // A stream's opening goes before its first byte.
        if !self.notices.is_empty() {
            return false;
        }
        while bytes < bytes_max
            && let Some(stream) = self.credits_due.pop_front()
        {
            bytes += HEAD_BYTES;
            frames.extend(self.credit_frame(stream));
        }
        while bytes < bytes_max
            && let Some(stream) = self.control_ready.pop_front()
        {
            bytes += self.data_frame(stream, payload_max, frames);
        }
        if !is_bulk_allowed {
            return !self.bulk_ready.is_empty();
        }
        while bytes < bytes_max
            && let Some(stream) = self.bulk_ready.pop_front()
        {
            bytes += self.data_frame(stream, payload_max, frames);
        }
        false
    }

    fn credit_frame(&mut self, stream: StreamId) -> Option<Frame> {
        let entry = self.entries.get_mut(&stream)?;
        let bytes = u32::try_from(std::mem::take(&mut entry.credit_due)).unwrap_or(u32::MAX);
        (bytes > 0).then_some(Frame::Credit { stream, bytes })
    }

    fn data_frame(&mut self, stream: StreamId, payload_max: usize, frames: &mut Vec<Frame>) -> usize {
        let Some(entry) = self.entries.get_mut(&stream) else { return 0 };
        entry.is_ready = false;
        if !entry.can_send() {
            return 0;
        }
        let (payload, is_last) = entry.next_payload(payload_max);
        let bytes = HEAD_BYTES + payload.len();
        frames.push(Frame::Data { stream, payload, is_last, is_compressed: false });
        if entry.queued_bytes < OUTBOUND_BYTES_MAX
            && let Some(waker) = entry.write_waker.take()
        {
            waker.wake();
        }
        self.make_ready(stream);
        self.want_no_more(stream);
        self.sweep(stream);
        bytes
    }

    /// A heartbeat is due. Nothing happens while the last one is not answered.
    pub(in crate::peer) fn ping(&mut self) {
        if let Ping::None(last) = self.ping {
            self.ping = Ping::Due(last.wrapping_add(1));
        }
    }

    /// Says good-bye with the next frames.
    pub(in crate::peer) fn say_goodbye(&mut self, farewell: Farewell) {
        self.farewell = Some(farewell);
    }
}
