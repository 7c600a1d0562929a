//! Messages in one frame, all of which has arrived: nearly every message.

#[cfg(feature = "socket")]
use crate::Message;
use crate::frame::mask;
#[cfg(feature = "socket")]
use crate::frame::{MAX_CONTROL, utf8};
use crate::message::Kind;
#[cfg(feature = "socket")]
use crate::message::Text;
use crate::message::payload::{INLINE, Payload};

/// The lengths of the headers of short and medium messages.
#[cfg(feature = "socket")]
const SHORT_HEADER: usize = 6;
#[cfg(feature = "socket")]
const MEDIUM_HEADER: usize = 8;

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

/// Does the same for messages of 126 bytes to 64 KiB. The payload begins at the ninth byte.
#[cfg(feature = "socket")]
#[inline(always)]
fn medium_message(input: &[u8]) -> Option<(Kind, [u8; 4], usize)> {
    let &[
        first @ (0x81 | 0x82),
        0xfe,
        high,
        low,
        a,
        b,
        c,
        d,
        ref rest @ ..,
    ] = input
    else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // A shorter one is a violation: there is a shorter form for its length.
    let is_whole = length > MAX_CONTROL && rest.len() >= length;
    is_whole.then_some((kind(first), [a, b, c, d], length))
}

/// Measures the short or medium message that `input` begins with: the length of its frame,
/// and that of its payload.
#[cfg(feature = "socket")]
#[inline(always)]
fn measure(input: &[u8]) -> Option<(usize, usize)> {
    if let Some((.., length)) = short_message(input) {
        return Some((SHORT_HEADER + length, length));
    }
    let (.., length) = medium_message(input)?;
    Some((MEDIUM_HEADER + length, length))
}

/// Returns whether `input` consists of whole messages up to that limit, of which the last is
/// the first that reaches so many messages or bytes of payload, if one does. They may be taken
/// past a reader that has [that limit](super::Reader::plain_limit) and [is
/// told](super::Reader::passed).
#[cfg(feature = "socket")]
#[inline]
pub(crate) fn are_whole_messages(input: &[u8], limit: usize, messages: u32, bytes: u32) -> bool {
    let (mut at, mut count, mut payload) = (0, 0, 0);
    while at < input.len() {
        let is_full = count >= messages || payload >= bytes as usize;
        match measure(&input[at..]) {
            Some((frame, length)) if !is_full && length <= limit => {
                at += frame;
                count += 1;
                payload += length;
            }
            _ => return false,
        }
    }
    true
}

/// Takes the short or medium message that `input` begins with. Returns it and the length of
/// its frame; `None` if it is text that is not UTF-8.
#[cfg(feature = "socket")]
#[inline(always)]
pub(crate) fn whole_message(input: &[u8]) -> Option<(Message, usize)> {
    let (header, (kind, key, length)) = match short_message(input) {
        Some(short) => (SHORT_HEADER, short),
        None => (MEDIUM_HEADER, medium_message(input)?),
    };
    let payload = unmask(Some(key), &input[header..], length);
    let message = match kind {
        Kind::Binary => Message::Binary(payload.into()),
        Kind::Text if utf8::is_valid(payload.as_slice()) => Text::from_validated(payload).into(),
        Kind::Text => return None,
    };
    Some((message, header + length))
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
        Some(key) => mask::copy(key, payload).into(),
    }
}
