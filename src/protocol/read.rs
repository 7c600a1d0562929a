//! The receiving half: bytes in, events out.

use std::ops::ControlFlow;

use super::assembly::{Assembly, Rest};
use super::check::{check_length, check_reserved_bits};
use super::event::{Event, EventSink};
use super::role::{Role, Side};
use super::state::{PartialControl, Progress, ReadState, control_event};
use super::whole::{short_message, unmask};
use crate::error::Violation;
use crate::extension::Codec;
use crate::frame::{Header, MAX_CONTROL, Opcode, mask, utf8};
use crate::message::{Kind, Text};
use crate::{Config, Message};

/// Parses bytes, in pieces of any size, into [`Event`]s.
///
/// Between two calls it keeps an incomplete header (13 bytes at most) and the
/// message that is arriving, nothing else. Each byte is parsed once.
///
/// # Two ways in
///
/// Pass input to [`read`](Self::read) or [`drain`](Self::drain): payloads are copied
/// out of it.
///
/// A large payload can be read without that copy. While
/// [`payload_buffer`](Self::payload_buffer) returns a buffer, all input must have
/// been drained: read into the buffer's spare capacity, and report the bytes with
/// [`filled`](Self::filled). Choose anew before each read.
///
/// # Two ways out
///
/// A message arrives as one [`Event::Message`]. To have it in parts instead, call
/// [`take_part`](Self::take_part) after each `drain` and `filled`; then the event
/// brings only the rest, which may be empty. Limits hold for the sum of all parts. The
/// input of a compressed message can become a thousand times as long: pass little at
/// a time, and check [`part_length`](Self::part_length) in between.
pub struct Reader {
    side: Side,
    state: ReadState,
    assembly: Option<Box<Assembly>>,
    frames: u32,
    /// The longest message that the fast path takes.
    short_limit: u8,
    frame_limit: usize,
    message_limit: usize,
    /// Also encodes what is sent: the task that reads is the one that writes.
    codec: Option<Box<dyn Codec>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Makes a reader for a connection whose opening handshake is done.
    pub fn new(role: Role, config: &Config) -> Self {
        Reader {
            side: role.side(),
            state: ReadState::BETWEEN_FRAMES,
            assembly: None,
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

    /// Adds an extension.
    pub(crate) fn with_extension(mut self, codec: Option<Box<dyn Codec>>) -> Self {
        self.codec = codec;
        self
    }

    #[cfg(feature = "socket")]
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Returns the extension, to encode frames that are sent.
    pub(crate) fn codec(&mut self) -> Option<&mut (dyn Codec + 'static)> {
        self.codec.as_deref_mut()
    }

    /// Returns the limit of what arrives next, if that are the messages of a client as they were
    /// sent: none has begun, and no extension decodes them. Then they may be taken [past the
    /// reader](super::whole_message).
    #[cfg(feature = "socket")]
    #[inline]
    pub(crate) fn plain_limit(&self) -> Option<usize> {
        let is_plain = self.side == Side::Server
            && self.assembly.is_none()
            && self.codec.is_none()
            && self.state.is_between_frames();
        is_plain.then(|| self.frame_limit.min(self.message_limit))
    }

    /// So many messages were taken past the reader.
    #[cfg(feature = "socket")]
    #[inline]
    pub(crate) fn passed(&mut self, messages: u32) {
        debug_assert!(self.plain_limit().is_some());
        self.frames = self.frames.wrapping_add(messages);
    }

    /// Returns whether no message and no frame has begun to arrive.
    pub fn is_between_messages(&self) -> bool {
        self.assembly.is_none() && (self.state.is_between_frames() || self.is_ended())
    }

    /// Returns how many frames have arrived completely; it wraps.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Returns whether a message has begun and not ended.
    pub fn is_within_message(&self) -> bool {
        self.assembly.is_some()
    }

    /// Returns whether the payload of a data frame is arriving.
    pub fn is_within_payload(&self) -> bool {
        matches!(self.state, ReadState::Payload { .. })
    }

    /// Returns how many bytes of the payload of a data frame are yet to arrive, before the
    /// next frame can.
    #[cfg(feature = "socket")]
    pub(crate) fn payload_left(&self) -> usize {
        match self.state {
            ReadState::Payload { left, .. } => left,
            _ => 0,
        }
    }

    /// Returns whether a close frame or a violation was the last event: all further
    /// input is discarded.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, ReadState::End)
    }

    /// Takes bytes from the beginning of `input` and unmasks them in place. Returns how
    /// many, and the event that they complete. If there is no event, all of `input` was
    /// taken.
    ///
    /// # Errors
    ///
    /// The first violation. All further input is discarded.
    pub fn read(&mut self, input: &mut [u8]) -> Result<(usize, Option<Event>), Violation> {
        let mut event = None;
        let taken = self.drain(input, &mut |found| {
            event = Some(found);
            ControlFlow::Break(())
        })?;
        Ok((taken, event))
    }

    /// Takes bytes from the beginning of `input`, and passes each event to `sink` until
    /// that breaks or all of `input` is taken. Returns how many bytes were taken.
    ///
    /// This is faster than [`read`](Self::read), which moves each event through three
    /// functions.
    ///
    /// # Errors
    ///
    /// The first violation. All further input is discarded.
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
                let payload = unmask(Some(key), &input[at + 6..], length);
                // Built here, not in a helper that returns `Result<Message, Violation>`:
                // such a result is copied in pieces of 2 to 16 bytes (design.md, "The
                // cork").
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

    /// The fast path: a [`short_message`] at the beginning of `input`, if one is allowed
    /// there and within the limits.
    #[inline(always)]
    fn short_message(&self, input: &[u8]) -> Option<(Kind, [u8; 4], usize)> {
        let (kind, key, length) = short_message(input)?;
        let may_begin =
            self.state.is_between_frames() && self.side == Side::Server && self.assembly.is_none();
        (may_begin && length <= usize::from(self.short_limit)).then_some((kind, key, length))
    }

    /// Discards all further input.
    fn end(&mut self) {
        self.state = ReadState::End;
        self.assembly = None;
        if let Some(codec) = &mut self.codec {
            codec.stop_decoding();
        }
    }

    /// The slow path: takes what is there of one frame. Breaks when all input is taken,
    /// or the sink wants no more.
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
            ReadState::Payload { .. } => self.append(input, sink),
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

    /// Ends a frame: the next byte begins another. Returns the state of the one that
    /// ended.
    #[inline]
    fn next_frame(&mut self) -> ReadState {
        self.frames = self.frames.wrapping_add(1);
        std::mem::replace(&mut self.state, ReadState::BETWEEN_FRAMES)
    }

    /// Begins the frame of a header that took `taken` bytes; `input` follows it. All that
    /// a header can show to be wrong is found before a byte of payload is kept.
    #[inline(always)]
    fn begin(
        &mut self,
        header: Header,
        input: &mut [u8],
        taken: usize,
        sink: &mut dyn EventSink,
    ) -> Result<(usize, ControlFlow<()>), Violation> {
        self.side.check_masking(&header)?;
        if !header.rsv.is_none() {
            check_reserved_bits(&header, self.codec.as_deref())?;
        }
        if header.opcode.is_control() {
            return self.begin_control(header, input, taken, sink);
        }
        match (header.opcode, &self.assembly) {
            (Opcode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Violation::InterruptedMessage),
            _ => {}
        }
        let before = (self.assembly.as_ref()).map_or(0, |assembly| assembly.wire_length());
        let length = check_length(&header, self.frame_limit, self.message_limit, before)?;
        // The usual case: a whole message in one frame, all of which has arrived.
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
        // Without an assembly, the frame is the first of a message: see above.
        self.assembly
            .get_or_insert_with(|| Box::new(Assembly::new(&header)))
            .begin_frame(length, header.fin)?;
        self.state = ReadState::Payload {
            key: header.masking_key,
            left: length,
            fin: header.fin,
        };
        Ok((taken, ControlFlow::Continue(())))
    }

    /// Begins a control frame. It may stand between the fragments of a message
    /// (section 5.4).
    fn begin_control(
        &mut self,
        header: Header,
        input: &mut [u8],
        taken: usize,
        sink: &mut dyn EventSink,
    ) -> Result<(usize, ControlFlow<()>), Violation> {
        // At most 125: longer ones are refused with their header.
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
        let event = control_event(opcode, payload)?;
        if let Event::Close(_) = event {
            self.end();
        }
        Ok(event)
    }

    /// Appends what `input` has of a data frame's payload.
    fn append(
        &mut self,
        input: &mut [u8],
        sink: &mut dyn EventSink,
    ) -> Result<(usize, ControlFlow<()>), Violation> {
        let (ReadState::Payload { key, left, fin }, Some(assembly)) =
            (&mut self.state, &mut self.assembly)
        else {
            return Ok((input.len(), ControlFlow::Break(())));
        };
        let taken = input.len().min(*left);
        *left -= taken;
        let (left, fin) = (*left, *fin);
        let codec = self.codec.as_deref_mut();
        let part = &mut input[..taken];
        assembly.append(part, key, Rest { left, fin }, codec, self.message_limit)?;
        let flow = match self.finish_frame()? {
            Progress::Within => ControlFlow::Break(()),
            Progress::FrameEnded => ControlFlow::Continue(()),
            Progress::MessageEnded(message) => sink.event(Event::Message(message)),
        };
        Ok((taken, flow))
    }

    /// Ends the frame if its payload is complete, and the message if that was its last
    /// frame.
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

    /// Returns the buffer of the message that is arriving, and how many bytes may be
    /// read into its spare capacity.
    ///
    /// Returns `None` for a compressed message. Also returns `None` while fewer than
    /// `worthwhile` bytes of the message have arrived, or fewer than that are yet to come
    /// of the current frame.
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

    /// Takes `count` bytes that were read to the end of the
    /// [`payload_buffer`](Self::payload_buffer). Returns the message if they complete it.
    ///
    /// # Errors
    ///
    /// The first violation. All further input is discarded.
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

    /// Returns the capacity of the message that is arriving.
    #[cfg(test)]
    pub(super) fn assembly_capacity(&self) -> Option<usize> {
        self.assembly.as_ref().map(|assembly| assembly.capacity())
    }

    /// Takes what has arrived of the current message: whole characters, if it is text.
    /// Returns `None` if nothing has. See [the type](Self).
    pub fn take_part(&mut self) -> Option<Message> {
        self.assembly
            .as_mut()
            .and_then(|assembly| assembly.take_part())
    }

    /// Returns how many bytes [`take_part`](Self::take_part) would return, or up to
    /// three more.
    pub fn part_length(&self) -> usize {
        self.assembly
            .as_ref()
            .map_or(0, |assembly| assembly.part_length())
    }
}
