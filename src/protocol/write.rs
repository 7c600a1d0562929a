//! The sending half: messages in, frames out. It also keeps the state of the closing
//! handshake.

use std::fmt;
use std::io::IoSlice;
#[cfg(feature = "socket")]
use std::sync::Arc;

use bytes::Bytes;

use super::close::Closing;
use super::event::Part;
#[cfg(feature = "socket")]
use super::outbox::Encoded;
use super::outbox::{LARGE, Outbox, opcode};
use super::prepared::Prepared;
use super::role::Role;
use crate::close::{CloseFrame, cut};
use crate::error::Violation;
use crate::extension::Coding;
use crate::frame::{Header, MAX_CONTROL, MAX_HEADER, Opcode, Rsv, mask};
use crate::message::Kind;
use crate::{CloseCode, Message};

/// The length from which a payload's length takes two bytes of its own.
const MEDIUM: usize = MAX_CONTROL + 1;

/// Nothing more can be sent: a close frame was queued, or the peer has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the WebSocket is closed")
    }
}

impl std::error::Error for Closed {}

/// The state of a message that is sent in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragments {
    None,
    /// Its first fragment is queued, its last is not. Section 5.4: "The fragments
    /// of one message MUST NOT be interleaved between the fragments of another
    /// message", and a whole message is one fragment.
    Begun,
}

/// Encodes messages, pings and close frames into an [`Outbox`].
#[derive(Debug)]
pub struct Writer {
    role: Role,
    closing: Closing,
    fragments: Fragments,
}

impl Writer {
    /// Makes a writer for a connection whose opening handshake is done.
    pub fn new(role: Role) -> Self {
        Writer {
            role,
            closing: Closing::Open,
            fragments: Fragments::None,
        }
    }

    #[cfg(feature = "socket")]
    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Returns whether messages may still be sent.
    pub fn is_open(&self) -> bool {
        self.closing.may_send()
    }

    /// Returns whether close frames have gone both ways, or the peer has gone: once the
    /// outbox is written, the connection ends.
    pub fn is_done(&self) -> bool {
        self.closing == Closing::Done
    }

    /// Queues a message as one frame.
    ///
    /// # Errors
    ///
    /// [`Closed`] after a close frame.
    #[inline]
    pub fn message(&mut self, message: &Message, out: &mut Outbox) -> Result<(), Closed> {
        if !self.closing.may_send() {
            return Err(Closed);
        }
        if self.short_message(message, out).is_none() {
            self.longer_message(message, out);
        }
        Ok(())
    }

    /// The fast path: queues a server's message whose payload is stored inline, and
    /// returns the length of the payload. Otherwise `None`, and nothing is queued. The
    /// writer must be open.
    #[inline(always)]
    pub(crate) fn short_message(&self, message: &Message, out: &mut Outbox) -> Option<usize> {
        let Role::Server = self.role else { return None };
        let (words, length) = message.payload().as_inline()?;
        // A copy of a fixed length is cheaper. It is cut to the payload's length
        // afterwards.
        let end = out.bytes.len() + 2 + length;
        out.bytes.reserve(2 + words.len());
        out.bytes
            .extend_from_slice(&[0x80 | opcode(message.kind()) as u8, length as u8]);
        out.bytes.extend_from_slice(words);
        out.bytes.truncate(end);
        Some(length)
    }

    /// Queues a message of any length. The writer must be open.
    #[inline(never)]
    pub(crate) fn longer_message(&mut self, message: &Message, out: &mut Outbox) {
        let payload = message.as_bytes();
        match (self.role, payload.len()) {
            (Role::Server, length @ MEDIUM..LARGE) => {
                // What `frame` would append, in half the steps.
                let first = 0x80 | opcode(message.kind()) as u8;
                let [high, low] = (length as u16).to_be_bytes();
                out.bytes.reserve(4 + length);
                out.bytes.extend_from_slice(&[first, 126, high, low]);
                out.bytes.extend_from_slice(payload);
            }
            (_, ..LARGE) => self.frame(opcode(message.kind()), payload, out),
            (_, length) => {
                let header = self.header(opcode(message.kind()), length);
                self.large_frame(header, message.clone().into_bytes(), out);
            }
        }
    }

