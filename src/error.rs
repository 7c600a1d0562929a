//! Errors, violations, and the causes that end a connection.
//!
//! Three types answer three questions. [`Violation`]: what did the peer do that
//! RFC 6455 or a limit forbids? [`Error`]: why did my call fail?
//! [`CloseCause`]: how did this connection end? For a refused *handshake* there is
//! a fourth, [`Rejection`](crate::handshake::Rejection).

use std::fmt;
use std::io;

use crate::close::{CloseCode, CloseFrame};

/// Any error, boxed: what a handler may return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A breach of RFC 6455, or of a limit, by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit is set that no negotiated extension uses (section 5.2).
    ReservedBits,
    /// An opcode that RFC 6455 does not define (section 5.2).
    ReservedOpcode(u8),
    /// A frame of a client is not masked (section 5.1). No setting accepts it: see
    /// [what is different](crate::migrating#what-is-different) from other crates.
    UnmaskedFrame,
    /// A frame of a server is masked (section 5.1).
    MaskedFrame,
    /// A control frame is fragmented (section 5.5).
    FragmentedControlFrame,
    /// A control frame has more than 125 bytes of payload (section 5.5).
    LongControlFrame,
    /// A payload length is not in its shortest form (section 5.2).
    NonMinimalLength,
    /// The most significant bit of a 64-bit length is set (section 5.2).
    InvalidLength,
    /// A continuation frame arrived outside of a message (section 5.4).
    UnexpectedContinuation,
    /// A new message began before the last frame of another (section 5.4).
    InterruptedMessage,
    /// More than 1,024 empty fragments arrived in a row.
    EmptyFragments,
    /// A text message or the reason of a close frame is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// The payload of a close frame is a single byte, or begins with a code that must
    /// not be sent (sections 5.5.1 and 7.4).
    InvalidCloseFrame,
    /// A frame announces more bytes than the limit allows.
    FrameTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A message has more bytes than the limit allows.
    MessageTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// A compressed message cannot be decompressed (RFC 7692, section 7.2.2).
    InvalidCompression,
    /// Memory for the message could not be allocated.
    OutOfMemory,
}

impl Violation {
    /// Returns the code of the close frame that answers the violation.
    pub fn close_code(self) -> CloseCode {
        match self {
            Violation::ReservedBits
            | Violation::ReservedOpcode(_)
            | Violation::UnmaskedFrame
            | Violation::MaskedFrame
            | Violation::FragmentedControlFrame
            | Violation::LongControlFrame
            | Violation::NonMinimalLength
            | Violation::InvalidLength
            | Violation::UnexpectedContinuation
            | Violation::InterruptedMessage
            | Violation::InvalidCloseFrame => CloseCode::PROTOCOL_ERROR,
            // Section 8.1, by way of section 7.4.1: 1007.
            Violation::InvalidUtf8 => CloseCode::INVALID_PAYLOAD,
            // RFC 7692 names no code. 1007 is for data that is not of its type.
            Violation::InvalidCompression => CloseCode::INVALID_PAYLOAD,
            Violation::EmptyFragments => CloseCode::POLICY_VIOLATION,
            Violation::FrameTooLarge { .. }
            | Violation::MessageTooLarge { .. }
            | Violation::OutOfMemory => CloseCode::MESSAGE_TOO_BIG,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::ReservedBits => f.write_str("a reserved bit is set that no extension uses"),
            Violation::ReservedOpcode(opcode) => write!(f, "opcode {opcode} is reserved"),
            Violation::UnmaskedFrame => f.write_str("a client must mask its frames"),
            Violation::MaskedFrame => f.write_str("a server must not mask its frames"),
            Violation::FragmentedControlFrame => f.write_str("a control frame is fragmented"),
            Violation::LongControlFrame => f.write_str("a control frame exceeds 125 bytes"),
            Violation::NonMinimalLength => f.write_str("a length is not in its shortest form"),
            Violation::InvalidLength => f.write_str("the top bit of a 64-bit length is set"),
            Violation::UnexpectedContinuation => {
                f.write_str("a continuation frame outside of a message")
            }
            Violation::InterruptedMessage => {
                f.write_str("a new message began inside an unfinished one")
            }
            Violation::EmptyFragments => f.write_str("too many empty fragments in a row"),
            Violation::InvalidUtf8 => {
                f.write_str("a text message or close reason is not valid UTF-8")
            }
            Violation::InvalidCloseFrame => f.write_str("a close frame is malformed"),
            Violation::FrameTooLarge { limit } => {
                write!(f, "a frame exceeds the limit of {limit} bytes")
            }
            Violation::MessageTooLarge { limit } => {
                write!(f, "a message exceeds the limit of {limit} bytes")
            }
            Violation::InvalidCompression => f.write_str("a compressed message is invalid"),
            Violation::OutOfMemory => f.write_str("out of memory for a message"),
        }
    }
}

