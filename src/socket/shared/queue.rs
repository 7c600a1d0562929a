//! The send queue: encoded frames that wait under the lock until the driver takes them.

use std::sync::Arc;

use super::pool::{self, Pool};
use super::retention::Retention;
use super::run::{InRun, Run, Span};
use crate::close::CloseFrame;
use crate::error::Violation;
use crate::message::Kind;
use crate::protocol::{Closed, Coding, Encoded, Mark, Outbox, Part, Prepared, Role, Writer};
use crate::{CloseCode, Message};

/// An outbox whose buffer grew beyond this is not pooled.
const LARGEST: usize = 256 * 1024;

thread_local! {
    /// Sixteen: a broadcast fills the outboxes of many sockets before the first of
    /// them is written.
    static OUTBOXES: Pool<Box<Outbox>, 16> = const { Pool::new() };
}

/// An empty outbox, from this thread's pool.
pub(in crate::socket) fn pooled_outbox() -> Box<Outbox> {
    pool::take(&OUTBOXES).unwrap_or_default()
}

/// Gives an empty outbox back to this thread's pool.
pub(in crate::socket) fn recycle_outbox(outbox: Box<Outbox>) {
    debug_assert!(outbox.is_empty());
    if outbox.capacity() <= LARGEST {
        pool::give(&OUTBOXES, outbox);
    }
}

/// Whether a buffer of this many bytes is worth keeping.
pub(in crate::socket) fn is_poolable(capacity: usize) -> bool {
    capacity <= LARGEST
}

/// The frames that the driver has not taken, and the writer that encodes them.
pub(super) struct SendQueue {
    writer: Writer,
    queued: Queued,
    batches: Batches,
}

/// Messages of a room are all that most members have to write, so each member holds a part of
/// the frames that all of them share until its turn comes. A copy and a buffer for each
/// member of a large room would take more memory than all else about the members.
#[derive(Default)]
enum Queued {
    #[default]
    Nothing,
    /// Frames of this connection. May be empty: the buffer stays until the driver parks.
    Own(Box<Outbox>),
    /// Frames of a room, which stand one behind the other in its run.
    InRun(Arc<Run>, Span, Retention),
    /// One frame that other connections send too, and that is in no run: it is large or
    /// compressed, or was not sent by a room.
    Shared(Arc<Encoded>, Retention),
    /// A message is being sent in chunks: nothing of another message may be sent
    /// between its first fragment and its last (RFC 6455, section 5.4).
    Chunked(Box<Chunked>),
}

#[derive(Default)]
struct Chunked {
    /// Fragments of that message, and control frames.
    outbox: Option<Box<Outbox>>,
    /// Messages that wait until that message is complete.
    deferred: Outbox,
}

/// Counts what the driver has taken from the queue and what of that is written. A flush
/// waits for a number.
#[derive(Default)]
struct Batches {
    taken: u32,
    written: u32,
}

impl SendQueue {
    pub(super) fn new(role: Role) -> Self {
        SendQueue {
            writer: Writer::new(role),
            queued: Queued::Nothing,
            batches: Batches::default(),
        }
    }

    pub(super) fn role(&self) -> Role {
        self.writer.role()
    }

    /// Whether no close frame has been queued, and none has arrived.
    pub(super) fn is_open(&self) -> bool {
        self.writer.is_open()
    }

