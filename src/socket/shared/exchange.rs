//! What the driver exchanges with the handles: messages in, frames out, and the
//! end.

use std::sync::{Arc, MutexGuard};
use std::task::{Context, Waker};

use crate::error::{CloseCause, Error};
use crate::protocol::{Outbox, Pongs, Writer};
use crate::socket::driver::buffers::{self, Buffers};
use crate::socket::driver::handler::Ending;
use crate::socket::driver::turn::Receiving;
use crate::socket::shared::cork::Cork;
use crate::socket::shared::driver_task::{DriverTask, Phase};
use crate::socket::shared::inbox::Inbox;
use crate::socket::shared::{Shared, State};

impl Shared {
    /// Takes what is queued and what lies on the desk into `writing`, which is
    /// written, and behind it the answers to pings and a ping of our own. Wakes
    /// whoever waited for room or for the flush; says whether the driver's own task
    /// was among them.
    pub(in crate::socket) fn take_outbox(
        &self,
        cork: &mut Cork,
        writing: &mut Box<Outbox>,
        control: &mut Control,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        state.written = state.taken;
        if !control.is_empty() {
            let (writer, outbox) = state.output();
            for payload in control.pongs.drain() {
                writer.pong(&payload, outbox);
            }
            if let Some(payload) = control.ping.take() {
                let _ = writer.ping(&payload, outbox);
            }
        }
        self.take_all(cork, &mut state, writing);
        let taken = u32::from(!writing.is_empty());
        state.taken = state.taken.wrapping_add(taken);
        self.wake_satisfied(state, cx)
    }

    /// Hands messages over to `recv`; says whether the driver's own task waits
    /// for them. Pings that came with them are answered before what the handler
    /// has to say to the messages.
    pub(in crate::socket) fn publish(
        &self,
        batch: &mut Option<Box<Inbox>>,
        pongs: &mut Pongs,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        self.answer(&mut state, pongs);
        if let Some(batch) = batch {
            state.received.add(batch.len(), batch.bytes());
        }
        match (&mut state.inbox, batch) {
            (_, Some(batch)) if self.is_socket_dropped() => {
                batch.clear();
                return Repoll::No;
            }
            (Some(inbox), Some(batch)) if !inbox.is_empty() => inbox.append(batch),
            (inbox, batch) => std::mem::swap(inbox, batch),
        }
        let receiver = state.receiver.take();
        drop(state);
        Repoll::unless_woken(receiver, cx)
    }

    /// Queues the answers to pings.
    pub(in crate::socket) fn answer(&self, state: &mut State, pongs: &mut Pongs) {
        if pongs.is_empty() {
            return;
        }
        let (writer, outbox) = state.output();
        for payload in pongs.drain() {
            writer.pong(&payload, outbox);
        }
        self.look(state);
    }

    /// Ends the receiving half with a cause, unless there is one.
    pub(in crate::socket) fn end_receiving(
        &self,
        cause: CloseCause,
        error: Option<Error>,
        change: impl FnOnce(&mut Writer, &mut Outbox),
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        if state.ending.is_none() {
            state.ending = Some(Box::new(Ending { cause, error }));
        }
        let (writer, outbox) = state.output();
        change(writer, outbox);
        self.look(&state);
        let receiver = state.receiver.take();
        let own = self.wake_satisfied(state, cx);
        own.or(Repoll::unless_woken(receiver, cx))
    }

    /// All that was taken has been written.
    pub(in crate::socket) fn all_written(&self) {
        let mut state = self.lock();
        state.written = state.taken;
    }

    /// The connection has ended: tells everybody.
    pub(in crate::socket) fn end(
        self: &Arc<Self>,
        cause: CloseCause,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        if state.phase.has_ended() {
            return Repoll::No;
        }
        state.phase = Phase::Ended;
        state.begin_ending(cause);
        state.writer.received_end();
        state.discard_output();
        if let Some(streams) = &mut state.streams {
            streams.behind = None;
        }
        self.set_in_flight(0);
        self.look(&state);
        let receiver = state.receiver.take();
        let watchers = std::mem::take(&mut state.watchers);
        let own = self.wake_satisfied(state, cx);
        for watcher in watchers {
            watcher.ended(self);
        }
        own.or(Repoll::unless_woken(receiver, cx))
    }

