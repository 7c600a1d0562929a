//! The seam for extensions (RFC 6455, section 9): what transforms payloads
//! between the frame and the message.
//!
//! The traits are private until a second extension shows what they must look
//! like. `protocol` and `socket` hold them boxed, so no type carries a parameter
//! for them and a connection without extensions pays one null check. Nobody
//! outside of this module knows which extensions there are: `handshake` goes
//! through [`KNOWN`], and hands on what was [`Agreed`].

#[cfg(feature = "deflate")]
mod deflate;

use std::borrow::Cow;

use crate::Config;
use crate::error::Violation;
use crate::frame::Rsv;

#[cfg(all(test, feature = "deflate"))]
pub(crate) use deflate::{agree, compressions};

/// Every extension, the favourite first.
pub(crate) const KNOWN: &[Known] = &[
    #[cfg(feature = "deflate")]
    deflate::KNOWN,
];

/// How an extension is negotiated (RFC 6455, section 9.1).
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// The server's side: whether the configuration has it, and an offer of it
    /// with these parameters can be accepted.
    pub(crate) accept: fn(&Config, &mut Parameters<'_>) -> Option<Agreed>,
    /// The client's side: what to offer, if the configuration has it.
    pub(crate) offer: fn(&Config) -> Option<String>,
    /// The client's side: whether the answer is one to that offer.
    pub(crate) conclude: fn(&Config, &mut Parameters<'_>) -> Option<Agreed>,
}

/// The parameters of an offer or an answer, in their order, quotes removed; the
/// same one may come twice.
pub(crate) type Parameters<'a> = dyn Iterator<Item = (&'a str, Option<Cow<'a, str>>)> + 'a;

/// An extension as both sides have agreed on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Agreed {
    #[cfg(feature = "deflate")]
    Deflate(deflate::Agreed),
}

impl Agreed {
    pub(crate) fn name(&self) -> &'static str {
        match *self {
            #[cfg(feature = "deflate")]
            Agreed::Deflate(_) => deflate::KNOWN.name,
        }
    }

    /// The server's answer, a value of `Sec-WebSocket-Extensions`.
    pub(crate) fn answer(&self) -> String {
        match *self {
            #[cfg(feature = "deflate")]
            Agreed::Deflate(ref agreed) => agreed.answer(),
        }
    }

    /// What transforms the messages of one connection.
    pub(crate) fn codec(self) -> Box<dyn Codec> {
        match self {
            #[cfg(feature = "deflate")]
            Agreed::Deflate(agreed) => agreed.codec(),
        }
    }
}

/// An extension that client and server have agreed on
/// (RFC 6455, section 9), with its parameters; for a
/// [`Connection`](crate::protocol::Connection).
///
/// [`Agreement::extension`](crate::handshake::Agreement::extension) has it, with
/// the feature `handshake`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension(pub(crate) Agreed);

impl Extension {
    /// As it is registered: `permessage-deflate`.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }
}

/// What a connection has of an extension. One task decodes and encodes, in the
/// order of the frames on the wire.
pub(crate) trait Codec: Decoder + Encoder {}

impl<C: Decoder + Encoder> Codec for C {}

/// The receiving half: from frame payloads to a message's payload.
pub(crate) trait Decoder: Send + Sync {
    /// The reserved bits that the first frame of a message may carry.
    fn reserved_bits(&self) -> Rsv;

    /// Takes the next `part` of a message whose first frame carried `rsv` and
    /// appends what it stands for to `out`, which may not grow beyond `limit`
    /// bytes. `last` is set for the last part of the message.
    fn decode(
        &mut self,
        rsv: Rsv,
        part: &[u8],
        last: bool,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation>;

    /// Nothing more is to be decoded.
    fn stop_decoding(&mut self);
}

/// The sending half: from a message's payload to that of its frame.
pub(crate) trait Encoder: Send + Sync {
    /// What those who queue messages must know.
    fn coding(&self) -> Coding;

    /// Whether a message of that length is to be encoded at all.
    fn wants(&self, length: usize) -> bool;

    /// Encodes a message into `out`, which is empty, and returns the reserved
    /// bits of its frame; `None` if it goes as it is.
    fn encode(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv>;
}

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
    Deflate(deflate::Terms),
}

impl Terms {
    /// Like [`Encoder::encode`].
    #[cfg_attr(not(feature = "deflate"), expect(unused_variables, clippy::ptr_arg))]
    pub(crate) fn encode(self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv> {
        match self {
            #[cfg(feature = "deflate")]
            Terms::Deflate(terms) => terms.encode(payload, out),
        }
    }
}
