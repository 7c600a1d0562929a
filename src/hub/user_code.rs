//! Calling closures of the user: while no lock of a room's state is held, with panics caught, and
//! so that they may call the room that calls them.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Calls a closure of the user; `None` if it panics, which is logged.
pub(super) fn call<R>(name: &'static str, closure: impl FnOnce() -> R) -> Option<R> {
    let was_running = IS_RUNNING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(closure));
    // Still as within the closure: a subscriber may send what it logs to the room.
    #[cfg(feature = "tracing")]
    if result.is_err() {
        tracing::error!("the closure of `Hub::{name}` panicked");
    }
    IS_RUNNING.set(was_running);
    #[cfg(not(feature = "tracing"))]
    let _ = name;
    result.ok()
}

/// Returns whether this thread is within such a closure.
pub(super) fn is_running() -> bool {
    IS_RUNNING.get()
}
