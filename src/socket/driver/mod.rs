//! The task of a connection: one future that owns the IO, reads, polls the handler, writes
//! and keeps the deadlines.
//!
//! What it shares with the handles is reached by the methods of [`Shared`] only.

mod backlog;
mod buffers;
mod conn;
mod coop;
mod deadlines;
mod end;
mod handler;
mod inline;
mod pace;
mod received;
#[cfg(feature = "tracing")]
mod span;
mod spawned;
mod time;
mod timer;
mod transmit;
mod turn;
mod usual;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use conn::{Conn, Stage};
pub(super) use coop::yield_now;
use deadlines::{Deadlines, Due};
use end::{end_receiving, receives_on, time_out, writing_failed};
pub use handler::HandlerOutput;
pub(super) use handler::{HandlerOnly, Outcome, finish as finish_handler};
pub(super) use inline::Inline;
use received::Received;
#[cfg(feature = "tracing")]
pub(crate) use span::connection as connection_span;
pub(super) use spawned::BoxedIo;
use timer::Timer;
use transmit::{poll_transmit, poll_transmit_usual, settle};
use turn::Turn;
use usual::Arrival;
#[cfg(test)]
pub(super) use usual::USUAL_TURNS;

use super::shared::{BeforePark, Demand, ReadEnd, Repoll, Shared};
use crate::error::CloseCause;
use crate::protocol::Reader;
use crate::tracker::Permit;

/// The largest number of rounds in one poll, if it does not run
/// [too long](Turn::is_long) before that.
const ROUNDS: usize = 32;

pin_project! {
    /// The future of a connection. It is ready when the connection is closed and the
    /// handler has returned. Dropping it aborts the connection.
    ///
    /// A round: read and parse, poll the handler, write what is queued. Rounds follow each
    /// other while there is something to read. Then the driver looks at the deadlines and
    /// parks.
    #[must_use = "a connection does nothing unless its future is polled"]
    pub(crate) struct Driver<T, H> {
        shared: Arc<Shared>,
        // `None`: closed.
        conn: Option<Conn<T>>,
        deadlines: Deadlines,
        #[pin]
        timer: Timer,
        #[pin]
        handler: Option<H>,
        permit: Option<Box<Permit>>,
    }

    impl<T, H> PinnedDrop for Driver<T, H> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.conn.is_none() {
                return;
            }
            // The task was aborted from outside: tell the handles.
            let mut no_task = Context::from_waker(Waker::noop());
            let _ = this.shared.finish(CloseCause::Aborted, &mut no_task);
        }
    }
}

impl<T, H> Driver<T, H> {
    pub(super) fn new(
        io: T,
        reader: Reader,
        shared: Arc<Shared>,
        handler: Option<H>,
        permit: Option<Permit>,
    ) -> Self {
        if let Some(permit) = &permit {
            permit.attach(&shared);
        }
        Driver {
            deadlines: Deadlines::new(Instant::now()),
            conn: Some(Conn::new(io, reader)),
            timer: Timer::default(),
            handler,
            permit: permit.map(Box::new),
            shared,
        }
    }

    /// Makes the same driver with another handler. The timer is armed anew.
    pub(super) fn with_handler<G>(mut self: Pin<Box<Self>>, handler: G) -> Driver<T, G> {
        let this = self.as_mut().project();
        Driver {
            deadlines: this.deadlines.clone(),
            conn: this.conn.take(),
            timer: Timer::default(),
            handler: Some(handler),
            permit: this.permit.take(),
            shared: this.shared.clone(),
        }
    }
}

impl<T, H> Future for Driver<T, H>
where
    T: AsyncRead + AsyncWrite + Unpin,
    H: Future,
    H::Output: HandlerOutput,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut turn = Turn::default();
        self.as_mut().begin_turn(&mut turn, cx);
        if self.as_mut().poll_usual(&mut turn, cx) {
            return Poll::Pending;
        }
        for round in 0..ROUNDS {
            // Mostly there are two rounds, and the second finds that nothing more came.
            if round > 1 && turn.is_long() {
                break;
            }
            let mut progress = self.as_mut().receive(&mut turn, cx);
            if turn.take_repoll() {
                self.as_mut().poll_handler(cx);
            }
            progress |= self.as_mut().transmit(&mut turn, cx);
            if self.is_over() {
                self.as_mut().close(&mut turn, cx);
                if self.handler.is_none() {
                    *self.as_mut().project().permit = None;
                    return Poll::Ready(());
                }
                if turn.repoll == Repoll::No && self.shared.park_handler(cx) == Repoll::No {
                    return Poll::Pending;
                }
                continue;
            }
            let must_go_on = progress || turn.repoll == Repoll::Yes;
            if must_go_on || self.as_mut().poll_deadlines(&mut turn, cx) {
                continue;
            }
            if self.as_mut().park(&mut turn, cx) {
                return Poll::Pending;
            }
        }
        // The budget is used up. A connection that is always busy still keeps its deadlines;
        // then other tasks get their turn.
        let _ = self.as_mut().poll_deadlines(&mut turn, cx);
        if let Some(conn) = self.project().conn {
            conn.park();
        }
        yield_now(cx);
        Poll::Pending
    }
}

