//! Panics: a task in which something panics goes on with a new connection.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::fault::Fault;

/// Runs what a task does with one connection. A panic becomes a fault like any other, so the
/// connection is replaced, and the state of the hub says why.
///
/// The task calls the hub, and the hub the answers of requests. Without this, a panic in any of them
/// would end the task: the hub would be up, and deaf for ever
/// (`a_line_that_panics_is_replaced_and_hears_again`).
pub(super) async fn caught<T>(
    task: &'static str,
    what: impl Future<Output = T>,
) -> Result<T, Fault> {
    let mut what = pin!(what);
    // It is not polled again after a panic. What it has left half done belongs to its connection,
    // which is dropped with it.
    let outcome =
        poll_fn(
            |context| match catch_unwind(AssertUnwindSafe(|| what.as_mut().poll(context))) {
                Ok(Poll::Ready(done)) => Poll::Ready(Some(done)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(_) => Poll::Ready(None),
            },
        );
    let outcome = outcome.await;
    outcome.ok_or_else(|| {
        #[cfg(feature = "tracing")]
        tracing::error!("the {task} of the redis engine panicked, and begins anew");
        Fault::lost(format!("the {task} of the redis engine panicked"))
    })
}
