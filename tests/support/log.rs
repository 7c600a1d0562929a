//! Subscribers that see the events of one test, in a process that runs many.

use std::sync::OnceLock;

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Subscriber};

/// Lets `subscriber` see the events and spans of this thread as long as the guard
/// lives.
///
/// Whether a place in the code is logged at all is decided for the whole process,
/// when it is first reached. While there is only one subscriber, `tracing` asks
/// the thread that reaches it, and a test beside this one, which has no
/// subscriber, would say no. With a second one that never ends, it asks both
/// (`an_event_that_a_thread_without_a_subscriber_reaches_first_is_seen`).
pub(crate) fn record(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    static SECOND: OnceLock<Dispatch> = OnceLock::new();
    SECOND.get_or_init(|| Dispatch::new(NoSubscriber::new()));
    tracing::subscriber::set_default(subscriber)
}
