//! That a connection with much to do lets the others have their turn.

use std::future::Future;
use std::pin::pin;
use std::task::Context;
use std::time::Duration;

/// How long one poll may take. What a peer sends can be as much work as it likes
/// (pings by the thousand, what decompresses to a thousand times its size), and as
/// long as the poll lasts, all other tasks of the thread wait.
pub(in crate::socket) const MAX_POLL: Duration = Duration::from_millis(1);

/// Has this task polled again when others have had their turn, those too that the
/// runtime's IO and deadlines are about to wake: a task that wakes itself goes before
/// them, for sixty times or so.
pub(in crate::socket) fn yield_now(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
