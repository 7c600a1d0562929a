//! The task of a connection: one future that owns the IO, reads, runs the
//! handler, writes and keeps the deadlines.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::Outcome;
use super::alarm::Alarm;
use super::desk;
use super::ending::{finish_handler, log_end};
use super::exchange::OwnTask;
use super::fair::yield_now;
use super::phase::Phase;
use super::shared::Shared;
use super::timers::{Action, Timers};
use super::turn::{Receiving, Turn};
use super::wire::{End, Received, Sent, Wire};
use crate::CloseCode;
use crate::error::{CloseCause, ErrorKind};
use crate::protocol::Reader;
use crate::tracker::Permit;

/// How often one poll goes round before others get their turn, if it does not
/// take too [long](Turn::is_long) before that.
const ROUNDS: usize = 32;

pin_project! {
    /// The future of a connection. It is done when the connection has ended and
    /// the handler has returned. Dropping it cuts the connection off.
    ///
    /// One turn: read and parse; poll the handler; write what is queued; again,
    /// while there is something to read. Then look at the timer and wait.
    #[must_use = "a connection does nothing unless its future is polled"]
    pub struct Drive<T, H> {
        shared: Arc<Shared>,
        wire: Option<Wire<T>>,
        stage: Stage,
        timers: Timers,
        #[pin]
        alarm: Alarm,
        #[pin]
        handler: Option<H>,
        permit: Option<Box<Permit>>,
    }

    impl<T, H> PinnedDrop for Drive<T, H> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.wire.is_none() {
                return;
            }
            // Cut off from outside: whoever still holds a handle must learn of it.
            let mut nobody = Context::from_waker(Waker::noop());
            let _ = this.shared.end(CloseCause::Aborted, &mut nobody);
        }
    }
}

/// ```text
///   Open ── both close frames through, output written ──► Lingering
///    │                                                        │ end of input,
///    │ end of input, IO failure, deadline, abort              │ deadline
///    ▼                                                        ▼
///   Ended ◄───────────────────────────────────────────────────┘
/// ```
///
/// Lingering: RFC 6455, section 7.1.1: the server closes first, but a socket
/// that is closed with unread bytes is reset, and the peer may lose our close
/// frame. So we send FIN, and read and discard what still comes. A client "SHOULD
/// wait for a TCP Close from the server", so that TIME_WAIT is the server's and
/// not the client's, whose ports it would use up.
///
/// Elsewhere: another task drives the connection; only a handler runs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    Lingering { fin: Fin },
    Ended,
    Elsewhere,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fin {
    Due,
    Sent,
}

impl<T, H> Drive<T, H> {
    pub(super) fn new(
        io: T,
        reader: Reader,
        shared: Arc<Shared>,
        handler: Option<H>,
        permit: Option<Permit>,
    ) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let now = Instant::now();
        if let Some(permit) = &permit {
            permit.attach(&shared);
        }
        Drive {
            timers: Timers::new(now, &shared.config),
            wire: Some(Wire::new(io, reader)),
            stage: Stage::Open,
            alarm: Alarm::default(),
            handler,
            permit: permit.map(Box::new),
            shared,
        }
    }

    /// Nothing to drive: another task does that.
    pub(super) fn elsewhere(shared: Arc<Shared>) -> Self {
        Drive {
            timers: Timers::new(Instant::now(), &shared.config),
            wire: None,
            stage: Stage::Elsewhere,
            alarm: Alarm::default(),
            handler: None,
            permit: None,
            shared,
        }
    }

    /// Goes on with another handler. The timer is armed anew.
    pub(super) fn manage<G>(mut self: Pin<Box<Self>>, handler: G) -> Drive<T, G> {
        let this = self.as_mut().project();
        Drive {
            timers: this.timers.clone(),
            wire: this.wire.take(),
            stage: *this.stage,
            alarm: Alarm::default(),
            handler: Some(handler),
            permit: this.permit.take(),
            shared: this.shared.clone(),
        }
    }
}

