//! permessage-deflate (RFC 7692).
//!
//! [`negotiate`] decides what both sides agree on, [`compress`] and [`inflate`]
//! do it. Compressors and decompressors belong to the thread and are borrowed for
//! the length of one message. Where a context is taken over, what they must know
//! of the messages before is a connection's [`history`]; the few connections that
//! are [`busy`] keep their compressors.

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