impl std::error::Error for Violation {}

/// The cause that ended a connection. If there are several, the first one counts.
///
/// Only [`Remote`](CloseCause::Remote) and [`Local`](CloseCause::Local) are regular ends, at which
/// the peer or this side closed (RFC 6455, section 7). A browser reports [`Lost`](CloseCause::Lost)
/// as code 1006.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// The peer closed, with this close frame. `None` is an empty close frame.
    Remote(Option<CloseFrame>),
    /// This side closed: [`close`](crate::WebSocket::close) was called, or the
    /// `WebSocket` was dropped.
    Local(CloseCode),
    /// The connection ended without a closing handshake (code 1006 in a browser). If a write fails,
    /// but the peer's close frame is still received, the cause is `Remote` instead.
    Lost,
    /// The peer broke the protocol or a limit.
    Violation(Violation),
    /// The peer did not answer a ping in time.
    PingTimeout,
    /// A message that had begun was not finished in time.
    MessageTimeout,
    /// The peer did not read in time what was sent to it.
    WriteTimeout,
    /// The peer read too slowly, and the overflow policy is to close.
    Overflow,
    /// The server was drained (see [`Tracker`](crate::tracker::Tracker)).
    Drained(CloseCode),
    /// The writer of a message in chunks was dropped before the message was finished.
    Unfinished,
    /// The handler returned an error.
    HandlerFailed,
    /// The handler panicked.
    HandlerPanicked,
    /// Reading or writing failed.
    Io(io::ErrorKind),
    /// This side aborted the connection, without a closing handshake.
    Aborted,
}

impl CloseCause {
    /// Returns the name of this kind of cause, for metrics and logs: lower-case
    /// words with underscores. The names are stable.
    pub fn name(&self) -> &'static str {
        match self {
            CloseCause::Remote(_) => "remote",
            CloseCause::Local(_) => "local",
            CloseCause::Lost => "lost",
            CloseCause::Violation(_) => "violation",
            CloseCause::PingTimeout => "ping_timeout",
            CloseCause::MessageTimeout => "message_timeout",
            CloseCause::WriteTimeout => "write_timeout",
            CloseCause::Overflow => "overflow",
            CloseCause::Drained(_) => "drained",
            CloseCause::HandlerFailed => "handler_failed",
            CloseCause::HandlerPanicked => "handler_panicked",
            CloseCause::Io(_) => "io",
            CloseCause::Unfinished => "unfinished",
            CloseCause::Aborted => "aborted",
        }
    }
}

impl fmt::Display for CloseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseCause::Remote(None) => f.write_str("closed by the peer"),
            CloseCause::Remote(Some(frame)) => {
                write!(f, "closed by the peer: {}", frame.code)?;
                if frame.reason.is_empty() {
                    return Ok(());
                }
                // The peer wrote the text: no control character may reach a log.
                write!(f, " \"{}\"", frame.reason.escape_debug())
            }
            CloseCause::Local(code) => write!(f, "closed by this side: {code}"),
            CloseCause::Lost => f.write_str("the connection was lost"),
            CloseCause::Violation(violation) => write!(f, "protocol violation: {violation}"),
            CloseCause::PingTimeout => f.write_str("the peer did not answer a ping in time"),
            CloseCause::MessageTimeout => f.write_str("a message was not finished in time"),
            CloseCause::WriteTimeout => f.write_str("the peer did not read in time"),
            CloseCause::Overflow => f.write_str("the peer read too slowly"),
            CloseCause::Drained(code) => write!(f, "drained: {code}"),
            CloseCause::Unfinished => f.write_str("a message was not sent to its end"),
            CloseCause::HandlerFailed => f.write_str("the handler failed"),
            CloseCause::HandlerPanicked => f.write_str("the handler panicked"),
            CloseCause::Io(kind) => write!(f, "the connection failed: {kind}"),
            CloseCause::Aborted => f.write_str("aborted"),
        }
    }
}

/// The reason why a call on a socket failed.
///
/// The ordinary end of a connection is not an error: `recv` returns `Ok(None)` then.
//
// One pointer: the size of a `Result` with a message is then that of the message,
// and it is moved in whole words.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    source: Option<BoxError>,
}

