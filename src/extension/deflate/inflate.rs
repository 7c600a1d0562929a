//! The receiving half (RFC 7692, section 7.2.2).

use std::cell::RefCell;

use zlib_rs::{Inflate, InflateFlush, Status};

use super::history::{Context, History, tail};
use super::zlib::TAIL;
use crate::error::Violation;

/// How much is decompressed at a time: the limit is looked at in between.
const STEP: usize = 16 * 1024;

/// Decompressors that a thread keeps. One is in use at a time, but for messages
/// of which the rest is yet to come.
const MAX_KEPT_DECOMPRESSORS: usize = 4;

/// No sender refers back further (RFC 1951, section 2).
const MAX_WINDOW: usize = 1 << 15;

/// How often a message may go on after a last block, and how many bytes it must
/// bring for each time beyond these. Whoever has us begin anew for less wants
/// our time.
const RESTARTS: u32 = 4;
const BYTES_OF_RESTART: usize = 64;

/// Decompresses one connection's messages.
pub(super) struct Decompressor {
    /// Only while a message is arriving.
    inflate: Option<Box<Inflate>>,
    message: Arriving,
    /// What the peer may refer to, if it takes its context over.
    history: Option<Box<History>>,
}

/// The message of which not everything has arrived.
#[derive(Default)]
struct Arriving {
    /// Compressed bytes.
    taken: usize,
    /// How often decompressing began anew.
    restarts: u32,
    /// Whether what has arrived ended with a last block. Section 7.2.3.4: a
    /// sender may use them, and another block follows.
    ended: bool,
}

impl Decompressor {
    pub(super) fn new(context: Context, window_bits: u8) -> Self {
        let takes_over = context == Context::TakenOver;
        Decompressor {
            inflate: None,
            message: Arriving::default(),
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
            match last {
                true => self.finish(step, out),
                false => Ok(()),
            }
        })
    }

    pub(super) fn stop(&mut self) {
        *self = Decompressor::new(Context::None, 0);
    }

    /// Decompresses `input`, which ends where it ends.
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
                // Room that is left says that all has come out (zlib's rule).
                return match input.is_empty() {
                    true => Ok(()),
                    false => Err(Violation::InvalidCompression),
                };
            }
        }
    }

    /// The message is complete: puts back what its sender removed. Whether the
    /// blocks end there is seen by a byte too many, of which nothing is taken
    /// between two blocks if one asks to stop there.
    fn finish(&mut self, step: &mut [u8], out: &[u8]) -> Result<(), Violation> {
        // An empty payload is no block at all, but what it means is clear; and
        // after a last block there is nothing to be completed.
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
        self.message = Arriving::default();
        Ok(())
    }

    /// The decompressor of this message, of which there is `out` already.
    fn inflate(&mut self, out: &[u8]) -> Result<&mut Inflate, Violation> {
        let inflate = match self.inflate.take() {
            Some(inflate) => inflate,
            None => self.begin(out)?,
        };
        Ok(self.inflate.insert(inflate))
    }

    /// One that knows what the peer may refer to.
    fn begin(&self, out: &[u8]) -> Result<Box<Inflate>, Violation> {
        let [first, second] = self.history.as_ref().map_or([&[][..]; 2], |it| it.pieces());
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

    /// Goes on after a last block: with another decompressor that is told what
    /// this one knew.
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

/// One call of the library: what it has taken and made.
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
        // By doubles, but never beyond the limit.
        out.try_reserve_exact(part.len().max(out.len().min(left)))
            .map_err(|_| Violation::OutOfMemory)?;
    }
    out.extend_from_slice(part);
    Ok(())
}

/// Boxed: between here and a connection only the pointer moves.
type Kept = Vec<Box<Inflate>>;

thread_local! {
    static DECOMPRESSORS: RefCell<Kept> = const { RefCell::new(Vec::new()) };
    static STEP_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A decompressor without a history, for any window.
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

fn give(inflate: Box<Inflate>) {
    // While the thread ends, there is nobody to keep it for.
    let _ = DECOMPRESSORS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < MAX_KEPT_DECOMPRESSORS {
            kept.push(inflate);
        }
    });
}

/// Runs `with` on the thread's buffer to decompress into.
fn with_step<R>(with: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut step = STEP_BUFFER
        .try_with(|step| std::mem::take(&mut *step.borrow_mut()))
        .unwrap_or_default();
    step.resize(STEP, 0);
    let result = with(&mut step);
    let _ = STEP_BUFFER.try_with(|kept| *kept.borrow_mut() = step);
    result
}
