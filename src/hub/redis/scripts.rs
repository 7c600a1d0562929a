//! The scripts, the commands that call them, and their answers.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use redis::{Cmd, Pipeline, Value, cmd};

use super::call::{Appended, Call, Probe, PublishCall, Request};
use super::fault::Fault;
use super::names::Names;
use super::wire;
use crate::hub::backplane::{Arrival, Entry, Past, ReadFrom};
use crate::hub::position::Position;

/// How long a server's entries are kept in rosters after its last beat.
const LEASE: Duration = Duration::from_secs(15);

/// How long the end of a log is remembered after the room was last read or published in.
const FORGET: Duration = Duration::from_secs(24 * 3600);

/// The bytes of entries after which a call that reads many rooms leaves the others to another, so
/// that Redis does something else meanwhile.
const READ_BYTES: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Publish,
    Read,
    Probe,
    Enter,
    Leave,
    People,
    Beat,
}

const ALL: [(Script, &str); 7] = [
    (Script::Publish, include_str!("scripts/publish.lua")),
    (Script::Read, include_str!("scripts/read.lua")),
    (Script::Probe, include_str!("scripts/probe.lua")),
    (Script::Enter, include_str!("scripts/enter.lua")),
    (Script::Leave, include_str!("scripts/leave.lua")),
    (Script::People, include_str!("scripts/people.lua")),
    (Script::Beat, include_str!("scripts/beat.lua")),
];

/// The scripts, as a connection has loaded them.
#[derive(Clone, Debug)]
pub(super) struct Scripts {
    names: Names,
    /// The names that Redis has given to the scripts: their SHA-1.
    hashes: [String; ALL.len()],
}

/// The commands that load the scripts.
pub(super) fn load() -> Pipeline {
    let mut pipeline = Pipeline::new();
    for (_, text) in ALL {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(text);
    }
    pipeline
}

impl Scripts {
    /// The scripts, from the answers to [`load`].
    pub(super) fn loaded(names: Names, answers: &[Value]) -> Result<Self, Fault> {
        let mut hashes = [const { String::new() }; ALL.len()];
        for (hash, answer) in hashes.iter_mut().zip(answers) {
            match answer {
                Value::BulkString(text) => *hash = String::from_utf8_lossy(text).into_owned(),
                Value::ServerError(error) => return Err(error.into()),
                _ => return Err(Fault::answer("script load")),
            }
        }
        Ok(Scripts { names, hashes })
    }

