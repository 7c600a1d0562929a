//! Compressors that stay with a connection while it is busy.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use zlib_rs::Deflate;

use super::history::History;
use super::zlib::{Settings, compress, prime};

/// A connection is busy if it sends again within this many messages of its thread. So
/// this many connections are busy at a time, at most.
///
/// A compressor takes 200 to 330 KB. More of them do not stay in the cache, and fetching
/// one from memory takes longer than priming another with the history. The exception is
/// a long history with a fast level, which looks at little of the compressor.
const fn busy_within(settings: Settings) -> u64 {
    match (settings.level(), settings.window_bits()) {
        (1 | 2, 14..) => MAX_BUSY as u64,
        _ => 16,
    }
}

/// How many compressors a thread keeps for connections, at most.
const MAX_BUSY: usize = 64;

/// After this many further messages, an unused compressor is freed.
const UNUSED_AFTER: u64 = 1024;

/// How many bytes one compressor sees. The library counts them, on some systems in 32
/// bits.
const MAX_INPUT: u64 = 1 << 30;

/// The messages that a connection has compressed: the last of them, and a name by which
/// a compressor is recognized that has seen them.
pub(super) struct SentMessages {
    history: History,
    connection: u64,
    messages: u64,
    /// The index of that compressor, if there is one.
    place: usize,
    /// When the last message was compressed, as a number of messages of the thread.
    last: u64,
}

struct BusyCompressor {
    compressor: Deflate,
    settings: Settings,
    connection: u64,
    /// How many messages the compressor has seen. `None` if the peer has not seen the same:
    /// then it is of no use to the connection.
    seen: Option<u64>,
    /// The number of the message of the thread up to which the connection is busy.
    until: u64,
}

/// The compressors that a thread keeps for connections.
///
/// A connection gets one when it sends again while it is [busy](busy_within). It loses
/// it when another connection needs one, and it is no longer busy itself. So a busy
/// connection always finds one. If more connections take turns than can be busy, none is
/// busy: they would only take the compressors from each other.
struct BusyCompressors {
    places: Vec<Option<BusyCompressor>>,
    now: u64,
}

thread_local! {
    static BUSY: RefCell<BusyCompressors> = const { RefCell::new(BusyCompressors::new()) };
}

impl BusyCompressor {
    /// Returns whether the compressor has seen exactly what the peer has.
    fn knows(&self, sent: &SentMessages) -> bool {
        self.connection == sent.connection
            && self.seen == Some(sent.messages)
            && self.compressor.total_in() < MAX_INPUT
    }
}

impl SentMessages {
    pub(super) fn new(window_bits: u8) -> Self {
        static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
        SentMessages {
            history: History::new(window_bits),
            connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
            messages: 0,
            place: 0,
            last: 0,
        }
    }

    /// Compresses the next message. Returns whether it got smaller. If not, it is sent as
    /// it is, and does not become part of the history.
    pub(super) fn compress(
        &mut self,
        settings: Settings,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let compressed = BUSY.try_with(|busy| {
            let mut busy = busy.borrow_mut();
            let place = busy.compressor_of(self, settings)?;
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

impl Drop for SentMessages {
    fn drop(&mut self) {
        // A compressor in another thread is freed when it was not used for long.
        let _ = BUSY.try_with(|busy| {
            let mut busy = busy.borrow_mut();
            if let Some(place) = busy.places.get_mut(self.place) {
                place.take_if(|busy| busy.connection == self.connection);
            }
        });
    }
}

impl BusyCompressors {
    const fn new() -> Self {
        BusyCompressors {
            places: Vec::new(),
            // So that the first message of a connection does not count as its next.
            now: MAX_BUSY as u64,
        }
    }

    /// Returns a compressor that has seen what the connection sent; `None` if the
    /// connection is not busy.
    fn compressor_of(
        &mut self,
        sent: &mut SentMessages,
        settings: Settings,
    ) -> Option<&mut BusyCompressor> {
        self.now += 1;
        self.free_unused();
        let within = busy_within(settings);
        let is_busy = self.now.saturating_sub(sent.last) <= within;
        sent.last = self.now;
        let known = self.places.get(sent.place).and_then(Option::as_ref);
        if !known.is_some_and(|busy| busy.knows(sent)) {
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
            prime(&mut compressor, sent.history.pieces()).then_some(())?;
            *place = Some(BusyCompressor {
                compressor,
                settings,
                connection: sent.connection,
                seen: None,
                until: 0,
            });
        }
        let place = self.places[sent.place].as_mut()?;
        place.until = self.now + within;
        Some(place)
    }

    /// Frees a compressor that was not used for long. Each call looks at another one.
    fn free_unused(&mut self) {
        let (at, now) = ((self.now % MAX_BUSY as u64) as usize, self.now);
        if let Some(place) = self.places.get_mut(at) {
            place.take_if(|busy| now > busy.until + UNUSED_AFTER);
        }
    }

    fn free_place(&mut self) -> Option<usize> {
        let is_free = |place: &Option<BusyCompressor>| match place {
            Some(place) => place.seen.is_none() || self.now > place.until,
            None => true,
        };
        self.places.iter().position(is_free).or_else(|| {
            let at = self.places.len();
            (at < MAX_BUSY).then(|| self.places.push(None))?;
            Some(at)
        })
    }
}

/// Returns how many compressors this thread keeps for connections.
#[cfg(test)]
pub(super) fn kept() -> usize {
    BUSY.with_borrow(|busy| busy.places.iter().flatten().count())
}
