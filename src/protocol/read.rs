//! The reading half: bytes in, events out.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::assembly::{Assembly, Rest};
use super::close::parse_close_frame;
use super::event::{Event, EventSink};
use super::role::{Role, Side};
use super::state::{PartialControl, ReadState};
use super::whole::{short_message, unmask};
use crate::error::Violation;
use crate::extension::Codec;
use crate::frame::{Header, MAX_CONTROL, Opcode, Rsv, mask, utf8};
use crate::message::{Kind, Text};
use crate::{Config, Message};

/// How many empty fragments a message may have in a row. Autobahn (6.1.2) wants
/// some; a peer that sends nothing else wants our time.
const MAX_EMPTY_FRAGMENTS: u16 = 1024;

/// Turns bytes into [`Event`]s, whatever pieces they come in.
///
/// Between two reads it keeps an incomplete header (13 bytes at most) and the
/// message that is being assembled, nothing else. No byte is parsed twice.
pub struct Reader {
    side: Side,
    state: ReadState,
    assembly: Option<Box<Assembly>>,
    empty_fragments: u16,
    frames: u32,
    /// The longest message in one frame whose length is in one byte.
    short_limit: u8,
    frame_limit: usize,
    message_limit: usize,
    /// What an extension makes of payloads; also of those that are sent, since it
    /// is the one who reads that writes.
    codec: Option<Box<dyn Codec>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader at the beginning of a conversation.
    pub fn new(role: Role, config: &Config) -> Self {
        Reader {
            side: role.side(),
            state: ReadState::BETWEEN_FRAMES,
            assembly: None,
            empty_fragments: 0,
            frames: 0,
            short_limit: config
                .get_max_frame_size()
                .min(config.max_message_size)
                .min(MAX_CONTROL) as u8,
            frame_limit: config.get_max_frame_size(),
            message_limit: config.max_message_size,
            codec: None,
        }
    }

    /// With an extension.
    pub(crate) fn with_extension(mut self, codec: Option<Box<dyn Codec>>) -> Self {
        self.codec = codec;
        self
    }

    #[cfg(feature = "socket")]
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// The extension, for the frames that are sent.
    pub(crate) fn codec(&mut self) -> Option<&mut (dyn Codec + 'static)> {
        self.codec.as_deref_mut()
    }

    /// Whether nothing of a message or frame has begun to arrive.
    pub fn is_between_messages(&self) -> bool {
        self.assembly.is_none() && (self.state.is_between_frames() || self.is_ended())
    }

    /// How many frames have been completed; it wraps.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Whether the payload of a data frame is arriving.
    pub fn is_within_payload(&self) -> bool {
        matches!(self.state, ReadState::Payload { .. })
    }

