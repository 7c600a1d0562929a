//! The names of keys and channels, and the layout of what they hold.

use std::borrow::Cow;
use std::sync::Arc;

use super::wire::Versions;

/// The names of keys and channels, all of which begin with the prefix.
///
/// The braces keep what belongs to a room in one slot of a cluster. Within a room's name a closing
/// brace is doubled. Otherwise the names of one room could be those of another: rooms and the keys of
/// messages may come from clients.
#[derive(Clone, Debug)]
pub(super) struct Names {
    prefix: Arc<str>,
    /// The name of the server: 16 hexadecimal digits.
    server: Arc<str>,
    versions: Versions,
}

impl Names {
    pub(super) fn new(prefix: &str, server: u64, versions: Versions) -> Self {
        Names {
            prefix: prefix.into(),
            server: format!("{server:016x}").into(),
            versions,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) fn versions(&self) -> Versions {
        self.versions
    }

    pub(super) fn channel(&self, room: &str) -> String {
        format!("{}:{{{}}}", self.prefix, self.within(room))
    }

    /// A room as names contain it.
    pub(super) fn within<'a>(&self, room: &'a str) -> Cow<'a, str> {
        match room.contains('}') {
            true => room.replace('}', "}}").into(),
            false => room.into(),
        }
    }

    /// The room of a channel; `None` if the channel is not that of a room.
    pub(super) fn room_of<'a>(&self, channel: &'a [u8]) -> Option<Cow<'a, str>> {
        let room = channel
            .strip_prefix(self.prefix.as_bytes())?
            .strip_prefix(b":{")?
            .strip_suffix(b"}")?;
        self.without(room)
    }

    /// The room that names contain [so](Self::within); `None` if it is none.
    pub(super) fn without<'a>(&self, room: &'a [u8]) -> Option<Cow<'a, str>> {
        let room = std::str::from_utf8(room).ok()?;
        Some(match room.contains('}') {
            true => room.replace("}}", "}").into(),
            false => room.into(),
        })
    }

    /// The end of the log: a hash.
    pub(super) fn top(&self, room: &str) -> String {
        format!("{}:t", self.channel(room))
    }

    /// The log: a list.
    pub(super) fn log(&self, room: &str) -> String {
        format!("{}:l", self.channel(room))
    }

    /// The position of a message that has a key: a string.
    pub(super) fn once(&self, room: &str, key: &str) -> String {
        format!("{}:o:{key}", self.channel(room))
    }

    /// Who is in a room: a hash.
    pub(super) fn roster(&self, room: &str) -> String {
        format!("{}:w", self.channel(room))
    }

    /// When the lease of each server ends: a sorted set.
    pub(super) fn leases(&self) -> String {
        format!("{}:servers", self.prefix)
    }

    /// The number of entries of this server in each room: a hash.
    pub(super) fn rooms(&self) -> String {
        format!("{}:server:{}", self.prefix, self.server)
    }

    /// Which beat has found the lease of this server to be over: a string.
    pub(super) fn loss(&self) -> String {
        format!("{}:loss:{}", self.prefix, self.server)
    }

    /// The channel of the probes of this server, and a key that never exists.
    pub(super) fn probe(&self) -> String {
        format!("{}:probe:{}", self.prefix, self.server)
    }

    /// The field of this server in the top of a room.
    pub(super) fn field(&self) -> String {
        format!("s{}", self.server)
    }
}
