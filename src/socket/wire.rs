//! The driver's hands: reads and parses, writes what is queued.

use std::future::Future;
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::exchange::{Control, OwnTask};
use super::fair::yield_now;
use super::inbox::{Inbox, Room};
use super::lend::{self, Lent};
use super::shared::Shared;
use crate::Message;
use crate::close::CloseFrame;
use crate::error::Violation;
use crate::protocol::{Event, EventSink, LARGE, Mark, Pongs, Reader};

/// How much one read asks for while nobody waits for it.
const AHEAD: usize = 16 * 1024;

/// How much of a message is assembled that nobody waits for; and how much of a
/// part is decompressed at most, or some hundred KiB more: from that many bytes
/// at a time comes a thousandfold at most.
const PART: usize = 64 * 1024;
const PIECE: usize = 256;

/// The IO and the reading half of the protocol: what the driver alone owns.
pub(super) struct Wire<T> {
    io: T,
    pub(super) reader: Reader,
    /// What a busy connection needs; `None` while it is idle.
    lent: Option<Box<Lent>>,
}

/// What one go at reading came to.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Whether bytes came from the IO.
    pub(super) read: bool,
    /// Whether there were bytes from before, for which there had been no room.
    pub(super) left_over: bool,
    /// How many frames were completed.
    pub(super) frames: u32,
    /// Whether a message was completed.
    pub(super) messages: bool,
    /// Whether a part of one was handed over.
    pub(super) part: bool,
    /// The payload of the last pong.
    pub(super) pong: Option<Bytes>,
    /// What ended the receiving, if something did.
    pub(super) end: Option<End>,
}

/// Takes events, until there is no room for another.
struct Taking<'a> {
    received: &'a mut Received,
    demand: &'a mut Demand,
    batch: &'a mut Option<Box<Inbox>>,
    control: &'a mut Control,
}

