//! Deadlines of the steps before the socket is open.

use std::time::Duration;

use tokio::time::Instant;

/// Returns the moment at which a timeout that begins now has passed.
///
/// A timeout that an `Instant` cannot express (`Duration::MAX`, say) becomes a
/// hundred years.
pub(super) fn after(timeout: Duration) -> Instant {
    const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Instant::now() + timeout.min(LONGEST)
}
