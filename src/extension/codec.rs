//! The traits that an extension implements.

use super::coding::Coding;
use crate::error::Violation;
use crate::frame::Rsv;

/// An extension's part of one connection. One task decodes and encodes, in the order of
/// the frames on the wire.
pub(crate) trait Codec: Decoder + Encoder {}

impl<C: Decoder + Encoder> Codec for C {}

/// The receiving half: from the payloads of frames to that of their message.
pub(crate) trait Decoder: Send + Sync {
    /// Returns the reserved bits that the first frame of a message may carry.
    fn reserved_bits(&self) -> Rsv;

    /// Decodes the next `part` of a message whose first frame carried `rsv`, and appends
    /// the result to `out`, which must not grow beyond `limit` bytes. `last` is set for
    /// the last part of the message.
    fn decode(
        &mut self,
        rsv: Rsv,
        part: &[u8],
        last: bool,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation>;

    /// Frees what decoding needs: nothing more will be decoded.
    fn stop_decoding(&mut self);
}

/// The sending half: from the payload of a message to that of its frame.
pub(crate) trait Encoder: Send + Sync {
    /// Returns how messages are encoded.
    fn coding(&self) -> Coding;

    /// Returns whether a message of this length should be encoded.
    fn wants(&self, length: usize) -> bool;

    /// Encodes a message into `out`, which is empty, and returns the reserved bits of its
    /// frame. `None` if the message is to be sent as it is.
    fn encode(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv>;
}
