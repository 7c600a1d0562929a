//! What a tracker counts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::CloseCause;
pub use crate::socket::shared::Traffic;

/// What a [`Tracker`](super::Tracker) has seen since it was made.
///
/// All but `open` only ever grow, which is what collectors call a counter; and
/// `accepted` is always `open` and all that has `ended`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Handshakes that were accepted.
    pub accepted: u64,
    /// Sockets that there are now, those included whose handshake was just answered.
    pub open: u64,
    /// Handshakes that were refused, by the status of the answer. (What a handler
    /// answers instead of accepting, and what is turned down by
    /// [`from_request`](crate::Upgrade::from_request) before it knows of a
    /// tracker, is not known here.)
    pub refused: BTreeMap<u16, u64>,
    /// Conversations that have ended, by the [name](CloseCause::name) of the cause.
    pub ended: BTreeMap<&'static str, u64>,
    /// Messages that have arrived, on all sockets.
    pub received: Traffic,
    /// Messages that were queued to be sent, on all sockets.
    pub sent: Traffic,
}

/// One conversation that has ended: see [`Tracker::on_end`](super::Tracker::on_end).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Why.
    pub cause: CloseCause,
    /// How long it was, from the answer to the handshake on.
    pub duration: Duration,
    /// The messages that arrived.
    pub received: Traffic,
    /// The messages that were queued to be sent.
    pub sent: Traffic,
}

impl Stats {
    /// Counts an end.
    pub(super) fn end(&mut self, ended: &Ended) {
        *self.ended.entry(ended.cause.name()).or_default() += 1;
        self.add(ended.received, ended.sent);
    }

    pub(super) fn add(&mut self, received: Traffic, sent: Traffic) {
        for (sum, part) in [(&mut self.received, received), (&mut self.sent, sent)] {
            sum.messages += part.messages;
            sum.bytes += part.bytes;
        }
    }
}
