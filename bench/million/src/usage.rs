//! The resources that the process has used so far.

use std::alloc::System;
use std::fs;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of a page, on x86-64 and nearly everywhere else.
const PAGE: i64 = 4096;

#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// Allocated bytes, without the allocator's overhead.
    pub(crate) live: i64,
    /// Bytes of the process that are in memory.
    pub(crate) resident: i64,
    /// Time on a CPU, of this thread.
    pub(crate) cpu: Duration,
    pub(crate) at: Instant,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let stats = ALLOCATOR.stats();
        Usage {
            // Its counters count the growth of a `realloc` as well.
            live: stats.bytes_allocated as i64 - stats.bytes_deallocated as i64,
            resident: read("/proc/self/statm", 1) as i64 * PAGE,
            cpu: cpu_time(),
            at: Instant::now(),
        }
    }
}

/// Time on a CPU, of this thread, to the last tick of the clock.
pub(crate) fn cpu_time() -> Duration {
    Duration::from_nanos(read("/proc/thread-self/schedstat", 0))
}

/// The number at one place in a file.
fn read(file: &str, place: usize) -> u64 {
    let text = fs::read_to_string(file).expect("this is Linux");
    let number = text.split_whitespace().nth(place);
    number.and_then(|text| text.parse().ok()).expect("a number")
}
