//! What a received frame does.

use tokio::time::Instant;

use super::entry::{Entry, Inbound, Outbound};
use super::{Event, Ping, STREAMS_MAX, Streams, WINDOW_BYTES_MAX, WINDOW_FIRST_BYTES};
use crate::peer::frame::{Class, FRAME_CHARGE, Frame, ResetReason, StreamId, Violation};

/// More than any two sides that keep to the rules ever have waiting to be sent.
const WAITING_MAX: usize = STREAMS_MAX * 16;

impl Streams {
    /// Takes a frame of the other side. Compressed payloads are restored before.
    pub(in crate::peer) fn receive(&mut self, frame: Frame, now: Instant) -> Result<Event, Violation> {
        match frame {
            Frame::Open { stream, class, window, purpose } => {
                self.opened(stream, class, window)?;
                Ok(Event::Opened(stream, class, purpose))
            }
            Frame::Data { stream, payload, is_last, is_compressed: _ } => {
                let Some(entry) = self.entries.get_mut(&stream) else { return self.judge_absent(stream) };
                if entry.inbound != Inbound::Open {
                    return Err(Violation::AfterEnd);
                }
                if !payload.is_empty() {
                    let charge = payload.len() + FRAME_CHARGE;
                    entry.window_left = entry.window_left.checked_sub(charge).ok_or(Violation::CreditOverrun)?;
                    if entry.has_reader && !entry.is_reset_sent {
                        entry.received.push_back(payload);
                    }
                } else if !is_last {
                    // It says nothing and costs nothing, so it could be sent for ever.
                    return Err(Violation::Malformed("data"));
                }
                if is_last {
                    entry.inbound = Inbound::Ended;
                }
                if let Some(waker) = entry.read_waker.take() {
                    waker.wake();
                }
                self.sweep(stream);
                Ok(Event::None)
            }
            Frame::Credit { stream, bytes } => self.credited(stream, bytes),
            Frame::Reset { stream, reason } => self.was_reset(stream, reason),
            Frame::Ping { number } => {
                self.pong_due = Some(number);
                Ok(Event::None)
            }
            Frame::Pong { number } => match self.ping {
                Ping::Sent(sent, at) if sent == number => {
                    self.round_trip = Some(now.duration_since(at));
                    self.ping = Ping::None(number);
                    Ok(Event::None)
                }
                Ping::Sent(..) | Ping::None(_) | Ping::Due(_) => Err(Violation::UnaskedPong),
            },
            Frame::Goodbye { farewell } => Ok(Event::Goodbye(farewell)),
        }
    }

    fn opened(&mut self, stream: StreamId, class: Class, window: u32) -> Result<(), Violation> {
        if !self.is_theirs(stream) || stream.0 <= self.last_theirs {
            return Err(Violation::StreamNumber);
        }
        // Twice the number: what is over for the other side may still be held here for a moment.
        if self.theirs >= STREAMS_MAX * 2 {
            return Err(Violation::TooManyStreams(STREAMS_MAX));
        }
        // All of these are answers to what the other side did, and it does not read them.
        let waiting = self.notices.len() + self.credits_due.len() + self.control_ready.len() + self.bulk_ready.len();
        if waiting > WAITING_MAX {
            return Err(Violation::TooManyStreams(STREAMS_MAX));
        }
        let credit = usize::try_from(window).unwrap_or(usize::MAX);
        if credit > WINDOW_BYTES_MAX {
            return Err(Violation::CreditOverflow);
        }
        self.last_theirs = stream.0;
        self.theirs += 1;
        self.entries.insert(stream, Entry::new(class, false, WINDOW_FIRST_BYTES, credit));
        Ok(())
    }

    fn credited(&mut self, stream: StreamId, bytes: u32) -> Result<Event, Violation> {
        let Some(entry) = self.entries.get_mut(&stream) else { return self.judge_absent(stream) };
        let credit = entry.credit.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        if credit > WINDOW_BYTES_MAX {
            return Err(Violation::CreditOverflow);
        }
        entry.credit = credit;
        self.make_ready(stream);
        Ok(Event::None)
    }

    fn was_reset(&mut self, stream: StreamId, reason: ResetReason) -> Result<Event, Violation> {
        let Some(entry) = self.entries.get_mut(&stream) else { return self.judge_absent(stream) };
        let must_answer = !entry.is_reset_sent && entry.outbound != Outbound::Ended;
        if entry.inbound == Inbound::Open {
            entry.inbound = Inbound::Reset(reason);
            entry.forget_received();
        }
        entry.stop_sending(reason);
        entry.wake();
        if must_answer {
            entry.is_reset_sent = true;
            self.notices.push_back(Frame::Reset { stream, reason: ResetReason::Abandoned });
        }
        self.sweep(stream);
        Ok(Event::None)
    }
}
