//! The seam for extensions (RFC 6455, section 9): what transforms payloads
//! between the frame and the message.
//!
//! The traits are private until a second extension shows what they must look
//! like. `protocol` and `socket` hold them boxed, so no type carries a parameter
//! for them and a connection without extensions pays one null check. Nobody
//! outside of this module knows which extensions there are: `handshake` goes
//! through [`KNOWN`], and hands on what was [`Agreed`].

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
