//! Messages in one frame, all of which has arrived: nearly every message.

use crate::frame::mask;
use crate::message::Kind;
use crate::message::payload::{INLINE, Payload};

/// Recognizes the shape of nearly every frame by its first two bytes: a whole message
/// of at most 125 bytes, masked. Returns its kind, masking key and length; the payload
/// begins at the seventh byte.
///
/// This takes a quarter of the instructions that decoding a header does. Frames of any
/// other shape, invalid ones and incomplete ones take that way.
#[inline(always)]
pub(super) fn short_message(input: &[u8]) -> Option<(Kind, [u8; 4], usize)> {
    let &[
        first @ (0x81 | 0x82),
        second @ 0x80..=0xfd,
        a,
        b,
        c,
        d,
        ref rest @ ..,
    ] = input
    else {
        return None;
    };
    let length = usize::from(second & 0x7f);
    (rest.len() >= length).then_some((kind(first), [a, b, c, d], length))
}

#[inline(always)]
fn kind(first: u8) -> Kind {
    match first {
        0x81 => Kind::Text,
        _ => Kind::Binary,
    }
}

/// Copies the first `length` bytes of `input` and unmasks the copy. A message has its own
/// allocation, so one that is kept keeps nothing else alive.
#[inline(always)]
pub(super) fn unmask(key: Option<[u8; 4]>, input: &[u8], length: usize) -> Payload {
    if length <= INLINE {
        let key = mask::wide(key.unwrap_or_default());
        // The bytes behind the payload, usually of the next frame, are copied too: a
        // copy of a fixed length is cheaper.
        if let Some(words) = input.first_chunk() {
            return Payload::inline(words, length, key);
        }
        let mut words = [0; INLINE + 1];
        words[..length].copy_from_slice(&input[..length]);
        return Payload::inline(&words, length, key);
    }
    unmask_long(key, &input[..length])
}

#[inline(never)]
fn unmask_long(key: Option<[u8; 4]>, payload: &[u8]) -> Payload {
    match key {
        None => Payload::copy_from_slice(payload),
        Some(key) if payload.len() >= mask::ONE_PASS => mask::copy(key, payload).into(),
        Some(key) => {
            let mut copy = payload.to_vec();
            mask::apply(key, &mut copy);
            copy.into()
        }
    }
}
