//! A message in parts: taken away while it arrives, or sent before its end is known.

use std::cell::RefCell;

use bytes::Bytes;

use super::assembly::Assembly;
use super::outbox::{LARGE, Outbox};
use super::read::Reader;
use super::write::{Closed, Writer};
use crate::Message;
use crate::frame::{MAX_HEADER, Opcode, mask};
use crate::message::{Kind, Text};

/// How much room there is for a part that is read to where it belongs.
const PART: usize = 64 * 1024;

/// How much of what it has made a decompressor may still refer to: the largest
/// window (RFC 7692, section 7.1.2.1).
const WINDOW: usize = 32 * 1024;

/// Whether more of a message follows a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// More follows.
    More,
    /// This is the last.
    Last,
}

/// Whether a message is being sent in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragments {
    None,
    /// Its first fragment is queued, its last is not. Section 5.4: "The fragments
    /// of one message MUST NOT be interleaved between the fragments of another
    /// message", and a whole message is one fragment.
    Begun,
}

thread_local! {
    /// Room for a part. A connection that finds nothing to read leaves it to the
    /// next one.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Reader {
    /// Takes away what has arrived of the message that is arriving, if that is
    /// anything; of a text, whole characters. The [`Event::Message`](super::Event)
    /// that ends the message brings only the rest of it, which may be empty.
    ///
    /// Call it after [`drain`](Self::drain) and [`filled`](Self::filled). Limits
    /// hold for the sum of all parts. Of a compressed message, an input may make
    /// a thousand times its length: give small ones, and look at
    /// [`part_length`](Self::part_length) in between.
    pub fn take_part(&mut self) -> Option<Message> {
        self.assembly.as_mut().and_then(|it| it.take_part())
    }

    /// How many bytes [`take_part`](Self::take_part) would bring, or up to three more.
    pub fn part_length(&self) -> usize {
        self.assembly
            .as_ref()
            .map_or(0, |it| it.buffer.len() - it.kept)
    }
}

impl Assembly {
    /// How much room to make for payload of which `left` bytes are to come, at
    /// least, when it is read to where it belongs.
    pub(super) fn room_to_fill(&mut self, left: usize) -> usize {
        if self.taken == 0 {
            return 1;
        }
        if self.buffer.capacity() == 0 {
            self.buffer = SPARE.try_with(RefCell::take).unwrap_or_default();
        }
        left.min(PART)
    }

    fn take_part(&mut self) -> Option<Message> {
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
                self.buffer.shrink_to(2 * PART);
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
            if (PART..=2 * PART).contains(&buffer.capacity()) {
                // While the thread ends, there is nobody to keep it for.
                let _ = SPARE.try_with(|spare| *spare.borrow_mut() = buffer);
            }
        }
    }
}

impl Writer {
    /// Queues a part of a message of this kind as a fragment (RFC 6455, section
    /// 5.4). Only the payload of `part` counts. Between the first part and the
    /// last no message may be queued, control frames may.
    ///
    /// No extension encodes it.
    ///
    /// # Errors
    ///
    /// [`Closed`] after a close frame.
    pub fn part(
        &mut self,
        kind: Kind,
        part: &Message,
        which: Part,
        out: &mut Outbox,
    ) -> Result<(), Closed> {
        if !self.is_open() {
            return Err(Closed);
        }
        let opcode = match (self.fragments, kind) {
            (Fragments::Begun, _) => Opcode::Continuation,
            (Fragments::None, Kind::Text) => Opcode::Text,
            (Fragments::None, Kind::Binary) => Opcode::Binary,
        };
        self.fragments = match which {
            Part::More => Fragments::Begun,
            Part::Last => Fragments::None,
        };
        let mut header = self.header(opcode, part.len());
        header.fin = which == Part::Last;
        if part.len() >= LARGE {
            self.large_frame(header, part.clone().into_bytes(), out);
            return Ok(());
        }
        out.bytes.reserve(MAX_HEADER + part.len());
        header.encode(&mut out.bytes);
        let start = out.bytes.len();
        out.bytes.extend_from_slice(part.as_bytes());
        if let Some(key) = header.masking_key {
            mask::apply(key, &mut out.bytes[start..]);
        }
        Ok(())
    }

    /// Whether a message has begun that is sent in parts, and not ended.
    pub fn is_within_message(&self) -> bool {
        self.fragments == Fragments::Begun
    }
}
