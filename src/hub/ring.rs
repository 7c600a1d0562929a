//! The ring: the newest messages of a room, ready to be sent again. A plain structure: it
//! knows no lock, no task and no clock.

use std::collections::VecDeque;

use super::position::Position;

/// What a ring may hold. The older messages beyond it are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) messages: usize,
    /// A single message may exceed it: the newest one is always kept.
    pub(super) bytes: usize,
}

/// The newest messages of a room, each with its position. They are contiguous: each follows
/// the one before.
///
/// ```text
///   start          (entries)          last
///     │   41-c3   42-07   43-9e   44-51 │
///   40-aa                             44-51
/// ```
#[derive(Debug)]
pub(super) struct Ring<M> {
    /// The position before the first entry; of an empty ring, the last position.
    start: Position,
    entries: VecDeque<Entry<M>>,
    bytes: usize,
    limits: Limits,
}

#[derive(Clone, Debug)]
pub(super) struct Entry<M> {
    pub(super) position: Position,
    pub(super) message: M,
    /// The size of the message, as it counts for the limit.
    pub(super) bytes: usize,
}

impl<M> Ring<M> {
    /// Makes an empty ring at a position.
    pub(super) fn new(at: Position, limits: Limits) -> Self {
        Ring {
            start: at,
            entries: VecDeque::new(),
            bytes: 0,
            limits,
        }
    }

    /// The position after the newest message.
    pub(super) fn last(&self) -> Position {
        self.entries
            .back()
            .map_or(self.start, |entry| entry.position)
    }

    /// The oldest position from which the ring can replay.
    pub(super) fn start(&self) -> Position {
        self.start
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Appends the message that follows the last.
    pub(super) fn push(&mut self, entry: Entry<M>) {
        debug_assert_eq!(
            Some(entry.position.number()),
            self.last().number().checked_add(1)
        );
        self.bytes += entry.bytes;
        self.entries.push_back(entry);
        while self.entries.len() > 1 && self.is_over() {
            self.drop_oldest();
        }
    }

    /// Puts older messages before the first, as many as the limits allow, the newest of them
    /// first. `before` is the position before them. Those that are in the ring already are passed
    /// over. Messages that do not lead up to the first are ignored: the ring may have moved since
    /// they were read.
    pub(super) fn prepend(&mut self, before: Position, mut older: Vec<Entry<M>>) {
        let Some(missing) = older.iter().position(|entry| entry.position == self.start) else {
            return;
        };
        older.truncate(missing + 1);
        while let Some(entry) = older.pop() {
            let bytes = self.bytes + entry.bytes;
            let is_full = self.entries.len() >= self.limits.messages || bytes > self.limits.bytes;
            if is_full && !self.entries.is_empty() {
                return;
            }
            self.bytes = bytes;
            self.entries.push_front(entry);
            self.start = older.last().map_or(before, |previous| previous.position);
        }
    }

    /// Where a position stands: the number of entries before it. `None` if it is not in the
    /// ring.
    pub(super) fn find(&self, position: Position) -> Option<usize> {
        if position == self.start {
            return Some(0);
        }
        let after_start = position.number().checked_sub(self.start.number())?;
        let index = usize::try_from(after_start.checked_sub(1)?).ok()?;
        (self.entries.get(index)?.position == position).then_some(index + 1)
    }

    /// The entries after the first `index`, oldest first.
    pub(super) fn from(&self, index: usize) -> impl Iterator<Item = &Entry<M>> {
        self.entries.range(index..)
    }

    /// Drops all messages. The position stays: the next message follows the last.
    pub(super) fn clear(&mut self) {
        self.reset(self.last());
    }

    /// Drops all messages, and goes on at another position.
    pub(super) fn reset(&mut self, at: Position) {
        self.entries = VecDeque::new();
        self.bytes = 0;
        self.start = at;
    }

    fn is_over(&self) -> bool {
        self.entries.len() > self.limits.messages || self.bytes > self.limits.bytes
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.bytes;
            self.start = entry.position;
        }
    }
}
