//! Extensions encode frames that are already queued.
//!
//! Messages are queued as plain frames. An extension encodes them when they are
//! taken to be written: in the order in which they leave, in the one task that
//! writes, without a lock. So messages that an overflow policy drops before that
//! never enter an extension's context.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;

use super::outbox::{Mark, Outbox};
use crate::extension::Encoder;
use crate::frame::{Header, Rsv, mask};

/// Buffers of a larger capacity are not kept by the thread.
const MAX_KEPT_CAPACITY: usize = 256 * 1024;

/// The buffers that encoding needs. Each thread keeps one set.
#[derive(Default)]
struct Buffers {
    /// The frames that replace the queued ones.
    frames: Vec<u8>,
    /// One payload before encoding, if it has to be unmasked ...
    plain: Vec<u8>,
    /// ... and after.
    encoded: Vec<u8>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Encodes the messages behind `from`, except those that are
/// [`AS_IS`](Rsv::AS_IS) or encoded already. Nothing behind `from` may have been
/// written.
pub(crate) fn encode_queued(
    outbox: &mut Outbox,
    from: Mark,
    encoder: &mut (impl Encoder + ?Sized),
) {
    if !has_plain(outbox, from, encoder) {
        return;
    }
    let mut buffers = BUFFERS.try_with(RefCell::take).unwrap_or_default();
    replace(outbox, from, encoder, &mut buffers);
    let Buffers {
        frames,
        plain,
        encoded,
    } = &buffers;
    if [frames, plain, encoded]
        .iter()
        .all(|buffer| buffer.capacity() <= MAX_KEPT_CAPACITY)
    {
        let _ = BUFFERS.try_with(|kept| kept.replace(buffers));
    }
}

/// Returns whether there is anything to do behind `from`.
fn has_plain(outbox: &Outbox, from: Mark, encoder: &(impl Encoder + ?Sized)) -> bool {
    let mut large = outbox.large_from(from);
    let mut at = from.bytes;
    while let Ok(Some((header, length))) = Header::decode(&outbox.bytes[at..]) {
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

/// Replaces the frames behind `from`. It walks over the queued frames and builds
/// the new ones in `buffers`. (Longer than most functions, as a match over a wire
/// format may be.)
fn replace(
    outbox: &mut Outbox,
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
    let mut large: VecDeque<(usize, Bytes)> = outbox.split_large(from);
    let mut at = from.bytes;
    while let Ok(Some((mut header, length))) = Header::decode(&outbox.bytes[at..]) {
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
                &outbox.bytes[start..at]
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
                // The queued frame is never written, so this is the key's only
                // use on the wire.
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
            Some(payload) => outbox.join_large(from.bytes + frames.len(), payload),
            None => frames.extend_from_slice(payload),
        }
    }
    match from.bytes {
        // Nothing before it: swap the buffers instead of copying.
        0 => std::mem::swap(&mut outbox.bytes, frames),
        start => {
            outbox.bytes.truncate(start);
            outbox.bytes.extend_from_slice(frames);
        }
    }
}

fn is_plain(header: &Header, encoder: &(impl Encoder + ?Sized)) -> bool {
    // Fragments are sent as they are.
    header.is_message() && header.rsv.is_none() && encoder.wants(header.length as usize)
}

/// Returns the total capacity of this thread's buffers.
#[cfg(test)]
pub(super) fn kept() -> usize {
    BUFFERS.with_borrow(|buffers| {
        buffers.frames.capacity() + buffers.plain.capacity() + buffers.encoded.capacity()
    })
}
