//! The IO of a connection: reads and parses, writes and flushes.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::buffers::{Buffers, INPUT};
use super::coop::{poll_again, poll_io, yield_now};
use super::deadlines::Deadlines;
use super::received::{Received, Taking};
use crate::Message;
use crate::protocol::{EventSink, LARGE, Mark, Outbox, Pongs, Reader, encode_queued};
use crate::socket::shared::{Control, Demand, Inbox, ReadEnd};

/// The size of a read while the handler is busy, in bytes.
const AHEAD: usize = 16 * 1024;

/// The bytes of a message that are assembled before the handler asks for it. A chunk is
/// decompressed up to this size, or some hundred KiB more: each `PIECE` of compressed bytes
/// may become a thousand times as many.
const CHUNK: usize = 64 * 1024;
const PIECE: usize = 256;

/// The IO and the reading half of the protocol: what the driver alone owns. It knows
/// nothing of handles and locks.
pub(super) struct Conn<T> {
    io: T,
    reader: Reader,
    stage: Stage,
    /// The buffers of a busy connection; `None` while it is idle.
    buffers: Option<Box<Buffers>>,
}

/// The stage of the IO: what the driver does with it.
///
/// ```text
///   Open ── both close frames through, output written ──► Lingering
///    │ │                                                      │ end of input,
///    │ │ a write fails                                        │ deadline
///    │ └─────────────► ReceiveOnly                            │
///    │ end of input,        │ close frame, violation, end of  │
///    │ read failure,        │ input, read failure, deadline,  │
///    │ deadline, abort      │ close, abort                    │
///    ▼                      ▼                                 ▼
///   Over ◄──────────────────┴─────────────────────────────────┘
/// ```
///
/// Receive only: the peer has closed its side of TCP, and the kernel still has what it sent
/// before. Nothing more is written. What has arrived is read as before, at the handler's pace.
///
/// Lingering: by RFC 6455, section 7.1.1, the server closes TCP first. But a socket that
/// is closed with unread bytes is reset, and the peer may lose the close frame. So the
/// server sends FIN, and reads and discards what still arrives. A client "SHOULD wait for a
/// TCP Close from the server": the side that closes first keeps the port in TIME_WAIT, of
/// which the server needs only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    ReceiveOnly,
    Lingering {
        fin: Fin,
    },
    /// The driver drops the IO at the end of this round.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fin {
    Due,
    Sent,
}

/// The place that was read into, and the number of bytes.
enum Filled {
    Input(usize),
    Payload(usize),
}

impl<T> Conn<T> {
    pub(super) fn new(io: T, reader: Reader) -> Self {
        Conn {
            io,
            reader,
            stage: Stage::Open,
            buffers: None,
        }
    }

    #[inline]
    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    #[inline]
    pub(super) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The reader, and the buffers of this turn.
    #[inline]
    pub(super) fn parts(&mut self) -> (&mut Reader, &mut Buffers) {
        let buffers = self.buffers.get_or_insert_with(Buffers::pooled);
        (&mut self.reader, buffers)
    }

    /// The buffers of this turn.
    #[inline]
    pub(super) fn buffers(&mut self) -> &mut Buffers {
        self.buffers.get_or_insert_with(Buffers::pooled)
    }

