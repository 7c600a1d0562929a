//! What transforms payloads.

use super::coding::Coding;
use crate::error::Violation;
use crate::frame::Rsv;

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
