//! The raw compressor, its settings, and the compressors that a thread keeps (RFC 7692,
//! section 7.2.1).

use std::cell::RefCell;

use zlib_rs::{Deflate, DeflateConfig, DeflateError, DeflateFlush, Status};

use crate::config::Compression;
use crate::frame::Rsv;

/// The end of every compressed message: the length of an empty block without
/// compression. The sender removes it (section 7.2.1), the receiver adds it (7.2.2).
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The smallest window that the library accepts for deflate without a header. The
/// library never refers back further than the window less 262 bytes, here 250. So the
/// result also fits a window of 256 bytes (8 bits).
const MIN_WINDOW_BITS: u8 = 9;

/// How many compressors a thread keeps, each with other settings.
const MAX_KEPT_COMPRESSORS: usize = 2;

/// Everything that the compressed form of a message depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    level: u8,
    window_bits: u8,
    memory_level: u8,
    set: Set,
    threshold: u32,
}

/// Takes the place of a padding byte. Its unused values let an `Option<Settings>` be as
/// small as `Settings`: every connection has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Set {
    Yes,
}

impl Settings {
    pub(super) fn of(compression: &Compression) -> Self {
        Settings {
            level: compression.level,
            window_bits: compression.window_bits,
            memory_level: compression.memory_level,
            set: Set::Yes,
            // Saturates: a threshold of 4 GiB is above every message.
            threshold: u32::try_from(compression.threshold).unwrap_or(u32::MAX),
        }
    }

    /// Returns the same settings with a window of at most `window_bits`.
    pub(super) fn within(mut self, window_bits: u8) -> Self {
        self.window_bits = self.window_bits.min(window_bits).max(MIN_WINDOW_BITS);
        self
    }

    pub(super) const fn level(self) -> u8 {
        self.level
    }

    pub(super) const fn window_bits(self) -> u8 {
        self.window_bits
    }

    /// Makes a compressor.
    pub(super) fn compressor(self) -> Deflate {
        Deflate::new_with_config(DeflateConfig {
            level: self.level.into(),
            // Negative: without a header.
            window_bits: -i32::from(self.window_bits),
            mem_level: self.memory_level.into(),
            ..DeflateConfig::default()
        })
    }

    /// Returns whether a message of this length should be compressed. Not an empty one:
    /// its compressed form (section 7.2.3.6) has a byte.
    pub(super) fn wants(self, length: usize) -> bool {
        length > 0 && length >= self.threshold as usize
    }

    /// Compresses a message by itself, with a compressor of the thread. `None` if it does
    /// not get smaller.
    pub(crate) fn encode(self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv> {
        #[cfg(test)]
        COMPRESSIONS.set(COMPRESSIONS.get() + usize::from(self.wants(payload.len())));
        if !self.wants(payload.len()) {
            return None;
        }
        self.compress_after([&[]; 2], payload, out)
            .then_some(Rsv::RSV1)
    }

    /// Compresses a message for a peer that knows these bytes. Returns whether it got
    /// smaller.
    pub(super) fn compress_after(
        self,
        known: [&[u8]; 2],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let mut compressor = take(self);
        let smaller = prime(&mut compressor, known) && compress(&mut compressor, payload, out);
        give(self, compressor);
        smaller
    }
}

thread_local! {
    static COMPRESSORS: RefCell<Vec<(Settings, Deflate)>> = const { RefCell::new(Vec::new()) };
}

/// Takes a compressor from the thread, without a history.
fn take(settings: Settings) -> Deflate {
    let kept = COMPRESSORS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        let at = kept.iter().position(|(of, _)| *of == settings)?;
        Some(kept.remove(at).1)
    });
    match kept {
        Ok(Some(mut compressor)) => {
            compressor.reset();
            compressor
        }
        _ => settings.compressor(),
    }
}

/// Gives a compressor back to the thread.
fn give(settings: Settings, compressor: Deflate) {
    // It fails while the thread ends; then the compressor is freed.
    let _ = COMPRESSORS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() == MAX_KEPT_COMPRESSORS {
            kept.remove(0);
        }
        kept.push((settings, compressor));
    });
}

/// Gives a compressor the bytes that the next message may refer to. Returns whether it
/// took them.
pub(super) fn prime(compressor: &mut Deflate, known: [&[u8]; 2]) -> bool {
    let mut pieces = known.into_iter().filter(|piece| !piece.is_empty());
    pieces.all(|piece| compressor.set_dictionary(piece).is_ok())
}

/// Compresses a message. Returns whether it got smaller.
pub(super) fn compress(compressor: &mut Deflate, payload: &[u8], out: &mut Vec<u8>) -> bool {
    append_compressed(compressor, payload, out).is_ok() && out.len() < payload.len()
}

/// Appends the compressed form of `payload`, up to a byte boundary and without
/// the [`TAIL`].
fn append_compressed(
    compressor: &mut Deflate,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), DeflateError> {
    let mut rest = payload;
    let mut end = out.len();
    // Most messages that are worth compressing get smaller by half.
    out.resize(end + payload.len() / 2 + 64, 0);
    loop {
        let (taken, made) = (compressor.total_in(), compressor.total_out());
        let status = compressor.compress(rest, &mut out[end..], DeflateFlush::SyncFlush)?;
        rest = &rest[(compressor.total_in() - taken) as usize..];
        end += (compressor.total_out() - made) as usize;
        // Room is left, so all of the output is there (a rule of zlib).
        if rest.is_empty() && end < out.len() {
            break;
        }
        if status == Status::BufError && end < out.len() {
            return Err(DeflateError::StreamError);
        }
        out.resize(end + rest.len() + 1024, 0);
    }
    if !out[..end].ends_with(&TAIL) {
        return Err(DeflateError::StreamError);
    }
    out.truncate(end - TAIL.len());
    Ok(())
}

#[cfg(test)]
thread_local! {
    static COMPRESSIONS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Returns how many messages this thread has compressed by themselves.
#[cfg(test)]
pub(crate) fn compressions() -> usize {
    COMPRESSIONS.get()
}
