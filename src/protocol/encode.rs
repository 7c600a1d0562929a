//! Frames that are queued become those that an extension makes of them.
//!
//! Messages are queued as plain frames, and an extension sees them when they are
//! taken to be written: in the order in which they leave, by the one task that
//! writes, under no lock. What an overflow policy drops before that, no context
//! has seen.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;

use super::outbox::{Mark, Outbox};
use crate::extension::Encoder;
use crate::frame::{Header, Rsv, mask};

/// What a thread's buffers may keep.
const MAX_KEPT_CAPACITY: usize = 256 * 1024;

/// What encoding needs room for; a thread has one.
#[derive(Default)]
struct Buffers {
    /// The frames that take the place of those that were queued.
    frames: Vec<u8>,
    /// One payload, before and after.
    plain: Vec<u8>,
    encoded: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

impl Outbox {
    /// Encodes the messages behind `from`, of which nothing has been written,
    /// but for those that are [`AS_IS`](Rsv::AS_IS) or encoded already.
    pub(crate) fn encode(&mut self, from: Mark, encoder: &mut (impl Encoder + ?Sized)) {
        if !self.has_plain(from, encoder) {
            return;
        }
        let mut buffers = BUFFERS.try_with(RefCell::take).unwrap_or_default();
        self.replace(from, encoder, &mut buffers);
        let Buffers {
            frames,
            plain,
            encoded,
        } = &buffers;
        if [frames, plain, encoded]
            .iter()
            .all(|it| it.capacity() <= MAX_KEPT_CAPACITY)
        {
            let _ = BUFFERS.try_with(|kept| kept.replace(buffers));
        }
    }

    /// Whether there is anything to be changed.
    fn has_plain(&self, from: Mark, encoder: &(impl Encoder + ?Sized)) -> bool {
        let mut large = self.large_from(from);
        let mut at = from.bytes;
        while let Ok(Some((header, length))) = Header::decode(&self.bytes[at..]) {
            if is_plain(&header, encoder) || header.rsv == Rsv::AS_IS {
                return true;
            }
            at += length;
            match large.clone().next() {
                Some((place, _)) if *place == at => drop(large.next()),
                _ => at += header.length as usize,
            }
        }
        false
    }

    fn replace(
        &mut self,
        from: Mark,
        encoder: &mut (impl Encoder + ?Sized),
        buffers: &mut Buffers,
    ) {
        let Buffers {
            frames,
            plain,
            encoded,
        } = buffers;
        frames.clear();
        let mut large: VecDeque<(usize, Bytes)> = self.split_large(from);
        let mut at = from.bytes;
        while let Ok(Some((mut header, length))) = Header::decode(&self.bytes[at..]) {
            at += length;
            let beside = match large.front() {
                Some((place, _)) if *place == at => large.pop_front().map(|(_, payload)| payload),
                _ => None,
            };
            let payload = match &beside {
                Some(payload) => &payload[..],
                None => {
                    let start = at;
                    at += header.length as usize;
                    &self.bytes[start..at]
                }
            };
            if is_plain(&header, encoder) {
                encoded.clear();
                let made = match header.masking_key {
                    None => encoder.encode(payload, encoded),
                    Some(key) => {
                        plain.clear();
                        plain.extend_from_slice(payload);
                        mask::apply(key, plain);
                        encoder.encode(plain, encoded)
                    }
                };
                if let Some(rsv) = made {
                    header.rsv = rsv;
                    header.length = encoded.len() as u64;
                    header.encode(frames);
                    let start = frames.len();
                    frames.extend_from_slice(encoded);
                    // The key has not been on the wire: this is its first use.
                    if let Some(key) = header.masking_key {
                        mask::apply(key, &mut frames[start..]);
                    }
                    continue;
                }
            }
            if header.rsv == Rsv::AS_IS {
                header.rsv = Rsv::NONE;
            }
            header.encode(frames);
            match beside {
                Some(payload) => self.join_large(from.bytes + frames.len(), payload),
                None => frames.extend_from_slice(payload),
            }
        }
        match from.bytes {
            // The buffer that was queued in is the thread's from now on.
            0 => std::mem::swap(&mut self.bytes, frames),
            start => {
                self.bytes.truncate(start);
                self.bytes.extend_from_slice(frames);
            }
        }
    }
}

fn is_plain(header: &Header, encoder: &(impl Encoder + ?Sized)) -> bool {
    // What is sent in parts goes as it is.
    header.is_message() && header.rsv.is_none() && encoder.wants(header.length as usize)
}

/// The bytes that this thread's buffers have room for.
#[cfg(test)]
pub(super) fn kept() -> usize {
    BUFFERS.with_borrow(|it| it.frames.capacity() + it.plain.capacity() + it.encoded.capacity())
}
