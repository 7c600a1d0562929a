//! Deadlines of any distance.

use std::time::Duration;

use tokio::time::Instant;

/// Returns the moment at which `timeout` will have passed.
///
/// An `Instant` overflows, with a panic, if `Duration::MAX` is added to it, and
/// callers use that for "no timeout". So no deadline is further away than a
/// hundred years, which no process lives to see.
pub(crate) fn after(timeout: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Instant::now() + timeout.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timeout_of_any_length_has_a_deadline() {
        let second = Duration::from_secs(1);
        assert_eq!(after(second), Instant::now() + second);
        assert!(after(Duration::MAX) > Instant::now() + 1_000_000_000 * second);
    }
}
