//! The outcome of a handshake.

use std::sync::Arc;

use crate::extension::{Agreed, Extension};

/// The subprotocol and the extension that client and server negotiated.
///
/// On a server [`Offer::agree`](super::Offer::agree) makes it, on a client
/// [`ClientHandshake::verify`](super::ClientHandshake::verify). The default has
/// neither a subprotocol nor an extension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) extension: Option<Agreed>,
}

impl Agreement {
    /// Makes an agreement on a subprotocol alone, without an extension.
    ///
    /// The subprotocol must be one that the client
    /// [offered](super::Offer::protocols): the
    /// [response](super::Offer::respond) contains no other.
    pub fn with_protocol(protocol: Option<Arc<str>>) -> Self {
        Agreement {
            protocol,
            extension: None,
        }
    }

    /// Returns the subprotocol, if there is one (RFC 6455, section 1.9).
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Returns the extension, if there is one (RFC 6455, section 9). A
    /// [`Connection`](crate::protocol::Connection::with_extension) takes it.
    pub fn extension(&self) -> Option<Extension> {
        self.extension.clone().map(Extension)
    }
}
