//! What the header of a frame can show to be wrong, beside its masking and its opcode.

use crate::error::Violation;
use crate::extension::Codec;
use crate::frame::{Header, Opcode, Rsv};

#[cold]
pub(super) fn check_reserved_bits(
    header: &Header,
    codec: Option<&dyn Codec>,
) -> Result<(), Violation> {
    // Section 5.2: "MUST be 0 unless an extension is negotiated that defines
    // meanings for non-zero values." An extension of messages marks their
    // first frame only (RFC 7692, section 6.1), and no control frame.
    let allowed = match (header.opcode, codec) {
        (Opcode::Text | Opcode::Binary, Some(codec)) => codec.reserved_bits(),
        _ => Rsv::NONE,
    };
    let is_allowed = header.rsv.within(allowed);
    is_allowed.then_some(()).ok_or(Violation::ReservedBits)
}

/// Returns the length of a data frame's payload, if the limits allow it. `before`: how much of
/// the message the earlier frames have brought.
#[inline]
pub(super) fn check_length(
    header: &Header,
    frame_limit: usize,
    message_limit: usize,
    before: usize,
) -> Result<usize, Violation> {
    let length = usize::try_from(header.length)
        .ok()
        .filter(|&length| length <= frame_limit)
        .ok_or(Violation::FrameTooLarge { limit: frame_limit })?;
    // Both are at most a limit, so neither side overflows.
    if length > message_limit.saturating_sub(before) {
        return Err(Violation::MessageTooLarge {
            limit: message_limit,
        });
    }
    Ok(length)
}
