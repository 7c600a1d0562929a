//! Encoded frames that are to be written, in order.

use std::collections::{VecDeque, vec_deque};
use std::io::IoSlice;
#[cfg(any(feature = "socket", test))]
use std::ops::Range;

use bytes::{Buf, Bytes};

use crate::frame::{Header, MAX_HEADER, Opcode, Rsv};
use crate::message::Kind;

/// A payload of this many bytes or more is written from where it is, not copied.
pub(crate) const LARGE: usize = 16 * 1024;

/// Encoded frames that are to be written: headers and small payloads in one buffer,
/// large payloads beside it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Headers, and payloads under 16 KiB.
    pub(crate) bytes: Vec<u8>,
    /// How many of `bytes` have been written.
    start: usize,
    /// Large payloads, each with the position in `bytes` before which it belongs.
    large: VecDeque<(usize, Bytes)>,
    /// How many bytes `large` has.
    large_length: usize,
    /// The parts of `bytes` whose messages may be dropped, in order. Nothing before them is written
    /// yet. Parts, and not messages: a short message would take more memory here than in `bytes`.
    #[cfg(any(feature = "socket", test))]
    droppable: VecDeque<Range<usize>>,
}

impl Outbox {
    /// Returns how many bytes are yet to be written.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start + self.large_length
    }

    /// Returns whether everything has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the next bytes to write. Call [`advance`](Self::advance) with how many
    /// were written, until the outbox is empty.
    pub fn chunk(&self) -> &[u8] {
        match self.large.front() {
            Some((at, payload)) if *at == self.start => payload,
            Some((at, _)) => &self.bytes[self.start..*at],
            None => &self.bytes[self.start..],
        }
    }

    /// Fills `slices` with the next bytes to write, for a vectored write. Returns how
    /// many slices are filled.
    pub fn chunks<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut start = self.start;
        let mut count = 0;
        let mut push = |bytes: &'a [u8]| {
            if !bytes.is_empty() && count < slices.len() {
                slices[count] = IoSlice::new(bytes);
                count += 1;
            }
        };
        for (at, payload) in &self.large {
            push(&self.bytes[start..*at]);
            push(payload);
            start = *at;
        }
        push(&self.bytes[start..]);
        count
    }

    /// Returns how many bytes the buffer holds without growing.
    #[cfg(feature = "socket")]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns whether there are large payloads beside the buffer, so that a vectored
    /// write has more than one slice.
    #[cfg(feature = "socket")]
    pub(crate) fn is_scattered(&self) -> bool {
        !self.large.is_empty()
    }

    /// Removes the first `count` bytes, which have been written.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        match self.large.is_empty() {
            true => self.advance_bytes(count),
            false => self.advance_large(count),
        }
    }

    #[inline(never)]
    fn advance_large(&mut self, mut count: usize) {
        while let Some((at, payload)) = self.large.front_mut() {
            let step = count.min(*at - self.start);
            self.start += step;
            count -= step;
            // Nothing, unless the bytes before it are written.
            let step = count.min(payload.len());
            payload.advance(step);
            self.large_length -= step;
            count -= step;
            if !payload.is_empty() {
                return;
            }
            self.large.pop_front();
        }
        self.advance_bytes(count);
    }

    /// Does the same where no large payload is before the end of these bytes.
    #[inline]
    fn advance_bytes(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Appends a large payload; its header has just been appended to `bytes`.
    pub(crate) fn push_large(&mut self, payload: Bytes) {
        debug_assert!(!payload.is_empty());
        self.large_length += payload.len();
        self.large.push_back((self.bytes.len(), payload));
    }

    /// Appends a frame that other sockets send too.
    #[inline]
    pub(crate) fn push_encoded(&mut self, frame: &Encoded) {
        self.bytes.extend_from_slice(&frame.bytes);
        if let Some(payload) = &frame.payload {
            self.push_large(payload.clone());
        }
    }

    /// Appends whole frames, which are encoded.
    #[cfg(feature = "socket")]
    #[inline]
    pub(crate) fn push_frames(&mut self, frames: &[u8]) {
        self.bytes.extend_from_slice(frames);
    }

    /// Returns the current end: all that is pushed later is behind it.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len(),
            large: self.large.len(),
        }
    }

    /// Returns the large payloads behind `from`.
    pub(super) fn large_from(&self, from: Mark) -> vec_deque::Iter<'_, (usize, Bytes)> {
        self.large.range(from.large..)
    }

    /// Removes the large payloads behind `from`.
    pub(super) fn split_large(&mut self, from: Mark) -> VecDeque<(usize, Bytes)> {
        let large = self.large.split_off(from.large);
        self.large_length -= large.iter().map(|(_, it)| it.len()).sum::<usize>();
        large
    }

    /// Appends a large payload that belongs before position `at`; the bytes up to
    /// there are appended later.
    pub(super) fn join_large(&mut self, at: usize, payload: Bytes) {
        self.large_length += payload.len();
        self.large.push_back((at, payload));
    }

    /// Moves all of `other` to the end. Nothing of `other` may have been written.
    #[cfg(any(feature = "socket", test))]
    pub(crate) fn append(&mut self, other: &mut Outbox) {
        debug_assert_eq!(other.start, 0);
        let end = self.bytes.len();
        self.bytes.append(&mut other.bytes);
        self.large_length += std::mem::take(&mut other.large_length);
        let large = other.large.drain(..);
        self.large.extend(large.map(|(at, it)| (end + at, it)));
        for part in other.droppable.drain(..) {
            self.push_droppable(end + part.start..end + part.end);
        }
    }

    /// Moves all of `front` to the beginning. Nothing of either may have been written.
    #[cfg(feature = "socket")]
    pub(crate) fn prepend(&mut self, front: &mut Outbox) {
        front.append(self);
        std::mem::swap(self, front);
    }

    /// Allows the whole messages behind `from` to be [dropped](Self::drop_oldest).
    ///
    /// Control frames stay. Fragments stay too, as the beginning of their message may have been
    /// written already.
    #[cfg(any(feature = "socket", test))]
    pub(crate) fn allow_drop(&mut self, from: Mark) {
        self.push_droppable(from.bytes..self.bytes.len());
    }

    /// Appends a part whose messages may be dropped, to the last one if it follows that.
    #[cfg(any(feature = "socket", test))]
    fn push_droppable(&mut self, part: Range<usize>) {
        match self.droppable.back_mut() {
            Some(last) if last.end == part.start => last.end = part.end,
            _ => self.droppable.push_back(part),
        }
    }

    /// Returns how many bytes it takes to know what may be dropped.
    #[cfg(test)]
    pub(crate) fn droppable_bytes(&self) -> usize {
        self.droppable.capacity() * size_of::<Range<usize>>()
    }

    /// Forbids that anything of it is dropped: it is about to be written.
    #[cfg(feature = "socket")]
    #[inline]
    pub(crate) fn forbid_drop(&mut self) {
        self.droppable.clear();
    }

    /// Drops messages that may be dropped, the oldest first, until at most `limit` bytes are left,
    /// or only others. Returns how many. Nothing of this outbox may have been written.
    #[cfg(any(feature = "socket", test))]
    pub(crate) fn drop_oldest(&mut self, limit: usize) -> usize {
        debug_assert_eq!(self.start, 0);
        let mut dropped = 0;
        // What stays of the frames before `end` has been moved to the beginning, and ends at
        // `kept`. So do the positions of `kept_large` payloads.
        let (mut kept, mut end, mut kept_large) = (0, 0, 0);
        while self.len() - (end - kept) > limit {
            let Some(part) = self.droppable.front().cloned() else {
                break;
            };
            let start = part.start;
            let frame = match self.frame(start) {
                Some(frame) if !part.is_empty() => frame,
                _ => {
                    self.droppable.pop_front();
                    continue;
                }
            };
            self.droppable[0].start = frame.end;
            if !frame.is_message {
                continue;
            }
            self.bytes.copy_within(end..start, kept);
            kept_large = self.move_large(kept_large, start, end - kept);
            kept += start - end;
            end = frame.end;
            if frame.is_large
                && let Some((_, payload)) = self.large.remove(kept_large)
            {
                self.large_length -= payload.len();
            }
            dropped += 1;
        }
        self.bytes.drain(kept..end);
        self.move_large(kept_large, usize::MAX, end - kept);
        for part in &mut self.droppable {
            part.start -= end - kept;
            part.end -= end - kept;
        }
        dropped
    }

    /// Moves the positions of large payloads, from the one of that number to the last one at or
    /// before `end`, by so many bytes towards the beginning. Returns the number of the next one.
    #[cfg(any(feature = "socket", test))]
    fn move_large(&mut self, from: usize, end: usize, by: usize) -> usize {
        let mut next = from;
        while let Some((at, _)) = self.large.get_mut(next)
            && *at <= end
        {
            *at -= by;
            next += 1;
        }
        next
    }

    /// Measures the frame that begins there; `None` at the end.
    #[cfg(any(feature = "socket", test))]
    fn frame(&self, start: usize) -> Option<Measured> {
        let (header, length) = Header::decode(&self.bytes[start..]).ok()??;
        let payload = start + length;
        let is_large = self.large.binary_search_by_key(&payload, |(at, _)| *at);
        // It was encoded here, so its length fits into a `usize`.
        let inline = if is_large.is_ok() {
            0
        } else {
            header.length as usize
        };
        Some(Measured {
            end: payload + inline,
            is_message: header.is_message(),
            is_large: is_large.is_ok(),
        })
    }
}