/// The kind of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The connection has ended or is closing, or writing has failed: nothing more can be
    /// sent. What has arrived can still be received.
    Closed,
    /// The peer broke the protocol or a limit.
    Violation(Violation),
    /// The peer did not answer a ping in time.
    PingTimeout,
    /// A message that had begun was not finished in time.
    MessageTimeout,
    /// The peer did not read in time what was sent to it.
    WriteTimeout,
    /// The connection ended within a message that was received in chunks.
    Unfinished,
    /// A chunk of a text message that was being sent is not UTF-8.
    NotText,
    /// Reading or writing failed; the [source](std::error::Error::source) says how.
    Io,
    /// The connection was not handed over after the handshake; the source says why.
    Upgrade,
    /// The WebSocket was not opened; the source says why.
    Connect,
}

impl Error {
    /// Returns the kind of error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns whether the call failed because the connection has ended or is
    /// closing.
    pub fn is_closed(&self) -> bool {
        self.0.kind == ErrorKind::Closed
    }

    /// Returns the violation, if the peer committed one.
    pub fn violation(&self) -> Option<Violation> {
        match self.0.kind {
            ErrorKind::Violation(violation) => Some(violation),
            _ => None,
        }
    }

    // Named constructors: a `From` impl would be public, and `?` in a handler
    // would turn errors of the user's own files into errors of the socket.

    pub(crate) fn from_kind(kind: ErrorKind) -> Self {
        Error::new(kind, None)
    }

    pub(crate) fn from_violation(violation: Violation) -> Self {
        Error::from_kind(ErrorKind::Violation(violation))
    }

    pub(crate) fn from_io(error: io::Error) -> Self {
        Error::new(ErrorKind::Io, Some(error.into()))
    }

    #[cfg(feature = "server")]
    pub(crate) fn upgrade(source: impl Into<BoxError>) -> Self {
        Error::new(ErrorKind::Upgrade, Some(source.into()))
    }

    #[cfg(feature = "client")]
    pub(crate) fn connect(source: impl Into<BoxError>) -> Self {
        Error::new(ErrorKind::Connect, Some(source.into()))
    }

    #[cold]
    fn new(kind: ErrorKind, source: Option<BoxError>) -> Self {
        Error(Box::new(Inner { kind, source }))
    }
}

/// Converts into an [`io::Error`] of the nearest kind, with this error inside.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let source = error.0.source.as_deref();
        let kind = match error.kind() {
            ErrorKind::Closed => io::ErrorKind::BrokenPipe,
            ErrorKind::Violation(_) | ErrorKind::NotText => io::ErrorKind::InvalidData,
            ErrorKind::PingTimeout | ErrorKind::MessageTimeout | ErrorKind::WriteTimeout => {
                io::ErrorKind::TimedOut
            }
            ErrorKind::Unfinished => io::ErrorKind::UnexpectedEof,
            ErrorKind::Io | ErrorKind::Upgrade | ErrorKind::Connect => source
                .and_then(|source| source.downcast_ref::<io::Error>())
                .map_or(io::ErrorKind::Other, io::Error::kind),
        };
        io::Error::new(kind, error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("source", &self.0.source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            ErrorKind::Closed => f.write_str("the WebSocket is closed"),
            ErrorKind::Violation(violation) => violation.fmt(f),
            ErrorKind::PingTimeout => CloseCause::PingTimeout.fmt(f),
            ErrorKind::MessageTimeout => CloseCause::MessageTimeout.fmt(f),
            ErrorKind::WriteTimeout => CloseCause::WriteTimeout.fmt(f),
            ErrorKind::Unfinished => f.write_str("the WebSocket ended within a message"),
            ErrorKind::NotText => f.write_str("text messages must be valid UTF-8"),
            ErrorKind::Io => f.write_str("reading or writing failed"),
            ErrorKind::Upgrade => f.write_str(
                "the connection was not handed over after the handshake \
                 (serve the connection with `.with_upgrades()`; \
                 hyper-util's `auto`: `serve_connection_with_upgrades`)",
            ),
            ErrorKind::Connect => f.write_str("the WebSocket was not opened"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_peers_reason_cannot_break_a_log_line() {
        let frame = CloseFrame::new(CloseCode::NORMAL, "bye\nERROR forged");
        let shown = CloseCause::Remote(Some(frame)).to_string();
        assert!(!shown.contains('\n'), "{shown}");
    }

    #[test]
    fn a_missing_with_upgrades_is_named() {
        assert!(
            Error::from_kind(ErrorKind::Upgrade)
                .to_string()
                .contains(".with_upgrades()")
        );
    }
}