impl EventSink for Taking<'_> {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Message(message) => return self.message(message),
            Event::Ping(payload) => self.control.pongs.push(payload),
            Event::Pong(payload) => self.received.pong = Some(payload),
            Event::Close(frame) => {
                self.received.end = Some(End::Close(frame));
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    #[inline(always)]
    fn message(&mut self, message: Message) -> ControlFlow<()> {
        let Some(room) = self.demand.room() else {
            return ControlFlow::Continue(());
        };
        let length = message.len();
        *room = room.less(1, length);
        let batch = self.batch.get_or_insert_with(lend::inbox);
        batch.push(message, length);
        self.received.messages = true;
        match room.is_empty() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

#[derive(Debug)]
pub(super) enum End {
    Close(Option<CloseFrame>),
    Violation(Violation),
    /// The peer will send nothing more.
    Eof,
    Failed(io::Error),
}

impl End {
    /// Whether nothing can be said to the peer any more.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, End::Eof | End::Failed(_))
    }
}

/// How much is to be read, and what for.
#[derive(Clone, Copy)]
pub(super) enum Demand {
    /// `recv` waits for messages.
    Awaited(Room),
    /// Nobody waits for them yet.
    Ahead(Room),
    /// Messages are handed over in parts.
    Parts(Room),
    /// So is the message that is arriving, to be put together for `recv`.
    Rest(Room),
    /// Only the peer's close frame is of interest.
    Discard,
}

impl Demand {
    /// What is left for messages; of those that are discarded there is no end.
    #[inline]
    fn room(&mut self) -> Option<&mut Room> {
        match self {
            Demand::Awaited(room)
            | Demand::Ahead(room)
            | Demand::Parts(room)
            | Demand::Rest(room) => Some(room),
            Demand::Discard => None,
        }
    }

    /// Whether there is room for a message.
    pub(super) fn has_room(mut self) -> bool {
        self.room().is_none_or(|it| !it.is_empty())
    }

    /// How much one read may bring.
    fn most(self) -> usize {
        match self {
            Demand::Awaited(_) | Demand::Discard => lend::INPUT,
            Demand::Ahead(_) => AHEAD,
            Demand::Parts(room) | Demand::Rest(room) => room.bytes().max(AHEAD),
        }
    }

    /// Whether messages are not to be assembled.
    pub(super) fn is_in_parts(self) -> bool {
        matches!(self, Demand::Parts(_) | Demand::Rest(_) | Demand::Discard)
    }

    /// Whether a message may take as long as it likes.
    pub(super) fn is_untimed(self) -> bool {
        matches!(self, Demand::Parts(_) | Demand::Discard)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub(super) fn new(io: T, reader: Reader) -> Self {
        Wire {
            io,
            reader,
            lent: None,
        }
    }

    /// What was lent for this turn.
    pub(super) fn lent(&mut self) -> &mut Lent {
        self.lent.get_or_insert_with(lend::take)
    }

    /// Reads once and parses as much as there is room for; publishes the
    /// messages. `OwnTask` says whether the driver's own task waits for them.
    pub(super) fn receive(
        &mut self,
        shared: &Shared,
        mut demand: Demand,
        received: &mut Received,
        cx: &mut Context<'_>,
    ) -> OwnTask {
        let frames = self.reader.frames();
        // What is left from before comes first; only then is there more to read.
        received.left_over = self.lent().start < self.lent().end;
        if !received.left_over {
            match self.poll_read(demand, cx) {
                Poll::Ready(Ok(Filled::Input(0) | Filled::Payload(0))) => {
                    received.end = Some(End::Eof);
                }
                Poll::Ready(Ok(Filled::Input(_))) => received.read = true,
                Poll::Ready(Ok(Filled::Payload(count))) => {
                    received.read = true;
                    let filled = self.reader.filled(count);
                    let Lent { batch, control, .. } = self.lent();
                    let mut taking = Taking {
                        received,
                        demand: &mut demand,
                        batch,
                        control,
                    };
                    match filled {
                        Ok(Some(event)) => _ = taking.event(event),
                        Ok(None) => {}
                        Err(violation) => received.end = Some(End::Violation(violation)),
                    }
                }
                Poll::Ready(Err(error)) => received.end = Some(End::Failed(error)),
                // Parts may have arrived before they were wanted.
                Poll::Pending if self.reader.part_length() == 0 => return OwnTask::Idle,
                Poll::Pending => {}
            }
        }
        let lent = self.lent.get_or_insert_with(lend::take);
        if lent.start < lent.end && demand.has_room() && received.end.is_none() {
            let Lent {
                input,
                start,
                end,
                batch,
                control,
                ..
            } = &mut **lent;
            let step = match demand {
                Demand::Awaited(_) => lend::INPUT,
                _ if self.reader.codec().is_some() => PIECE,
                _ => lend::INPUT,
            };
            loop {
                let input = &mut input[*start..(*start + step).min(*end)];
                let length = input.len();
                let mut taking = Taking {
                    received,
                    demand: &mut demand,
                    batch,
                    control,
                };
                let drained = self.reader.drain_to(input, &mut taking);
                match drained {
                    Ok(taken) => *start += taken,
                    Err(violation) => received.end = Some(End::Violation(violation)),
                }
                if drained != Ok(length)
                    || *start == *end
                    || !demand.has_room()
                    || self.reader.part_length() >= PART
                {
                    break;
                }
            }
        }
        received.frames = self.reader.frames().wrapping_sub(frames);
        if self.reader.is_ended() {
            // Nothing that follows is understood.
            lent.start = lent.end;
        }
        let in_parts = match demand {
            // Nobody has said how it is wanted: so much is read ahead, and no more.
            Demand::Ahead(_) => self.reader.part_length() >= PART,
            demand => demand.is_in_parts(),
        };
        let part = match in_parts {
            true => self.reader.take_part(),
            false => None,
        };
        let part = part.filter(|_| !matches!(demand, Demand::Discard));
        received.part = part.is_some();
        // It may have arrived before parts were wanted.
        received.left_over |= received.part;
        if !received.messages && !received.part {
            return OwnTask::Idle;
        }
        // While the peer does not read, answers wait where only so many can.
        let pongs = match lent.writing.is_empty() {
            true => &mut lent.control.pongs,
            false => &mut Pongs::default(),
        };
        match in_parts {
            true => shared.publish_parts(&mut lent.batch, part, pongs, cx),
            false => shared.publish(&mut lent.batch, pongs, cx),
        }
    }

    /// Reads once: into the message that is arriving, if much of it is still to
    /// come, else into the lent buffer.
    fn poll_read(&mut self, demand: Demand, cx: &mut Context<'_>) -> Poll<io::Result<Filled>> {
        let most = demand.most();
        if self.reader.is_within_message()
            && let Some((buffer, room)) = self
                .reader
                .payload_buffer(LARGE)
                .map_err(|_| io::ErrorKind::OutOfMemory)?
        {
            // The future holds no state between polls, so it can be made and
            // dropped within one.
            let mut limited = buffer.limit(room.min(most));
            let count = ready!(pin!(self.io.read_buf(&mut limited)).poll(cx))?;
            return Poll::Ready(Ok(Filled::Payload(count)));
        }
        let lent = self.lent.get_or_insert_with(lend::take);
        let mut buffer = ReadBuf::new(&mut lent.input()[..most]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        (lent.start, lent.end) = (0, buffer.filled().len());
        Poll::Ready(Ok(Filled::Input(lent.end)))
    }

    /// A ping of our own goes out with the next write.
    pub(super) fn ping(&mut self, payload: [u8; 8]) {
        self.lent.get_or_insert_with(lend::take).control.ping = Some(payload);
    }

    /// Whether there is something to take from the outbox or to answer.
    fn has_output(&self, shared: &Shared) -> bool {
        shared.is_queued()
            || self.lent.as_ref().is_some_and(|lent| {
                lent.unflushed
                    || !lent.writing.is_empty()
                    || !lent.control.is_empty()
                    || lent.desk.as_ref().is_some_and(|it| !it.is_empty())
            })
    }

    /// Whether all that was taken to be written has been.
    pub(super) fn is_written(&self) -> bool {
        self.lent.as_ref().is_none_or(|it| it.is_written())
    }

    /// Writes everything that is queued, and flushes. `progress` is set if bytes
    /// were written, `own` if the driver's own task has waited for that.
    #[inline]
    pub(super) fn poll_transmit(
        &mut self,
        shared: &Shared,
        sent: &mut Sent,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self.has_output(shared) {
            true => self.poll_write_all(shared, sent, cx),
            false => Poll::Ready(Ok(())),
        }
    }

    #[inline(never)]
    fn poll_write_all(
        &mut self,
        shared: &Shared,
        sent: &mut Sent,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let lent = self.lent.get_or_insert_with(lend::take);
        loop {
            if lent.writing.is_empty() {
                // A batch counts as written when the transport has let go of it.
                if lent.unflushed {
                    ready!(Pin::new(&mut self.io).poll_flush(cx))?;
                    lent.unflushed = false;
                }
                let Lent {
                    desk,
                    writing,
                    control,
                    ..
                } = &mut **lent;
                let desk = desk.get_or_insert_default();
                if !shared.is_queued() && control.is_empty() && desk.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                let own = shared.take_outbox(desk, writing, control, cx);
                sent.own = sent.own.or(own);
                if lent.writing.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                if let Some(codec) = self.reader.codec() {
                    lent.writing.encode(Mark::default(), codec);
                }
            }
            let io = Pin::new(&mut self.io);
            let count = if lent.writing.is_scattered() && io.is_write_vectored() {
                let mut slices = [IoSlice::new(&[]); 16];
                let count = lent.writing.chunks(&mut slices);
                ready!(io.poll_write_vectored(cx, &slices[..count]))?
            } else {
                ready!(io.poll_write(cx, lent.writing.chunk()))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            lent.writing.advance(count);
            lent.unflushed = true;
            sent.progress = true;
        }
    }

    /// Gives back what an idle connection does not need.
    pub(super) fn park(&mut self) {
        self.lent = self.lent.take().and_then(lend::give);
    }

    /// Sends FIN.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    /// Reads and throws away until the peer sends nothing more.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lent = self.lent.get_or_insert_with(lend::take);
        (lent.start, lent.end) = (0, 0);
        let input = lent.input();
        // A peer that goes on sending does not keep the thread: after some
        // reads others get their turn.
        for _ in 0..8 {
            let mut buffer = ReadBuf::new(input);
            match ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        yield_now(cx);
        Poll::Pending
    }
}

/// Where a read went, and how many bytes it was.
enum Filled {
    Input(usize),
    Payload(usize),
}

/// What writing came to.
pub(super) struct Sent {
    /// Bytes were written.
    pub(super) progress: bool,
    /// The driver's own task waited for room or a flush and has got it.
    pub(super) own: OwnTask,
}

impl Default for Sent {
    fn default() -> Self {
        Sent {
            progress: false,
            own: OwnTask::Idle,
        }
    }
}
