//! Compressors that stay with a connection for as long as it is busy.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use zlib_rs::Deflate;

use super::history::History;
use super::zlib::{Settings, compress, tell};

/// Within how many messages of the thread a busy connection sends again, and so
/// how many are busy at a time at most. A compressor has 200 to 330 KB: more of
/// them would not stay in the cache, and to fetch one from memory takes longer than
/// to tell another what it must know. Not so if that is much, and the level a fast
/// one, which looks at little of what the compressor has.
const fn soon(settings: Settings) -> u64 {
    match (settings.level(), settings.window_bits()) {
        (1 | 2, 14..) => PLACES as u64,
        _ => 16,
    }
}

/// How many places there can be.
const PLACES: usize = 64;

/// After so many messages more a compressor that nobody has used is given up.
const UNUSED_AFTER: u64 = 1024;

/// Bytes that one compressor sees. The library counts them, on some systems in 32
/// bits.
const MAX_INPUT: u64 = 1 << 30;

/// All that one direction has carried: its end, and the name of it, by which a
/// compressor is known that has seen it.
pub(super) struct Remembered {
    history: History,
    connection: u64,
    messages: u64,
    /// Where that compressor is, if there is one.
    place: usize,
    /// When the last message was compressed, counted in messages of the thread.
    last: u64,
}

struct Place {
    compressor: Deflate,
    settings: Settings,
    connection: u64,
    /// How many messages the compressor has seen. If the peer has not seen them too,
    /// it is of no use to the connection, and the place is free.
    seen: Option<u64>,
    /// The message of the thread with which the connection is not busy any more.
    until: u64,
}

/// The compressors of a thread. A connection gets one when it sends again [`soon`],
/// and loses it when somebody else does and it has not.
/// So there is always a place, and where more connections than that take turns,
/// none has one: they would only take it from each other.
struct Places {
    places: Vec<Option<Place>>,
    now: u64,
}

thread_local! {
    static BUSY: RefCell<Places> = const { RefCell::new(Places::new()) };
}

impl Place {
    /// Whether the compressor has seen what the peer has, and no more.
    fn knows(&self, sent: &Remembered) -> bool {
        self.connection == sent.connection
            && self.seen == Some(sent.messages)
            && self.compressor.total_in() < MAX_INPUT
    }
}

impl Remembered {
    pub(super) fn new(window_bits: u8) -> Self {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        Remembered {
            history: History::new(window_bits),
            connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
            messages: 0,
            place: 0,
            last: 0,
        }
    }

    /// Compresses the next message; says whether it got smaller. If it did not,
    /// it goes as it is, and nothing of it is remembered.
    pub(super) fn compress(
        &mut self,
        settings: Settings,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let compressed = BUSY.try_with(|busy| {
            let mut busy = busy.borrow_mut();
            let place = busy.place_of(self, settings)?;
            let smaller = compress(&mut place.compressor, payload, out);
            place.seen = smaller.then(|| self.messages + 1);
            Some(smaller)
        });
        let smaller = match compressed {
            Ok(Some(smaller)) => smaller,
            _ => settings.compress_after(self.history.pieces(), payload, out),
        };
        if smaller {
            self.messages += 1;
            self.history.add(payload);
        }
        smaller
    }
}

impl Drop for Remembered {
    fn drop(&mut self) {
        // A place in another thread is given up when it has long not been used.
        let _ = BUSY.try_with(|busy| {
            let mut busy = busy.borrow_mut();
            if let Some(place) = busy.places.get_mut(self.place) {
                place.take_if(|it| it.connection == self.connection);
            }
        });
    }
}

impl Places {
    const fn new() -> Self {
        Places {
            places: Vec::new(),
            // The first message of a connection is not its next.
            now: PLACES as u64,
        }
    }

    /// The place of a connection, with a compressor that knows what it has sent;
    /// `None` if it is not busy.
    fn place_of(&mut self, sent: &mut Remembered, settings: Settings) -> Option<&mut Place> {
        self.now += 1;
        self.give_up_one();
        let soon = soon(settings);
        let is_busy = self.now.saturating_sub(sent.last) <= soon;
        sent.last = self.now;
        let known = self.places.get(sent.place).and_then(Option::as_ref);
        if !known.is_some_and(|it| it.knows(sent)) {
            if !is_busy {
                return None;
            }
            sent.place = self.free_place()?;
            let place = &mut self.places[sent.place];
            let mut compressor = match place.take() {
                Some(mut place) if place.settings == settings => {
                    place.compressor.reset();
                    place.compressor
                }
                _ => settings.compressor(),
            };
            tell(&mut compressor, sent.history.pieces()).then_some(())?;
            *place = Some(Place {
                compressor,
                settings,
                connection: sent.connection,
                seen: None,
                until: 0,
            });
        }
        let place = self.places[sent.place].as_mut()?;
        place.until = self.now + soon;
        Some(place)
    }

    /// One after the other is looked at: who keeps a compressor for nobody gives it
    /// back.
    fn give_up_one(&mut self) {
        let (at, now) = ((self.now % PLACES as u64) as usize, self.now);
        if let Some(place) = self.places.get_mut(at) {
            place.take_if(|it| now > it.until + UNUSED_AFTER);
        }
    }

    fn free_place(&mut self) -> Option<usize> {
        let is_free = |it: &Option<Place>| match it {
            Some(place) => place.seen.is_none() || self.now > place.until,
            None => true,
        };
        self.places.iter().position(is_free).or_else(|| {
            let at = self.places.len();
            (at < PLACES).then(|| self.places.push(None))?;
            Some(at)
        })
    }
}

/// How many compressors this thread keeps for connections.
#[cfg(test)]
pub(super) fn kept() -> usize {
    BUSY.with_borrow(|busy| busy.places.iter().flatten().count())
}
