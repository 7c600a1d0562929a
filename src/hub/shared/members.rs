//! The members of a room: a message is queued for each of them, or kept for those that lag.
//!
//! ```text
//!             its queue is full               ┌── it is too far behind: closed
//!   member ─────────────────────► lagging ────┤
//!     ▲                                       └── it has been sent everything ──┐
//!     └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The lock of the room decides, and is held while a message is queued or kept. So a member gets
//! each message once, in the order of the room, whatever it is at the moment. The driver of a member that lags
//! takes what is kept for it, as fast as the peer reads ([`Source`]).

use std::sync::Arc;

use super::{FEW, MemberId, Registry, RoomShared, Sent, State};
use crate::config::Overflow;
use crate::hub::counters::Counts;
use crate::hub::lag::{Lag, Limits};
use crate::protocol::Prepared;
use crate::shrink::shrink;
use crate::socket::shared::{Full, Pushed, Shared, Source};

/// All rooms of a hub together keep at most as much as so many of them may alone.
const ROOMS: usize = 4;

impl RoomShared {
    /// Queues a message for all members but one, or keeps it for those whose queues are full.
    pub(in crate::hub) fn hand_out(
        self: &Arc<Self>,
        hub: &Registry,
        state: &mut State,
        message: &Prepared,
        except: Option<MemberId>,
        overflow: Overflow,
    ) -> Sent {
        let source = || -> Arc<dyn Source> { self.clone() };
        let source = (hub.settings.lag_limit > 0).then_some(&source as _);
        let mut sent = Sent::default();
        let mut full = vec![];
        let payload = message.message().len();
        let in_run = match state.members.is_empty() {
            true => None,
            false => state.last_run.append(message),
        };
        for (id, member) in &state.members {
            if Some(*id) == except {
                continue;
            }
            if let Some(frame) = &in_run
                && member.push_in_run(frame, payload, overflow)
            {
                sent.queued += 1;
                continue;
            }
            match member.deliver_or_lag(message, overflow, source) {
                Ok(Pushed::Queued) => sent.queued += 1,
                Ok(Pushed::Dropped | Pushed::Closed) => sent.missed += 1,
                Err(Full) => full.push(*id),
            }
        }
        match (overflow, &state.lag) {
            (_, None) if full.is_empty() => {}
            (Overflow::Close | Overflow::Wait, _) => {
                keep(hub, state, message, except, full, &mut sent);
            }
            // It would stand behind all that is kept for them, and might be what closes them.
            (Overflow::DropNewest | Overflow::DropOldest, lag) => {
                let lagging = lag.iter().flat_map(|lag| lag.members());
                sent.missed += lagging.filter(|(id, _)| Some(**id) != except).count();
            }
        }
        sent
    }
}

/// Keeps a message for the members that lag, and for those whose queues are full.
#[cold]
fn keep(
    hub: &Registry,
    state: &mut State,
    message: &Prepared,
    except: Option<MemberId>,
    full: Vec<MemberId>,
    sent: &mut Sent,
) {
    let limits = Limits {
        room: hub.settings.lag_limit,
        total: hub.settings.lag_limit.saturating_mul(ROOMS),
        // A repair may bring as much at once as the room keeps.
        free: state.log.as_ref().map_or(0, |log| log.ring.len()),
    };
    let State { members, lag, .. } = state;
    let kept = lag.get_or_insert_with(|| Box::new(Lag::new(hub.counts.lag_bytes.clone())));
    Counts::add_many(&hub.counts.lagged, full.len());
    let begin = full.into_iter();
    let begin = begin.filter_map(|id| Some((id, members.remove(&id)?)));
    let message = (message.clone(), message.message().len());
    let lost = kept.keep(message, except, begin.collect(), limits);
    let is_exception = except.is_some_and(|id| kept.contains(id));
    sent.queued += kept.len() - usize::from(is_exception);
    if kept.is_empty() {
        *lag = None;
    }
    Counts::add_many(&hub.counts.too_slow, lost.len());
    for (id, socket) in lost {
        socket.close_too_slow();
        sent.missed += usize::from(Some(id) != except);
        // Until the connection has ended.
        members.insert(id, socket);
    }
}

impl Source for RoomShared {
    fn refill(self: Arc<Self>, socket: &Shared) {
        let id = MemberId::at(socket);
        let source = || -> Arc<dyn Source> { self.clone() };
        let mut state = self.lock();
        let State { members, lag, .. } = &mut *state;
        // It may have left meanwhile, and its room may have nothing kept.
        let Some(kept) = lag else { return };
        let Some(messages) = kept.messages(id) else {
            return;
        };
        let (mut sent_until, mut is_full) = (None, false);
        for (after, message) in messages {
            match socket.push_lagging(message, &source) {
                Ok(Pushed::Queued) => sent_until = Some(after),
                // It is closing: it is a member until it has ended, and nothing is kept for it.
                Ok(Pushed::Dropped | Pushed::Closed) => break,
                Err(Full) => {
                    is_full = true;
                    break;
                }
            }
        }
        if is_full {
            if let Some(place) = sent_until {
                kept.advance(id, place);
            }
            return;
        }
        if let Some(socket) = kept.remove(id) {
            members.insert(id, socket);
        }
        if kept.is_empty() {
            *lag = None;
        }
    }
}

impl State {
    /// Adds a member; returns whether it is a new one.
    pub(in crate::hub) fn add(&mut self, socket: &Arc<Shared>) -> bool {
        let id = MemberId::of(socket);
        self.quiet_since = None;
        let lags = self.lag.as_ref().is_some_and(|lag| lag.contains(id));
        !lags && self.members.insert(id, socket.clone()).is_none()
    }

    /// Takes a member out.
    pub(in crate::hub) fn take_out(&mut self, id: MemberId) -> Option<Arc<Shared>> {
        let removed = self.members.remove(&id);
        shrink(&mut self.members, FEW);
        if removed.is_some() {
            return removed;
        }
        let lag = self.lag.as_deref_mut()?;
        let removed = lag.remove(id);
        if lag.is_empty() {
            self.lag = None;
        }
        removed
    }

    /// Takes all members out.
    pub(in crate::hub) fn take_all(&mut self) -> Vec<Arc<Shared>> {
        let members = self.members.drain().map(|(_, socket)| socket);
        let lagging = self.lag.take().map(|lag| lag.into_members());
        let lagging = lagging.into_iter().flatten().map(|(_, socket)| socket);
        members.chain(lagging).collect()
    }

    /// Returns all members, or the one of this id. Their connections are closed without the lock.
    pub(in crate::hub) fn members(&self, only: Option<MemberId>) -> Vec<Arc<Shared>> {
        let lagging = self.lag.iter().flat_map(|lag| lag.members());
        let all = self.members.iter().chain(lagging);
        let wanted = all.filter(|(id, _)| only.is_none_or(|only| only == **id));
        wanted.map(|(_, socket)| socket.clone()).collect()
    }

    /// The number of members.
    pub(in crate::hub) fn len(&self) -> usize {
        self.members.len() + self.lag.as_ref().map_or(0, |lag| lag.len())
    }
}
