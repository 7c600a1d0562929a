//! Messages that are not received, and what is found behind them.
//!
//! When the inbox is full, the driver reads on into a *backlog*, which it hands over as the
//! handler makes room. So pings are answered, pongs seen, and the end is noticed behind
//! messages that wait. The backlog is bounded too ([`Capacity::beyond`]). Only when it is full
//! does reading stop, and backpressure reach the peer. (`design.md`, "Messages that are not
//! received".)

use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite};

use super::buffers::Buffers;
use super::conn::Conn;
use super::deadlines::Deadlines;
use super::received::Received;
use super::turn::Turn;
use crate::Message;
use crate::socket::shared::{Capacity, Demand, Inbox, Shared};

/// Returns what the backlog still takes, behind an inbox that takes only this much. `None` if
/// no control frame can be found within that: none comes before the end of a payload.
fn capacity_beyond<T>(conn: &mut Conn<T>, inbox: Capacity) -> Option<Capacity> {
    let backlog = conn.buffers().backlog.as_ref();
    let (messages, bytes) = backlog.map_or((0, 0), |backlog| (backlog.len(), backlog.bytes()));
    let part = conn.reader().part_length();
    let capacity = inbox.beyond().less(messages, bytes + part);
    let is_of_use = !capacity.is_empty() && conn.reader().payload_left() <= capacity.bytes();
    is_of_use.then_some(capacity)
}

/// Moves messages from the backlog to the batch, as many as that capacity takes.
fn move_to_batch(buffers: &mut Buffers, capacity: Capacity) {
    if let Some(mut backlog) = buffers.backlog.take() {
        let batch = buffers.batch.get_or_insert_with(Inbox::pooled);
        backlog.move_to(batch, capacity);
        buffers.backlog = Some(backlog).filter(|backlog| !backlog.is_empty());
    }
}

/// Reads once, and parses into the backlog.
fn read<T: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<T>,
    capacity: Capacity,
    received: &mut Received,
    cx: &mut Context<'_>,
) {
    let buffers = conn.buffers();
    std::mem::swap(&mut buffers.batch, &mut buffers.backlog);
    conn.read(Demand::Beyond(capacity), received, true, cx);
    let buffers = conn.buffers();
    std::mem::swap(&mut buffers.batch, &mut buffers.backlog);
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
    let Some(capacity) = inbox.and_then(|inbox| capacity_beyond(conn, *inbox)) else {
        deadlines.stall();
        return false;
    };
    deadlines.resume(|| turn.now());
    if turn.would_block {
        return false;
    }
    let mut received = Received::default();
    read(conn, capacity, &mut received, cx);
    let progress = received.read || received.left_over;
    if progress && let Some(latency) = conn.note_received(&received, demand, deadlines, turn.now())
    {
        shared.set_latency(latency);
    }
    let Some(end) = received.end else {
        turn.would_block = !progress;
        return progress;
    };
    // The next round ends the receiving: pings that came before the end are answered before it.
    conn.buffers().read_end = Some(end);
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
    let mut demand = turn.demand;
    let Some(capacity) = demand.capacity().copied() else {
        conn.buffers().backlog = None;
        return;
    };
    move_to_batch(conn.buffers(), capacity);
    publish(shared, conn, demand, None, turn, cx);
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
    // This turn may not have asked yet. Else the backlog is lost where the driver yields before
    // it acts on the end: `what_waits_before_a_close_is_kept_wherever_the_driver_yields`.
    let demand = shared.demand().filter(|demand| !demand.discards());
    let Some(demand) = demand else {
        conn.buffers().backlog = None;
        return;
    };
    move_to_batch(conn.buffers(), Capacity::ALL);
    let chunk = match demand.is_in_chunks() {
        true => conn.take_part(),
        false => None,
    };
    publish(shared, conn, demand, chunk, turn, cx);
}

fn publish<T>(
    shared: &Shared,
    conn: &mut Conn<T>,
    demand: Demand,
    chunk: Option<Message>,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) {
    let (batch, pings) = conn.arrived();
    turn.repoll(if demand.is_in_chunks() {
        shared.publish_chunks(batch, chunk, pings, cx)
    } else {
        shared.publish(batch, pings, cx)
    });
}
