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

impl Role {
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
