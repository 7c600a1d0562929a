//! Server or client.

use std::fmt;

/// Which side of the conversation this is. They differ in who masks
/// (RFC 6455, section 5.1).
#[derive(Clone, Copy)]
pub enum Role {
    /// Receives masked frames, sends unmasked ones.
    Server,
    /// Sends masked frames, receives unmasked ones.
    Client {
        /// Gives the masking key of the next frame. Section 5.3: it "needs to be
        /// unpredictable", from "a strong source of entropy".
        masking_key: fn() -> [u8; 4],
    },
}

/// A [`Role`] in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Side {
    /// Whether this side lets the peer close the TCP connection first. RFC 6455,
    /// section 7.1.1: it "SHOULD be closed first by the server, so that it holds
    /// the TIME_WAIT state and not the client".
    #[cfg(feature = "socket")]
    pub(crate) fn closes_tcp_last(self) -> bool {
        self == Side::Client
    }
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
        f.write_str(match self {
            Role::Server => "Server",
            Role::Client { .. } => "Client",
        })
    }
}