    /// Whether the driver has nothing to take.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        match &self.queued {
            Queued::Nothing => true,
            Queued::Own(outbox) => outbox.is_empty(),
            Queued::InRun(..) | Queued::Shared(..) => false,
            Queued::Chunked(chunked) => chunked.outbox.as_ref().is_none_or(|it| it.is_empty()),
        }
    }

    /// The bytes that the driver has not taken, without those that are deferred.
    #[inline]
    pub(super) fn len(&self) -> usize {
        match &self.queued {
            Queued::Nothing => 0,
            Queued::Own(outbox) => outbox.len(),
            Queued::InRun(_, span, _) => span.len(),
            Queued::Shared(frame, _) => frame.len(),
            Queued::Chunked(chunked) => chunked.outbox.as_ref().map_or(0, |it| it.len()),
        }
    }

    /// Whether a message is being sent in chunks.
    #[inline]
    pub(super) fn is_chunked(&self) -> bool {
        matches!(self.queued, Queued::Chunked(_))
    }

    /// Whether messages wait for the end of one that is sent in chunks.
    pub(super) fn has_deferred(&self) -> bool {
        match &self.queued {
            Queued::Chunked(chunked) => !chunked.deferred.is_empty(),
            Queued::Nothing | Queued::Own(_) | Queued::InRun(..) | Queued::Shared(..) => false,
        }
    }

    /// Whether a message may be queued: if nothing else is, or below the limit.
    /// `unsent`: the bytes that go out before the queue.
    #[inline]
    pub(super) fn has_room(&self, unsent: usize, limit: usize) -> bool {
        match &self.queued {
            Queued::Chunked(chunked) => is_room(chunked.deferred.len(), limit),
            Queued::Nothing | Queued::Own(_) | Queued::InRun(..) | Queued::Shared(..) => {
                self.has_room_for_chunk(unsent, limit)
            }
        }
    }

    /// Whether a message of a room may be queued: if there is room, and less than half of the next
    /// batch is taken. Bytes that go out before the queue do not count for the half.
    #[cfg(feature = "hub")]
    pub(super) fn has_half(&self, unsent: usize, limit: usize) -> bool {
        self.has_room(0, limit / 2) && self.has_room(unsent, limit)
    }

    /// Whether a chunk of the message that is being sent may be queued.
    #[inline]
    pub(super) fn has_room_for_chunk(&self, unsent: usize, limit: usize) -> bool {
        is_room(self.len() + unsent, limit)
    }

    /// The writer, and where frames go that come after all that is queued, except for
    /// deferred messages.
    #[inline]
    pub(super) fn output(&mut self) -> (&mut Writer, &mut Outbox) {
        (&mut self.writer, self.queued.outbox())
    }

    /// Queues a message that `encode` writes.
    #[inline]
    pub(super) fn push(
        &mut self,
        retention: Retention,
        encode: impl FnOnce(&mut Writer, &mut Outbox) -> Result<(), Closed>,
    ) -> Result<(), Closed> {
        let (writer, outbox) = self.message_output();
        let start = outbox.mark();
        encode(writer, outbox)?;
        if retention == Retention::Droppable {
            outbox.allow_drop(start);
        }
        Ok(())
    }

    /// The writer, and where a message goes.
    #[inline]
    fn message_output(&mut self) -> (&mut Writer, &mut Outbox) {
        let outbox = match &mut self.queued {
            Queued::Chunked(chunked) => &mut chunked.deferred,
            queued => queued.outbox(),
        };
        (&mut self.writer, outbox)
    }

    /// Queues a prepared message: the shared frame itself if nothing else is queued.
    #[inline]
    pub(super) fn push_prepared(
        &mut self,
        prepared: &Prepared,
        coding: Option<Coding>,
        retention: Retention,
    ) -> Result<(), Closed> {
        if let Queued::Nothing = self.queued
            && let Some(frame) = self.writer.shared_frame(coding, prepared)
        {
            let frame = frame.clone();
            self.queued = Queued::Shared(frame, retention);
            return Ok(());
        }
        self.push(retention, |writer, outbox| match coding {
            None => writer.prepared(prepared, outbox),
            Some(coding) => writer.prepared_for(coding, prepared, outbox),
        })
    }

    /// Queues a frame of a room, if what is queued stands before it in the same run, and there is
    /// room; returns whether it did.
    #[inline]
    pub(super) fn extend_run(
        &mut self,
        frame: &InRun,
        retention: Retention,
        unsent: usize,
        limit: usize,
    ) -> bool {
        if let Queued::InRun(run, span, before) = &mut self.queued
            && *before == retention
            && is_room(span.len() + unsent, limit)
            && let Some(longer) = frame.extend(run, *span)
        {
            *span = longer;
            return true;
        }
        false
    }

    /// Queues a frame of a room, if nothing else is queued, and there is room; returns whether it
    /// did. (For a client the frame would have to be masked.)
    #[inline]
    pub(super) fn begin_run(
        &mut self,
        frame: &InRun,
        retention: Retention,
        unsent: usize,
        limit: usize,
    ) -> bool {
        let begins = matches!(self.queued, Queued::Nothing)
            && matches!(self.writer.role(), Role::Server)
            && is_room(unsent, limit);
        if begins {
            let (run, span) = frame.begin();
            self.queued = Queued::InRun(run, span, retention);
        }
        begins
    }

    /// Copies what is queued out of a run. To be called where it may stay queued for long: a part
    /// keeps the whole run alive.
    pub(super) fn leave_run(&mut self) {
        if let Queued::InRun(..) = self.queued {
            self.queued.make_own();
        }
    }

    /// Queues a chunk of a message. With the last one the deferred messages follow.
    pub(super) fn push_chunk(
        &mut self,
        kind: Kind,
        chunk: &Message,
        part: Part,
    ) -> Result<(), Closed> {
        let (writer, outbox) = self.output();
        writer.part(kind, chunk, part, outbox)?;
        match part {
            Part::More => self.queued.defer(),
            Part::Last => self.queued.undefer(),
        }
        Ok(())
    }

    /// Makes room below `limit` by dropping the oldest messages that may be dropped. Returns whether
    /// a newer message may take their place: not if all that is left is [kept](Retention::Kept).
    ///
    /// `unsent`: the bytes that go out before the queue. They cannot be dropped and count
    /// against the limit, so all of the queue may go. Call it only if the queue is full: it
    /// makes a buffer of the connection's own.
    pub(super) fn drop_oldest(&mut self, unsent: usize, limit: usize) -> bool {
        let unsent = if self.is_chunked() { 0 } else { unsent };
        let limit = limit.saturating_sub(1 + unsent);
        let outbox = self.message_output().1;
        outbox.drop_oldest(limit) > 0 || outbox.len() <= limit
    }

    /// Puts `front` before all that is queued and leaves it empty.
    pub(super) fn prepend(&mut self, front: &mut Outbox, retention: Retention) {
        if retention == Retention::Droppable {
            front.allow_drop(Mark::default());
        }
        self.queued.outbox().prepend(front);
    }

    /// Moves everything that is queued into `writing`, which is empty; returns whether
    /// there was something.
    #[inline]
    pub(super) fn take(&mut self, writing: &mut Box<Outbox>) -> bool {
        debug_assert!(writing.is_empty());
        let own = match &mut self.queued {
            Queued::Nothing => return false,
            Queued::Own(outbox) => outbox,
            Queued::InRun(..) | Queued::Shared(..) => {
                std::mem::take(&mut self.queued).copy_to(writing);
                return true;
            }
            Queued::Chunked(chunked) => match &mut chunked.outbox {
                Some(outbox) => outbox,
                None => return false,
            },
        };
        if own.is_empty() {
            return false;
        }
        own.forbid_drop();
        std::mem::swap(own, writing);
        true
    }

    /// Gives an empty buffer back to the thread's pool.
    #[inline]
    pub(super) fn recycle(&mut self) {
        match &mut self.queued {
            Queued::Nothing | Queued::InRun(..) | Queued::Shared(..) => {}
            Queued::Own(outbox) if !outbox.is_empty() => {}
            Queued::Own(_) => self.recycle_own(),
            Queued::Chunked(chunked) => {
                if let Some(outbox) = chunked.outbox.take_if(|outbox| outbox.is_empty()) {
                    recycle_outbox(outbox);
                }
            }
        }
    }

    #[inline(never)]
    fn recycle_own(&mut self) {
        if let Queued::Own(outbox) = std::mem::take(&mut self.queued) {
            recycle_outbox(outbox);
        }
    }

    /// Queues a close frame behind what is queued. Deferred messages are not sent.
    pub(super) fn close(&mut self, code: CloseCode, reason: &str) {
        let (writer, outbox) = self.output();
        let _ = writer.close(code, reason, outbox);
    }

    /// The same with an empty close frame.
    pub(super) fn close_empty(&mut self) {
        let (writer, outbox) = self.output();
        let _ = writer.close_empty(outbox);
    }

    /// Takes the peer's close frame, and queues the reply if one is due.
    pub(super) fn received_close(&mut self, frame: Option<&CloseFrame>) {
        let (writer, outbox) = self.output();
        writer.received_close(frame, outbox);
    }

    /// Queues the close frame that answers a violation by the peer.
    pub(super) fn fail(&mut self, violation: Violation) {
        let (writer, outbox) = self.output();
        writer.fail(violation, outbox);
    }

    /// Notes that nothing more arrives.
    pub(super) fn received_end(&mut self) {
        self.writer.received_end();
    }

    /// Drops what is queued, since the IO is gone. It counts as a batch that is never written: a
    /// flush that begins later must not take it for written.
    pub(super) fn discard(&mut self) {
        self.writer.received_end();
        if !self.is_empty() || self.has_deferred() {
            self.batch_taken();
        }
        self.queued = Queued::Nothing;
    }

    /// Notes that the driver has taken a batch, which is being written.
    #[inline]
    pub(super) fn batch_taken(&mut self) {
        self.batches.taken = self.batches.taken.wrapping_add(1);
    }

    /// Notes that all that was taken has been handed to the transport.
    #[inline]
    pub(super) fn all_written(&mut self) {
        self.batches.written = self.batches.taken;
    }

    /// The number of the batch that ends what is queued now. `is_corked`: the cork holds
    /// something too.
    pub(super) fn last_batch(&self, is_corked: bool) -> u32 {
        let is_queued = !self.is_empty() || is_corked;
        self.batches.taken.wrapping_add(u32::from(is_queued))
    }

    /// Whether the batch of that number has been written.
    pub(super) fn is_written(&self, batch: u32) -> bool {
        // The numbers wrap: those at most half the circle behind have been written.
        self.batches.written.wrapping_sub(batch) as i32 >= 0
    }
}

