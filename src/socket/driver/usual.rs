//! What is particular to the usual turn: its conditions, and messages that lie on the desk.
//!
//! A usual turn finds an open, idle connection whose handler waits for messages, and either
//! whole messages or something to write. It does what the rounds would do, with fewer steps:
//! whatever else shows, the rounds go on from there. (`socket/tests/usual.rs` compares both.)
//!
//! Each function here has one or two callers, and is inlined there by force: some ten calls are
//! a tenth of the turn.

use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::buffers::INPUT;
use super::conn::{Conn, Stage};
use super::deadlines::Deadlines;
use super::timer::Timer;
use super::turn::Turn;
use crate::protocol::are_whole_messages;
use crate::socket::shared::{Capacity, Demand, ReadEnd, Shared};

/// What the handler waits for: whole messages, as many as an inbox takes.
pub(super) const DEMAND: Demand = Demand::Awaited(Capacity::WHOLE);

#[cfg(test)]
thread_local! {
    /// Whether there are usual turns, for tests that compare them with the rounds; and how many
    /// there were.
    pub(in crate::socket) static USUAL_TURNS: std::cell::Cell<(bool, usize)> =
        const { std::cell::Cell::new((true, 0)) };
}

#[cfg(test)]
pub(super) fn count() {
    let (are_on, count) = USUAL_TURNS.get();
    USUAL_TURNS.set((are_on, count + 1));
}

/// Whether a turn that begins may be a usual one.
#[inline]
pub(super) fn may_begin<T>(
    shared: &Shared,
    conn: &Conn<T>,
    deadlines: &Deadlines,
    timer: &Timer,
    turn: &Turn,
) -> bool {
    #[cfg(test)]
    if !USUAL_TURNS.get().0 {
        return false;
    }
    // The IO and the timer know this task, and the handler waits in it.
    turn.same_task
        && shared.is_awaited()
        // All that arrives is received, and nothing waits before it.
        && turn.next_demand == Some(DEMAND)
        // Nothing is half read, half written or about to end.
        && turn.was_idle
        && conn.stage() == Stage::Open
        && conn.reader().plain_limit().is_some()
        // No deadline is to be looked at.
        && deadlines.is_quiet()
        && !timer.has_fired()
}

/// Whether a turn may end as a usual one: what the handler has left and sent is nothing to go
/// on with, and it waits again.
#[inline]
fn may_end(shared: &Shared, deadlines: &Deadlines, turn: &Turn) -> bool {
    let may_end = turn.next_demand.is_none() && shared.is_awaited() && !deadlines.is_nearer();
    debug_assert!(!may_end || deadlines.is_quiet(), "nothing else has changed");
    may_end
}

/// Parks at the end of a usual turn, in which all was written; returns whether it did. Each turn
/// ends with an IO that was asked and has nothing, since a waker that it got before may be gone
/// (`tests/server/workers.rs`).
#[inline(always)]
pub(super) fn park_usual<T: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    conn: &mut Conn<T>,
    deadlines: &Deadlines,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) -> bool {
    if !may_end(shared, deadlines, turn) {
        return false;
    }
    if !turn.would_block {
        turn.would_block = read(conn, false, cx) == Arrival::Nothing;
    }
    let is_parked = turn.would_block && shared.park_usual(conn.buffers().desk());
    if is_parked {
        conn.park_idle();
    }
    is_parked
}

/// What a read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The IO had nothing, and will wake the task.
    Nothing,
    /// Whole messages, which lie on the desk.
    Messages,
    /// Something else, which the rounds find in the buffers.
    Other,
}

/// Reads once, and lays what has arrived on the desk, if it is whole messages that an inbox
/// would take at once.
#[inline(always)]
pub(super) fn read_to_desk<T: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<T>,
    cx: &mut Context<'_>,
) -> Arrival {
    let read = read(conn, true, cx);
    if read == Arrival::Other {
        let limit = conn.reader().plain_limit().unwrap_or_default();
        let buffers = conn.buffers();
        let input = buffers.unparsed();
        let Capacity { messages, bytes } = Capacity::WHOLE;
        if !input.is_empty() && are_whole_messages(input, limit, messages, bytes) {
            buffers.lay_out();
            return Arrival::Messages;
        }
    }
    read
}

/// Reads once, and parses nothing.
#[inline(always)]
fn read<T: AsyncRead + AsyncWrite + Unpin>(
    conn: &mut Conn<T>,
    is_first: bool,
    cx: &mut Context<'_>,
) -> Arrival {
    let end = match conn.poll_input(INPUT, is_first, cx) {
        Poll::Pending => return Arrival::Nothing,
        Poll::Ready(Ok(1..)) => return Arrival::Other,
        Poll::Ready(Ok(0)) => ReadEnd::Eof,
        Poll::Ready(Err(error)) => ReadEnd::Failed(error),
    };
    conn.buffers().read_end = Some(end);
    Arrival::Other
}

/// Takes the messages back that the handler has left on the desk. Returns the demand for them
/// if there are any: what the inbox takes beside those that were received.
#[inline]
pub(super) fn take_back<T>(conn: &mut Conn<T>) -> Option<Demand> {
    let (reader, buffers) = conn.parts();
    let taken = buffers.take_back();
    reader.passed(taken.messages as u32);
    buffers
        .has_unparsed()
        .then(|| Demand::Awaited(Capacity::WHOLE.less(taken.messages, taken.bytes)))
}