impl<T, H> Future for Drive<T, H>
where
    T: AsyncRead + AsyncWrite + Unpin,
    H: Future,
    H::Output: Outcome,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.stage == Stage::Elsewhere {
            // What is shared says whether that other task sleeps: hands off.
            self.as_mut().poll_handler(cx);
            return match self.handler {
                Some(_) => Poll::Pending,
                None => Poll::Ready(()),
            };
        }
        let mut turn = Turn::default();
        self.as_mut().begin_turn(&mut turn, cx);
        for round in 0..ROUNDS {
            // Mostly there are two, and the second finds that nothing more came.
            if round > 1 && turn.is_long() {
                break;
            }
            let mut progress = false;
            if self.stage == Stage::Open {
                progress |= self.as_mut().receive(&mut turn, cx);
            }
            if turn.take_own() {
                self.as_mut().poll_handler(cx);
            }
            if self.stage == Stage::Open {
                progress |= self.as_mut().transmit(&mut turn, cx);
            } else if let Stage::Lingering { fin } = self.stage {
                self.as_mut().linger(fin, cx);
            }
            if self.stage == Stage::Ended {
                self.as_mut().end(&mut turn, cx);
                if self.handler.is_none() {
                    *self.as_mut().project().permit = None;
                    return Poll::Ready(());
                }
                if turn.own == OwnTask::Idle && self.shared.park_handler(cx) == OwnTask::Idle {
                    return Poll::Pending;
                }
                continue;
            }
            if progress || turn.own == OwnTask::Ready || self.as_mut().poll_timer(&mut turn, cx) {
                continue;
            }
            let this = self.as_mut().project();
            let Some(wire) = this.wire else { continue };
            turn.own = this.shared.park(wire.lent(), turn.receiving, cx);
            if turn.own == OwnTask::Idle {
                wire.park();
                return Poll::Pending;
            }
        }
        // It is the others' turn. Who never stops does not outrun the deadlines.
        let _ = self.as_mut().poll_timer(&mut turn, cx);
        if let Some(wire) = self.project().wire {
            wire.park();
        }
        yield_now(cx);
        Poll::Pending
    }
}