impl Queued {
    /// The outbox of the connection's own, made if there is none. Shared frames are
    /// copied into it.
    #[inline]
    fn outbox(&mut self) -> &mut Box<Outbox> {
        if let Queued::Nothing | Queued::InRun(..) | Queued::Shared(..) = self {
            self.make_own();
        }
        match self {
            Queued::Own(outbox) => outbox,
            Queued::Chunked(chunked) => chunked.outbox.get_or_insert_with(pooled_outbox),
            Queued::Nothing | Queued::InRun(..) | Queued::Shared(..) => {
                unreachable!("an outbox was just made")
            }
        }
    }

    #[inline(never)]
    fn make_own(&mut self) {
        let mut outbox = pooled_outbox();
        self.copy_to(&mut outbox);
        if let Queued::InRun(.., Retention::Droppable) | Queued::Shared(_, Retention::Droppable) =
            self
        {
            outbox.allow_drop(Mark::default());
        }
        *self = Queued::Own(outbox);
    }

    /// Copies frames that are shared.
    #[inline]
    fn copy_to(&self, out: &mut Outbox) {
        match self {
            Queued::InRun(run, span, _) => run.copy_to(*span, out),
            Queued::Shared(frame, _) => out.push_encoded(frame),
            Queued::Nothing | Queued::Own(_) | Queued::Chunked(_) => {}
        }
    }

