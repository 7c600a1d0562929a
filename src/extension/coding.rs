//! How an extension encodes messages, for the code that queues them.

#[cfg(feature = "deflate")]
use super::deflate::Settings;
use crate::frame::Rsv;

/// The way in which the messages of a connection are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Each after the ones before it: only this connection can use the result.
    InContext,
    /// Each by itself: all connections with equal terms can use the result.
    #[cfg(feature = "deflate")]
    Independent(Terms),
}

impl Coding {
    /// Returns the same for a connection whose encoded messages no other can use.
    pub(crate) fn unshared(self) -> Self {
        match self {
            #[cfg(feature = "deflate")]
            Coding::Independent(_) => Coding::InContext,
            Coding::InContext => Coding::InContext,
        }
    }

    /// Returns the terms on which a message can be encoded for many connections at once.
    pub(crate) fn independent(self) -> Option<Terms> {
        match self {
            Coding::InContext => None,
            #[cfg(feature = "deflate")]
            Coding::Independent(terms) => Some(terms),
        }
    }
}

/// Everything that the encoded form of a message depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    #[cfg(feature = "deflate")]
    Deflate(Settings),
}

impl Terms {
    /// See [`Encoder::encode`](super::Encoder::encode).
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, clippy::ptr_arg))]
    pub(crate) fn encode(self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv> {
        match self {
            #[cfg(feature = "deflate")]
            Terms::Deflate(settings) => settings.encode(payload, out),
        }
    }
}
