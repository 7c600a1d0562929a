//! Extensions (RFC 6455, section 9) transform payloads between frames and messages.
//!
//! The traits are private until a second extension shows what they must look like.
//! `protocol` and `socket` hold them boxed: no type has a parameter for them, and a
//! connection without extensions pays one null check. Only this module knows which
//! extensions exist: `handshake` goes through [`KNOWN`], and passes on what was
//! [`Agreed`].

mod agreed;
mod codec;
mod coding;
#[cfg(feature = "deflate")]
mod deflate;
mod known;
mod parameters;

pub(crate) use agreed::Agreed;
pub use agreed::Extension;
pub(crate) use codec::{Codec, Decoder, Encoder};
pub(crate) use coding::{Coding, Terms};
#[cfg(all(test, feature = "deflate"))]
pub(crate) use deflate::{agree, compressions};
pub(crate) use known::KNOWN;
#[cfg(all(test, feature = "deflate"))]
pub(crate) use known::Known;
pub(crate) use parameters::Parameters;