    /// Defers messages from now on.
    fn defer(&mut self) {
        *self = match std::mem::take(self) {
            Queued::Own(outbox) => Queued::Chunked(Box::new(Chunked {
                outbox: Some(outbox),
                deferred: Outbox::default(),
            })),
            queued => queued,
        };
    }

    /// Queues the deferred messages, and defers no more.
    fn undefer(&mut self) {
        if let Queued::Chunked(chunked) = self {
            let Chunked {
                outbox,
                mut deferred,
            } = std::mem::take(&mut **chunked);
            let mut outbox = outbox.unwrap_or_else(pooled_outbox);
            outbox.append(&mut deferred);
            *self = Queued::Own(outbox);
        }
    }
}

/// One message always fits, whatever its size.
#[inline]
fn is_room(queued: usize, limit: usize) -> bool {
    queued == 0 || queued < limit
}

#[cfg(test)]
mod tests {
    use super::super::run::LastRun;
    use super::*;

    /// Enough for every queue here.
    const LIMIT: usize = 1000;

    fn queue() -> SendQueue {
        SendQueue::new(Role::Server)
    }

    fn push(queue: &mut SendQueue, text: &str) {
        push_retained(queue, text, Retention::Kept);
    }

    fn push_retained(queue: &mut SendQueue, text: &str, retention: Retention) {
        let pushed = queue.push(retention, |writer, outbox| {
            writer.message(&text.into(), outbox)
        });
        pushed.unwrap();
    }

