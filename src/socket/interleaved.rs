//! What `tests/interleavings` reaches beside the public API.

use super::Sender;
use super::shared::{Item, LastRun, Pushed};
use crate::Prepared;
use crate::config::Overflow;

/// A room without its table and its lock, which are not loom's: one task sends.
#[derive(Default)]
pub struct Run(LastRun);

impl Run {
    /// Queues a message for a member as a room does; returns whether it is queued.
    pub fn send(&mut self, member: &Sender, text: &str) -> bool {
        let message = Prepared::new(text);
        let shared = member.shared();
        let frame = self.0.append(&message);
        frame.is_some_and(|frame| shared.push_in_run(&frame, text.len(), Overflow::Close))
            || shared.deliver(Item::Prepared(&message), Overflow::DropNewest) == Pushed::Queued
    }
}
