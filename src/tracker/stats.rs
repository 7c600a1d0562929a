//! The counts of a tracker.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::CloseCause;
pub use crate::socket::shared::Traffic;

/// Everything that a [`Tracker`](super::Tracker) has counted since it was created.
///
/// All fields but `open` only ever grow: collectors of metrics call that a counter.
/// `accepted` always equals `open` plus the sum of `ended`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Accepted handshakes.
    pub accepted: u64,
    /// Sockets that are open now. A handshake counts from the moment at which it is
    /// accepted.
    pub open: u64,
    /// Rejected handshakes, by the status of the response.
    ///
    /// What a handler refuses by [`Upgrade::refuse`](crate::Upgrade::refuse) is counted. Two kinds
    /// are not counted. One is a handshake that a handler answers with a response of its own. The
    /// other is a handshake that the axum extractor, or your own call of
    /// [`from_request`](crate::Upgrade::from_request), rejects: no tracker is set at that time.
    pub refused: BTreeMap<u16, u64>,
    /// Connections that have ended, by the [name](CloseCause::name) of the cause.
    pub ended: BTreeMap<&'static str, u64>,
    /// Messages received on all sockets.
    pub received: Traffic,
    /// Messages queued for sending on all sockets.
    pub sent: Traffic,
}

/// A connection that has ended: see [`Tracker::on_end`](super::Tracker::on_end).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// The cause of the end.
    pub cause: CloseCause,
    /// The time from the answer to the handshake until the end of the connection.
    pub duration: Duration,
    /// The messages received.
    pub received: Traffic,
    /// The messages queued for sending.
    pub sent: Traffic,
}

impl Stats {
    /// Counts a connection that has ended.
    pub(super) fn end(&mut self, ended: &Ended) {
        *self.ended.entry(ended.cause.name()).or_default() += 1;
        self.add(ended.received, ended.sent);
    }

    /// Adds the messages of one connection.
    pub(super) fn add(&mut self, received: Traffic, sent: Traffic) {
        for (sum, part) in [(&mut self.received, received), (&mut self.sent, sent)] {
            sum.messages += part.messages;
            sum.bytes += part.bytes;
        }
    }
}
