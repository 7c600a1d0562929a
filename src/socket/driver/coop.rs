//! Cooperative scheduling: bounds how long one poll may run.

use std::future::Future;
use std::pin::pin;
use std::task::Context;
use std::time::Duration;

/// The longest time that one poll may run. A peer can send bytes that cost as much work as it likes
/// (thousands of pings, or messages that decompress to a thousand times their size), and
/// while the poll runs, all other tasks of the thread wait.
pub(super) const MAX_POLL: Duration = Duration::from_millis(1);

/// Has this task polled again after other tasks have had their turn, including those that
/// the runtime's IO and timers are about to wake. (A task that just wakes itself is polled
/// some sixty times before them.)
pub(super) fn yield_now(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
