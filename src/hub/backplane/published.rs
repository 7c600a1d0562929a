//! What has become of a message that was published.

use crate::hub::position::Position;

/// Where a message stands in the log, and whether it stood there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The position after the message.
    pub position: Position,
    /// A message with the same key was in the log, so this one was not appended. The position is that
    /// of the other.
    pub repeated: bool,
}

impl Published {
    /// The message was appended.
    pub fn appended(position: Position) -> Self {
        Published {
            position,
            repeated: false,
        }
    }

    /// A message with the same [key](crate::hub::backplane::Publish::once) stands at this position.
    pub fn repeated(position: Position) -> Self {
        Published {
            position,
            repeated: true,
        }
    }
}