    fn push_chunk(queue: &mut SendQueue, text: &str, part: Part) {
        queue.push_chunk(Kind::Text, &text.into(), part).unwrap();
    }

    /// Everything that is taken, as bytes.
    fn taken(queue: &mut SendQueue) -> Vec<u8> {
        let mut writing = Box::<Outbox>::default();
        let length = queue.len();
        assert_eq!(queue.take(&mut writing), length > 0);
        let bytes = writing.chunk().to_vec();
        assert_eq!(bytes.len(), length);
        assert!(queue.is_empty());
        bytes
    }

    fn frame(first: u8, payload: &str) -> Vec<u8> {
        [&[first, payload.len() as u8], payload.as_bytes()].concat()
    }

    const TEXT: u8 = 0x81;

    /// Queues a frame of a room as a part of its run; returns whether that was possible.
    fn push_in_run(queue: &mut SendQueue, room: &mut LastRun, text: &str, limit: usize) -> bool {
        let frame = room.append(&Prepared::new(text)).unwrap();
        queue.extend_run(&frame, Retention::Kept, 0, limit)
            || queue.begin_run(&frame, Retention::Kept, 0, limit)
    }

    #[test]
    fn nothing_is_queued_at_first() {
        let mut queue = queue();
        assert!(queue.is_empty() && queue.is_open() && !queue.is_chunked());
        assert_eq!(queue.len(), 0);
        assert_eq!(taken(&mut queue), b"");
    }

    #[test]
    fn a_shared_frame_is_queued_as_it_is_only_while_it_is_alone() {
        let prepared = Prepared::new("room");
        let mut queue = queue();
        queue
            .push_prepared(&prepared, None, Retention::Kept)
            .unwrap();
        assert!(matches!(queue.queued, Queued::Shared(..)));
        assert_eq!(queue.len(), 6);
        push(&mut queue, "own");
        assert!(matches!(queue.queued, Queued::Own(_)));
        queue
            .push_prepared(&prepared, None, Retention::Kept)
            .unwrap();
        let expected = [frame(TEXT, "room"), frame(TEXT, "own"), frame(TEXT, "room")];
        assert_eq!(taken(&mut queue), expected.concat());

        queue
            .push_prepared(&prepared, None, Retention::Kept)
            .unwrap();
        // The buffer that was swapped in is empty, and still there.
        assert!(matches!(queue.queued, Queued::Own(_)));
        taken(&mut queue);
        queue.recycle();
        queue
            .push_prepared(&prepared, None, Retention::Kept)
            .unwrap();
        assert_eq!(taken(&mut queue), frame(TEXT, "room"));
        assert!(matches!(queue.queued, Queued::Nothing));
    }

    #[test]
    fn frames_of_one_room_are_one_part_until_something_else_is_queued() {
        let (mut one, mut other) = (LastRun::default(), LastRun::default());
        let mut queue = queue();
        assert!(push_in_run(&mut queue, &mut one, "a", LIMIT));
        assert!(push_in_run(&mut queue, &mut one, "b", LIMIT));
        assert!(matches!(queue.queued, Queued::InRun(..)));
        assert!(!queue.is_empty() && !queue.is_chunked() && !queue.has_deferred());
        // Another room's frame cannot be in the same part.
        assert!(!push_in_run(&mut queue, &mut other, "c", LIMIT));
        queue
            .push_prepared(&Prepared::new("c"), None, Retention::Kept)
            .unwrap();
        assert!(matches!(queue.queued, Queued::Own(_)));
        assert!(!push_in_run(&mut queue, &mut one, "d", LIMIT));
        push(&mut queue, "d");
        let expected = ["a", "b", "c", "d"].map(|text| frame(TEXT, text));
        assert_eq!(taken(&mut queue), expected.concat());
        queue.recycle();

        // What has been taken is not in the next part.
        assert!(push_in_run(&mut queue, &mut one, "e", LIMIT));
        assert_eq!(taken(&mut queue), frame(TEXT, "e"));
        assert!(matches!(queue.queued, Queued::Nothing));
        assert!(push_in_run(&mut queue, &mut one, "f", LIMIT));
        assert_eq!(taken(&mut queue), frame(TEXT, "f"));
    }

