//! The reader's state between two inputs, an incomplete frame; and control frames.

use bytes::Bytes;

use super::close::parse_close_frame;
use super::event::Event;
use crate::Message;
use crate::error::Violation;
use crate::frame::{Header, MAX_HEADER, Opcode, mask};

/// The part of a frame that the next byte belongs to.
///
/// ```text
///            header complete               payload complete
///   Header ──────────────────► Payload ──────────────────────► Header
///     ▲          │                                               │
///     │          └── control ──► Control ── payload complete ────┤
///     └─────────────────────────────────────────────────────────┘
///   any ── close frame, violation ──► End
/// ```
pub(super) enum ReadState {
    /// Within a header, or between two frames.
    Header(PartialHeader),
    /// Within the payload of a data frame.
    Payload {
        /// The masking key, rotated so that its first byte belongs to the next byte.
        key: Option<[u8; 4]>,
        /// How many bytes are still to arrive.
        left: usize,
        fin: bool,
    },
    /// Within the payload of a control frame. Boxed, since it is rare and would make
    /// every reader larger.
    Control(Box<PartialControl>),
    /// After a close frame or a violation: all input is discarded.
    End,
}

impl ReadState {
    /// The next byte begins a frame.
    pub(super) const BETWEEN_FRAMES: Self = ReadState::Header(PartialHeader {
        bytes: [0; MAX_HEADER - 1],
        length: 0,
    });

    /// Returns whether the next byte begins a frame.
    #[inline(always)]
    pub(super) fn is_between_frames(&self) -> bool {
        matches!(self, ReadState::Header(header) if header.is_empty())
    }
}

/// The beginning of a header whose end has not arrived.
pub(super) struct PartialHeader {
    bytes: [u8; MAX_HEADER - 1],
    length: u8,
}

impl PartialHeader {
    #[inline(always)]
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Keeps `input`, which is an incomplete header.
    pub(super) fn begin(&mut self, input: &[u8]) {
        self.bytes[..input.len()].copy_from_slice(input);
        self.length = input.len() as u8;
    }

    /// Continues with `input`. Returns how many bytes of it belong to the header, and
    /// the header if it is complete.
    pub(super) fn resume(&mut self, input: &[u8]) -> Result<(usize, Option<Header>), Violation> {
        let before = usize::from(self.length);
        let mut header = [0; MAX_HEADER];
        header[..before].copy_from_slice(&self.bytes[..before]);
        let taken = input.len().min(MAX_HEADER - before);
        let end = before + taken;
        header[before..end].copy_from_slice(&input[..taken]);
        if let Some((header, length)) = Header::decode(&header[..end])? {
            return Ok((length - before, Some(header)));
        }
        self.begin(&header[..end]);
        Ok((taken, None))
    }
}

/// A control frame of which not everything has arrived.
pub(super) struct PartialControl {
    pub(super) opcode: Opcode,
    pub(super) payload: Vec<u8>,
    key: Option<[u8; 4]>,
    left: usize,
}

impl PartialControl {
    pub(super) fn new(header: &Header) -> Self {
        PartialControl {
            opcode: header.opcode,
            payload: Vec::new(),
            key: header.masking_key,
            left: header.length as usize,
        }
    }

    /// Continues with `input`. Returns how many bytes of it belong to the frame.
    pub(super) fn resume(&mut self, input: &mut [u8]) -> usize {
        let taken = input.len().min(self.left);
        let part = &mut input[..taken];
        if let Some(key) = &mut self.key {
            mask::apply_next(key, part);
        }
        self.payload.extend_from_slice(part);
        self.left -= taken;
        taken
    }

    pub(super) fn is_complete(&self) -> bool {
        self.left == 0
    }
}

/// Returns the event of a complete control frame.
pub(super) fn control_event(opcode: Opcode, payload: &[u8]) -> Result<Event, Violation> {
    Ok(match opcode {
        Opcode::Ping => Event::Ping(Bytes::copy_from_slice(payload)),
        Opcode::Pong => Event::Pong(Bytes::copy_from_slice(payload)),
        _ => Event::Close(parse_close_frame(payload)?),
    })
}

/// The outcome of a part of a payload: what it completed.
pub(super) enum Progress {
    /// Nothing.
    Within,
    /// Its frame, not the message.
    FrameEnded,
    /// Its frame and this message.
    MessageEnded(Message),
}