    fn call(&self, script: Script, keys: &[String]) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(&self.hashes[script as usize]).arg(keys.len());
        call.arg(keys);
        call
    }

    /// The command of a call. `root` gives the tag of a log that begins.
    pub(super) fn command(&self, call: &Call, root: impl Fn() -> u64) -> Cmd {
        match call {
            Call::Publish(call) => self.publish(call, root()),
            Call::Find(room, _) => self.read([(room, ReadFrom::Start)], root()),
            Call::Read(reads) => {
                let reads = reads.iter().map(|read| &read.request);
                self.read(reads.map(|read| (read.room(), read.from())), root())
            }
            Call::Other(pending) => self.other(&pending.request),
            Call::Probe(probe) => self.probe(Some(*probe)),
            Call::Beat(beat) => {
                let keys = [self.names.leases(), self.names.loss()];
                let mut call = self.call(Script::Beat, &keys);
                call.arg(self.names.prefix()).arg(self.names.server());
                call.arg(LEASE.as_millis() as u64).arg(u8::from(beat.stops));
                call.arg(beat.number).arg(beat.known_loss);
                call.arg(self.names.versions().writes);
                call
            }
            Call::Rooms => {
                let mut call = cmd("HKEYS");
                call.arg(self.names.rooms());
                call
            }
        }
    }

    fn publish(&self, publish: &PublishCall, root: u64) -> Cmd {
        let names = &self.names;
        let history = &publish.history;
        let room = &publish.room;
        let mut keys = vec![names.top(room), names.log(room)];
        for message in &publish.messages {
            if let Some(key) = message.request.once() {
                keys.push(names.once(room, key));
            }
        }
        let mut call = self.call(Script::Publish, &keys);
        call.arg(names.channel(room));
        call.arg(names.field());
        call.arg(&root.to_be_bytes());
        call.arg(history.max_messages());
        call.arg(history.max_bytes());
        // Expiry is set once in a period, which is a fourth of the age, and a second at least. So
        // messages are kept a little longer than asked for, and not shorter.
        let age = history.max_age();
        let kept = age + (age / 4).max(Duration::from_secs(1));
        call.arg(kept.as_millis() as u64);
        call.arg(FORGET.max(2 * age).as_millis() as u64);
        call.arg(period(age / 4));
        let versions = names.versions();
        call.arg(versions.reads).arg(versions.writes);
        let mut index = 2;
        for message in &publish.messages {
            call.arg(format!("{:016}", message.seq));
            call.arg(&message.tag().to_be_bytes());
            call.arg(&message.request.envelope()[..]);
            match message.request.once() {
                Some(_) => {
                    index += 1;
                    call.arg(index);
                }
                None => {
                    call.arg("");
                }
            }
        }
        call
    }

    /// Logs that begin in one call have one tag, in as many rooms.
    fn read<'a>(
        &self,
        reads: impl IntoIterator<Item = (&'a Arc<str>, ReadFrom)>,
        root: u64,
    ) -> Cmd {
        let (rooms, from): (Vec<_>, Vec<_>) = reads.into_iter().unzip();
        let tops: Vec<_> = rooms.iter().map(|room| self.names.top(room)).collect();
        let mut call = self.call(Script::Read, &tops);
        call.arg(&root.to_be_bytes());
        call.arg(FORGET.as_millis() as u64);
        call.arg(self.names.versions().reads).arg(READ_BYTES);
        for from in from {
            match from {
                ReadFrom::End => call.arg("end").arg(""),
                ReadFrom::Start => call.arg("all").arg(""),
                ReadFrom::After(position) => call
                    .arg(position.number())
                    .arg(&position.tag().to_be_bytes()),
            };
        }
        call
    }

    fn other(&self, request: &Request) -> Cmd {
        let names = &self.names;
        match request {
            Request::Relay(relay) => {
                let mut call = cmd("PUBLISH");
                call.arg(names.channel(relay.room()));
                let version = names.versions().writes;
                call.arg(wire::relayed(names.server(), version, relay.envelope()));
                call
            }
            Request::Enter(enter) => {
                let room = enter.room();
                let keys = [names.roster(room), names.leases(), names.rooms()];
                let mut call = self.call(Script::Enter, &keys);
                call.arg(names.channel(room)).arg(names.prefix());
                call.arg(&names.within(room)[..]).arg(names.server());
                call.arg(format!("{:016x}", enter.seat())).arg(enter.key());
                call.arg(&enter.info()[..]);
                call.arg(u8::from(enter.takes_over()));
                call.arg(names.versions().writes);
                call
            }
            Request::Leave { room, key, seat } => {
                let mut call = self.call(Script::Leave, &[names.roster(room), names.rooms()]);
                call.arg(names.channel(room)).arg(&names.within(room)[..]);
                call.arg(format!("{}{seat:016x}", names.server()))
                    .arg(&key[..]);
                call.arg(names.versions().writes);
                call
            }
            Request::People(people) => {
                let room = people.room();
                let mut call = self.call(Script::People, &[names.roster(room), names.leases()]);
                call.arg(names.channel(room)).arg(names.versions().writes);
                call.arg(names.prefix()).arg(&names.within(room)[..]);
                call
            }
        }
    }

    /// The command that shows whether the server takes writes, and is heard if it is a probe.
    pub(super) fn probe(&self, probe: Option<Probe>) -> Cmd {
        let name = self.names.probe();
        let mut call = self.call(Script::Probe, std::slice::from_ref(&name));
        call.arg(name);
        match probe {
            Some(probe) => call.arg(probe.number),
            None => call.arg(""),
        };
        call
    }
}

/// The number of the period in which this moment lies.
fn period(length: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs() / length.as_secs().max(1)
}

/// The answer to a `Publish`: the end of the log, and the outcome of each message.
pub(super) fn published(answer: Value, messages: usize) -> Option<(Position, Vec<Appended>)> {
    let [number, tag, outcomes, said] = array(answer)?;
    let end = position(number, tag)?;
    let mut said = match said {
        Value::Array(said) => said.into_iter(),
        _ => return None,
    };
    let outcomes = bytes(outcomes)?;
    if outcomes.len() != messages {
        return None;
    }
    let outcomes = outcomes.iter().map(|outcome| match outcome {
        b'a' => Some(Appended::Now),
        b'r' => Some(Appended::Before),
        b's' => Some(Appended::Said(wire::said_at(&bytes(said.next()?)?)?)),
        _ => None,
    });
    let outcomes = outcomes.collect::<Option<Vec<_>>>()?;
    let appended = outcomes.iter().filter(|one| **one == Appended::Now);
    (appended.count() as u64 <= end.number()).then_some((end, outcomes))
}

