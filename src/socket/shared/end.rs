//! The end of a connection.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::cork::Cork;
use super::driver_task::Repoll;
use super::{Locked, Observer, Shared, State, WaitFor, WaiterId};
use crate::CloseCode;
use crate::close::CloseFrame;
use crate::error::{CloseCause, Error, Violation};
use crate::protocol::Role;

/// The event that ended the receiving half.
#[derive(Debug)]
pub(in crate::socket) enum ReadEnd {
    /// The peer's close frame.
    Close(Option<CloseFrame>),
    /// The peer broke the protocol or a limit.
    Violation(Violation),
    /// The peer will send nothing more.
    Eof,
    /// The IO failed.
    Failed(io::Error),
}

impl ReadEnd {
    /// Whether the IO can be dropped at once.
    pub(in crate::socket) fn is_final(&self) -> bool {
        matches!(self, ReadEnd::Eof | ReadEnd::Failed(_))
    }
}

impl Shared {
    /// Begins the closing handshake; returns whether this call did.
    pub(crate) fn close(&self, cause: CloseCause, code: CloseCode, reason: &str) -> bool {
        let mut state = self.lock();
        let was_receiving = state.life.may_receive();
        let began = self.begin_close(&mut state, cause, code, reason);
        // `poll_close` calls this on every poll: wake the driver the first time only.
        if was_receiving {
            self.wake_all(state);
        }
        began
    }

    /// Begins the closing handshake with an empty close frame.
    pub(in crate::socket) fn close_empty(&self) {
        let mut state = self.lock();
        let was_receiving = state.life.may_receive();
        let cause = CloseCause::Local(CloseCode::NORMAL);
        if state.life.begin_end(cause, None) {
            state.queue.close_empty();
        }
        if was_receiving {
            self.wake_all(state);
        }
    }

    /// Returns whether this side is the client.
    pub(in crate::socket) fn is_client(&self) -> bool {
        matches!(self.look().queue.role(), Role::Client { .. })
    }

    /// A message that was being sent in chunks was dropped before its end: closes. After a
    /// failed write nothing is sent anyway, and what has arrived is still received.
    pub(in crate::socket) fn close_unfinished(&self, code: CloseCode, reason: &str) {
        let mut state = self.lock();
        if state.life.is_open() {
            self.begin_close(&mut state, CloseCause::Unfinished, code, reason);
            self.wake(state);
        }
    }

    pub(super) fn begin_close(
        &self,
        state: &mut State,
        cause: CloseCause,
        code: CloseCode,
        reason: &str,
    ) -> bool {
        if !state.life.begin_end(cause, None) {
            return false;
        }
        state.queue.close(code, reason);
        true
    }

    /// Aborts the connection, and its handler.
    pub(crate) fn abort(&self, cause: CloseCause) {
        let mut state = self.lock();
        state.life.abort(cause);
        self.wake_all(state);
    }

    /// The `WebSocket` was dropped: nothing that arrives is of use any more. The driver
    /// begins the closing handshake, after the handler's error or panic if there is one.
    pub(in crate::socket) fn socket_dropped(&self) {
        let mut state = self.lock_with_arrived();
        self.hints.set_socket_dropped();
        state.discard_received();
        state.forget_receiver();
        self.wake(state);
    }

    /// Begins the closing handshake if the `WebSocket` was dropped. Called by the driver
    /// between its handler and its writing, so there is no need to wake it.
    #[inline]
    pub(in crate::socket) fn close_if_socket_dropped(&self) {
        if self.hints.is_socket_dropped() {
            self.close_dropped();
        }
    }

    #[cold]
    fn close_dropped(&self) {
        let code = CloseCode::NORMAL;
        self.begin_close(&mut self.lock(), CloseCause::Local(code), code, "");
    }

    /// Ends the receiving, and tells the peer and `recv` why. Returns whether the driver's
    /// own task waited for that.
    pub(in crate::socket) fn end_receiving(&self, end: ReadEnd, cx: &mut Context<'_>) -> Repoll {
        let mut state = self.lock();
        match end {
            ReadEnd::Close(frame) => {
                state.queue.received_close(frame.as_ref());
                state.life.input_ended(CloseCause::Remote(frame), None);
            }
            ReadEnd::Violation(violation) => {
                state.queue.fail(violation);
                let cause = CloseCause::Violation(violation);
                state
                    .life
                    .input_ended(cause, Some(Error::from_violation(violation)));
            }
            ReadEnd::Eof => {
                state.queue.received_end();
                state.life.begin_end(CloseCause::Lost, None);
            }
            ReadEnd::Failed(error) => {
                state.queue.received_end();
                let (cause, error) = cause_of(error);
                state.life.begin_end(cause, error);
            }
        }
        self.receiving_ended(state, cx)
    }

