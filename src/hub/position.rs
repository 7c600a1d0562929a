//! Positions: places in the log of a room.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// A place in the log of a room: just after a certain message, or before the first.
///
/// A client keeps the position of the last message that it has, and names it when it
/// comes back ([`Room::join_from`](super::Room::join_from)). To a client it is opaque.
/// Its text form has at most 37 characters, all of them digits, letters `a` to `f` and `-`:
///
/// ```
/// use hyper_ws::hub::Position;
///
/// let position: Position = "42-9c3f1a2b00000017".parse()?;
/// assert_eq!(position.to_string(), "42-9c3f1a2b00000017");
/// assert!("42".parse::<Position>().is_err());
/// # Ok::<(), hyper_ws::hub::ParsePositionError>(())
/// ```
///
/// The *number* counts the messages of the log. The *tag* is random, and belongs to that
/// message alone. Two logs that were one until an engine lost its newest messages have equal
/// numbers and different tags, so a position in one is never taken for a position in the
/// other. That is also why positions have no order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    number: u64,
    tag: u64,
}

impl Position {
    /// Makes the position after message number `number`, which has the tag `tag`. The
    /// position before the first message has number 0, and a tag too.
    ///
    /// For the authors of engines. A server gets positions from its rooms.
    pub fn new(number: u64, tag: u64) -> Self {
        Position { number, tag }
    }

    /// Returns the number of the message before this position; 0 if there is none.
    pub fn number(self) -> u64 {
        self.number
    }

    /// Returns the tag of the message before this position.
    pub fn tag(self) -> u64 {
        self.tag
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.number, self.tag)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Position {
    type Err = ParsePositionError;

    /// Accepts what [`Display`](fmt::Display) writes, and nothing else: one position has one
    /// spelling.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once('-').and_then(|(number, tag)| {
            Some(Position {
                number: number.parse().ok()?,
                tag: u64::from_str_radix(tag, 16).ok()?,
            })
        });
        match parsed {
            Some(position) if position.to_string() == text => Ok(position),
            _ => Err(ParsePositionError(())),
        }
    }
}

/// The error of parsing a [`Position`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsePositionError(());

impl fmt::Display for ParsePositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the position is malformed (expected a number, `-` and 16 hexadecimal digits, \
             as in `42-9c3f1a2b00000017`)",
        )
    }
}

impl std::error::Error for ParsePositionError {}

/// A source of tags.
///
/// Tags have to differ, and need not be secret: a client that guesses one can only ask for
/// messages that the room would send anyway. So the standard library's randomness, which keys its
/// hash tables, suffices, and no package is needed.
pub(super) struct Tags {
    keys: RandomState,
    next: AtomicU64,
}

impl Tags {
    pub(super) fn new() -> Self {
        Tags {
            keys: RandomState::new(),
            next: AtomicU64::new(0),
        }
    }

    pub(super) fn next(&self) -> u64 {
        self.keys
            .hash_one(self.next.fetch_add(1, Ordering::Relaxed))
    }
}
