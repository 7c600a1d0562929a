//! The envelope: a message of a room as it travels between servers and stands in the log.
//!
//! ```text
//!  ┌───────┬───────────────────────────────────┬─────────┐
//!  │ flags │ extras: length, then [kind, length, value]… │ payload │
//!  │ 1     │ 1 + up to 255, if flag 1 is set    │ rest    │
//!  └───────┴───────────────────────────────────┴─────────┘
//!
//!  flags   bit 0    the payload is binary, not text
//!          bit 1    extras follow the flags
//!          bit 2    the message must not be compressed
//!          bit 3    reserved, ignored
//!          bit 4-7  must be 0: a reader that does not know one cannot read the message
//! ```
//!
//! Extras of an unknown kind are skipped. So a release may add a kind, or use bit 3, and older
//! releases beside it go on; what older releases must not misread gets one of the bits 4 to 7,
//! which every release understands before any release sets it.

use bytes::{BufMut, Bytes, BytesMut};

use crate::Message;
use crate::message::Text;
use crate::protocol::Prepared;

const BINARY: u8 = 1;
const EXTRAS: u8 = 1 << 1;
const AS_IS: u8 = 1 << 2;
const MUST_UNDERSTAND: u8 = 0xf0;

/// The extra that names the socket that does not get the message.
const EXCEPT: u8 = 1;

/// A socket of a server, as other servers see it: two random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) server: u64,
    pub(super) socket: u64,
}

/// A message and the socket that does not get it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) message: Prepared,
    pub(super) except: Option<Origin>,
}

/// Why an envelope cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It ends too early.
    Short,
    /// A newer release has written it, and older ones must not guess what it means.
    Newer,
    /// The text is not UTF-8.
    Utf8,
}

impl Unreadable {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Unreadable::Short => "the envelope is cut short",
            Unreadable::Newer => "a newer release wrote it (update this server)",
            Unreadable::Utf8 => "its text is not UTF-8",
        }
    }
}

/// Puts a message into an envelope.
pub(super) fn seal(message: &Prepared, except: Option<Origin>) -> Bytes {
    let payload = message.message().as_bytes();
    let mut flags = 0;
    if message.message().is_binary() {
        flags |= BINARY;
    }
    if message.is_as_is() {
        flags |= AS_IS;
    }
    if except.is_some() {
        flags |= EXTRAS;
    }
    let mut envelope = BytesMut::with_capacity(payload.len() + 20);
    envelope.put_u8(flags);
    if let Some(Origin { server, socket }) = except {
        envelope.put_u8(18);
        envelope.put_u8(EXCEPT);
        envelope.put_u8(16);
        envelope.put_u64(server);
        envelope.put_u64(socket);
    }
    envelope.put_slice(payload);
    envelope.freeze()
}

/// Takes a message out of its envelope.
pub(super) fn open(mut envelope: Bytes) -> Result<Opened, Unreadable> {
    let flags = take(&mut envelope, 1)?[0];
    if flags & MUST_UNDERSTAND != 0 {
        return Err(Unreadable::Newer);
    }
    let mut except = None;
    if flags & EXTRAS != 0 {
        let length = take(&mut envelope, 1)?[0];
        let mut extras = take(&mut envelope, length.into())?;
        while !extras.is_empty() {
            let head = take(&mut extras, 2)?;
            let value = take(&mut extras, head[1].into())?;
            if let (EXCEPT, Ok(value)) = (head[0], <[u8; 16]>::try_from(&value[..])) {
                let value = u128::from_be_bytes(value);
                except = Some(Origin {
                    server: (value >> 64) as u64,
                    socket: value as u64,
                });
            }
        }
    }
    let message = if flags & BINARY != 0 {
        Message::binary(envelope)
    } else {
        Message::Text(Text::try_from(envelope).map_err(|_| Unreadable::Utf8)?)
    };
    #[cfg(feature = "deflate")]
    if flags & AS_IS != 0 {
        let message = Prepared::uncompressed(message);
        return Ok(Opened { message, except });
    }
    let message = Prepared::new(message);
    Ok(Opened { message, except })
}

fn take(from: &mut Bytes, length: usize) -> Result<Bytes, Unreadable> {
    if from.len() < length {
        return Err(Unreadable::Short);
    }
    Ok(from.split_to(length))
}
