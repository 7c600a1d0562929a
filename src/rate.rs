//! How often a line may be logged that peers cause.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The pause between two lines of one kind, in milliseconds.
const PAUSE: u64 = 1000;

/// Lets one line of a kind through in a second, and counts the others. A flood of refused
/// handshakes must not become a flood of lines.
pub(crate) struct LogRate {
    /// When the pause ends, in milliseconds since the first use.
    until: AtomicU64,
    left_out: AtomicU64,
}

impl LogRate {
    pub(crate) const fn new() -> Self {
        LogRate {
            until: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Returns how many lines were left out since the last one, if another may be written.
    pub(crate) fn pass(&self) -> Option<u64> {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        self.pass_at(BEGAN.get_or_init(Instant::now).elapsed())
    }

    fn pass_at(&self, now: Duration) -> Option<u64> {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let until = self.until.load(Ordering::Relaxed);
        let next = now.saturating_add(PAUSE);
        // Of several threads at the end of a pause one writes.
        let order = Ordering::Relaxed;
        if now < until
            || self
                .until
                .compare_exchange(until, next, order, order)
                .is_err()
        {
            self.left_out.fetch_add(1, order);
            return None;
        }
        Some(self.left_out.swap(0, order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_passes_with_the_count_of_the_others() {
        let rate = LogRate::new();
        let at = |millis| rate.pass_at(Duration::from_millis(millis));
        assert_eq!(at(0), Some(0));
        assert_eq!((at(0), at(500), at(999)), (None, None, None));
        assert_eq!(at(1000), Some(3));
        assert_eq!(at(1999), None);
        assert_eq!(at(10_000), Some(1));
        assert_eq!(at(11_000), Some(0));
    }

    #[test]
    fn of_many_threads_one_writes_and_none_is_forgotten() {
        let rate = LogRate::new();
        let written: u64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..1000)
                            .filter_map(|_| rate.pass_at(Duration::ZERO))
                            .count()
                    })
                })
                .collect();
            let counts = threads.into_iter().map(|it| it.join().unwrap() as u64);
            counts.sum()
        });
        assert_eq!(written, 1);
        let left_out = rate.pass_at(Duration::from_secs(1)).unwrap();
        // Those that came between the line and its count are in the next.
        assert!((7992..=7999).contains(&left_out), "{left_out}");
    }
}
