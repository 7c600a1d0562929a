//! Messages that nobody receives, and what is found behind them.
//!
//! When the inbox is full, the driver reads on into a *backlog*, which it hands over as the
//! handler makes room. So pings are answered, pongs seen, and the end is noticed behind
//! messages that wait. The backlog is bounded too ([`Capacity::beyond`]). Only when it is full
//! does reading stop, and backpressure reach the peer. (`design.md`, "Messages that nobody
//! receives".)

use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite};

use super::conn::{Conn, Received};
use super::deadlines::Deadlines;
use super::end_receiving;
use super::turn::Turn;
use crate::socket::shared::{Capacity, Demand, Inbox, ReadEnd, Shared};

impl<T> Conn<T> {
    #[inline]
    pub(super) fn has_backlog(&mut self) -> bool {
        self.buffers().backlog.is_some()
    }

    /// Returns what the backlog still takes, behind an inbox that takes only this much. `None`
    /// if no control frame can be found within that: none comes before the end of a payload.
    fn backlog_capacity(&mut self, inbox: Capacity) -> Option<Capacity> {
        let backlog = self.buffers().backlog.as_ref();
        let (messages, bytes) = backlog.map_or((0, 0), |it| (it.len(), it.bytes()));
        let part = self.reader().part_length();
        let capacity = inbox.beyond().less(messages, bytes + part);
        let is_of_use = !capacity.is_empty() && self.reader().payload_left() <= capacity.bytes();
        is_of_use.then_some(capacity)
    }

    /// Moves messages from the backlog to the batch, as many as that capacity takes.
    fn take_backlog(&mut self, capacity: Capacity) {
        let buffers = self.buffers();
        if let Some(mut backlog) = buffers.backlog.take() {
            let batch = buffers.batch.get_or_insert_with(Inbox::pooled);
            backlog.move_to(batch, capacity);
            buffers.backlog = Some(backlog).filter(|backlog| !backlog.is_empty());
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Conn<T> {
    /// Reads once, and parses into the backlog.
    fn read_backlog(&mut self, capacity: Capacity, received: &mut Received, cx: &mut Context<'_>) {
        let buffers = self.buffers();
        std::mem::swap(&mut buffers.batch, &mut buffers.backlog);
        self.read(Demand::Beyond(capacity), received, cx);
        let buffers = self.buffers();
        std::mem::swap(&mut buffers.batch, &mut buffers.backlog);
    }
}

/// Reads on behind a full inbox, within bounds; returns whether it made progress.
#[inline(never)]
pub(super) fn receive<T: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    deadlines: &mut Deadlines,
    conn: &mut Conn<T>,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) -> bool {
    let mut demand = turn.demand;
    let inbox = demand.capacity();
    let Some(capacity) = inbox.and_then(|inbox| conn.backlog_capacity(*inbox)) else {
        deadlines.stall();
        return false;
    };
    deadlines.resume(|| turn.now());
    if turn.would_block {
        return false;
    }
    let mut received = Received::default();
    conn.read_backlog(capacity, &mut received, cx);
    let progress = received.read || received.left_over;
    if progress && let Some(latency) = conn.note_received(&received, demand, deadlines, turn.now())
    {
        shared.set_latency(latency);
    }
    let Some(end) = received.end else {
        turn.would_block = !progress;
        return progress;
    };
    if matches!(end, ReadEnd::Close(_)) && !conn.buffers().control.pongs.is_empty() {
        // The pings that came before the close frame are answered before it.
        conn.buffers().read_end = Some(end);
    } else {
        end_receiving(shared, conn, end, turn, cx);
    }
    true
}

/// Publishes as much of the backlog as the inbox takes.
#[inline(never)]
pub(super) fn hand_over<T>(
    shared: &Shared,
    conn: &mut Conn<T>,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) {
    match turn.demand.capacity().copied() {
        Some(capacity) => publish(shared, conn, capacity, turn, cx),
        None => conn.buffers().backlog = None,
    }
}

/// Publishes all of the backlog, since receiving ends, and what has arrived of the message
/// behind it if chunks are wanted.
#[inline(never)]
pub(super) fn hand_over_all<T>(
    shared: &Shared,
    conn: &mut Conn<T>,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) {
    match turn.demand.capacity() {
        Some(_) => publish(shared, conn, Capacity::ALL, turn, cx),
        None => conn.buffers().backlog = None,
    }
}

fn publish<T>(
    shared: &Shared,
    conn: &mut Conn<T>,
    capacity: Capacity,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) {
    conn.take_backlog(capacity);
    let is_in_chunks = turn.demand.is_in_chunks();
    let chunk = match is_in_chunks && capacity == Capacity::ALL {
        true => conn.take_part(),
        false => None,
    };
    let (batch, pings) = conn.arrived();
    turn.repoll(if is_in_chunks {
        shared.publish_chunks(batch, chunk, pings, cx)
    } else {
        shared.publish(batch, pings, cx)
    });
}