impl<T, H> Driver<T, H>
where
    T: AsyncRead + AsyncWrite + Unpin,
    H: Future,
    H::Output: HandlerOutput,
{
    #[inline(always)]
    fn begin_turn(mut self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) {
        let this = self.as_mut().project();
        turn.was_idle = this.conn.as_ref().is_some_and(Conn::is_idle);
        let desk = this.conn.as_mut().map(|conn| conn.buffers().desk());
        let start = this.shared.begin_turn(desk, cx);
        turn.same_task = start.same_task;
        turn.next_demand = start.demand;
        if start.demand.is_none() {
            self.close(turn, cx);
        }
    }

    /// The usual turn: a shortcut of the rounds, on its [conditions](usual). Messages have
    /// arrived for a handler that waits for them, or there is something to write.
    ///
    /// The messages go to the handler on the desk: no batch, no inbox and no lock is between.
    /// Returns whether that was all, and the driver is parked. Whatever else shows, the rounds
    /// go on from there.
    fn poll_usual(mut self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let this = self.as_mut().project();
        let Some(conn) = this.conn else { return false };
        if !usual::may_begin(this.shared, conn, this.deadlines, &this.timer, turn) {
            return false;
        }
        let _ = turn.is_first_read();
        let arrival = usual::read_to_desk(conn, cx);
        match arrival {
            Arrival::Nothing => turn.would_block = true,
            Arrival::Messages => {
                this.shared.take_awaited();
                this.deadlines.messages_received(|| turn.now());
            }
            Arrival::Other => return false,
        }
        (turn.demand, turn.next_demand) = (usual::DEMAND, None);
        let _ = turn.take_repoll();
        self.as_mut().poll_handler(cx);
        let this = self.as_mut().project();
        let Some(conn) = this.conn else { return false };
        if arrival == Arrival::Messages {
            turn.next_demand = usual::take_back(conn);
        }
        let mut progress = false;
        let written = poll_transmit_usual(this.shared, conn, &mut progress, turn, cx);
        if matches!(written, Poll::Ready(Ok(()))) {
            debug_assert!(!conn.reader().is_ended(), "nothing but messages was read");
            if turn.repoll == Repoll::No
                && usual::park_usual(this.shared, conn, this.deadlines, turn, cx)
            {
                #[cfg(test)]
                usual::count();
                return true;
            }
        }
        settle(this.shared, conn);
        let _ = self.transmitted(written, progress, turn, cx);
        false
    }

    /// Reads and parses, if there is room; returns whether it made progress.
    #[inline]
    fn receive(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let Some(conn) = this.conn else { return false };
        if conn.stage() != Stage::Open && !receives_on(this.shared, conn) {
            return false;
        }
        if let Some(end) = conn.buffers().read_end.take() {
            end_receiving(this.shared, conn, end, turn, cx);
            return true;
        }
        if conn.reader().is_ended() {
            return false;
        }
        let demand = match turn.next_demand.take() {
            Some(demand) => Some(demand),
            None => this.shared.demand(),
        };
        let Some(demand) = demand else {
            // Aborted: the handler is not polled again.
            conn.set_stage(Stage::Over);
            turn.repoll = Repoll::No;
            return false;
        };
        turn.demand = demand;
        if !demand.has_capacity() {
            return backlog::receive(this.shared, this.deadlines, conn, turn, cx);
        }
        this.deadlines.resume(|| turn.now());
        if conn.buffers().backlog.is_some() {
            backlog::hand_over(this.shared, conn, turn, cx);
            return true;
        }
        // Bytes of a message may have arrived before they were wanted as a chunk.
        if turn.would_block && !demand.is_in_chunks() {
            return false;
        }
        let mut received = Received::default();
        conn.read(demand, &mut received, turn.is_first_read(), cx);
        let has_input = received.has_input();
        // Bytes left over count like bytes that were just read: they may be the beginning
        // of a frame, or a pong, and nothing was read after them.
        let progress = received.read || received.left_over;
        if has_input {
            let (batch, pings) = conn.arrived();
            let repoll = if received.in_chunks {
                let chunk = received.chunk.take();
                this.shared.publish_chunks(batch, chunk, pings, cx)
            } else {
                this.shared.publish(batch, pings, cx)
            };
            turn.repoll(repoll);
        }
        if progress {
            let now = turn.now();
            let latency = conn.note_received(&received, demand, this.deadlines, now);
            if let Some(latency) = latency {
                this.shared.set_latency(latency);
            }
        }
        let Some(end) = received.end else {
            turn.would_block = !progress;
            return progress;
        };
        let has_pongs = !conn.buffers().control.pongs.is_empty();
        if has_input || has_pongs && matches!(end, ReadEnd::Close(_)) {
            // Messages and pings that came before the end are answered before it.
            conn.buffers().read_end = Some(end);
        } else {
            end_receiving(this.shared, conn, end, turn, cx);
        }
        true
    }

    fn poll_handler(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        if let Some(handler) = this.handler.as_mut().as_pin_mut() {
            let mut buffers = this.conn.as_mut().map(|conn| conn.buffers());
            if let Some(buffers) = &mut buffers {
                buffers.put_desk(cx);
            }
            let polled = handler::poll(handler, cx);
            if let Some(buffers) = &mut buffers {
                buffers.take_desk();
            }
            if let Poll::Ready(outcome) = polled {
                handler::conclude(this.shared, this.handler, outcome);
            }
        }
        // A handler's error or panic comes before the drop of its `WebSocket`.
        this.shared.close_if_socket_dropped();
    }

    /// Writes, or lingers once the closing handshake is complete; returns whether anything
    /// was written.
    #[inline]
    fn transmit(mut self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let this = self.as_mut().project();
        let Some(conn) = this.conn else { return false };
        if conn.stage() != Stage::Open {
            conn.linger(cx);
            return false;
        }
        let mut progress = false;
        let written = poll_transmit(this.shared, conn, &mut progress, turn, cx);
        self.transmitted(written, progress, turn, cx)
    }

    /// Does what follows from the outcome of writing; returns whether there is progress.
    fn transmitted(
        self: Pin<&mut Self>,
        written: Poll<io::Result<()>>,
        progress: bool,
        turn: &mut Turn,
        cx: &mut Context<'_>,
    ) -> bool {
        let this = self.project();
        let Some(conn) = this.conn else { return false };
        match written {
            Poll::Pending if progress => this.deadlines.write_blocked(turn.now()),
            Poll::Pending => this.deadlines.write_still_blocked(turn.now()),
            Poll::Ready(Ok(())) => {
                this.deadlines.written(|| turn.now());
                // The reader ends with the peer's close frame or a violation; the answer
                // to it has been written by now.
                if conn.reader().is_ended() && conn.buffers().read_end.is_none() {
                    conn.set_stage(Stage::Lingering {
                        fin: conn::Fin::Due,
                    });
                    return true;
                }
            }
            Poll::Ready(Err(error)) => {
                // If the peer's close frame has arrived, that is the cause.
                if let Some(end) = conn.buffers().read_end.take() {
                    end_receiving(this.shared, conn, end, turn, cx);
                }
                writing_failed(this.shared, conn, this.deadlines, error, turn, cx);
                return true;
            }
        }
        progress
    }

    /// Looks at the deadlines; returns whether one has passed.
    #[inline]
    fn poll_deadlines(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let mut this = self.project();
        let Some(conn) = this.conn else { return false };
        let config = this.shared.config();
        if turn.demand == Demand::Discard {
            let is_written = !this.shared.has_output() && !conn.has_output();
            this.deadlines.end_began(is_written, || turn.now());
        }
        if turn.looks_again {
            return false;
        }
        let is_pending = turn.same_task && this.timer.is_pending();
        if !this.deadlines.take_nearer() && is_pending {
            return false;
        }
        let within_payload = conn.reader().is_within_payload();
        loop {
            let next = this.deadlines.next(config, within_payload);
            if (this.timer.as_mut())
                .poll(next, turn.same_task, cx)
                .is_pending()
            {
                return false;
            }
            let now = Instant::now();
            turn.now = Some(now);
            match this.deadlines.due(now, config, within_payload) {
                Due::Nothing => {}
                Due::Ping => {
                    conn.ping(this.deadlines.pinged(now));
                    return true;
                }
                Due::LookAgain => {
                    turn.looks_again = true;
                    yield_now(cx);
                    return false;
                }
                Due::Timeout(timeout) => {
                    time_out(this.shared, conn, timeout, turn, cx);
                    return true;
                }
            }
        }
    }

    /// Parks, unless something happened meanwhile; returns whether it did.
    #[inline]
    fn park(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) -> bool {
        let this = self.project();
        let Some(conn) = this.conn else { return false };
        let buffers = conn.buffers();
        let in_flight = buffers.writing.len();
        let is_written = buffers.is_written();
        let (desk, batch) = buffers.desk_and_batch();
        turn.repoll = this.shared.park(
            BeforePark {
                demand: turn.demand,
                desk,
                in_flight,
                is_written,
                batch,
            },
            cx,
        );
        if turn.repoll == Repoll::Yes {
            return false;
        }
        conn.park();
        true
    }

    /// Whether there is nothing left to read and to write.
    #[inline]
    fn is_over(&self) -> bool {
        let stage = self.conn.as_ref().map(Conn::stage);
        matches!(stage, None | Some(Stage::Over))
    }

    /// Drops the IO, tells the handles, and drops the handler too if it was aborted.
    #[inline(never)]
    fn close(self: Pin<&mut Self>, turn: &mut Turn, cx: &mut Context<'_>) {
        let mut this = self.project();
        if let Some(mut conn) = this.conn.take() {
            if conn.is_written() {
                this.shared.all_written();
            }
            conn.park();
            turn.repoll(this.shared.finish(CloseCause::Lost, cx));
            this.timer.stop();
            handler::log_end(this.shared);
        }
        if this.shared.is_handler_unwanted() {
            handler::discard(this.handler.as_mut());
        }
    }
}
