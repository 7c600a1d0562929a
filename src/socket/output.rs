//! What a connection is to write, as it waits under the lock: frames of its own,
//! or one that it shares with others.
//!
//! A message to a room is all that most members have to write. So they hold it in
//! common until each has its turn, instead of a copy and a buffer each: those of a
//! large room would be more memory than all else about its members.

use std::sync::Arc;

use super::lend;
use super::shared::State;
use crate::protocol::{Closed, Coding, Encoded, Outbox, Prepared, Writer};

impl State {
    pub(super) fn has_output(&self) -> bool {
        match &self.outbox {
            Some(outbox) => !outbox.is_empty(),
            None => self.common.is_some(),
        }
    }

    /// How many bytes the driver has not taken.
    pub(super) fn output_length(&self) -> usize {
        match (&self.outbox, &self.common) {
            (Some(outbox), _) => outbox.len(),
            (None, Some(frame)) => frame.len(),
            (None, None) => 0,
        }
    }

    /// Queues a message that is encoded already: in common with others, if it is to
    /// come first and there is no buffer yet into which it could be copied.
    pub(super) fn queue_prepared(
        &mut self,
        prepared: &Prepared,
        coding: Option<Coding>,
    ) -> Result<(), Closed> {
        if self.outbox.is_none() && self.common.is_none() && self.behind().is_none() {
            self.common = self.writer.shared_frame(coding, prepared).cloned();
            if self.common.is_some() {
                return Ok(());
            }
        }
        let (writer, outbox) = self.queue();
        match coding {
            None => writer.prepared(prepared, outbox),
            Some(coding) => writer.prepared_for(coding, prepared, outbox),
        }
    }

    /// Where to append what comes after all that is queued, but for what waits
    /// behind a message that is sent in chunks; and who encodes it.
    #[inline]
    pub(super) fn output(&mut self) -> (&mut Writer, &mut Outbox) {
        let common = &mut self.common;
        let outbox = self.outbox.get_or_insert_with(|| new_outbox(common));
        (&mut self.writer, outbox)
    }

    /// Takes everything into `writing`, in which there is nothing; says whether
    /// there was something.
    pub(super) fn take_output(&mut self, writing: &mut Box<Outbox>) -> bool {
        match (&mut self.outbox, self.common.take()) {
            (Some(outbox), _) if !outbox.is_empty() => std::mem::swap(outbox, writing),
            (None, Some(frame)) => writing.push_encoded(&frame),
            _ => return false,
        }
        true
    }

    pub(super) fn discard_output(&mut self) {
        self.common = None;
        self.outbox = None;
    }
}

/// A buffer of a connection's own, and in it what it had in common with others.
#[inline(never)]
fn new_outbox(common: &mut Option<Arc<Encoded>>) -> Box<Outbox> {
    let mut outbox = lend::outbox();
    if let Some(frame) = common.take() {
        outbox.push_encoded(&frame);
    }
    outbox
}