impl<T, H> Drive<T, H>
where
    T: AsyncRead + AsyncWrite + Unpin,
    H: Future,
    H::Output: Outcome,
{
    fn begin_turn(mut self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) {
        let this = self.as_mut().project();
        {
            let mut state = this.shared.lock();
            if let Some(wire) = this.wire {
                wire.lent().desk().assign(this.shared, &state);
            }
            turn.same_task = state.unpark(cx);
            if !turn.same_task {
                state.move_driver(cx.waker());
            }
            turn.demand = state.demand();
        }
        if turn.demand.is_none() {
            *this.stage = Stage::Ended;
            self.end(turn, cx);
        }
    }

    /// Reads and parses, if there is room; says whether anything came of it.
    fn receive(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let Some(wire) = this.wire else { return false };
        if let Some(end) = wire.lent().ended.take() {
            turn.end_receiving(this.shared, this.stage, end, cx);
            return true;
        }
        if wire.reader.is_ended() {
            return false;
        }
        let demand = match turn.demand.take() {
            Some(demand) => Some(demand),
            None => this.shared.lock().demand(),
        };
        let Some(demand) = demand else {
            *this.stage = Stage::Ended;
            // Aborted: the handler is not polled again.
            turn.own = OwnTask::Idle;
            return false;
        };
        turn.receiving = demand.into();
        if turn.receiving == Receiving::Stalled {
            this.timers.stall();
            return false;
        }
        this.timers.resume(|| turn.now());
        // Parts may have arrived before they were wanted.
        if turn.dry && !demand.is_in_parts() {
            return false;
        }
        let mut received = Received::default();
        let published = wire.receive(this.shared, demand, &mut received, cx);
        turn.wake_own(published);
        // What was left from before counts like what was read just now: it may
        // be the beginning of a frame, or a pong, and nothing was read after it.
        let progress = received.read || received.left_over;
        if progress {
            let now = turn.now();
            if received.frames > 0 {
                if let (Some((payload, sent)), Some(pong)) = (this.timers.ping(), &received.pong)
                    && pong[..] == payload
                {
                    this.shared.lock().set_latency(now - sent);
                }
                this.timers.frame_received(now);
            }
            // What is half received began with this read, if something ended
            // in it and no message was under way all the time.
            let anew = received.messages || received.frames > 0 && !wire.reader.is_within_message();
            match (wire.reader.is_between_messages(), anew) {
                _ if demand.is_untimed() => this.timers.part_received(now),
                (true, _) => this.timers.message_ended(),
                (false, true) => this.timers.message_began(now),
                (false, false) => this.timers.message_continues(now),
            }
        }
        let Some(end) = received.end else {
            turn.dry = !progress;
            return progress;
        };
        let pings = !wire.lent().control.pongs.is_empty();
        if received.messages || received.part || pings && matches!(end, End::Close(_)) {
            // What came before it is answered before it.
            wire.lent().ended = Some(end);
        } else {
            turn.end_receiving(this.shared, this.stage, end, cx);
        }
        true
    }

    fn poll_handler(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        if let Some(handler) = this.handler.as_mut().as_pin_mut() {
            let mut lent = this.wire.as_mut().map(|it| it.lent());
            if let Some(lent) = &mut lent {
                lent.lay_desk();
            }
            // Whatever a panic has left behind is dropped and never looked at.
            let polled = catch_unwind(AssertUnwindSafe(|| {
                handler.poll(cx).map(Outcome::into_result)
            }));
            if let Some(lent) = &mut lent {
                desk::swap(&mut lent.desk);
            }
            let outcome = match polled {
                Ok(Poll::Pending) => None,
                Ok(Poll::Ready(result)) => Some(Ok(result)),
                Err(panic) => Some(Err(panic)),
            };
            if let Some(outcome) = outcome {
                let dropped = catch_unwind(AssertUnwindSafe(|| this.handler.set(None)));
                let outcome = outcome.and_then(|result| dropped.map(|()| result));
                finish_handler(this.shared, outcome);
            }
        }
        // A `WebSocket` that is dropped ends the conversation, in whatever task
        // that is; but a handler's error or panic comes first.
        if this.shared.is_abandoned() {
            let mut state = this.shared.lock();
            let code = CloseCode::NORMAL;
            this.shared
                .close_locked(&mut state, CloseCause::Local(code), code, "");
        }
    }

    /// Writes; says whether anything was written.
    fn transmit(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let Some(wire) = this.wire else { return false };
        let mut sent = Sent::default();
        let written = wire.poll_transmit(this.shared, &mut sent, cx);
        turn.wake_own(sent.own);
        match written {
            Poll::Pending if sent.progress => this.timers.write_blocked(turn.now()),
            Poll::Pending => this.timers.write_still_blocked(turn.now()),
            Poll::Ready(Ok(())) => {
                this.timers.written(|| turn.now());
                // The reader ends with the peer's close frame or a violation;
                // what answers it has been written by now.
                if wire.reader.is_ended() && wire.lent().ended.is_none() {
                    *this.stage = Stage::Lingering { fin: Fin::Due };
                    return true;
                }
            }
            Poll::Ready(Err(error)) => {
                // What the peer said before it left is the cause.
                if let Some(end) = wire.lent().ended.take() {
                    turn.end_receiving(this.shared, this.stage, end, cx);
                }
                turn.end_receiving(this.shared, this.stage, End::Failed(error), cx);
            }
        }
        sent.progress
    }

    fn linger(self: Pin<&mut Self>, fin: Fin, cx: &mut Context<'_>) {
        let this = self.project();
        let Some(wire) = this.wire else { return };
        if fin == Fin::Due {
            if wire.reader.side().closes_tcp_last() && wire.poll_discard(cx).is_pending() {
                return;
            }
            match wire.poll_shutdown(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => *this.stage = Stage::Lingering { fin: Fin::Sent },
                Poll::Ready(Err(_)) => {
                    *this.stage = Stage::Ended;
                    return;
                }
            }
        }
        if wire.poll_discard(cx).is_ready() {
            *this.stage = Stage::Ended;
        }
    }

    /// Looks at the deadlines; says whether something came of it.
    fn poll_timer(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let mut this = self.project();
        let Some(wire) = this.wire else { return false };
        let config = &this.shared.config;
        if turn.receiving == Receiving::Over {
            this.timers.close_began(|| turn.now());
        }
        let known = turn.now.filter(|_| turn.same_task);
        if !this.timers.take_nearer() && this.alarm.is_ahead(known) {
            return false;
        }
        let within = wire.reader.is_within_payload();
        loop {
            let next = this.timers.next(config, within);
            if this.alarm.as_mut().poll(next, known, cx).is_pending() {
                return false;
            }
            let now = Instant::now();
            turn.now = Some(now);
            let Some(action) = this.timers.due(now, config, within) else {
                continue;
            };
            let (cause, kind, code, reason) = match action {
                Action::Ping => {
                    wire.ping(this.timers.pinged(now, config));
                    return true;
                }
                Action::MessageTimeout => (
                    CloseCause::MessageTimeout,
                    ErrorKind::MessageTimeout,
                    CloseCode::POLICY_VIOLATION,
                    "a message was not finished in time",
                ),
                Action::PingTimeout => (
                    CloseCause::PingTimeout,
                    ErrorKind::PingTimeout,
                    CloseCode::INTERNAL_ERROR,
                    "a ping was not answered in time",
                ),
                Action::WriteTimeout | Action::CloseTimeout => (
                    CloseCause::WriteTimeout,
                    ErrorKind::WriteTimeout,
                    CloseCode::POLICY_VIOLATION,
                    "",
                ),
            };
            let own = this.shared.end_receiving(
                cause,
                Some(kind.into()),
                |writer, outbox| _ = writer.close(code, reason, outbox),
                cx,
            );
            turn.wake_own(own);
            turn.receiving = Receiving::Over;
            // A peer that sends too slowly is there and may answer the close
            // frame. One that is silent or does not read is given up; should it
            // be there after all, this is the last that it hears.
            if action != Action::MessageTimeout {
                let _ = wire.poll_transmit(this.shared, &mut Sent::default(), cx);
                *this.stage = Stage::Ended;
            }
            return true;
        }
    }

    /// Lets go of the IO and tells everybody.
    fn end(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) {
        let mut this = self.project();
        let phase = this.shared.lock().phase;
        if let Some(mut wire) = this.wire.take() {
            if wire.is_written() {
                this.shared.all_written();
            }
            wire.park();
            turn.wake_own(this.shared.end(CloseCause::Lost, cx));
            this.alarm.stop();
            log_end(this.shared);
        }
        if matches!(phase, Phase::Aborted | Phase::Forsaken) {
            let _ = catch_unwind(AssertUnwindSafe(|| this.handler.set(None)));
        }
    }
}
