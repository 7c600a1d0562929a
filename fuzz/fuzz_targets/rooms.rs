//! The plain parts of rooms: envelopes and positions there and back, the ring against a list,
//! and whole servers (`Follower` and `Ring`) against the model of `src/hub/tests/model`, whose
//! script the fuzzer writes.

#![no_main]

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use hyper_ws::fuzzing::{Ring, model, open, seal};
use hyper_ws::hub::Position;
use hyper_ws::{Message, Prepared};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [which, rest @ ..] = data else { return };
    match which % 8 {
        0 => envelope(rest),
        1 => position(rest),
        2 => drop(ring(&mut Unstructured::new(rest))),
        _ => model(rest),
    }
});

/// What can be opened says the same when it is sealed again; all else is refused.
fn envelope(data: &[u8]) {
    if let Ok((message, except)) = open(Bytes::copy_from_slice(data)) {
        let sealed = seal(&message, except);
        // Extras of an unknown kind are gone, so it has become shorter, if anything.
        assert!(sealed.len() <= data.len() + 18 && data.ends_with(message.message().as_bytes()));
        same(open(sealed), &message, except);
    }
    let message = match std::str::from_utf8(data) {
        Ok(text) => Message::from(text),
        Err(_) => Message::binary(data.to_vec()),
    };
    for prepared in [
        Prepared::new(message.clone()),
        Prepared::uncompressed(message),
    ] {
        for except in [None, Some((data.len() as u64, u64::MAX))] {
            same(open(seal(&prepared, except)), &prepared, except);
        }
    }
}

type Opened = std::result::Result<(Prepared, Option<(u64, u64)>), &'static str>;

fn same(opened: Opened, message: &Prepared, except: Option<(u64, u64)>) {
    let (again, origin) = opened.expect("it was just sealed");
    assert_eq!(again.message(), message.message());
    assert_eq!(origin, except);
    // Whether it may be compressed is the flag of the envelope.
    assert_eq!(seal(&again, origin), seal(message, except));
}

/// One position has one spelling.
fn position(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(position) = text.parse::<Position>()
    {
        assert_eq!(position.to_string(), text);
        assert!(text.len() <= 37);
        let (number, tag) = text.split_once('-').expect("a dash");
        assert_eq!(number.parse(), Ok(position.number()));
        assert_eq!(u64::from_str_radix(tag, 16), Ok(position.tag()));
    }
    if let Some((bytes, _)) = data.split_first_chunk::<16>() {
        let value = u128::from_be_bytes(*bytes);
        let position = Position::new((value >> 64) as u64, value as u64);
        assert_eq!(position.to_string().parse(), Ok(position));
    }
}

/// The ring, as a list.
struct List {
    start: Position,
    entries: Vec<(Position, u64, usize)>,
    messages: usize,
    bytes: usize,
}

impl List {
    fn size(&self) -> usize {
        self.entries.iter().map(|entry| entry.2).sum()
    }

    fn last(&self) -> Position {
        self.entries.last().map_or(self.start, |entry| entry.0)
    }

    fn push(&mut self, entry: (Position, u64, usize)) {
        self.entries.push(entry);
        while self.entries.len() > 1
            && (self.entries.len() > self.messages || self.size() > self.bytes)
        {
            self.start = self.entries.remove(0).0;
        }
    }

    fn prepend(&mut self, before: Position, older: &[(Position, u64, usize)]) {
        let Some(end) = older.iter().position(|entry| entry.0 == self.start) else {
            return;
        };
        for at in (0..=end).rev() {
            let is_full =
                self.entries.len() >= self.messages || self.size() + older[at].2 > self.bytes;
            if is_full && !self.entries.is_empty() {
                return;
            }
            self.entries.insert(0, older[at]);
            self.start = if at == 0 { before } else { older[at - 1].0 };
        }
    }

    fn find(&self, position: Position) -> Option<usize> {
        if position == self.start {
            return Some(0);
        }
        let found = self.entries.iter().position(|entry| entry.0 == position);
        found.map(|index| index + 1)
    }
}

fn ring(u: &mut Unstructured<'_>) -> Result<()> {
    let first = match u.arbitrary::<u8>()? {
        0 => u64::MAX - 20,
        number => u64::from(number),
    };
    let start = Position::new(first, u.arbitrary()?);
    let (messages, bytes) = (u.int_in_range(0..=8)?, u.int_in_range(0..=64)?);
    let mut ring = Ring::new(start, messages, bytes);
    let mut list = List {
        start,
        entries: vec![],
        messages,
        bytes,
    };
    // All that there ever was on this branch, so that what is older fits.
    let mut log: Vec<(Position, u64, usize)> = vec![];
    let mut before = start;
    for number in 0..60 {
        if u.is_empty() {
            break;
        }
        match u.int_in_range(0..=9)? {
            0..=5 => {
                let Some(next) = list.last().number().checked_add(1) else {
                    break;
                };
                let position = Position::new(next, u64::from(u.arbitrary::<u8>()? % 4));
                let entry = (position, number, usize::from(u.arbitrary::<u8>()? % 40));
                log.push(entry);
                ring.push(entry);
                list.push(entry);
            }
            6 | 7 => {
                let from = u.int_in_range(0..=log.len())?;
                let to = u.int_in_range(from..=log.len())?;
                let position = from.checked_sub(1).map_or(before, |at| log[at].0);
                ring.prepend(position, log[from..to].to_vec());
                list.prepend(position, &log[from..to]);
            }
            8 => {
                ring.clear();
                list.start = list.last();
                list.entries.clear();
            }
            _ => {
                let at = Position::new(u.arbitrary::<u16>()?.into(), u.arbitrary()?);
                ring.reset(at);
                list.start = at;
                list.entries.clear();
                log.clear();
                before = at;
            }
        }
        assert_eq!(
            ring.content(),
            (list.start, list.entries.clone(), list.size())
        );
        for entry in &log {
            assert_eq!(ring.find(entry.0), list.find(entry.0));
        }
        let other = Position::new(list.last().number(), 99);
        assert_eq!(ring.find(other), list.find(other));
    }
    Ok(())
}
