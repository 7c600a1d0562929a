//! The message that is arriving: one contiguous buffer, whatever its fragments.

use std::cell::RefCell;

use bytes::Bytes;

use crate::Message;
use crate::error::Violation;
use crate::extension::Codec;
use crate::frame::{Header, Opcode, Rsv, mask, utf8};
use crate::message::Text;

/// What a message's buffer grows by at least, if so much is still to come.
const LEAST_GROWTH: usize = 1024;

/// How much room there is for a part that is read to where it belongs.
pub(super) const PART_CAPACITY: usize = 64 * 1024;

/// How much of what it has made a decompressor may still refer to: the largest
/// window (RFC 7692, section 7.1.2.1).
const WINDOW: usize = 32 * 1024;

thread_local! {
    /// Room for a part. A connection that finds nothing to read leaves it to the
    /// next one.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A message of which not everything has arrived.
pub(super) struct Assembly {
    buffer: Vec<u8>,
    /// `None` for a binary message.
    text: Option<utf8::Validator>,
    /// The reserved bits of its first frame.
    rsv: Rsv,
    /// Bytes of payload on the wire: what an extension may turn into more.
    wire_length: usize,
    /// Bytes of payload that were taken away in parts ...
    taken: usize,
    /// ... and how many of these are still at the beginning of the buffer,
    /// because a decompressor refers to them.
    kept: usize,
}

/// What of a frame is yet to come.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    /// Bytes of its payload.
    pub(super) left: usize,
    /// Whether it is the last frame of its message.
    pub(super) fin: bool,
}

impl Rest {
    /// Whether the message has ended.
    fn is_end(self) -> bool {
        self.fin && self.left == 0
    }
}

impl Assembly {
    /// The message that begins with this frame.
    pub(super) fn new(header: &Header) -> Self {
        Assembly {
            buffer: Vec::new(),
            text: (header.opcode == Opcode::Text).then(utf8::Validator::default),
            rsv: header.rsv,
            wire_length: 0,
            taken: 0,
            kept: 0,
        }
    }

    /// How many bytes of payload have arrived, as they were on the wire.
    pub(super) fn wire_length(&self) -> usize {
        self.wire_length
    }

    /// Takes the next `part` of the payload, which has been unmasked.
    pub(super) fn append(
        &mut self,
        part: &[u8],
        rest: Rest,
        codec: Option<&mut (dyn Codec + 'static)>,
        limit: usize,
    ) -> Result<(), Violation> {
        self.wire_length += part.len();
        match codec {
            Some(codec) if !self.rsv.is_none() => self.decode(part, rest, codec, limit),
            _ => {
                if let Some(text) = &mut self.text {
                    text.push(part)?;
                }
                self.reserve(part.len(), rest, limit)?;
                self.buffer.extend_from_slice(part);
                Ok(())
            }
        }
    }

    /// Appends what an extension makes of `part`.
    fn decode(
        &mut self,
        part: &[u8],
        rest: Rest,
        codec: &mut dyn Codec,
        limit: usize,
    ) -> Result<(), Violation> {
        let before = self.buffer.len();
        // What was taken away counts, and is no longer there.
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

    /// Makes room for the next `part` bytes, of a frame of which `rest` is to come
    /// after them: as much again as has arrived with them, so that what is announced
    /// and does not come costs nothing; but never more than is announced or
    /// allowed.
    fn reserve(&mut self, part: usize, rest: Rest, limit: usize) -> Result<(), Violation> {
        let length = self.buffer.len();
        if self.buffer.capacity() - length >= part {
            return Ok(());
        }
        // Of the last frame it is known where the message ends. Before it,
        // growing by doubles keeps many small fragments from costing more than
        // their bytes.
        let announced = if rest.fin {
            part + rest.left
        } else {
            limit.saturating_sub(length)
        };
        let growth = match self.taken {
            0 => length + part,
            // What is to be taken away soon need not have room to grow.
            _ => length,
        };
        let growth = growth.max(LEAST_GROWTH);
        let additional = part.max(announced.min(growth));
        self.buffer
            .try_reserve_exact(additional)
            .map_err(|_| Violation::OutOfMemory)
    }

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

    /// How much room to make for payload of which `left` bytes are to come, at
    /// least, when it is read to where it belongs.
    fn room_to_fill(&mut self, left: usize) -> usize {
        if self.taken == 0 {
            return 1;
        }
        if self.buffer.capacity() == 0 {
            self.buffer = SPARE.try_with(RefCell::take).unwrap_or_default();
        }
        left.min(PART_CAPACITY)
    }

    /// Whether payload of this message should be read to where it belongs.
    pub(super) fn is_worth_filling(&self, worthwhile: usize) -> bool {
        self.wire_length >= worthwhile && self.rsv.is_none()
    }

    /// Makes room to read payload into.
    pub(super) fn reserve_to_fill(&mut self, rest: Rest, limit: usize) -> Result<(), Violation> {
        let least = self.room_to_fill(rest.left);
        if self.buffer.capacity() - self.buffer.len() >= least {
            return Ok(());
        }
        let left = rest.left - least;
        self.reserve(least, Rest { left, ..rest }, limit)
    }

    /// The buffer, and how many bytes may be read into its spare capacity, of
    /// `left` that are to come.
    pub(super) fn spare(&mut self, left: usize) -> (&mut Vec<u8>, usize) {
        let room = (self.buffer.capacity() - self.buffer.len()).min(left);
        (&mut self.buffer, room)
    }

    /// Unmasks and validates the last `count` bytes, which were read into the buffer.
    pub(super) fn filled(
        &mut self,
        count: usize,
        key: &mut Option<[u8; 4]>,
    ) -> Result<(), Violation> {
        let start = self.buffer.len() - count;
        let part = &mut self.buffer[start..];
        if let Some(key) = key {
            mask::apply_next(key, part);
        }
        self.wire_length += count;
        match &mut self.text {
            Some(text) => text.push(part),
            None => Ok(()),
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    pub(super) fn part_length(&self) -> usize {
        self.buffer.len() - self.kept
    }

    pub(super) fn take_part(&mut self) -> Option<Message> {
        let unfinished = self.text.as_ref().map_or(0, |it| it.unfinished());
        let end = self.buffer.len() - unfinished;
        if end == self.kept {
            self.release();
            return None;
        }
        self.taken += end - self.kept;
        let part = match end > self.buffer.capacity() / 2 && self.rsv.is_none() {
            true => {
                let rest = self.buffer.split_off(end);
                let mut part = std::mem::replace(&mut self.buffer, rest);
                part.shrink_to_fit();
                Bytes::from(part)
            }
            false => {
                let part = Bytes::copy_from_slice(&self.buffer[self.kept..end]);
                self.kept = match self.rsv.is_none() {
                    true => 0,
                    false => end.min(WINDOW),
                };
                self.buffer.drain(..end - self.kept);
                self.buffer.shrink_to(2 * PART_CAPACITY);
                self.release();
                part
            }
        };
        Some(match self.text {
            Some(_) => Text::from_validated(part).into(),
            None => part.into(),
        })
    }

    /// Who has nothing to put into it needs no buffer.
    fn release(&mut self) {
        if self.buffer.is_empty() && self.taken > 0 {
            let buffer = std::mem::take(&mut self.buffer);
            if (PART_CAPACITY..=2 * PART_CAPACITY).contains(&buffer.capacity()) {
                // While the thread ends, there is nobody to keep it for.
                let _ = SPARE.try_with(|spare| *spare.borrow_mut() = buffer);
            }
        }
    }
}