    /// Whether a close frame or a violation has ended the conversation: what
    /// still arrives is discarded.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, ReadState::End)
    }

    /// Takes bytes off the beginning of `input`: returns how many, and the event
    /// that they complete. Without an event, all of `input` has been taken.
    /// The bytes are unmasked in place.
    ///
    /// # Errors
    ///
    /// The first violation; afterwards all input is discarded.
    pub fn read(&mut self, input: &mut [u8]) -> Result<(usize, Option<Event>), Violation> {
        let mut event = None;
        let taken = self.drain(input, &mut |it| {
            event = Some(it);
            ControlFlow::Break(())
        })?;
        Ok((taken, event))
    }

    /// [`read`](Self::read) for many events: gives each to `sink`, until that
    /// breaks or all of `input` has been taken. An event is made where it goes,
    /// instead of being moved there through the results of three functions.
    ///
    /// # Errors
    ///
    /// The first violation; afterwards all input is discarded.
    #[inline]
    pub fn drain(
        &mut self,
        input: &mut [u8],
        sink: &mut impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<usize, Violation> {
        self.drain_to(input, sink)
    }

    #[inline]
    pub(crate) fn drain_to(
        &mut self,
        input: &mut [u8],
        sink: &mut impl EventSink,
    ) -> Result<usize, Violation> {
        let mut at = 0;
        loop {
            while let Some((kind, key, length)) = self.short_message(&input[at..]) {
                let payload = unmask(Some(key), &mut input[at + 6..], length);
                // Not in a function that also has a violation to return: a message
                // that shares its place with something else is moved in pieces.
                let message = match kind {
                    Kind::Binary => Message::Binary(payload.into()),
                    Kind::Text if utf8::is_valid(payload.as_slice()) => {
                        Text::from_validated(payload).into()
                    }
                    Kind::Text => {
                        self.end();
                        return Err(Violation::InvalidUtf8);
                    }
                };
                self.frames = self.frames.wrapping_add(1);
                self.empty_fragments = 0;
                at += 6 + length;
                if sink.message(message).is_break() || at == input.len() {
                    return Ok(at);
                }
            }
            match self.step(&mut input[at..], sink) {
                Ok((taken, ControlFlow::Continue(()))) => at += taken,
                Ok((taken, ControlFlow::Break(()))) => return Ok(at + taken),
                Err(violation) => {
                    self.end();
                    return Err(violation);
                }
            }
        }
    }

    /// A [`short_message`] at the beginning of `input`, if one may stand there and
    /// is within the limits.
    #[inline(always)]
    fn short_message(&self, input: &[u8]) -> Option<(Kind, [u8; 4], usize)> {
        let (kind, key, length) = short_message(input)?;
        let may_begin =
            self.state.is_between_frames() && self.side == Side::Server && self.assembly.is_none();
        (may_begin && length <= usize::from(self.short_limit)).then_some((kind, key, length))
    }

    fn end(&mut self) {
        self.state = ReadState::End;
        self.assembly = None;
        if let Some(codec) = &mut self.codec {
            codec.stop_decoding();
        }
    }

    fn step(
        &mut self,
        input: &mut [u8],
        sink: &mut dyn EventSink,
    ) -> Result<(usize, ControlFlow<()>), Violation> {
        match &mut self.state {
            ReadState::Header(partial) if partial.is_empty() => match Header::decode(input)? {
                Some((header, taken)) => self.begin(header, &mut input[taken..], taken, sink),
                None => {
                    partial.begin(input);
                    Ok((input.len(), ControlFlow::Break(())))
                }
            },
            ReadState::Header(partial) => match partial.resume(input)? {
                (taken, Some(header)) => self.begin(header, &mut input[taken..], taken, sink),
                (taken, None) => Ok((taken, ControlFlow::Break(()))),
            },
            ReadState::Payload { key, left, .. } => {
                let taken = input.len().min(*left);
                let part = &mut input[..taken];
                if let Some(key) = key {
                    mask::apply_next(key, part);
                }
                *left -= taken;
                let flow = self.append(part, sink)?;
                Ok((taken, flow))
            }
            ReadState::Control(control) => {
                let taken = control.resume(input);
                if !control.is_complete() {
                    return Ok((taken, ControlFlow::Break(())));
                }
                let ReadState::Control(control) = self.next_frame() else {
                    return Ok((taken, ControlFlow::Continue(())));
                };
                let event = self.control(control.opcode, &control.payload)?;
                Ok((taken, sink.event(event)))
            }
            ReadState::End => Ok((input.len(), ControlFlow::Break(()))),
        }
    }

    /// Expects a header next; returns the state that has ended.
    #[inline]
    fn next_frame(&mut self) -> ReadState {
        self.frames = self.frames.wrapping_add(1);
        std::mem::replace(&mut self.state, ReadState::BETWEEN_FRAMES)
    }

    /// A header of `taken` bytes is complete; `input` is what follows it. Checks
    /// all that a header can show to be wrong before a byte of payload is kept.
    #[inline(always)]
    fn begin(
        &mut self,
        header: Header,
        input: &mut [u8],
        taken: usize,
        sink: &mut dyn EventSink,
    ) -> Result<(usize, ControlFlow<()>), Violation> {
        match (self.side, header.masking_key) {
            // Section 5.1: "The server MUST close the connection upon receiving
            // a frame that is not masked", "A client MUST close a connection if
            // it detects a masked frame."
            (Side::Server, None) => return Err(Violation::UnmaskedFrame),
            (Side::Client, Some(_)) => return Err(Violation::MaskedFrame),
            _ => {}
        }
        if !header.rsv.is_none() {
            self.check_reserved_bits(&header)?;
        }
        if header.opcode.is_control() {
            return self.begin_control(header, input, taken, sink);
        }
        match (header.opcode, &self.assembly) {
            (Opcode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Violation::InterruptedMessage),
            _ => {}
        }
        let length = self.check_length(&header)?;
        // The usual case: a whole message in one frame that is all there.
        if header.fin
            && header.opcode != Opcode::Continuation
            && header.rsv.is_none()
            && input.len() >= length
        {
            let payload = unmask(header.masking_key, input, length);
            let message = match header.opcode {
                Opcode::Text if utf8::is_valid(payload.as_slice()) => {
                    Text::from_validated(payload).into()
                }
                Opcode::Text => return Err(Violation::InvalidUtf8),
                _ => Message::Binary(payload.into()),
            };
            self.next_frame();
            return Ok((taken + length, sink.event(Event::Message(message))));
        }
        if header.opcode != Opcode::Continuation {
            self.assembly = Some(Box::new(Assembly::new(&header)));
        }
        self.state = ReadState::Payload {
            key: header.masking_key,
            left: length,
            fin: header.fin,
        };
        Ok((taken, ControlFlow::Continue(())))
    }

    #[cold]
    fn check_reserved_bits(&self, header: &Header) -> Result<(), Violation> {
        // Section 5.2: "MUST be 0 unless an extension is negotiated that defines
        // meanings for non-zero values." An extension of messages marks their
        // first frame only (RFC 7692, section 6.1), and no control frame.
        let allowed = match (header.opcode, &self.codec) {
            (Opcode::Text | Opcode::Binary, Some(codec)) => codec.reserved_bits(),
            _ => Rsv::NONE,
        };
        match header.rsv.within(allowed) {
            true => Ok(()),
            false => Err(Violation::ReservedBits),
        }
    }

    /// The length of a data frame's payload, if the limits allow it.
    #[inline]
    fn check_length(&mut self, header: &Header) -> Result<usize, Violation> {
        let limit = self.frame_limit;
        let length = usize::try_from(header.length)
            .ok()
            .filter(|&length| length <= limit)
            .ok_or(Violation::FrameTooLarge { limit })?;
        let limit = self.message_limit;
        let before = self.assembly.as_ref().map_or(0, |it| it.wire_length());
        // Both are at most a limit, so neither side overflows.
        if length > limit.saturating_sub(before) {
            return Err(Violation::MessageTooLarge { limit });
        }
        if length > 0 || header.fin {
            self.empty_fragments = 0;
        } else {
            self.empty_fragments += 1;
            if self.empty_fragments > MAX_EMPTY_FRAGMENTS {
                return Err(Violation::EmptyFragments);
            }
        }
        Ok(length)
    }

    /// Control frames may stand between the fragments of a message (section 5.4).
    fn begin_control(
        &mut self,
        header: Header,
        input: &mut [u8],
        taken: usize,
        sink: &mut dyn EventSink,
    ) -> Result<(usize, ControlFlow<()>), Violation> {
        // 125 at most: the header was refused otherwise.
        let length = header.length as usize;
        debug_assert!(length <= MAX_CONTROL);
        if input.len() < length {
            self.state = ReadState::Control(Box::new(PartialControl::new(&header)));
            return Ok((taken, ControlFlow::Continue(())));
        }
        let payload = &mut input[..length];
        if let Some(key) = header.masking_key {
            mask::apply(key, payload);
        }
        self.next_frame();
        let event = self.control(header.opcode, payload)?;
        Ok((taken + length, sink.event(event)))
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<Event, Violation> {
        Ok(match opcode {
            Opcode::Ping => Event::Ping(Bytes::copy_from_slice(payload)),
            Opcode::Pong => Event::Pong(Bytes::copy_from_slice(payload)),
            _ => {
                let frame = parse_close_frame(payload)?;
                self.end();
                Event::Close(frame)
            }
        })
    }

    /// Whether a message has begun and not ended.
    pub fn is_within_message(&self) -> bool {
        self.assembly.is_some()
    }

    /// Takes a part of a data frame's payload, which has been unmasked and
    /// counted off `left`.
    fn append(
        &mut self,
        part: &[u8],
        sink: &mut dyn EventSink,
    ) -> Result<ControlFlow<()>, Violation> {
        let (&ReadState::Payload { left, fin, .. }, Some(assembly)) =
            (&self.state, &mut self.assembly)
        else {
            return Ok(ControlFlow::Continue(()));
        };
        let codec = self.codec.as_deref_mut();
        assembly.append(part, Rest { left, fin }, codec, self.message_limit)?;
        Ok(match self.finish_frame()? {
            Progress::Within => ControlFlow::Break(()),
            Progress::FrameEnded => ControlFlow::Continue(()),
            Progress::MessageEnded(message) => sink.event(Event::Message(message)),
        })
    }

    /// Ends the frame if its payload is complete, and the message with its last frame.
    fn finish_frame(&mut self) -> Result<Progress, Violation> {
        let ReadState::Payload { left: 0, fin, .. } = self.state else {
            return Ok(Progress::Within);
        };
        self.next_frame();
        let assembly = if fin { self.assembly.take() } else { None };
        Ok(match assembly {
            Some(assembly) => Progress::MessageEnded(assembly.finish()?),
            None => Progress::FrameEnded,
        })
    }

    /// The buffer of the message that is arriving, if at least `worthwhile`
    /// bytes of the current frame's payload are still to come and as many of the
    /// message have arrived (or it would be allocated for an announcement), and
    /// how many bytes may be read into its spare capacity. Report what was read
    /// with [`filled`](Self::filled).
    ///
    /// # Errors
    ///
    /// [`Violation::OutOfMemory`].
    pub fn payload_buffer(
        &mut self,
        worthwhile: usize,
    ) -> Result<Option<(&mut Vec<u8>, usize)>, Violation> {
        let (&ReadState::Payload { left, fin, .. }, Some(assembly)) =
            (&self.state, &mut self.assembly)
        else {
            return Ok(None);
        };
        if left < worthwhile || !assembly.is_worth_filling(worthwhile) {
            return Ok(None);
        }
        let reserved = assembly.reserve_to_fill(Rest { left, fin }, self.message_limit);
        if let Err(violation) = reserved {
            self.end();
            return Err(violation);
        }
        Ok(self.assembly.as_mut().map(|assembly| assembly.spare(left)))
    }

    /// `count` bytes of payload were read to the end of the
    /// [`payload_buffer`](Self::payload_buffer). They are unmasked and validated;
    /// a message that they complete is returned.
    ///
    /// # Errors
    ///
    /// The first violation; afterwards all input is discarded.
    pub fn filled(&mut self, count: usize) -> Result<Option<Event>, Violation> {
        let (ReadState::Payload { key, left, .. }, Some(assembly)) =
            (&mut self.state, &mut self.assembly)
        else {
            return Ok(None);
        };
        *left -= count;
        let filled = assembly.filled(count, key);
        match filled.and_then(|()| self.finish_frame()) {
            Ok(Progress::MessageEnded(message)) => Ok(Some(Event::Message(message))),
            Ok(_) => Ok(None),
            Err(violation) => {
                self.end();
                Err(violation)
            }
        }
    }

    /// How many bytes the message that is arriving has room for, if there is one.
    #[cfg(test)]
    pub(super) fn assembly_capacity(&self) -> Option<usize> {
        self.assembly.as_ref().map(|assembly| assembly.capacity())
    }

    /// Takes away what has arrived of the message that is arriving, if that is
    /// anything; of a text, whole characters. The [`Event::Message`](Event)
    /// that ends the message brings only the rest of it, which may be empty.
    ///
    /// Call it after [`drain`](Self::drain) and [`filled`](Self::filled). Limits
    /// hold for the sum of all parts. Of a compressed message, an input may make
    /// a thousand times its length: give small ones, and look at
    /// [`part_length`](Self::part_length) in between.
    pub fn take_part(&mut self) -> Option<Message> {
        self.assembly.as_mut().and_then(|it| it.take_part())
    }

    /// How many bytes [`take_part`](Self::take_part) would bring, or up to three more.
    pub fn part_length(&self) -> usize {
        self.assembly.as_ref().map_or(0, |it| it.part_length())
    }
}

/// How far a part of a payload brought its frame.
enum Progress {
    /// More of the frame is to come.
    Within,
    /// The frame has ended, its message goes on.
    FrameEnded,
    /// The frame was the last of this message.
    MessageEnded(Message),
}
