//! Frames: the header on the wire (RFC 6455, section 5.2), masking and UTF-8.
//!
//! Pure functions: nothing here keeps state, allocates or knows what a
//! connection is.

mod header;
pub(crate) mod mask;
#[cfg(test)]
mod tests;
pub(crate) mod utf8;

pub(crate) use header::{Header, MAX_CONTROL, MAX_HEADER, Opcode, Rsv};
