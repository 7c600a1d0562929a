//! A program of its own, because it measures the memory of the whole process:
//! every byte is counted by its allocator, and its tests run one at a time.

mod chunks;
mod cycles;
mod floods;
mod http2_flow;
mod rooms;
#[path = "../support/mod.rs"]
mod support;

use std::alloc::System;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now.
fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

enum Clock {
    /// Moves on when no task has anything else to do.
    Paused,
    /// For real sockets.
    Real,
}

/// Runs a test on one thread, which ends with its pools before the next test
/// begins: what one test allocates would be counted by another beside it.
fn alone<F: Future<Output = ()> + 'static>(
    clock: Clock,
    test: impl FnOnce() -> F + Send + 'static,
) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let run = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all();
        let runtime = runtime.start_paused(matches!(clock, Clock::Paused));
        runtime.build().unwrap().block_on(test());
    };
    if let Err(panic) = std::thread::spawn(run).join() {
        std::panic::resume_unwind(panic);
    }
}
