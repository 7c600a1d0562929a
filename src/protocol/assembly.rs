//! The message that is arriving: one contiguous buffer for all its fragments.

use std::cell::RefCell;

use bytes::Bytes;

use crate::Message;
use crate::error::Violation;
use crate::extension::Codec;
use crate::frame::{Header, Opcode, Rsv, mask, utf8};
use crate::message::Text;

/// A message's buffer grows by at least this, if as much is still to come.
const LEAST_GROWTH: usize = 1024;

/// Once this many bytes of a message have arrived, and the header of its last frame tells its
/// length, room is made for [`EAGER`] times as many, but for at most [`MAX_EAGER`]. Each time
/// that a buffer of this size grows, it is copied.
const MUCH: usize = 64 * 1024;
const EAGER: usize = 4;
const MAX_EAGER: usize = 1024 * 1024;

/// Payload is unmasked and validated in blocks of this length, which stay in the nearest cache
/// between both.
const BLOCK: usize = 16 * 1024;

/// How much room to make for a part that is read directly into the buffer.
pub(super) const PART_CAPACITY: usize = 64 * 1024;

/// How much of its output a decompressor may refer to: the largest window
/// (RFC 7692, section 7.1.2.1).
const WINDOW: usize = 32 * 1024;

thread_local! {
    /// A buffer for a part. A connection that has nothing to read leaves it to the
    /// next one.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// How many empty fragments may arrive in a row. Autobahn (6.1.2) sends some. A peer
/// that sends nothing else only wants to use up our time.
const MAX_EMPTY_FRAGMENTS: u16 = 1024;

/// A message that has not arrived completely.
///
/// `take_part` takes away what has arrived; then the buffer begins with what is left:
///
/// ```text
///   payload:  ├──── taken ────────────────┤
///   buffer:                  ├─── kept ───┼── arrived since ──┤
/// ```
pub(super) struct Assembly {
    buffer: Vec<u8>,
    /// `None` for a binary message.
    text: Option<utf8::Validator>,
    /// The reserved bits of its first frame.
    rsv: Rsv,
    /// Bytes of payload that arrived, as they were on the wire; an extension may make
    /// more of them.
    wire_length: usize,
    /// How many of its frames in a row, up to now, were empty.
    empty_fragments: u16,
    /// Bytes of payload that were taken away in parts.
    taken: usize,
    /// How many of these are still at the beginning of the buffer, because a
    /// decompressor may refer to them.
    kept: usize,
}

/// The part of a frame that is yet to arrive.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    /// How many bytes of payload.
    pub(super) left: usize,
    /// Whether the frame is the last of its message.
    pub(super) fin: bool,
}

impl Rest {
    /// Returns whether the message is complete.
    fn is_end(self) -> bool {
        self.fin && self.left == 0
    }
}

impl Assembly {
    /// Begins the message whose first frame has this header.
    pub(super) fn new(header: &Header) -> Self {
        Assembly {
            buffer: Vec::new(),
            text: (header.opcode == Opcode::Text).then(utf8::Validator::default),
            rsv: header.rsv,
            wire_length: 0,
            empty_fragments: 0,
            taken: 0,
            kept: 0,
        }
    }

    /// Begins a frame with this length of payload.
    pub(super) fn begin_frame(&mut self, length: usize, fin: bool) -> Result<(), Violation> {
        if length > 0 || fin {
            self.empty_fragments = 0;
            return Ok(());
        }
        self.empty_fragments += 1;
        if self.empty_fragments > MAX_EMPTY_FRAGMENTS {
            return Err(Violation::EmptyFragments);
        }
        Ok(())
    }

    /// Returns how many bytes of payload have arrived, as they were on the wire.
    pub(super) fn wire_length(&self) -> usize {
        self.wire_length
    }

