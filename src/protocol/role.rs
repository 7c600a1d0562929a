//! Server or client.

use std::fmt;

use crate::error::Violation;
use crate::frame::Header;

/// The side of a connection. Clients mask their frames, servers do not
/// (RFC 6455, section 5.1).
#[derive(Clone, Copy)]
pub enum Role {
    /// Receives masked frames, sends unmasked ones.
    Server,
    /// Sends masked frames, receives unmasked ones.
    Client {
        /// Returns the masking key of the next frame. Section 5.3: it "needs to be
        /// unpredictable", from "a strong source of entropy".
        masking_key: fn() -> [u8; 4],
    },
}

impl Role {
    pub(super) fn side(self) -> Side {
        match self {
            Role::Server => Side::Server,
            Role::Client { .. } => Side::Client,
        }
    }

    pub(super) fn new_masking_key(self) -> Option<[u8; 4]> {
        match self {
            Role::Server => None,
            Role::Client { masking_key } => Some(masking_key()),
        }
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.side(), f)
    }
}

/// A [`Role`] in one byte: each reader has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Side {
    /// Returns a violation if a frame that this side receives is masked and should
    /// not be, or should be and is not.
    #[inline(always)]
    pub(super) fn check_masking(self, header: &Header) -> Result<(), Violation> {
        match (self, header.masking_key) {
            // Section 5.1: "The server MUST close the connection upon receiving
            // a frame that is not masked", "A client MUST close a connection if
            // it detects a masked frame."
            (Side::Server, None) => Err(Violation::UnmaskedFrame),
            (Side::Client, Some(_)) => Err(Violation::MaskedFrame),
            _ => Ok(()),
        }
    }

    /// Returns whether the peer is to close the TCP connection first. RFC 6455,
    /// section 7.1.1: it "SHOULD be closed first by the server, so that it holds
    /// the TIME_WAIT state and not the client".
    #[cfg(feature = "socket")]
    pub(crate) fn closes_tcp_last(self) -> bool {
        self == Side::Client
    }
}
