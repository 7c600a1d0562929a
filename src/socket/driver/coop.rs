//! Cooperative scheduling: bounds how long one poll may run.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop::{has_budget_remaining, unconstrained};

/// The longest time that one poll may run. A peer can send bytes that cost as much work
/// as it likes (thousands of pings, or messages that decompress to a thousand times their
/// size), and while the poll runs, all other tasks of the thread wait.
pub(super) const MAX_POLL: Duration = Duration::from_millis(1);

/// Has this task polled again after other tasks have had their turn, including those that
/// the runtime's IO and timers are about to wake. (A task that just wakes itself is polled
/// some sixty times before them.)
pub(in crate::socket) fn yield_now(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

/// Polls the driver's IO or timer, even if the handler has used up the task's budget.
///
/// tokio gives a task 128 units of work a poll, and lets no IO, timer or channel make
/// progress when they are used up. A handler that drains a channel with a backlog takes all
/// of them in every poll, and its own connection would never write, ping or time out. What
/// the driver does in a poll is bounded by [`MAX_POLL`] instead, so other tasks get their
/// turn all the same. The handler stays within the budget.
///
/// Only a pending poll looks at the budget, so a poll that is ready costs nothing more.
/// (`a_handler_that_uses_up_its_budget_does_not_starve_its_connection` in `tests/coop.rs`.)
#[inline(always)]
pub(super) fn poll_io<R>(
    cx: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    match poll(cx) {
        Poll::Pending => poll_again(cx, poll),
        polled => polled,
    }
}

/// Polls outside of the budget, if that is used up, what was pending within it.
#[inline]
pub(super) fn poll_again<R>(
    cx: &mut Context<'_>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> Poll<R> {
    if has_budget_remaining() {
        return Poll::Pending;
    }
    pin!(unconstrained(poll_fn(poll))).poll(cx)
}
