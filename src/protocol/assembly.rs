//! The message that is arriving: one contiguous buffer, whatever its fragments.
//! What of it is taken away in parts while it arrives is `part`'s business.

use crate::Message;
use crate::error::Violation;
use crate::frame::{Rsv, utf8};
use crate::message::Text;

/// What a message's buffer grows by at least, if so much is still to come.
const LEAST_GROWTH: usize = 1024;

/// A message of which not everything has arrived.
pub(super) struct Assembly {
    pub(super) buffer: Vec<u8>,
    /// `None` for a binary message.
    pub(super) text: Option<utf8::Validator>,
    /// The reserved bits of its first frame.
    pub(super) rsv: Rsv,
    /// Bytes of payload on the wire: what an extension may turn into more.
    pub(super) wire_length: usize,
    /// Bytes of payload that were taken away in parts ...
    pub(super) taken: usize,
    /// ... and how many of these are still at the beginning of the buffer,
    /// because a decompressor refers to them.
    pub(super) kept: usize,
}

impl Assembly {
    /// Makes room for the next `part` bytes, of a frame of which `left` more are
    /// to come: as much again as has arrived with them, so that what is announced
    /// and does not come costs nothing; but never more than is announced or
    /// allowed.
    pub(super) fn reserve(
        &mut self,
        part: usize,
        left: usize,
        fin: bool,
        limit: usize,
    ) -> Result<(), Violation> {
        let length = self.buffer.len();
        if self.buffer.capacity() - length >= part {
            return Ok(());
        }
        // Of the last frame it is known where the message ends. Before it,
        // growing by doubles keeps many small fragments from costing more than
        // their bytes.
        let announced = match fin {
            true => part + left,
            false => limit.saturating_sub(length),
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
}
