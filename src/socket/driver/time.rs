//! Times of a connection, in half the bytes of an `Instant`.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::time::Instant;

/// Nanoseconds since the connection began, plus one. Half as large as an `Instant`, and good
/// for some centuries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time(NonZeroU64);

impl Time {
    pub(super) const ZERO: Self = Time(NonZeroU64::MIN);

    pub(super) fn between(start: Instant, now: Instant) -> Self {
        Time::ZERO.after(now.saturating_duration_since(start))
    }

    pub(super) fn after(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanoseconds))
    }

    pub(super) fn before(self, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let before = self.0.get().saturating_sub(nanoseconds);
        NonZeroU64::new(before).map_or(Time::ZERO, Time)
    }

    /// The payload of a ping sent at this time. No two pings of a connection have the same.
    pub(super) fn payload(self) -> [u8; 8] {
        self.0.get().to_be_bytes()
    }

    pub(super) fn instant(self, start: Instant) -> Instant {
        start + Duration::from_nanos(self.0.get() - 1)
    }
}