    /// Appends the next `part` of the payload, and unmasks it.
    pub(super) fn append(
        &mut self,
        part: &mut [u8],
        key: &mut Option<[u8; 4]>,
        rest: Rest,
        codec: Option<&mut (dyn Codec + 'static)>,
        limit: usize,
    ) -> Result<(), Violation> {
        self.wire_length += part.len();
        match codec {
            Some(codec) if !self.rsv.is_none() => {
                if let Some(key) = key {
                    mask::apply_next(key, part);
                }
                self.decode(part, rest, codec, limit)
            }
            _ => {
                self.reserve(part.len(), rest, limit)?;
                for block in part.chunks(BLOCK) {
                    let start = self.buffer.len();
                    match key {
                        Some(key) => mask::append_next(key, block, &mut self.buffer),
                        None => self.buffer.extend_from_slice(block),
                    }
                    if let Some(text) = &mut self.text {
                        text.push(&self.buffer[start..])?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Appends what an extension decodes from `part`.
    fn decode(
        &mut self,
        part: &[u8],
        rest: Rest,
        codec: &mut dyn Codec,
        limit: usize,
    ) -> Result<(), Violation> {
        let before = self.buffer.len();
        // Bytes that were taken away count, but are no longer in the buffer.
        let room = limit - (self.taken - self.kept);
        codec
            .decode(self.rsv, part, rest.is_end(), &mut self.buffer, room)
            .map_err(|violation| match violation {
                Violation::MessageTooLarge { .. } => Violation::MessageTooLarge { limit },
                other => other,
            })?;
        if let Some(text) = &mut self.text {
            text.push(&self.buffer[before..])?;
        }
        Ok(())
    }

    /// Makes room for the next `part` bytes, after which `rest` of the frame is yet to
    /// arrive.
    ///
    /// The buffer grows by as much as has arrived, or by a small multiple of it, so an
    /// announced length costs nothing until its bytes come. It never grows beyond what is
    /// announced or allowed.
    fn reserve(&mut self, part: usize, rest: Rest, limit: usize) -> Result<(), Violation> {
        let length = self.buffer.len();
        if self.buffer.capacity() - length >= part {
            return Ok(());
        }
        // The header of the last frame tells the message's length. Before it, doubling keeps many
        // small fragments from costing more than their bytes.
        let announced = if rest.fin {
            part + rest.left
        } else {
            limit.saturating_sub(length)
        };
        let arrived = length + part;
        let growth = match self.taken {
            0 if rest.fin && arrived >= MUCH => {
                let eager = arrived.saturating_mul(EAGER).min(MAX_EAGER);
                part + arrived.max(eager)
            }
            0 => arrived,
            // The bytes will be taken away soon: no need for room to grow.
            _ => length,
        };
        let growth = growth.max(LEAST_GROWTH);
        let additional = part.max(announced.min(growth));
        self.buffer
            .try_reserve_exact(additional)
            .map_err(|_| Violation::OutOfMemory)
    }

    /// Returns the message, or the rest of it that was not taken away in parts.
    pub(super) fn finish(self) -> Result<Message, Violation> {
        let Assembly {
            mut buffer,
            text,
            kept,
            ..
        } = self;
        if kept > 0 {
            buffer = buffer.split_off(kept);
        }
        if buffer.capacity() - buffer.len() > buffer.len() / 8 {
            buffer.shrink_to_fit();
        }
        match text {
            Some(text) => {
                text.finish()?;
                Ok(Text::from_validated(buffer).into())
            }
            None => Ok(buffer.into()),
        }
    }

    /// Returns how much room [`reserve_to_fill`](Self::reserve_to_fill) makes at least,
    /// if `left` bytes of the frame are yet to arrive.
    fn room_to_fill(&mut self, left: usize) -> usize {
        if self.taken == 0 {
            return 1;
        }
        if self.buffer.capacity() == 0 {
            self.buffer = SPARE.try_with(RefCell::take).unwrap_or_default();
        }
        left.min(PART_CAPACITY)
    }

    /// Returns whether payload should be read directly into the buffer. Not before
    /// enough has arrived: it would be allocated for a mere announcement.
    pub(super) fn is_worth_filling(&self, worthwhile: usize) -> bool {
        self.wire_length >= worthwhile && self.rsv.is_none()
    }

    /// Makes room in the buffer to read payload into.
    pub(super) fn reserve_to_fill(&mut self, rest: Rest, limit: usize) -> Result<(), Violation> {
        let least = self.room_to_fill(rest.left);
        if self.buffer.capacity() - self.buffer.len() >= least {
            return Ok(());
        }
        let left = rest.left - least;
        self.reserve(least, Rest { left, ..rest }, limit)
    }

    /// Returns the buffer, and how many bytes may be read into its spare capacity, if
    /// `left` bytes of the frame are yet to arrive.
    pub(super) fn spare(&mut self, left: usize) -> (&mut Vec<u8>, usize) {
        let room = (self.buffer.capacity() - self.buffer.len()).min(left);
        (&mut self.buffer, room)
    }

    /// Unmasks and validates the last `count` bytes, which are in the buffer as they came.
    pub(super) fn filled(
        &mut self,
        count: usize,
        key: &mut Option<[u8; 4]>,
    ) -> Result<(), Violation> {
        self.wire_length += count;
        let start = self.buffer.len() - count;
        for block in self.buffer[start..].chunks_mut(BLOCK) {
            if let Some(key) = key {
                mask::apply_next(key, block);
            }
            if let Some(text) = &mut self.text {
                text.push(block)?;
            }
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Returns how many bytes `take_part` would return, or up to three more.
    pub(super) fn part_length(&self) -> usize {
        self.buffer.len() - self.kept
    }

    /// Takes away what has arrived, if there is anything. Of a text, whole characters.
    pub(super) fn take_part(&mut self) -> Option<Message> {
        let unfinished = self.text.as_ref().map_or(0, |text| text.unfinished());
        let end = self.buffer.len() - unfinished;
        if end == self.kept {
            self.release();
            return None;
        }
        self.taken += end - self.kept;
        let part = if end > self.buffer.capacity() / 2 && self.rsv.is_none() {
            self.split_off_part(end)
        } else {
            self.copy_part(end)
        };
        Some(match self.text {
            Some(_) => Text::from_validated(part).into(),
            None => part.into(),
        })
    }

    /// Gives the buffer away, up to `end`: at least half of it is used.
    fn split_off_part(&mut self, end: usize) -> Bytes {
        let rest = self.buffer.split_off(end);
        let mut part = std::mem::replace(&mut self.buffer, rest);
        part.shrink_to_fit();
        part.into()
    }

    /// Copies the part up to `end`, and keeps the buffer for the next one.
    fn copy_part(&mut self, end: usize) -> Bytes {
        let part = Bytes::copy_from_slice(&self.buffer[self.kept..end]);
        self.kept = if self.rsv.is_none() {
            0
        } else {
            end.min(WINDOW)
        };
        self.buffer.drain(..end - self.kept);
        self.buffer.shrink_to(2 * PART_CAPACITY);
        self.release();
        part
    }

    /// Gives an empty buffer back to the thread: nothing is there to be put into it.
    fn release(&mut self) {
        if self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            if (PART_CAPACITY..=2 * PART_CAPACITY).contains(&buffer.capacity()) {
                // It fails while the thread ends; then the buffer is freed.
                let _ = SPARE.try_with(|spare| *spare.borrow_mut() = buffer);
            }
        }
    }
}
