//! Messages of one frame that is all there: what nearly every message is.

use crate::frame::mask;
use crate::message::Kind;
use crate::message::payload::{INLINE, Payload};

/// Nearly every frame is of one shape, which its first two bytes show: a whole
/// message of at most 125 bytes, masked. To look for it takes a quarter of what
/// decoding a header does; all that is different, wrong or not all there goes that
/// way. Returns its kind, masking key and length; its payload begins at the seventh
/// byte.
#[inline(always)]
pub(super) fn short_message(input: &[u8]) -> Option<(Kind, [u8; 4], usize)> {
    let [
        first @ (0x81 | 0x82),
        second @ 0x80..=0xfd,
        a,
        b,
        c,
        d,
        rest @ ..,
    ] = input
    else {
        return None;
    };
    let length = usize::from(*second & 0x7f);
    if rest.len() < length {
        return None;
    }
    let kind = match first {
        0x81 => Kind::Text,
        _ => Kind::Binary,
    };
    Some((kind, [*a, *b, *c, *d], length))
}

/// A copy of the first `length` bytes of `input`, unmasked. It gets a place of
/// its own, so that a message that is kept pins nothing but itself.
#[inline(always)]
pub(super) fn unmask(key: Option<[u8; 4]>, input: &mut [u8], length: usize) -> Payload {
    if length <= INLINE {
        let key = mask::wide(key.unwrap_or_default());
        // What stands beyond the payload, usually the next frame, is taken too:
        // a copy of a fixed length is the cheaper one.
        if let Some(words) = input.first_chunk() {
            return Payload::inline(words, length, key);
        }
        let mut words = [0; INLINE + 1];
        words[..length].copy_from_slice(&input[..length]);
        return Payload::inline(&words, length, key);
    }
    let payload = &mut input[..length];
    if let Some(key) = key {
        if length >= mask::ONE_PASS {
            return mask::copy(key, payload).into();
        }
        mask::apply(key, payload);
    }
    Payload::copy_from_slice(payload)
}