    #[test]
    fn a_part_counts_against_the_limit_and_its_oldest_messages_may_be_dropped() {
        let mut room = LastRun::default();
        let mut queue = queue();
        let frame_of_room = room.append(&Prepared::new("x")).unwrap();
        let droppable = Retention::Droppable;
        assert!(
            !queue.begin_run(&frame_of_room, droppable, 9, 9),
            "9 bytes go out before"
        );
        let mut push = |queue: &mut SendQueue, text: &str, unsent: usize, limit: usize| {
            let frame = room.append(&Prepared::new(text)).unwrap();
            queue.extend_run(&frame, droppable, unsent, limit)
                || queue.begin_run(&frame, droppable, unsent, limit)
        };
        for (text, unsent, limit) in [("a", 0, 9), ("b", 6, 10), ("c", 0, 9)] {
            assert!(push(&mut queue, text, unsent, limit), "{text}");
        }
        assert_eq!(queue.len(), 9);
        assert!(!queue.has_room(0, 9) && queue.has_room(0, 10) && !queue.has_room(1, 10));
        assert!(!push(&mut queue, "d", 0, 9));
        assert!(queue.drop_oldest(0, 9));
        let expected = [frame(TEXT, "b"), frame(TEXT, "c")];
        assert_eq!(taken(&mut queue), expected.concat());
    }

    #[test]
    fn a_queue_that_leaves_its_run_keeps_what_is_queued_and_nothing_of_the_run() {
        let mut room = LastRun::default();
        let mut queue = queue();
        queue.leave_run();
        assert!(matches!(queue.queued, Queued::Nothing));
        let frame_of_room = room.append(&Prepared::new("a")).unwrap();
        let (run, _) = frame_of_room.begin();
        assert!(queue.begin_run(&frame_of_room, Retention::Kept, 0, LIMIT));
        drop(frame_of_room);
        assert_eq!(Arc::strong_count(&run), 2);
        queue.leave_run();
        assert_eq!(Arc::strong_count(&run), 1);
        assert_eq!(taken(&mut queue), frame(TEXT, "a"));
    }

    #[test]
    fn messages_wait_until_the_message_in_chunks_is_complete() {
        let mut queue = queue();
        push(&mut queue, "before");
        push_chunk(&mut queue, "a", Part::More);
        assert!(queue.is_chunked() && !queue.has_deferred());
        push(&mut queue, "own");
        queue
            .push_prepared(&Prepared::new("room"), None, Retention::Kept)
            .unwrap();
        assert!(queue.has_deferred());
        let (writer, outbox) = queue.output();
        writer.pong(b"", outbox);
        let expected = [frame(TEXT, "before"), frame(0x01, "a"), frame(0x8a, "")];
        assert_eq!(taken(&mut queue), expected.concat());
        queue.recycle();
        push_chunk(&mut queue, "b", Part::More);
        push_chunk(&mut queue, "", Part::Last);
        assert!(!queue.is_chunked() && !queue.has_deferred());
        let expected = [
            frame(0x00, "b"),
            frame(0x80, ""),
            frame(TEXT, "own"),
            frame(TEXT, "room"),
        ];
        assert_eq!(taken(&mut queue), expected.concat());
    }

    #[test]
    fn a_message_in_chunks_begins_behind_the_part_of_a_run_and_defers_what_follows() {
        let mut room = LastRun::default();
        let mut queue = queue();
        assert!(push_in_run(&mut queue, &mut room, "a", LIMIT));
        push_chunk(&mut queue, "b", Part::More);
        assert!(queue.is_chunked());
        assert!(!push_in_run(&mut queue, &mut room, "c", LIMIT));
        let expected = [frame(TEXT, "a"), frame(0x01, "b")];
        assert_eq!(taken(&mut queue), expected.concat());
    }

    #[test]
    fn a_message_of_one_last_chunk_defers_nothing() {
        let mut queue = queue();
        push_chunk(&mut queue, "all", Part::Last);
        assert!(!queue.is_chunked());
        assert_eq!(taken(&mut queue), frame(TEXT, "all"));
    }