    /// A write has failed: drops what is queued and what is in the cork, and tells those who
    /// send. `Ok` if receiving goes on, with whether the driver's own task waited for that.
    #[cold]
    pub(in crate::socket) fn writing_failed(
        &self,
        error: io::Error,
        cork: &mut Cork,
        cx: &mut Context<'_>,
    ) -> Result<Repoll, Repoll> {
        let mut state = self.lock();
        self.uncork(cork, &mut state);
        state.queue.discard();
        self.hints.set_in_flight(0);
        let (cause, error) = cause_of(error);
        if state.life.writing_failed(cause, error) {
            Ok(self.wake_satisfied(state, cx))
        } else {
            Err(self.receiving_ended(state, cx))
        }
    }

    /// A deadline has passed: begins the closing handshake. Says whether the driver's own
    /// task waited for that.
    pub(in crate::socket) fn time_out(
        &self,
        cause: CloseCause,
        error: Error,
        (code, reason): (CloseCode, &str),
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        state.life.begin_end(cause, Some(error));
        state.queue.close(code, reason);
        self.receiving_ended(state, cx)
    }

    fn receiving_ended(&self, mut state: Locked<'_>, cx: &mut Context<'_>) -> Repoll {
        let receiver = state.take_receiver();
        let repoll = self.wake_satisfied(state, cx).or(self.hints.take_awaited());
        repoll.or(Repoll::or_wake(receiver, cx))
    }

    /// Tells every handle and observer that the IO is gone.
    pub(in crate::socket) fn finish(
        self: &Arc<Self>,
        cause: CloseCause,
        cx: &mut Context<'_>,
    ) -> Repoll {
        let mut state = self.lock();
        if !state.life.finish(cause) {
            return Repoll::No;
        }
        state.queue.discard();
        self.hints.set_in_flight(0);
        let receiver = state.take_receiver();
        let observers = state.observers.take();
        let repoll = self.wake_satisfied(state, cx).or(self.hints.take_awaited());
        for observer in observers.into_iter().flat_map(|observers| *observers) {
            observer.closed(self);
        }
        repoll.or(Repoll::or_wake(receiver, cx))
    }

    /// Whether the driver is to drop the handler.
    pub(in crate::socket) fn is_handler_unwanted(&self) -> bool {
        self.look().life.is_handler_unwanted()
    }

    /// Waits until the connection is closed.
    pub(in crate::socket) fn poll_closed(
        &self,
        id: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<CloseCause> {
        let mut state = self.lock();
        match state.life.cause() {
            Some(cause) if state.life.is_closed() => Poll::Ready(cause.clone()),
            _ => {
                self.wait(&mut state, WaitFor::Closed, id, cx.waker());
                Poll::Pending
            }
        }
    }

    /// Waits until the connection is closed, if a call of this side began the end. An end that
    /// began otherwise is not waited for: the driver does what is left of it.
    pub(in crate::socket) fn poll_close(
        &self,
        id: WaiterId,
        cx: &mut Context<'_>,
    ) -> Poll<CloseCause> {
        match self.close_cause() {
            None | Some(CloseCause::Local(_)) => self.poll_closed(id, cx),
            Some(cause) => Poll::Ready(cause),
        }
    }

    /// Tells `observer` of the end; returns `false` if the connection is ending already.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) -> bool {
        let mut state = self.lock();
        let is_open = state.life.is_open();
        if is_open {
            let observers = state.observers.get_or_insert_default();
            observers.reserve_exact(1);
            observers.push(observer);
        }
        is_open
    }

    pub(crate) fn stop_observing(&self, observer: &Arc<dyn Observer>) {
        let mut state = self.lock();
        if let Some(observers) = &mut state.observers {
            observers.retain(|known| !Arc::ptr_eq(known, observer));
        }
        state.observers.take_if(|observers| observers.is_empty());
    }
}

/// What a failure of the IO is to the connection, and to `recv`.
fn cause_of(error: io::Error) -> (CloseCause, Option<Error>) {
    if is_disconnect(error.kind()) {
        (CloseCause::Lost, None)
    } else {
        let cause = CloseCause::Io(error.kind());
        (cause, Some(Error::from_io(error)))
    }
}

/// Whether the peer just went away.
fn is_disconnect(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::*;
    matches!(
        kind,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected | WriteZero
    )
}