/// The answer to a `Read`, for one room.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RoomRead {
    Past(Past),
    /// The call has read enough: the room is to be asked for again.
    Later,
    /// A newer release has written the log.
    Newer(Past),
    Failed(Fault),
}

/// The answer to a `Read`, by what was asked for.
pub(super) fn pasts(answer: Value, from: &[ReadFrom]) -> Option<Vec<RoomRead>> {
    let Value::Array(values) = answer else {
        return None;
    };
    let mut values = values.into_iter();
    let letters = bytes(values.next()?)?;
    if letters.len() != from.len() {
        return None;
    }
    let read = letters
        .iter()
        .zip(from)
        .map(|(letter, from)| room_read(*letter, *from, &mut values));
    read.collect()
}

fn room_read(
    letter: u8,
    from: ReadFrom,
    values: &mut impl Iterator<Item = Value>,
) -> Option<RoomRead> {
    match (letter, from) {
        (b'=', ReadFrom::After(end)) => Some(RoomRead::Past(Past::Messages {
            end,
            messages: vec![],
        })),
        (b'f', _) => {
            let end = position(values.next()?, values.next()?)?;
            let Value::Array(entries) = values.next()? else {
                return None;
            };
            let first = end.number().checked_sub(entries.len() as u64)?;
            let messages = (first..end.number())
                .zip(entries)
                .map(|(number, entry)| wire::entry(bytes(entry)?, number))
                .collect::<Option<Vec<Arrival>>>()?;
            Some(RoomRead::Past(Past::Messages { end, messages }))
        }
        (b'n', _) => {
            let end = position(values.next()?, values.next()?)?;
            Some(RoomRead::Past(Past::DoesNotFollow { end }))
        }
        (b'v', _) => {
            let end = position(values.next()?, values.next()?)?;
            Some(RoomRead::Newer(Past::DoesNotFollow { end }))
        }
        (b'l', _) => Some(RoomRead::Later),
        (b'x', _) => {
            let reason = bytes(values.next()?)?;
            let reason = String::from_utf8_lossy(&reason);
            Some(RoomRead::Failed(Fault::within_script(&reason)))
        }
        _ => None,
    }
}

/// The answer to a `People`.
pub(super) fn people(answer: Value, server: &str) -> Option<Vec<Entry>> {
    let Value::Array(fields) = answer else {
        return None;
    };
    let fields = fields.into_iter().map(bytes).collect::<Option<Vec<_>>>()?;
    let entries = fields.chunks(2).map(|pair| match pair {
        [key, value] => wire::person(key, value, server),
        _ => None,
    });
    entries.collect()
}

/// The answer to a `Rooms`: rooms as names contain them.
pub(super) fn rooms(answer: Value) -> Vec<Bytes> {
    match answer {
        Value::Array(rooms) => rooms.into_iter().filter_map(bytes).collect(),
        _ => vec![],
    }
}

/// The answer to a `Beat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beaten {
    /// The number of the beat that has found the lease of this server to be over; 0 if there is
    /// none that this server does not know of.
    pub(super) loss: u64,
    /// Nothing is left to be removed.
    pub(super) is_clean: bool,
}

pub(super) fn beaten(answer: Value) -> Option<Beaten> {
    match array(answer)? {
        [Value::Int(loss), Value::Int(clean)] => Some(Beaten {
            loss: loss.try_into().ok()?,
            is_clean: clean == 1,
        }),
        _ => None,
    }
}

fn array<const N: usize>(answer: Value) -> Option<[Value; N]> {
    match answer {
        Value::Array(values) => values.try_into().ok(),
        _ => None,
    }
}

fn bytes(value: Value) -> Option<Bytes> {
    match value {
        Value::BulkString(bytes) => Some(bytes.into()),
        _ => None,
    }
}

fn position(number: Value, tag: Value) -> Option<Position> {
    let number = bytes(number)?;
    let number = std::str::from_utf8(&number).ok()?.parse().ok()?;
    Some(Position::new(number, wire::tag(&bytes(tag)?)?))
}
