//! The lease of this server, by which its entries in rosters live. A plain structure.

use super::call::Beat;
use super::scripts::Beaten;

/// Whether this server keeps a lease, and what it knows of it.
#[derive(Debug)]
pub(super) struct Lease {
    state: State,
    /// A beat is to be sent.
    is_due: bool,
    /// The number of the last beat.
    beats: u64,
    /// The number of the beat that has found the lease to be over, as this server last heard.
    known_loss: u64,
}

/// ```text
///   Unused ── a room is entered or read ──► Begins ── a beat was answered ──► Held
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No room was entered on this server, nor was it asked for the people in one.
    Unused,
    /// The first beat is to come. There is no lease that could have been lost.
    Begins,
    Held,
}

impl Lease {
    pub(super) fn new() -> Self {
        Lease {
            state: State::Unused,
            is_due: false,
            beats: 0,
            known_loss: 0,
        }
    }

    /// Whether this server may have entries.
    pub(super) fn is_used(&self) -> bool {
        self.state != State::Unused
    }

    pub(super) fn is_held(&self) -> bool {
        self.state == State::Held
    }

    /// The server has entries from now on. The first beat goes before the first entry, which would
    /// have no lease otherwise.
    pub(super) fn begin(&mut self) {
        if self.state == State::Unused {
            self.state = State::Begins;
            self.is_due = true;
        }
    }

    /// It is time for a beat, if there is a lease.
    pub(super) fn tick(&mut self) {
        self.is_due = self.is_used();
    }

    /// A beat was not answered.
    pub(super) fn missed(&mut self) {
        self.is_due = true;
    }

    /// Takes the beat that is due.
    pub(super) fn next(&mut self) -> Option<Beat> {
        std::mem::take(&mut self.is_due).then(|| self.beat(false))
    }

    /// A beat; `stops` takes all entries of this server out of the rosters.
    pub(super) fn beat(&mut self, stops: bool) -> Beat {
        self.beats += 1;
        Beat {
            number: self.beats,
            known_loss: self.known_loss,
            stops,
        }
    }

    /// A beat was answered. Returns whether the lease was over meanwhile: then the entries are gone.
    pub(super) fn beaten(&mut self, beaten: Option<Beaten>) -> bool {
        let loss = beaten.map_or(0, |beaten| beaten.loss);
        // A call removes some entries of a server that is gone. The next one goes on.
        self.is_due |= beaten.is_some_and(|beaten| !beaten.is_clean);
        let is_lost = loss != 0 && self.is_held();
        self.state = State::Held;
        if loss != 0 {
            self.known_loss = loss;
        }
        is_lost
    }
}
