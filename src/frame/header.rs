//! The header on the wire (RFC 6455, section 5.2).

use crate::error::Violation;

/// The longest header: two bytes, a 64-bit length and a masking key.
pub(crate) const MAX_HEADER: usize = 14;

/// The largest payload of a control frame (RFC 6455, section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// The kind of a frame (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn decode(bits: u8) -> Result<Self, Violation> {
        Ok(match bits {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            reserved => return Err(Violation::ReservedOpcode(reserved)),
        })
    }

    /// Returns whether this is close, ping or pong: "Control frames are identified by opcodes where
    /// the most significant bit of the opcode is 1" (RFC 6455, section 5.5).
    pub(crate) fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// The three reserved bits, at their positions in the first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rsv(u8);

impl Rsv {
    pub(crate) const NONE: Self = Rsv(0);
    /// "Per-message compressed" (RFC 7692, section 6).
    #[cfg(any(test, feature = "deflate"))]
    pub(crate) const RSV1: Self = Rsv(0x40);

    /// Marks a queued frame that no extension may encode. The mark is removed before the
    /// frame is written. No known extension uses this bit itself.
    pub(crate) const AS_IS: Self = Rsv(0x10);

    /// Returns whether all bits that are set are in `allowed` too.
    pub(crate) fn within(self, allowed: Rsv) -> bool {
        self.0 & !allowed.0 == 0
    }

    /// Sets the bits in the first byte of a frame.
    pub(crate) fn set_on(self, first: &mut u8) {
        *first |= self.0;
    }

    pub(crate) fn is_none(self) -> bool {
        self == Rsv::NONE
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Whether this frame is the last of its message.
    pub(crate) fin: bool,
    pub(crate) rsv: Rsv,
    pub(crate) opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub(crate) masking_key: Option<[u8; 4]>,
    /// The length of the payload in bytes.
    pub(crate) length: u64,
}

impl Header {
    /// Returns whether the frame is a whole message.
    pub(crate) fn is_message(&self) -> bool {
        self.fin && matches!(self.opcode, Opcode::Text | Opcode::Binary)
    }

    /// Reads a header from the beginning of `input`. Returns it and its own length, or
    /// `None` if it is incomplete.
    ///
    /// What is wrong with the first two bytes is reported without waiting for the rest.
    #[inline]
    pub(crate) fn decode(input: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        let &[first, second, ref rest @ ..] = input else {
            return Ok(None);
        };
        let opcode = Opcode::decode(first & 0x0f)?;
        let fin = first & 0x80 != 0;
        let short = second & 0x7f;
        if opcode.is_control() {
            // Section 5.5: "All control frames MUST have a payload length of
            // 125 bytes or less and MUST NOT be fragmented."
            if !fin {
                return Err(Violation::FragmentedControlFrame);
            }
            if usize::from(short) > MAX_CONTROL {
                return Err(Violation::LongControlFrame);
            }
        }
        let (length, rest) = match short {
            126 => {
                let Some((bytes, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (u64::from(u16::from_be_bytes(*bytes)), rest)
            }
            127 => {
                let Some((bytes, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (u64::from_be_bytes(*bytes), rest)
            }
            short => (u64::from(short), rest),
        };
        // Section 5.2: "the most significant bit MUST be 0", and "the minimal
        // number of bytes MUST be used to encode the length".
        match (short, length) {
            (127, length) if length >> 63 != 0 => return Err(Violation::InvalidLength),
            (126, 0..=125) | (127, 0..=0xffff) => return Err(Violation::NonMinimalLength),
            _ => {}
        }
        let (masking_key, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => {
                let Some((key, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (Some(*key), rest)
            }
        };
        let header = Header {
            fin,
            rsv: Rsv(first & 0x70),
            opcode,
            masking_key,
            length,
        };
        Ok(Some((header, input.len() - rest.len())))
    }

    /// Appends the header to `out`.
    // Inlined, it shrinks to what the caller's kind of header needs.
    #[inline(always)]
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let first = (self.fin as u8) << 7 | self.rsv.0 | self.opcode as u8;
        let masked = (self.masking_key.is_some() as u8) << 7;
        // Arrays of a constant length are stored without a call.
        match self.length {
            0..=125 => out.extend_from_slice(&[first, masked | self.length as u8]),
            126..=0xffff => {
                let [a, b] = (self.length as u16).to_be_bytes();
                out.extend_from_slice(&[first, masked | 126, a, b]);
            }
            _ => {
                out.extend_from_slice(&[first, masked | 127]);
                out.extend_from_slice(&self.length.to_be_bytes());
            }
        }
        if let Some(key) = self.masking_key {
            out.extend_from_slice(&key);
        }
    }
}
