//! The receiving half (RFC 7692, section 7.2.2).

use std::cell::RefCell;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::history::{Context, History, tail};
use super::zlib::TAIL;
use crate::error::Violation;

/// How much is decompressed at a time: the limit is checked in between.
const STEP: usize = 16 * 1024;

/// How many decompressors a thread keeps. One is in use at a time, and one more for each
/// message that is still arriving.
const MAX_KEPT_DECOMPRESSORS: usize = 4;

/// How far back a compressed message may refer (RFC 1951, section 2).
const MAX_WINDOW: usize = 1 << 15;

/// How many times a message may go on after a last block without further conditions. For
/// each time more, it must have brought [`BYTES_OF_RESTART`]: beginning anew costs time,
/// and a peer that sends less only wants to use that up.
const RESTARTS: u32 = 4;
const BYTES_OF_RESTART: usize = 64;

/// Decompresses the messages of one connection.
pub(super) struct Decompressor {
    /// `None` between two messages.
    inflate: Option<Box<Inflate>>,
    message: MessageState,
    /// What the peer may refer to, with context takeover.
    history: Option<Box<History>>,
}

/// How far the message that is arriving has come.
#[derive(Default)]
struct MessageState {
    /// How many compressed bytes have arrived.
    taken: usize,
    /// How often decompressing began anew.
    restarts: u32,
    /// Whether the last block that arrived is marked as the last. Section 7.2.3.4: a
    /// sender may do that, and another block follows.
    ended: bool,
}

impl Decompressor {
    pub(super) fn new(context: Context, window_bits: u8) -> Self {
        let takes_over = context == Context::TakenOver;
        Decompressor {
            inflate: None,
            message: MessageState::default(),
            history: takes_over.then(|| Box::new(History::new(window_bits))),
        }
    }

