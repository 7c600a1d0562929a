//! The negotiated extension.

use super::codec::Codec;
#[cfg(feature = "deflate")]
use super::deflate;

/// An extension with its negotiated parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    #[cfg(feature = "deflate")]
    Deflate(deflate::DeflateAgreement),
}

impl Agreed {
    pub(crate) fn name(&self) -> &'static str {
        match *self {
            #[cfg(feature = "deflate")]
            Agreed::Deflate(_) => deflate::NAME,
        }
    }

    /// Returns the server's answer, a value of `Sec-WebSocket-Extensions`.
    pub(crate) fn answer(&self) -> String {
        match *self {
            #[cfg(feature = "deflate")]
            Agreed::Deflate(ref agreed) => agreed.answer(),
        }
    }

    /// Makes the codec of one connection.
    pub(crate) fn codec(self) -> Box<dyn Codec> {
        match self {
            #[cfg(feature = "deflate")]
            Agreed::Deflate(agreed) => agreed.codec(),
        }
    }
}

/// An extension that client and server negotiated (RFC 6455, section 9), with its
/// parameters, for a [`Connection`](crate::protocol::Connection).
///
/// With the feature `handshake`,
/// [`Agreement::extension`](crate::handshake::Agreement::extension) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension(pub(crate) Agreed);

impl Extension {
    /// Returns the registered name: `permessage-deflate`.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }
}
