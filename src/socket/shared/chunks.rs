//! Messages that are received in chunks.
//!
//! The receiver decides with each call how messages are handed over: in chunks from
//! `recv_stream` on, whole from `recv` on. A large message that
//! arrives while the receiver is busy is taken in chunks, until the next call decides.
//!
//! The chunks have a queue of their own, and one rule: *all that is in the inbox came
//! before them.* As long as the queue holds a chunk, or a chunk of an incomplete
//! message has been handed over, nothing goes into the inbox.

use std::collections::VecDeque;

use super::inbox::Capacity;
use crate::Message;
use crate::message::{Kind, Text};
use crate::protocol::Part;

/// An empty queue that grew beyond this many chunks gives its memory back.
const KEPT: usize = 8;

#[derive(Default)]
pub(super) struct ChunkQueue {
    delivery: Delivery,
    position: Position,
    chunks: VecDeque<(Message, Part)>,
    /// The bytes of `chunks`.
    bytes: usize,
    /// Chunks of a message for `recv`, received before `recv` was called.
    begun: Option<(Kind, Vec<u8>)>,
}

/// The way in which messages are handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Delivery {
    #[default]
    Whole,
    Chunks,
}

/// The position of the receiver.
///
/// ```text
///             first of several chunks
///   Between ───────────────────────────► Within
///      ▲                                  │ │
///      ├───────────── last chunk ─────────┘ │ skip
///      └── last chunk ─── Skipping ◄────────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    #[default]
    Between,
    Within,
    Skipping,
}

impl ChunkQueue {
    /// Whether what arrives goes here, instead of into the inbox.
    pub(super) fn is_active(&self) -> bool {
        self.delivery == Delivery::Chunks
            || self.position != Position::Between
            || self.begun.is_some()
            || !self.chunks.is_empty()
    }