    /// See [`Decoder::decode`](crate::extension::Decoder::decode).
    pub(super) fn decode(
        &mut self,
        part: &[u8],
        last: bool,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation> {
        with_step(|step| {
            if !part.is_empty() {
                self.feed(part, step, out, limit)?;
            }
            if last { self.finish(step, out) } else { Ok(()) }
        })
    }

    pub(super) fn stop(&mut self) {
        *self = Decompressor::new(Context::None, 0);
    }

    /// Decompresses `input`, wherever it is cut.
    fn feed(
        &mut self,
        mut input: &[u8],
        step: &mut [u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation> {
        self.message.taken += input.len();
        loop {
            if self.message.ended {
                if input.is_empty() {
                    return Ok(());
                }
                self.restart()?;
            }
            let inflate = self.inflate(out)?;
            let (taken, made, status) = run(inflate, input, step, InflateFlush::SyncFlush)?;
            append(out, &step[..made], limit)?;
            input = &input[taken..];
            if status == Status::StreamEnd {
                self.message.ended = true;
            } else if made < step.len() {
                // Room is left, so all of the output is there (a rule of zlib).
                let is_taken = input.is_empty();
                return is_taken.then_some(()).ok_or(Violation::InvalidCompression);
            }
        }
    }

    /// Ends the message: adds the [`TAIL`] that its sender removed.
    ///
    /// To see whether the blocks end there, it adds one byte too many. Asked to stop
    /// between two blocks, the library does not take that byte. The block that the tail
    /// completes may be a last one: section 7.2.1 asks for "an empty DEFLATE block with no
    /// compression (the "BTYPE" bits are set to 00)", and leaves `BFINAL` open.
    fn finish(&mut self, step: &mut [u8], out: &[u8]) -> Result<(), Violation> {
        // An empty payload is not even a block, but its meaning is clear. After a last
        // block, nothing is missing.
        if self.message.taken > 0 && !self.message.ended {
            let [first, second, third, fourth] = TAIL;
            let tail = [first, second, third, fourth, 0];
            let (taken, made, _) = run(self.inflate(out)?, &tail, step, InflateFlush::Block)?;
            if taken != TAIL.len() || made > 0 {
                return Err(Violation::InvalidCompression);
            }
        }
        if let Some(inflate) = self.inflate.take() {
            give(inflate);
        }
        if let Some(history) = &mut self.history {
            history.add(out);
        }
        self.message = MessageState::default();
        Ok(())
    }

    /// Returns the decompressor of this message, which has brought `out` so far.
    fn inflate(&mut self, out: &[u8]) -> Result<&mut Inflate, Violation> {
        let inflate = match self.inflate.take() {
            Some(inflate) => inflate,
            None => self.begin(out)?,
        };
        Ok(self.inflate.insert(inflate))
    }

    /// Takes a decompressor from the thread, and primes it with what the peer may refer
    /// to.
    fn begin(&self, out: &[u8]) -> Result<Box<Inflate>, Violation> {
        let [first, second] = self
            .history
            .as_ref()
            .map_or([&[][..]; 2], |history| history.pieces());
        let mut inflate = take();
        for known in [first, second, tail(out, MAX_WINDOW)] {
            if !known.is_empty() {
                inflate
                    .set_dictionary(known)
                    .map_err(|_| Violation::InvalidCompression)?;
            }
        }
        Ok(inflate)
    }

    /// Goes on after a last block, with a decompressor that is primed anew.
    fn restart(&mut self) -> Result<(), Violation> {
        self.message.restarts += 1;
        let beyond = self.message.restarts.saturating_sub(RESTARTS);
        if beyond as usize > self.message.taken / BYTES_OF_RESTART {
            return Err(Violation::InvalidCompression);
        }
        self.message.ended = false;
        if let Some(inflate) = self.inflate.take() {
            give(inflate);
        }
        Ok(())
    }
}

/// Calls the library once. Returns how many bytes it took and made.
fn run(
    inflate: &mut Inflate,
    input: &[u8],
    step: &mut [u8],
    flush: InflateFlush,
) -> Result<(usize, usize, Status), Violation> {
    let (taken, made) = (inflate.total_in(), inflate.total_out());
    let status = inflate
        .decompress(input, step, flush)
        .map_err(|_| Violation::InvalidCompression)?;
    Ok((
        (inflate.total_in() - taken) as usize,
        (inflate.total_out() - made) as usize,
        status,
    ))
}

fn append(out: &mut Vec<u8>, part: &[u8], limit: usize) -> Result<(), Violation> {
    let left = limit.saturating_sub(out.len());
    if part.len() > left {
        return Err(Violation::MessageTooLarge { limit });
    }
    if out.capacity() - out.len() < part.len() {
        // Doubles, but never beyond the limit.
        out.try_reserve_exact(part.len().max(out.len().min(left)))
            .map_err(|_| Violation::OutOfMemory)?;
    }
    out.extend_from_slice(part);
    Ok(())
}

thread_local! {
    // Boxed: only the pointer moves between here and a connection.
    #[expect(clippy::vec_box)]
    static DECOMPRESSORS: RefCell<Vec<Box<Inflate>>> = const { RefCell::new(Vec::new()) };
    static STEP_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Takes a decompressor from the thread: without a history, for any window.
fn take() -> Box<Inflate> {
    let kept = DECOMPRESSORS.try_with(|kept| kept.borrow_mut().pop());
    match kept {
        Ok(Some(mut inflate)) => {
            inflate.reset(false);
            inflate
        }
        _ => Box::new(Inflate::new(false, 15)),
    }
}

/// Gives a decompressor back to the thread.
fn give(inflate: Box<Inflate>) {
    // It fails while the thread ends; then the decompressor is freed.
    let _ = DECOMPRESSORS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < MAX_KEPT_DECOMPRESSORS {
            kept.push(inflate);
        }
    });
}

/// Calls `with` with the thread's buffer to decompress into.
fn with_step<R>(with: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut step = STEP_BUFFER
        .try_with(|step| std::mem::take(&mut *step.borrow_mut()))
        .unwrap_or_default();
    step.resize(STEP, 0);
    let result = with(&mut step);
    let _ = STEP_BUFFER.try_with(|kept| *kept.borrow_mut() = step);
    result
}
