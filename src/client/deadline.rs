//! When the patience ends.

use std::time::Duration;

use tokio::time::Instant;

/// When that much time will have passed. Whoever has more patience than an
/// `Instant` can tell (`Duration::MAX`, say) waits for as long as a process lives.
pub(super) fn after(timeout: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Instant::now() + timeout.min(LONGEST)
}