    #[test]
    fn a_close_frame_stands_behind_what_is_queued_and_ends_the_writing() {
        for before in ["nothing", "own", "run", "shared", "chunked"] {
            let mut queue = queue();
            match before {
                "run" => assert!(push_in_run(&mut queue, &mut LastRun::default(), "x", LIMIT)),
                "own" => push(&mut queue, "x"),
                "shared" => queue
                    .push_prepared(&Prepared::new("x"), None, Retention::Kept)
                    .unwrap(),
                "chunked" => {
                    push_chunk(&mut queue, "x", Part::More);
                    push(&mut queue, "deferred");
                }
                _ => {}
            }
            queue.close(CloseCode::NORMAL, "");
            assert!(!queue.is_open());
            assert!(taken(&mut queue).ends_with(&[0x88, 2, 3, 232]), "{before}");
            queue.discard();
            assert!(queue.is_empty() && !queue.is_chunked());
        }
    }

    #[test]
    fn what_is_put_in_front_goes_before_frames_of_every_kind() {
        for kind in ["nothing", "own", "run", "shared"] {
            let mut queue = queue();
            let mut expected = frame(TEXT, "front");
            match kind {
                "run" => assert!(push_in_run(&mut queue, &mut LastRun::default(), "x", LIMIT)),
                "own" => push(&mut queue, "x"),
                "shared" => queue
                    .push_prepared(&Prepared::new("x"), None, Retention::Kept)
                    .unwrap(),
                _ => {}
            }
            if kind != "nothing" {
                expected.extend(frame(TEXT, "x"));
            }
            let mut front = Outbox::default();
            let writer = &mut Writer::new(Role::Server);
            writer.message(&"front".into(), &mut front).unwrap();
            queue.prepend(&mut front, Retention::Kept);
            assert!(front.is_empty());
            assert_eq!(taken(&mut queue), expected, "{kind}");
        }
    }

    #[test]
    fn room_counts_what_goes_out_before_and_one_message_always_fits() {
        let mut queue = queue();
        assert!(queue.has_room(0, 0));
        assert!(!queue.has_room(LIMIT, LIMIT));
        assert!(queue.has_room(LIMIT - 1, LIMIT));
        push(&mut queue, "12345678");
        assert!(queue.has_room(0, 11) && !queue.has_room(0, 10) && !queue.has_room(1, 11));
        push_chunk(&mut queue, "x", Part::More);
        // Deferred messages have a limit of their own.
        assert!(queue.has_room(LIMIT, 10) && !queue.has_room_for_chunk(LIMIT, 10));
        push(&mut queue, "12345678");
        assert!(!queue.has_room(0, 10) && queue.has_room_for_chunk(0, LIMIT));
    }

    #[cfg(feature = "hub")]
    #[test]
    fn half_of_the_room_is_for_rooms_beside_what_goes_out_before() {
        let mut queue = queue();
        assert!(queue.has_half(9, 10) && !queue.has_half(10, 10));
        push(&mut queue, "12345678");
        assert!(queue.has_half(0, 22) && !queue.has_half(0, 20));
        assert!(queue.has_half(11, 22) && !queue.has_half(12, 22));
    }

    #[test]
    fn nothing_is_queued_after_the_end_of_the_peer() {
        let mut queue = queue();
        queue.received_end();
        assert!(!queue.is_open());
        let late = queue.push(Retention::Kept, |writer, outbox| {
            writer.message(&"late".into(), outbox)
        });
        assert!(late.is_err());
        queue.close(CloseCode::NORMAL, "");
        queue.received_close(None);
        assert!(queue.is_empty());
    }

    #[test]
    fn the_oldest_messages_make_room() {
        let mut queue = queue();
        for text in ["a", "b", "c"] {
            push_retained(&mut queue, text, Retention::Droppable);
        }
        assert!(queue.drop_oldest(1, 6));
        assert_eq!(taken(&mut queue), frame(TEXT, "c"));
    }

