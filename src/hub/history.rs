//! How much of a room is kept, and what happens when a member has missed something.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::position::Position;
use super::ring::Limits;
use crate::Message;

/// How much a room keeps of what was said, for members that come back.
///
/// A client can resume as long as all messages that it missed are kept.
///
/// ```
/// use std::time::Duration;
/// use hyper_ws::hub::{History, Hub};
///
/// let hub = Hub::new().history(History::last(500).age(Duration::from_secs(3600)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    messages: usize,
    bytes: usize,
    age: Duration,
    total_bytes: usize,
}

impl History {
    /// Keeps the last `messages` of each room, for ten minutes after the last one. A room's
    /// messages may take 4 KiB each on average (together at least 64 KiB), and those of all rooms
    /// of the hub 64 MiB. For larger messages, set [`bytes`](Self::bytes). For rooms that are quiet
    /// for longer than ten minutes, set [`age`](Self::age).
    ///
    /// # Panics
    ///
    /// If `messages` is 0, or more than 100,000.
    pub fn last(messages: usize) -> Self {
        assert!(
            (1..=100_000).contains(&messages),
            "a history of {messages} messages (expected 1 to 100,000)"
        );
        History {
            messages,
            bytes: (messages * 4096).max(64 * 1024),
            age: Duration::from_secs(600),
            total_bytes: 64 * 1024 * 1024,
        }
    }

    /// Sets the limit of a room in bytes. The default is 4 KiB for each message, and 64 KiB at
    /// least. The newest message is kept even if it is larger.
    ///
    /// Payloads count. The memory may be twice that, since a short message is stored as a payload and
    /// as a frame. With compression, a compressed frame may come to that for each window size that
    /// members ask for: seven at most.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn bytes(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a history of 0 bytes (expected at least 1)");
        self.bytes = bytes;
        self
    }

    /// Sets for how long messages are kept after the last one. The default is ten minutes.
    /// The room itself is kept in this process for the same time at least, even without members. It
    /// is forgotten when another room is made after that.
    ///
    /// # Panics
    ///
    /// If it is less than a second, or more than 30 days.
    pub fn age(mut self, age: Duration) -> Self {
        let range = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);
        assert!(
            range.contains(&age),
            "a history of {age:?} (expected one second to 30 days)"
        );
        self.age = age;
        self
    }

    /// Sets the limit of all rooms of the hub together, in bytes. The default is 64 MiB.
    /// Beyond it, the rooms in which nothing was said for longest forget first.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn total_bytes(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "a total of 0 bytes (expected at least 1)");
        self.total_bytes = bytes;
        self
    }

    /// Returns the number of messages that are kept of a room.
    pub fn max_messages(&self) -> usize {
        self.messages
    }

    /// Returns the number of bytes that are kept of a room.
    pub fn max_bytes(&self) -> usize {
        self.bytes
    }

    /// Returns for how long messages are kept after the last one.
    pub fn max_age(&self) -> Duration {
        self.age
    }

    pub(super) fn max_total_bytes(&self) -> usize {
        self.total_bytes
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            messages: self.messages,
            bytes: self.bytes,
        }
    }
}

/// The policy for the members of a room when messages are lost for good: the engine restarted with
/// older data, or forgot messages before this server had read them.
///
/// A room of one process has no such gaps.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Gap {
    /// Ends the membership of all members at once, and closes their connections with 1012
    /// (service restart) over the next five seconds. Their clients come back, and resume or
    /// load the state anew. This is the default: it needs nothing of the client.
    #[default]
    Close,
    /// Sends all members the message that the function returns, and goes on. It is given the
    /// name of the room and the position at which the room goes on. The client then loads
    /// the state anew.
    Tell(#[doc(hidden)] TellFn),
}

type TellFn = Arc<dyn Fn(&str, Position) -> Message + Send + Sync>;

impl Gap {
    /// Returns [`Gap::Tell`].
    pub fn tell(message: impl Fn(&str, Position) -> Message + Send + Sync + 'static) -> Self {
        Gap::Tell(Arc::new(message))
    }
}

impl fmt::Debug for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Gap::Close => "Close",
            Gap::Tell(_) => "Tell",
        })
    }
}
