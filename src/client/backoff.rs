//! The pauses of a client that comes back.

use std::time::Duration;

use super::error::ConnectError;

/// Says how long to wait before the next attempt to connect, and when to give up.
///
/// Each pause is a random time below a limit, which is 1, 2, 4 .. seconds, and at most a minute
/// ("full jitter"). So the clients of a server that restarts do not reconnect in the same moment. A
/// `Backoff` reads no clock and does not sleep; the loop that uses it does both:
///
/// ```no_run
/// use std::time::Instant;
///
/// use hyper_ws::WebSocket;
/// use hyper_ws::client::{Backoff, ConnectError};
///
/// /// Returns when the server cannot want this client to come back.
/// async fn stay_connected(url: &str) -> Result<(), ConnectError> {
///     let mut backoff = Backoff::new();
///     loop {
///         let pause = match hyper_ws::connect(url).await {
///             Ok(socket) => {
///                 let opened = Instant::now();
///                 talk(socket).await;
///                 backoff.lost(opened.elapsed())
///             }
///             Err(error) => match backoff.failed(&error) {
///                 Some(pause) => Some(pause),
///                 None => return Err(error),
///             },
///         };
///         let Some(pause) = pause else { return Ok(()) };
///         tokio::time::sleep(pause).await;
///     }
/// }
///
/// async fn talk(mut socket: WebSocket) {
///     while let Ok(Some(message)) = socket.recv().await {
///         println!("{message:?}");
///     }
/// }
/// ```
///
/// The guide has a client that [resumes a room](crate::guide::reconnecting).
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    lasting: Duration,
    max_attempts: Option<u32>,
    /// Attempts that have failed since the last connection that lasted.
    failures: u32,
}

/// The longest pause that a server can ask for with `Retry-After`.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

impl Backoff {
    /// Begins with pauses of at most 1 s, and doubles that limit up to 60 s. The number of attempts
    /// is not limited. A connection counts as a success after 60 s.
    pub fn new() -> Self {
        Backoff {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            lasting: Duration::from_secs(60),
            max_attempts: None,
            failures: 0,
        }
    }

    /// Sets the longest first pause. The limit doubles with each failure. The default is 1 s. With
    /// zero, every pause is zero.
    pub fn base(mut self, longest_first: Duration) -> Self {
        self.base = longest_first;
        self
    }

    /// Sets the longest pause. The default is 60 s.
    pub fn cap(mut self, longest: Duration) -> Self {
        self.cap = longest;
        self
    }

    /// Sets how long a connection must have been open to count as a success: the failures before
    /// it are forgotten. The default is 60 s. A server that accepts and then closes at once is
    /// not hammered, since a shorter connection counts as a failure.
    pub fn lasting(mut self, lasting: Duration) -> Self {
        self.lasting = lasting;
        self
    }

    /// Gives up after so many attempts in a row have failed; `None`, the default, goes on for
    /// ever.
    pub fn max_attempts(mut self, max_attempts: impl Into<Option<u32>>) -> Self {
        self.max_attempts = max_attempts.into();
        self
    }

    /// Returns the pause after an attempt that has failed. `None` says to give up: another
    /// attempt [cannot succeed](ConnectError::is_transient), or there were too many.
    ///
    /// If the server has said [when to come back](ConnectError::retry_after), the pause is that
    /// time (at most an hour) plus a random pause as above, so that the clients do not all come at
    /// the same moment.
    pub fn failed(&mut self, error: &ConnectError) -> Option<Duration> {
        if !error.is_transient() {
            return None;
        }
        let asked = error.retry_after().unwrap_or_default();
        let pause = self.next_pause()?;
        Some(pause.saturating_add(asked.min(LONGEST_ASKED)))
    }

    /// Returns the pause after a connection that was open for the time `open_for`, and has ended.
    /// `None` says to give up: there were too many short connections and failures in a row.
    pub fn lost(&mut self, open_for: Duration) -> Option<Duration> {
        if open_for >= self.lasting {
            self.reset();
        }
        self.next_pause()
    }

    /// Returns the pause after a failure of any kind, for example one that this crate does not
    /// know. `None` says to give up.
    pub fn next_pause(&mut self) -> Option<Duration> {
        self.pause(random())
    }

    /// Forgets the failures, so the next pause is as after a first failure. Call it if your client
    /// has a better sign of success than time, such as the answer to its login.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the number of failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The pause for a random number, whose largest value means the longest pause.
    pub(super) fn pause(&mut self, random: u32) -> Option<Duration> {
        let doublings = self.failures;
        self.failures = self.failures.saturating_add(1);
        if self.max_attempts.is_some_and(|max| self.failures >= max) {
            return None;
        }
        let longest = 1_u32
            .checked_shl(doublings)
            .map_or(Duration::MAX, |factor| self.base.saturating_mul(factor))
            .min(self.cap);
        if self.base.is_zero() {
            return Some(Duration::ZERO);
        }
        // Below 2^94 nanoseconds times 2^32.
        let part = longest.as_nanos() * u128::from(random) / u128::from(u32::MAX);
        let second = Duration::from_secs(1).as_nanos();
        // Not above `longest`, so both fit.
        Some(Duration::new(
            (part / second) as u64,
            (part % second) as u32,
        ))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::new()
    }
}

/// Without random bytes of the system the pause is the longest. Nothing else fails for it.
fn random() -> u32 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u32::from_ne_bytes(bytes),
        Err(_) => u32::MAX,
    }
}
