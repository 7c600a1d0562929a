//! Payloads of data frames that come in parts, and where they go.

use super::event::{Event, Sink, Step};
use super::read::{Reader, State};
use crate::Message;
use crate::error::Violation;
use crate::frame::mask;

impl Reader {
    /// Whether a message has begun and not ended.
    pub fn is_within_message(&self) -> bool {
        self.assembly.is_some()
    }

    /// Takes a part of a data frame's payload, which has been unmasked and
    /// counted off `left`.
    pub(super) fn append(&mut self, part: &[u8], sink: &mut dyn Sink) -> Result<Step, Violation> {
        let (State::Payload { left, fin, .. }, Some(assembly)) = (&self.state, &mut self.assembly)
        else {
            return Ok(Step::More);
        };
        let (left, fin) = (*left, *fin);
        assembly.wire_length += part.len();
        match &mut self.codec {
            Some(codec) if !assembly.rsv.is_none() => {
                let before = assembly.buffer.len();
                let last = fin && left == 0;
                let buffer = &mut assembly.buffer;
                let limit = self.message_limit;
                // What was taken away counts, and is no longer there.
                let room = limit - (assembly.taken - assembly.kept);
                codec
                    .decode(assembly.rsv, part, last, buffer, room)
                    .map_err(|violation| match violation {
                        Violation::MessageTooLarge { .. } => Violation::MessageTooLarge { limit },
                        other => other,
                    })?;
                if let Some(text) = &mut assembly.text {
                    text.push(&assembly.buffer[before..])?;
                }
            }
            _ => {
                if let Some(text) = &mut assembly.text {
                    text.push(part)?;
                }
                assembly.reserve(part.len(), left, fin, self.message_limit)?;
                assembly.buffer.extend_from_slice(part);
            }
        }
        match self.finish_frame()? {
            Frame::Unfinished => Ok(Step::Stop),
            Frame::Finished(None) => Ok(Step::More),
            Frame::Finished(Some(message)) => Ok(sink.event(Event::Message(message)).into()),
        }
    }

    /// Ends the frame if its payload is complete, and the message with its last frame.
    fn finish_frame(&mut self) -> Result<Frame, Violation> {
        let State::Payload { left: 0, fin, .. } = self.state else {
            return Ok(Frame::Unfinished);
        };
        self.next_frame();
        let assembly = if fin { self.assembly.take() } else { None };
        let message = assembly.map(|it| it.finish()).transpose()?;
        Ok(Frame::Finished(message))
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
        let (State::Payload { left, fin, .. }, Some(assembly)) = (&self.state, &mut self.assembly)
        else {
            return Ok(None);
        };
        if *left < worthwhile || assembly.wire_length < worthwhile || !assembly.rsv.is_none() {
            return Ok(None);
        }
        let least = assembly.room_to_fill(*left);
        if assembly.buffer.capacity() - assembly.buffer.len() < least {
            let reserved = assembly.reserve(least, *left - least, *fin, self.message_limit);
            if reserved.is_err() {
                self.end();
                return Err(Violation::OutOfMemory);
            }
        }
        let Some(assembly) = &mut self.assembly else {
            return Ok(None);
        };
        let room = (assembly.buffer.capacity() - assembly.buffer.len()).min(*left);
        Ok(Some((&mut assembly.buffer, room)))
    }

    /// `count` bytes of payload were read to the end of the
    /// [`payload_buffer`](Self::payload_buffer). They are unmasked and validated;
    /// a message that they complete is returned.
    ///
    /// # Errors
    ///
    /// The first violation; afterwards all input is discarded.
    pub fn filled(&mut self, count: usize) -> Result<Option<Event>, Violation> {
        let (State::Payload { key, left, .. }, Some(assembly)) =
            (&mut self.state, &mut self.assembly)
        else {
            return Ok(None);
        };
        let start = assembly.buffer.len() - count;
        let part = &mut assembly.buffer[start..];
        if let Some(key) = key {
            mask::apply(*key, part);
            *key = mask::after(*key, count);
        }
        *left -= count;
        assembly.wire_length += count;
        let valid = match &mut assembly.text {
            Some(text) => text.push(part),
            None => Ok(()),
        };
        match valid.and_then(|()| self.finish_frame()) {
            Ok(Frame::Finished(message)) => Ok(message.map(Event::Message)),
            Ok(Frame::Unfinished) => Ok(None),
            Err(violation) => {
                self.end();
                Err(violation)
            }
        }
    }
}

/// What a part of a payload made of its frame.
enum Frame {
    Unfinished,
    /// And of its message, if it was the last.
    Finished(Option<Message>),
}