    /// Whether what arrives is put together for `recv`.
    pub(super) fn is_for_recv(&self) -> bool {
        self.delivery == Delivery::Whole && self.position == Position::Between
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Returns what these chunks leave of that capacity.
    pub(super) fn rest_of(&self, capacity: Capacity) -> Capacity {
        capacity.less(self.chunks.len(), self.bytes)
    }

    /// Changes how messages are handed over; returns whether that is a change.
    pub(super) fn deliver(&mut self, delivery: Delivery) -> bool {
        std::mem::replace(&mut self.delivery, delivery) != delivery
    }

    pub(super) fn push(&mut self, message: Message, part: Part) {
        match (self.position, part) {
            (Position::Skipping, Part::More) => {}
            (Position::Skipping, Part::Last) => self.position = Position::Between,
            (Position::Between | Position::Within, _) => {
                self.bytes += message.len();
                self.chunks.push_back((message, part));
            }
        }
    }

    fn pop(&mut self) -> Option<(Message, Part)> {
        let (message, part) = self.chunks.pop_front()?;
        self.bytes -= message.len();
        if self.chunks.is_empty() && self.chunks.capacity() > KEPT {
            self.chunks = VecDeque::new();
        }
        Some((message, part))
    }

    /// The first chunk of the next message. `None` if it has not arrived, or if the
    /// rest of the message before it is still being skipped.
    pub(super) fn first(&mut self) -> Option<(Message, Part)> {
        match self.position {
            Position::Skipping => None,
            Position::Between | Position::Within => self.next(),
        }
    }

    /// The next chunk.
    pub(super) fn next(&mut self) -> Option<(Message, Part)> {
        let (message, part) = match self.begun.take() {
            Some((kind, bytes)) => (message(kind, bytes), Part::More),
            None => self.pop()?,
        };
        self.position = match part {
            Part::More => Position::Within,
            Part::Last => Position::Between,
        };
        Some((message, part))
    }

    /// The next message, put together. The chunks of an incomplete one are set aside
    /// for the next call.
    pub(super) fn next_whole(&mut self) -> Option<Message> {
        if self.position == Position::Skipping {
            return None;
        }
        while let Some((message, part)) = self.pop() {
            if self.begun.is_none() && part == Part::Last {
                return Some(message);
            }
            let (_, bytes) = self
                .begun
                .get_or_insert_with(|| (message.kind(), Vec::new()));
            bytes.extend_from_slice(message.as_bytes());
            if part == Part::Last {
                return self
                    .begun
                    .take()
                    .map(|(kind, bytes)| self::message(kind, bytes));
            }
        }
        None
    }

    /// The message that is being received is incomplete and never will be complete.
    pub(super) fn lose_rest(&mut self) {
        self.position = Position::Between;
    }

    /// Discards the rest of the message that is being received, as it arrives.
    pub(super) fn skip(&mut self) {
        if self.position != Position::Within {
            return;
        }
        self.position = Position::Skipping;
        while self.position == Position::Skipping {
            match self.pop() {
                Some((_, Part::More)) => {}
                Some((_, Part::Last)) => self.position = Position::Between,
                None => return,
            }
        }
    }
}

/// The chunks were validated as they arrived, and each is whole characters.
fn message(kind: Kind, bytes: Vec<u8>) -> Message {
    match kind {
        Kind::Text => Text::from_validated(bytes).into(),
        Kind::Binary => bytes.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(queue: &mut ChunkQueue, text: &str, part: Part) {
        queue.push(text.into(), part);
    }

    fn text(chunk: Option<(Message, Part)>) -> Option<(String, Part)> {
        chunk.map(|(message, part)| (message.as_text().unwrap().to_string(), part))
    }

    #[test]
    fn chunks_come_out_as_they_went_in_and_are_counted() {
        let mut queue = ChunkQueue::default();
        assert!(!queue.is_active());
        assert!(queue.deliver(Delivery::Chunks));
        assert!(!queue.deliver(Delivery::Chunks));
        assert!(queue.is_active());
        push(&mut queue, "ab", Part::More);
        push(&mut queue, "c", Part::Last);
        assert_eq!(queue.rest_of(Capacity::WHOLE), Capacity::WHOLE.less(2, 3));
        assert_eq!(text(queue.first()), Some(("ab".into(), Part::More)));
        assert_eq!(queue.position, Position::Within);
        assert_eq!(text(queue.next()), Some(("c".into(), Part::Last)));
        assert_eq!(queue.position, Position::Between);
        assert_eq!(queue.rest_of(Capacity::WHOLE), Capacity::WHOLE);
        assert_eq!(text(queue.next()), None);
    }

    #[test]
    fn a_skipped_message_is_discarded_to_its_end() {
        for arrived in 0..=2 {
            let mut queue = ChunkQueue::default();
            push(&mut queue, "a", Part::More);
            assert!(queue.first().is_some());
            let rest = [("b", Part::More), ("c", Part::Last)];
            for (chunk, part) in &rest[..arrived] {
                push(&mut queue, chunk, *part);
            }
            queue.skip();
            assert!(queue.is_empty());
            if arrived < 2 {
                assert!(queue.first().is_none() && queue.next_whole().is_none());
            }
            for (chunk, part) in &rest[arrived..] {
                push(&mut queue, chunk, *part);
            }
            push(&mut queue, "next", Part::Last);
            assert_eq!(text(queue.first()), Some(("next".into(), Part::Last)));
        }
    }

    #[test]
    fn skipping_between_messages_changes_nothing() {
        let mut queue = ChunkQueue::default();
        push(&mut queue, "a", Part::Last);
        queue.skip();
        assert_eq!(text(queue.first()), Some(("a".into(), Part::Last)));
    }

    #[test]
    fn a_whole_message_is_put_together_over_several_calls() {
        let mut queue = ChunkQueue::default();
        push(&mut queue, "a", Part::More);
        assert!(queue.next_whole().is_none());
        assert!(queue.is_active() && queue.is_for_recv() && queue.is_empty());
        push(&mut queue, "b", Part::More);
        push(&mut queue, "c", Part::Last);
        push(&mut queue, "d", Part::Last);
        assert_eq!(queue.next_whole(), Some("abc".into()));
        assert_eq!(queue.next_whole(), Some("d".into()));
        assert!(!queue.is_active());
    }

    #[test]
    fn a_message_begun_for_recv_goes_on_in_chunks() {
        let mut queue = ChunkQueue::default();
        push(&mut queue, "a", Part::More);
        assert!(queue.next_whole().is_none());
        queue.deliver(Delivery::Chunks);
        assert_eq!(text(queue.first()), Some(("a".into(), Part::More)));
        push(&mut queue, "b", Part::Last);
        assert_eq!(text(queue.next()), Some(("b".into(), Part::Last)));
    }

    #[test]
    fn after_a_lost_rest_the_receiver_is_between_messages() {
        let mut queue = ChunkQueue::default();
        push(&mut queue, "a", Part::More);
        assert!(queue.first().is_some());
        queue.lose_rest();
        assert!(!queue.is_active());
    }

    #[test]
    fn a_queue_that_was_long_gives_its_memory_back() {
        for (length, capacity) in [(KEPT, KEPT), (KEPT + 1, 0), (100, 0)] {
            let mut queue = ChunkQueue::default();
            for _ in 0..length {
                push(&mut queue, "a", Part::Last);
            }
            while queue.next().is_some() {}
            assert_eq!(queue.chunks.capacity(), capacity);
        }
    }
}