    /// Whether it holds no buffers: nothing is left to be done.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.buffers.is_none()
    }

    /// Gives back what an idle connection does not need.
    #[inline]
    pub(super) fn park(&mut self) {
        self.buffers = self.buffers.take().and_then(Buffers::recycle);
    }

    /// Gives all buffers back at the end of a turn that has left nothing in them.
    #[inline]
    pub(super) fn park_idle(&mut self) {
        if let Some(buffers) = self.buffers.take() {
            buffers.give_back();
        }
    }

    /// Tells the deadlines what was read. Returns the round trip of a ping that was answered.
    #[inline]
    pub(super) fn note_received(
        &self,
        received: &Received,
        demand: Demand,
        deadlines: &mut Deadlines,
        now: Instant,
    ) -> Option<Duration> {
        let mut latency = None;
        if received.frames > 0 {
            if let (Some((payload, sent)), Some(pong)) = (deadlines.ping(), &received.pong)
                && pong[..] == payload
            {
                latency = Some(now - sent);
            }
            deadlines.frame_received(now);
        } else if self.stage == Stage::ReceiveOnly {
            // The peer cannot be asked whether it is there: every byte shows it.
            deadlines.frame_received(now);
        }
        // An incomplete message began with this read, if something ended in it and no message
        // was under way all the time.
        let reader = &self.reader;
        let began = received.messages || received.frames > 0 && !reader.is_within_message();
        match (reader.is_between_messages(), began) {
            _ if demand.is_untimed() => deadlines.part_received(now),
            (true, _) => deadlines.message_ended(),
            (false, true) => deadlines.message_began(now),
            (false, false) => deadlines.message_continues(now),
        }
        latency
    }

    /// Returns the messages that were read, and the pings to answer before them.
    #[inline]
    pub(super) fn arrived(&mut self) -> (&mut Option<Box<Inbox>>, Option<&mut Pongs>) {
        let Buffers {
            batch,
            writing,
            control,
            ..
        } = self.buffers();
        // While the peer does not read, the answers wait where their number is bounded.
        let pings = writing.is_empty().then_some(&mut control.pongs);
        (batch, pings)
    }

    /// Takes what has arrived of an incomplete message.
    pub(super) fn take_part(&mut self) -> Option<Message> {
        self.reader.take_part()
    }

    /// Sends a keep-alive ping with the next write.
    pub(super) fn ping(&mut self, payload: [u8; 8]) {
        self.buffers().control.ping = Some(payload);
    }

    /// Whether there is something to write or to flush, apart from the send queue.
    #[inline]
    pub(super) fn has_output(&self) -> bool {
        self.buffers
            .as_ref()
            .is_some_and(|buffers| !buffers.is_written() || buffers.has_new_output())
    }

    /// Whether all that was taken to be written has been handed to the transport.
    pub(super) fn is_written(&self) -> bool {
        self.buffers
            .as_ref()
            .is_none_or(|buffers| buffers.is_written())
    }

    /// A write has failed: drops what was to be written. What arrives is read on.
    #[cold]
    pub(super) fn receive_only(&mut self) {
        self.stage = Stage::ReceiveOnly;
        self.discard_control();
        let buffers = self.buffers();
        *buffers.writing = Outbox::default();
        // What was dropped never counts as written.
        buffers.unflushed = true;
    }

    /// Drops the answers to pings, which cannot be written.
    fn discard_control(&mut self) {
        self.buffers().control = Control::default();
    }

    /// Lets the extension encode the batch that has just been taken.
    #[inline]
    pub(super) fn encode_batch(&mut self) {
        if let Some(codec) = self.reader.codec() {
            let buffers = self.buffers.get_or_insert_with(Buffers::pooled);
            encode_queued(&mut buffers.writing, Mark::default(), codec);
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Conn<T> {
    /// Reads once and parses as much as there is room for.
    pub(super) fn read(
        &mut self,
        mut demand: Demand,
        received: &mut Received,
        is_first: bool,
        cx: &mut Context<'_>,
    ) {
        let frames = self.reader.frames();
        // Bytes from before come first; only then is there more to read.
        received.left_over = self.buffers().has_unparsed();
        if !received.left_over {
            match self.poll_fill(demand, is_first, cx) {
                Poll::Ready(Ok(Filled::Input(0) | Filled::Payload(0))) => {
                    received.end = Some(ReadEnd::Eof);
                }
                Poll::Ready(Ok(Filled::Input(_))) => received.read = true,
                Poll::Ready(Ok(Filled::Payload(count))) => {
                    received.read = true;
                    self.filled_payload(count, &mut demand, received);
                }
                Poll::Ready(Err(error)) => received.end = Some(ReadEnd::Failed(error)),
                // Bytes of a message may have arrived before they were wanted as a chunk.
                Poll::Pending if self.reader.part_length() == 0 => return,
                Poll::Pending => {}
            }
        }
        self.parse(&mut demand, received);
        received.frames = self.reader.frames().wrapping_sub(frames);
        if self.reader.is_ended() {
            // What follows is not parsed.
            let buffers = self.buffers();
            buffers.start = buffers.end;
        }
        self.cut_chunk(demand, received);
    }

    /// Reads once: into the message that is arriving if much of it is still to come, else
    /// into the input buffer.
    ///
    /// The first read of a poll is not left to the task's budget, which a sibling future may
    /// have used up; later ones are, since the next poll begins with a read.
    fn poll_fill(
        &mut self,
        demand: Demand,
        is_first: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Filled>> {
        let limit = match demand {
            Demand::Awaited(_) | Demand::ControlFrames | Demand::Discard => INPUT,
            Demand::Ahead(_) => AHEAD,
            Demand::Beyond(capacity) => capacity.bytes().min(AHEAD),
            Demand::Chunks(capacity) | Demand::Rest(capacity) => capacity.bytes().max(AHEAD),
        };
        if self.reader.is_within_message()
            && let Some((buffer, length)) = self
                .reader
                .payload_buffer(LARGE)
                .map_err(|_| io::ErrorKind::OutOfMemory)?
        {
            // This future holds no state between polls, so it can be made and dropped
            // within one.
            let mut limited = buffer.limit(length.min(limit));
            let read = poll_io(cx, |cx| pin!(self.io.read_buf(&mut limited)).poll(cx));
            let count = ready!(read)?;
            return Poll::Ready(Ok(Filled::Payload(count)));
        }
        self.poll_input(limit, is_first, cx).map_ok(Filled::Input)
    }

    /// Reads once into the input buffer, so many bytes at most.
    #[inline(always)]
    pub(super) fn poll_input(
        &mut self,
        limit: usize,
        is_first: bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let buffers = self.buffers.get_or_insert_with(Buffers::pooled);
        let mut buffer = ReadBuf::new(&mut buffers.input()[..limit]);
        let io = Pin::new(&mut self.io);
        let polled = match io.poll_read(cx, &mut buffer) {
            Poll::Pending if is_first => {
                poll_again(cx, |cx| Pin::new(&mut self.io).poll_read(cx, &mut buffer))
            }
            polled => polled,
        };
        ready!(polled)?;
        (buffers.start, buffers.end) = (0, buffer.filled().len());
        Poll::Ready(Ok(buffers.end))
    }

    /// Bytes were read straight into the message that is arriving.
    fn filled_payload(&mut self, count: usize, demand: &mut Demand, received: &mut Received) {
        let filled = self.reader.filled(count);
        let Buffers { batch, control, .. } = self.buffers();
        let mut taking = Taking {
            received,
            demand,
            batch,
            control,
        };
        match filled {
            Ok(Some(event)) => _ = taking.event(event),
            Ok(None) => {}
            Err(violation) => received.end = Some(ReadEnd::Violation(violation)),
        }
    }

    /// Parses what is in the input buffer, as far as there is room.
    #[inline]
    fn parse(&mut self, demand: &mut Demand, received: &mut Received) {
        let buffers = self.buffers.get_or_insert_with(Buffers::pooled);
        if !buffers.has_unparsed() || !demand.has_capacity() || received.end.is_some() {
            return;
        }
        let Buffers {
            input,
            start,
            end,
            batch,
            control,
            ..
        } = &mut **buffers;
        // What is read ahead is bounded before it is decompressed, and may become a
        // thousand times as much. So it is parsed in small pieces.
        let step = match demand {
            Demand::Awaited(_) => INPUT,
            _ if self.reader.codec().is_some() => PIECE,
            _ => INPUT,
        };
        loop {
            let input = &mut input[*start..(*start + step).min(*end)];
            let length = input.len();
            let mut taking = Taking {
                received,
                demand,
                batch,
                control,
            };
            let drained = self.reader.drain_to(input, &mut taking);
            match drained {
                Ok(taken) => *start += taken,
                Err(violation) => received.end = Some(ReadEnd::Violation(violation)),
            }
            if drained != Ok(length)
                || *start == *end
                || !demand.has_capacity()
                || self.reader.part_length() >= CHUNK
            {
                break;
            }
        }
    }

    /// Takes what has arrived of an incomplete message as a chunk, if chunks are wanted.
    #[inline]
    fn cut_chunk(&mut self, demand: Demand, received: &mut Received) {
        received.in_chunks = match demand {
            // The receiver has not chosen yet how it takes this message. Only so much of it
            // is read ahead.
            Demand::Ahead(_) => self.reader.part_length() >= CHUNK,
            Demand::Beyond(_) => false,
            demand => demand.is_in_chunks(),
        };
        if received.in_chunks {
            let chunk = self.reader.take_part();
            received.chunk = chunk.filter(|_| !demand.discards());
            // It may have arrived before chunks were wanted.
            received.left_over |= received.chunk.is_some();
        }
    }

    /// Writes the batch that was taken, and flushes it: only then has the transport taken
    /// all of it. Sets `progress` if bytes were written.
    pub(super) fn poll_write(
        &mut self,
        progress: &mut bool,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let buffers = self.buffers.get_or_insert_with(Buffers::pooled);
        while !buffers.writing.is_empty() {
            let io = &mut self.io;
            let count = if buffers.writing.is_scattered() && io.is_write_vectored() {
                let mut slices = [IoSlice::new(&[]); 16];
                let count = buffers.writing.chunks(&mut slices);
                ready!(poll_io(cx, |cx| {
                    Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count])
                }))?
            } else {
                let chunk = buffers.writing.chunk();
                ready!(poll_io(cx, |cx| Pin::new(&mut *io).poll_write(cx, chunk)))?
            };
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            buffers.writing.advance(count);
            buffers.unflushed = true;
            *progress = true;
        }
        if buffers.unflushed {
            let io = &mut self.io;
            ready!(poll_io(cx, |cx| Pin::new(&mut *io).poll_flush(cx)))?;
            buffers.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Does what there is to do where nothing more is written.
    #[inline(never)]
    pub(super) fn linger(&mut self, cx: &mut Context<'_>) {
        match self.stage {
            Stage::Open | Stage::Over => {}
            Stage::ReceiveOnly => self.discard_control(),
            Stage::Lingering { fin } => self.send_fin(fin, cx),
        }
    }

    /// Sends FIN, and reads and discards until the peer sends nothing more. The client
    /// waits for the server's FIN first.
    fn send_fin(&mut self, fin: Fin, cx: &mut Context<'_>) {
        if fin == Fin::Due {
            if self.reader.side().closes_tcp_last() && self.poll_discard(cx).is_pending() {
                return;
            }
            match poll_io(cx, |cx| Pin::new(&mut self.io).poll_shutdown(cx)) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => self.stage = Stage::Lingering { fin: Fin::Sent },
                Poll::Ready(Err(_)) => {
                    self.stage = Stage::Over;
                    return;
                }
            }
        }
        if self.poll_discard(cx).is_ready() {
            self.stage = Stage::Over;
        }
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let buffers = self.buffers.get_or_insert_with(Buffers::pooled);
        (buffers.start, buffers.end) = (0, 0);
        let input = buffers.input();
        // A peer that goes on sending must not hold the thread: after some reads other
        // tasks get their turn.
        for _ in 0..8 {
            let mut buffer = ReadBuf::new(input);
            let io = &mut self.io;
            match ready!(poll_io(cx, |cx| Pin::new(&mut *io).poll_read(cx, &mut buffer))) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        yield_now(cx);
        Poll::Pending
    }
}