    /// Waits until it is woken, unless there is something to do after all.
    /// Takes back what an idle connection does not need.
    pub(in crate::socket) fn park(
        &self,
        buffers: &mut Buffers,
        receiving: Receiving,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        self.uncork(buffers.cork(), &mut state);
        self.set_in_flight(buffers.writing.len());
        let blocked = !buffers.is_written();
        if !blocked {
            state.written = state.taken;
        }
        if !state.waiting.is_empty() {
            let own = self.wake_satisfied(state, cx);
            if own == Repoll::Yes {
                return own;
            }
            state = self.lock();
        }
        // From here on the lock is held: whoever came before has not woken this
        // task, which was not parked, and whoever comes after does.
        let called = state.sleep == DriverTask::Notified;
        state.sleep = DriverTask::Running;
        let changed = match receiving {
            // The handler has begun the end: its deadline begins too.
            Receiving::Open => state.ending.is_some(),
            Receiving::Stalled => state.ending.is_some() || !state.inbox_room().is_empty(),
            Receiving::Over => false,
        };
        if called || changed || !blocked && state.has_output() || state.phase == Phase::Aborted {
            return Repoll::Yes;
        }
        if !state.has_output()
            && let Some(outbox) = state.outbox.take()
        {
            buffers::give_outbox(outbox);
        }
        if !state.has_input()
            && let Some(inbox) = state.inbox.take()
            && let Some(inbox) = buffers.batch.replace(inbox)
        {
            buffers::give_inbox(inbox);
        }
        state.sleep = DriverTask::Idle;
        match &state.driver {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => state.driver = Some(cx.waker().clone()),
        }
        Repoll::No
    }

    /// Only the handler is left: waits until that is woken, or is to end too.
    pub(in crate::socket) fn park_handler(&self, cx: &mut Context<'_>) -> Repoll {
        let mut state = self.lock();
        if state.phase == Phase::Forsaken {
            return Repoll::Yes;
        }
        state.sleep = DriverTask::Idle;
        state.driver = Some(cx.waker().clone());
        Repoll::No
    }

    /// Unlocks and wakes those who have got what they waited for; says whether
    /// the driver's own task is among them.
    #[inline]
    fn wake_satisfied(&self, state: MutexGuard<'_, State>, cx: &mut Context<'_>) -> Repoll {
        match state.waiting.is_empty() {
            true => Repoll::No,
            false => self.wake_satisfied_slow(state, cx),
        }
    }

    #[inline(never)]
    fn wake_satisfied_slow(
        &self,
        mut state: MutexGuard<'_, State>,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut waiting = std::mem::take(&mut state.waiting);
        let satisfied: Vec<_> = waiting
            .members()
            .extract_if(.., |waiting| state.has(waiting.want, self))
            .collect();
        state.waiting = waiting;
        drop(state);
        satisfied.into_iter().fold(Repoll::No, |own, waiting| {
            own.or(Repoll::unless_woken(Some(waiting.waker), cx))
        })
    }
}

/// Control frames on their way out.
#[derive(Default)]
pub(in crate::socket) struct Control {
    pub(in crate::socket) pongs: Pongs,
    /// The payload of a ping of our own.
    pub(in crate::socket) ping: Option<[u8; 8]>,
}

impl Control {
    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.pongs.is_empty() && self.ping.is_none()
    }
}

/// Whether the task that the driver runs in has something new to look at: it is
/// polled again then, instead of being woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(in crate::socket) enum Repoll {
    No,
    Yes,
}

impl Repoll {
    pub(in crate::socket) fn or(self, other: Self) -> Self {
        match self {
            Repoll::Yes => self,
            Repoll::No => other,
        }
    }

    /// Wakes `waker`, unless it is the driver's own.
    pub(in crate::socket) fn unless_woken(waker: Option<Waker>, cx: &mut Context<'_>) -> Self {
        match waker {
            Some(waker) if waker.will_wake(cx.waker()) => Repoll::Yes,
            Some(waker) => {
                waker.wake();
                Repoll::No
            }
            None => Repoll::No,
        }
    }
}
