//! What both sides agreed on.

use std::sync::Arc;

use crate::extension::{Agreed, Extension};

/// What client and server agreed on beyond the frames themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    pub(crate) protocol: Option<Arc<str>>,
    pub(crate) extension: Option<Agreed>,
}

impl Agreement {
    /// Nothing but the subprotocol, which must be one that was
    /// [offered](Offer::choose). What else the configuration allows is agreed on
    /// by [`Offer::agree`].
    pub fn with_protocol(protocol: Option<Arc<str>>) -> Self {
        Agreement {
            protocol,
            extension: None,
        }
    }

    /// The subprotocol, if there is one (RFC 6455, section 1.9).
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The extension, if there is one (RFC 6455, section 9); for a
    /// [`Connection`](crate::protocol::Connection::with_extension).
    pub fn extension(&self) -> Option<Extension> {
        self.extension.clone().map(Extension)
    }
}
