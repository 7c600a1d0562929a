//! permessage-deflate (RFC 7692).
//!
//! [`negotiate`] decides on the parameters, [`compress`] and [`inflate`] transform
//! messages by them. Compressors and decompressors belong to the thread, and are used
//! for one message at a time. With context takeover, a connection has a [`history`]:
//! what they must know of its earlier messages. The few connections that are [`busy`]
//! keep a compressor.

mod busy;
mod codec;
mod compress;
mod history;
mod inflate;
mod negotiate;
#[cfg(test)]
mod tests;
mod zlib;

pub(super) use negotiate::{DeflateAgreement, NAME, accept, conclude, offer};
pub(super) use zlib::Settings;
#[cfg(test)]
pub(crate) use {tests::agree, zlib::compressions};