/// A frame in an [`Outbox`].
#[cfg(any(feature = "socket", test))]
struct Measured {
    /// Where it ends in the buffer.
    end: usize,
    /// Whether it is a whole message.
    is_message: bool,
    /// Whether its payload stands beside the buffer.
    is_large: bool,
}

/// A position in an [`Outbox`], between two frames.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mark {
    pub(super) bytes: usize,
    pub(super) large: usize,
}

/// An encoded frame that any number of sockets may send.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The header, and the payload unless it is large.
    bytes: Vec<u8>,
    /// The payload, if it is large.
    payload: Option<Bytes>,
}

impl Encoded {
    /// Encodes a whole message as a server sends it.
    pub(super) fn new(kind: Kind, rsv: Rsv, payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(MAX_HEADER + payload.len());
        server_header(kind, rsv, payload.len()).encode(&mut bytes);
        bytes.extend_from_slice(payload);
        Encoded {
            bytes,
            payload: None,
        }
    }

    /// Encodes a whole message with a [`LARGE`] payload, which is not copied.
    pub(super) fn large(kind: Kind, payload: Bytes) -> Self {
        let mut bytes = Vec::with_capacity(MAX_HEADER);
        server_header(kind, Rsv::NONE, payload.len()).encode(&mut bytes);
        Encoded {
            bytes,
            payload: Some(payload),
        }
    }

    /// Returns the frame, if it stands in one piece: its payload is not large.
    #[cfg(feature = "socket")]
    pub(crate) fn as_whole(&self) -> Option<&[u8]> {
        self.payload.is_none().then_some(&self.bytes)
    }

    /// Returns the length of the frame.
    #[cfg(feature = "socket")]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.payload.as_ref().map_or(0, Bytes::len)
    }
}

fn server_header(kind: Kind, rsv: Rsv, length: usize) -> Header {
    Header {
        fin: true,
        rsv,
        opcode: opcode(kind),
        masking_key: None,
        length: length as u64,
    }
}

/// Returns the opcode of a message's first frame.
#[inline]
pub(super) fn opcode(kind: Kind) -> Opcode {
    match kind {
        Kind::Text => Opcode::Text,
        Kind::Binary => Opcode::Binary,
    }
}
