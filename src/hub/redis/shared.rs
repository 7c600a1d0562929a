//! What the tasks of an engine share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::address::Address;
use super::call::Probe;
use super::health::Health;
use super::interest::Interest;
use super::names::Names;
use crate::hub::backplane::{Entry, Inbound, Past, Read, ReadPeople};
use crate::hub::position::Tags;

/// What the line and the publisher share.
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) names: Names,
    pub(super) patience: Duration,
    pub(super) response_timeout: Duration,
    pub(super) inbound: Inbound,
    pub(super) health: Health,
    pub(super) interest: Arc<Channels>,
    /// The number of the line's connection, from 1; 0 while it has none that hears probes.
    pub(super) line: AtomicU64,
    /// The line is to be replaced.
    pub(super) replace_line: Notify,
    /// The publisher's connection is to be replaced.
    pub(super) replace_publisher: Notify,
    /// The publisher is to probe now.
    pub(super) probe: Notify,
    pub(super) random: Tags,
    /// Whether a message has come that this release cannot read.
    pub(super) has_unreadable: AtomicBool,
    /// Answers that the line gives, behind what it has to hear before.
    pub(super) answers: mpsc::UnboundedSender<Answer>,
}

impl Shared {
    /// The connection of the line that hears probes.
    pub(super) fn hearing_line(&self) -> Option<u64> {
        match self.line.load(Ordering::Relaxed) {
            0 => None,
            line => Some(line),
        }
    }

    /// A message has come, or a log has been met, that this release cannot read. It is counted, and
    /// logged once.
    pub(super) fn unreadable(&self) {
        self.inbound.unreadable();
        if !self.has_unreadable.swap(true, Ordering::Relaxed) {
            #[cfg(feature = "tracing")]
            tracing::warn!(
                "what another server has written cannot be read (is its release newer than this \
                 one? then set `Redis::write_version` there)"
            );
        }
    }

    /// Leaves an answer to the line.
    pub(super) fn answer(&self, answer: Answer) {
        if let Err(mpsc::error::SendError(answer)) = self.answers.send(answer) {
            answer.give();
        }
    }
}

/// Forgets a bell that has rung. Returns whether it had.
pub(super) async fn forget(bell: &Notify) -> bool {
    tokio::select! {
        biased;
        () = bell.notified() => true,
        () = std::future::ready(()) => false,
    }
}

/// The channels, as the hub wants them, and a bell for the line.
#[derive(Default)]
pub(super) struct Channels {
    interest: Mutex<Interest>,
    pub(super) changed: Notify,
}

impl Channels {
    pub(super) fn lock(&self) -> MutexGuard<'_, Interest> {
        self.interest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that must not be given before the line has heard all that was said until then.
pub(super) enum Answer {
    Read(Read, Past),
    People(ReadPeople, Vec<Entry>),
    /// The publisher has sent a probe.
    Probe(Probe),
}

impl Answer {
    pub(super) fn room(&self) -> Option<&str> {
        match self {
            Answer::Read(read, _) => Some(read.room()),
            Answer::People(people, _) => Some(people.room()),
            Answer::Probe(_) => None,
        }
    }

    pub(super) fn give(self) {
        match self {
            Answer::Read(read, past) => read.done(Ok(past)),
            Answer::People(people, entries) => people.done(Ok(entries)),
            Answer::Probe(_) => {}
        }
    }
}
