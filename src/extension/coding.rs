//! What those who queue messages must know of an extension.

#[cfg(feature = "deflate")]
use super::deflate;
use crate::frame::Rsv;

/// How messages are encoded, as far as the one who queues them must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// In the context of the messages before.
    InContext,
    /// Each for itself: the encoded form serves every connection with equal terms.
    #[cfg(feature = "deflate")]
    Independent(Terms),
}

impl Coding {
    /// The same, but for one connection only.
    pub(crate) fn unshared(self) -> Self {
        match self {
            #[cfg(feature = "deflate")]
            Coding::Independent(_) => Coding::InContext,
            Coding::InContext => Coding::InContext,
        }
    }

    /// On which terms a message may be encoded for many connections at once.
    pub(crate) fn independent(self) -> Option<Terms> {
        match self {
            Coding::InContext => None,
            #[cfg(feature = "deflate")]
            Coding::Independent(terms) => Some(terms),
        }
    }
}

/// All that the encoded form of a message depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Terms {
    #[cfg(feature = "deflate")]
    Deflate(deflate::Settings),
}

impl Terms {
    /// Like [`Encoder::encode`].
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, clippy::ptr_arg))]
    pub(crate) fn encode(self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv> {
        match self {
            #[cfg(feature = "deflate")]
            Terms::Deflate(settings) => settings.encode(payload, out),
        }
    }
}
