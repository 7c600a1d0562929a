//! The seam for extensions (RFC 6455, section 9): what transforms payloads
//! between the frame and the message.
//!
//! The traits are private until a second extension shows what they must look
//! like. `protocol` holds them boxed, so no type carries a parameter for them
//! and a connection without extensions pays one null check.

use crate::error::Violation;
use crate::frame::Rsv;

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
}
