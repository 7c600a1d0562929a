//! What goes over the channel of a room.
//!
//! The first byte is the kind, the second the [version](Versions) of the layout:
//!
//! ```text
//! m1 number SP (length ':' previous-tag tag envelope)*     messages of the log
//! r1 server envelope                                        a message without a log
//! p1 ( 'e' server seat length ':' key length ':' info       somebody has entered,
//!    | 'l' length ':' key )*                                or left
//! ```
//!
//! Tags are 8 bytes, big-endian. `server` and `seat` are 16 hexadecimal digits.

use bytes::Bytes;

use crate::hub::backplane::{Arrival, Entry, RosterChange};
use crate::hub::position::Position;

/// The bytes before an envelope in an entry of a log: the tags of its predecessor and its own.
pub(super) const TAGS: usize = 16;

/// What has come over the channel of a room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload {
    Messages(Vec<Arrival>),
    Relayed(Bytes),
    Roster(Vec<RosterChange>),
    /// What this server has relayed itself.
    Own,
}

/// The versions of what goes over channels and stands in logs.
///
/// Each release reads all versions up to its own. A log names the highest version of its entries,
/// in the field `v` of its top, unless that is 1. A server that cannot read it does not append to
/// it either, since its readers could not tell the entries apart. What changes in a way that older
/// releases may ignore needs no new version: another field of the top, another kind of payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    /// The highest that is read.
    pub(super) reads: u8,
    /// The one that is written.
    pub(super) writes: u8,
}

impl Versions {
    /// Those of this release.
    pub(super) const OWN: Self = Versions {
        reads: 1,
        writes: 1,
    };
}

/// Takes a payload apart. `None` if it is malformed, or of a version that is not read here.
/// `server` is the name of this server.
pub(super) fn parse(payload: Bytes, server: &str, versions: Versions) -> Option<Payload> {
    let mut input = Input(payload);
    let head = input.take(2)?;
    let version = head[1].checked_sub(b'0')?;
    if !(1..=versions.reads).contains(&version) {
        return None;
    }
    match head[0] {
        b'm' => {
            let number = input.number(b' ')?;
            let mut number = number.try_into().ok()?;
            let mut arrivals = vec![];
            while !input.is_empty() {
                arrivals.push(entry(input.string()?, number)?);
                number += 1;
            }
            Some(Payload::Messages(arrivals))
        }
        b'r' => {
            let from = input.take(server.len())?;
            Some(if from == server.as_bytes() {
                Payload::Own
            } else {
                Payload::Relayed(input.0)
            })
        }
        b'p' => {
            let mut changes = vec![];
            while !input.is_empty() {
                changes.push(match &input.take(1)?[..] {
                    b"e" => {
                        let owner = input.take(32)?;
                        let key = text(&input.string()?)?;
                        let info = input.string()?;
                        let seat = seat(&owner, server)?;
                        RosterChange::Entered(Entry { key, info, seat })
                    }
                    b"l" => RosterChange::Left(text(&input.string()?)?),
                    _ => return None,
                });
            }
            Some(Payload::Roster(changes))
        }
        _ => None,
    }
}

/// Makes the payload of a message without a log.
pub(super) fn relayed(server: &str, version: u8, envelope: &[u8]) -> Vec<u8> {
    [&[b'r', b'0' + version], server.as_bytes(), envelope].concat()
}

/// Takes an entry of a log apart. `number` is that of its predecessor.
pub(super) fn entry(entry: Bytes, number: u64) -> Option<Arrival> {
    Some(Arrival {
        previous: Position::new(number, tag(entry.get(..8)?)?),
        position: Position::new(number.checked_add(1)?, tag(entry.get(8..TAGS)?)?),
        envelope: entry.slice(TAGS..),
    })
}

/// Takes the entry of a roster apart: its key and its value.
pub(super) fn person(key: &Bytes, value: &Bytes, server: &str) -> Option<Entry> {
    Some(Entry {
        key: text(key)?,
        info: value.slice_ref(value.get(32..)?),
        seat: seat(value.get(..32)?, server)?,
    })
}

pub(super) fn tag(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// The position that a script returns for a key: a number, a space and a tag.
pub(super) fn said_at(bytes: &Bytes) -> Option<Position> {
    let mut input = Input(bytes.clone());
    let number = input.number(b' ')?;
    Some(Position::new(number.try_into().ok()?, tag(&input.0)?))
}

/// The seat of an owner if that is this server. `None` if the owner is malformed.
fn seat(owner: &[u8], server: &str) -> Option<Option<u64>> {
    let (of, seat) = owner.split_at_checked(16)?;
    let seat = u64::from_str_radix(std::str::from_utf8(seat).ok()?, 16).ok()?;
    Some((of == server.as_bytes()).then_some(seat))
}

fn text(bytes: &[u8]) -> Option<Box<str>> {
    std::str::from_utf8(bytes).ok().map(Into::into)
}

/// What is left to be read.
struct Input(Bytes);

impl Input {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Option<Bytes> {
        (count <= self.0.len()).then(|| self.0.split_to(count))
    }

    /// A decimal number, and the byte that ends it.
    fn number(&mut self, end: u8) -> Option<usize> {
        let length = self.0.iter().take(20).position(|byte| *byte == end)?;
        let digits = self.0.split_to(length + 1);
        let digits = &digits[..length];
        let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
    }

    /// Bytes after their length.
    fn string(&mut self) -> Option<Bytes> {
        let length = self.number(b':')?;
        self.take(length)
    }
}