    #[test]
    fn messages_that_are_kept_stay_wherever_they_stand() {
        use Retention::{Droppable, Kept};
        let mut queue = queue();
        for (text, retention) in [
            ("a", Droppable),
            ("b", Kept),
            ("c", Droppable),
            ("d", Droppable),
            ("e", Kept),
        ] {
            push_retained(&mut queue, text, retention);
        }
        // What came from the cork goes in front.
        let mut front = Outbox::default();
        let mut writer = Writer::new(Role::Server);
        writer.message(&"x".into(), &mut front).unwrap();
        queue.prepend(&mut front, Droppable);
        assert!(queue.drop_oldest(0, 15));
        let left = ["b", "c", "d", "e"].map(|text| frame(TEXT, text));
        assert_eq!(queue.len(), left.concat().len());
        assert!(queue.drop_oldest(0, 1), "others may take the place of two");
        assert!(!queue.drop_oldest(0, 1), "nothing may be dropped");
        assert_eq!(
            taken(&mut queue),
            [frame(TEXT, "b"), frame(TEXT, "e")].concat()
        );

        // What has been taken does not come back with its buffer.
        push(&mut queue, "f");
        assert!(!queue.drop_oldest(0, 1));
        assert_eq!(taken(&mut queue), frame(TEXT, "f"));
    }

    #[test]
    fn short_messages_that_may_be_dropped_take_no_memory_beside_their_frames() {
        let mut queue = queue();
        let limit = 1 << 20;
        while queue.has_room(0, limit) {
            push_retained(&mut queue, "x", Retention::Droppable);
        }
        assert!(queue.drop_oldest(0, limit));
        push_retained(&mut queue, "x", Retention::Droppable);
        let beside = queue.output().1.droppable_bytes();
        assert!(beside < 200, "{beside} bytes");
    }

    #[test]
    fn deferred_messages_are_dropped_as_others_are() {
        let mut queue = queue();
        push_chunk(&mut queue, "chunk", Part::More);
        for text in ["a", "b", "c"] {
            push_retained(&mut queue, text, Retention::Droppable);
        }
        push(&mut queue, "d");
        assert!(queue.drop_oldest(1000, 10));
        push_chunk(&mut queue, "", Part::Last);
        assert!(queue.drop_oldest(0, 1), "they may be dropped still");
        let frames = taken(&mut queue);
        assert!(frames.ends_with(&frame(TEXT, "d")));
        assert!(!frames.windows(3).any(|it| it == frame(TEXT, "c")));
    }

    #[test]
    fn frames_that_are_shared_are_dropped_or_kept_once_they_are_copied() {
        for retention in [Retention::Kept, Retention::Droppable] {
            let mut room = LastRun::default();
            let mut queue = queue();
            let [one, two] = ["a", "b"].map(|text| room.append(&Prepared::new(text)).unwrap());
            assert!(queue.begin_run(&one, retention, 0, LIMIT));
            let other = match retention {
                Retention::Kept => Retention::Droppable,
                Retention::Droppable => Retention::Kept,
            };
            assert!(!queue.extend_run(&two, other, 0, LIMIT));
            assert!(queue.extend_run(&two, retention, 0, LIMIT));
            let is_droppable = retention == Retention::Droppable;
            assert_eq!(queue.drop_oldest(0, 1), is_droppable);
            assert_eq!(queue.is_empty(), is_droppable);

            let mut queue = self::queue();
            let large = Prepared::new(vec![0; 20_000]);
            queue.push_prepared(&large, None, retention).unwrap();
            assert_eq!(queue.drop_oldest(0, 1), is_droppable);
            assert_eq!(queue.is_empty(), is_droppable);
        }
    }

    #[test]
    fn a_flush_waits_for_the_batch_that_ends_the_queue() {
        let mut queue = queue();
        assert!(queue.is_written(queue.last_batch(false)));
        push(&mut queue, "x");
        let batch = queue.last_batch(false);
        assert_eq!(batch, queue.last_batch(true));
        assert!(!queue.is_written(batch));
        taken(&mut queue);
        queue.batch_taken();
        assert!(!queue.is_written(batch));
        queue.all_written();
        assert!(queue.is_written(batch));
    }

    #[test]
    fn batches_may_wrap() {
        let mut queue = queue();
        queue.batches.taken = u32::MAX;
        queue.all_written();
        let batch = queue.last_batch(true);
        assert_eq!(batch, 0);
        assert!(!queue.is_written(batch));
        queue.batch_taken();
        queue.all_written();
        assert!(queue.is_written(batch) && queue.is_written(u32::MAX));
    }
}