    /// Queues a binary message that consists of the first `length` bytes of `pieces`.
    ///
    /// # Errors
    ///
    /// [`Closed`] after a close frame.
    pub(crate) fn pieces(
        &mut self,
        pieces: &[IoSlice<'_>],
        length: usize,
        out: &mut Outbox,
    ) -> Result<(), Closed> {
        if !self.closing.may_send() {
            return Err(Closed);
        }
        let header = self.header(Opcode::Binary, length);
        out.bytes.reserve(MAX_HEADER + length);
        header.encode(&mut out.bytes);
        let start = out.bytes.len();
        let end = start + length;
        for piece in pieces {
            let count = piece.len().min(end - out.bytes.len());
            out.bytes.extend_from_slice(&piece[..count]);
        }
        if let Some(key) = header.masking_key {
            mask::apply(key, &mut out.bytes[start..]);
        }
        Ok(())
    }

    /// Queues a prepared message.
    ///
    /// # Errors
    ///
    /// [`Closed`] after a close frame.
    pub fn prepared(&mut self, prepared: &Prepared, out: &mut Outbox) -> Result<(), Closed> {
        if let Role::Client { .. } = self.role {
            // Section 5.3: each frame of a client has a masking key of its own.
            return self.message(prepared.message(), out);
        }
        if !self.closing.may_send() {
            return Err(Closed);
        }
        out.push_encoded(prepared.plain());
        Ok(())
    }

    /// Returns the frame of a prepared message, if it is the same for all sockets that
    /// send it: it is not masked, and encoding it needs no context.
    #[cfg(feature = "socket")]
    pub(crate) fn shared_frame<'a>(
        &self,
        coding: Option<Coding>,
        prepared: &'a Prepared,
    ) -> Option<&'a Arc<Encoded>> {
        match (self.role, coding) {
            (Role::Client { .. }, _) => None,
            (Role::Server, None) => Some(prepared.plain()),
            (Role::Server, Some(coding)) => prepared.encoded(coding.independent()?),
        }
    }

    /// Queues a message that the extension of this connection must not encode.
    #[cfg(feature = "deflate")]
    pub(crate) fn message_as_is(
        &mut self,
        message: &Message,
        out: &mut Outbox,
    ) -> Result<(), Closed> {
        let start = out.bytes.len();
        self.message(message, out)?;
        Rsv::AS_IS.set_on(&mut out.bytes[start]);
        Ok(())
    }

    /// Queues a prepared message on a connection with an extension.
    pub(crate) fn prepared_for(
        &mut self,
        coding: Coding,
        prepared: &Prepared,
        out: &mut Outbox,
    ) -> Result<(), Closed> {
        if !self.closing.may_send() {
            return Err(Closed);
        }
        let terms = match self.role {
            Role::Server => coding.independent(),
            // As in `prepared`.
            Role::Client { .. } => None,
        };
        if let Some(encoded) = terms.and_then(|terms| prepared.encoded(terms)) {
            out.push_encoded(encoded);
            return Ok(());
        }
        let start = out.bytes.len();
        self.prepared(prepared, out)?;
        // On these terms it does not get smaller: the codec need not try again.
        if terms.is_some() || prepared.is_as_is() {
            Rsv::AS_IS.set_on(&mut out.bytes[start]);
        }
        Ok(())
    }

    /// Queues a ping. A payload of more than 125 bytes is truncated.
    ///
    /// # Errors
    ///
    /// [`Closed`] after a close frame.
    pub fn ping(&mut self, payload: &[u8], out: &mut Outbox) -> Result<(), Closed> {
        if !self.closing.may_send() {
            return Err(Closed);
        }
        self.frame(
            Opcode::Ping,
            &payload[..payload.len().min(MAX_CONTROL)],
            out,
        );
        Ok(())
    }

    /// Queues the answer to a ping, unless a close frame was queued before.
    pub fn pong(&mut self, payload: &[u8], out: &mut Outbox) {
        if self.closing.may_send() {
            self.frame(Opcode::Pong, payload, out);
        }
    }

    /// Begins the closing handshake. A reason of more than 123 bytes is truncated,
    /// between two characters.
    ///
    /// # Errors
    ///
    /// [`Closed`] if it has begun already.
    pub fn close(&mut self, code: CloseCode, reason: &str, out: &mut Outbox) -> Result<(), Closed> {
        if !self.closing.may_send() {
            return Err(Closed);
        }
        self.closing = Closing::Sent;
        self.close_frame(code, cut(reason), out);
        Ok(())
    }

    /// Begins the closing handshake with an empty close frame, for a peer to which an empty one
    /// is passed on. (Section 7.1.5: it sees 1005, which must not be sent as a code.)
    ///
    /// # Errors
    ///
    /// [`Closed`] if it has begun already.
    pub(crate) fn close_empty(&mut self, out: &mut Outbox) -> Result<(), Closed> {
        if !self.closing.may_send() {
            return Err(Closed);
        }
        self.closing = Closing::Sent;
        self.frame(Opcode::Close, &[], out);
        Ok(())
    }

    /// Takes the peer's close frame, and queues the reply if one is due.
    pub fn received_close(&mut self, frame: Option<&CloseFrame>, out: &mut Outbox) {
        if self.closing == Closing::Open {
            // Section 5.5.1: "When sending a Close frame in response, the
            // endpoint typically echos the status code it received."
            match frame {
                Some(frame) => self.close_frame(frame.code, "", out),
                None => self.frame(Opcode::Close, &[], out),
            }
        }
        self.closing = Closing::Done;
    }

    /// Queues the close frame that answers a violation (section 7.1.7, "Fail the
    /// WebSocket Connection").
    pub fn fail(&mut self, violation: Violation, out: &mut Outbox) {
        if self.closing == Closing::Open {
            self.close_frame(violation.close_code(), &violation.to_string(), out);
        }
        self.closing = Closing::Failed;
    }

    /// Notes that the peer will send nothing more.
    pub fn received_end(&mut self) {
        self.closing = Closing::Done;
    }

    fn close_frame(&mut self, code: CloseCode, reason: &str, out: &mut Outbox) {
        let mut payload = [0; MAX_CONTROL];
        payload[..2].copy_from_slice(&code.value().to_be_bytes());
        let end = 2 + reason.len();
        payload[2..end].copy_from_slice(reason.as_bytes());
        self.frame(Opcode::Close, &payload[..end], out);
    }

    #[inline]
    fn header(&self, opcode: Opcode, length: usize) -> Header {
        Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode,
            masking_key: self.role.new_masking_key(),
            length: length as u64,
        }
    }

    #[inline]
    fn frame(&mut self, opcode: Opcode, payload: &[u8], out: &mut Outbox) {
        let header = self.header(opcode, payload.len());
        out.bytes.reserve(MAX_HEADER + payload.len());
        header.encode(&mut out.bytes);
        let start = out.bytes.len();
        out.bytes.extend_from_slice(payload);
        if let Some(key) = header.masking_key {
            mask::apply(key, &mut out.bytes[start..]);
        }
    }

    fn large_frame(&mut self, header: Header, payload: Bytes, out: &mut Outbox) {
        header.encode(&mut out.bytes);
        out.push_large(match header.masking_key {
            None => payload,
            Some(key) => {
                // In place, unless the payload is shared.
                let mut payload = payload
                    .try_into_mut()
                    .unwrap_or_else(|shared| (&shared[..]).into());
                mask::apply(key, &mut payload);
                payload.freeze()
            }
        });
    }

    /// Queues a part of a message of this kind as a fragment (RFC 6455, section 5.4).
    /// Only the payload of `part` counts. No extension encodes it.
    ///
    /// Between the first part and the last, control frames may be queued, and no
    /// messages.
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
            (Fragments::None, kind) => opcode(kind),
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

    /// Returns whether a message has been sent in part.
    pub fn is_within_message(&self) -> bool {
        self.fragments == Fragments::Begun
    }
}
