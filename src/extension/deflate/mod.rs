//! permessage-deflate (RFC 7692).
//!
//! [`negotiate`] decides what both sides agree on, [`compress`] and [`inflate`]
//! do it. Compressors and decompressors belong to the thread and are borrowed for
//! the length of one message. Where a context is taken over, what they must know
//! of the messages before is a connection's [`history`]; the few connections that
//! are [`busy`] keep their compressors.

mod busy;
mod compress;
mod history;
mod inflate;
mod negotiate;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::config::Slot;
use crate::error::Violation;
use crate::extension::{Coding, Decoder, Encoder};
use crate::frame::Rsv;
use compress::Compressor;
pub(crate) use compress::Terms;
use inflate::Decompressor;
pub(crate) use negotiate::{Agreed, KNOWN};
#[cfg(test)]
pub(crate) use {compress::compressions, tests::agree};

/// Section 7.2.1: what a sender removes from the end of every message, and a
/// receiver puts back (7.2.2): the length of an empty block without compression.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Whether a message may refer to the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    TakenOver,
    None,
}

/// Both directions of one connection: what an idle one holds is this, and what
/// it takes over.
struct Codec {
    compressor: Compressor,
    decompressor: Decompressor,
    /// Held as long as one of the directions has a history.
    _slot: Option<Arc<Slot>>,
}

impl Decoder for Codec {
    fn reserved_bits(&self) -> Rsv {
        Rsv::RSV1
    }

    fn decode(
        &mut self,
        _rsv: Rsv,
        part: &[u8],
        last: bool,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation> {
        self.decompressor.decode(part, last, out, limit)
    }

    fn stop_decoding(&mut self) {
        self.decompressor.stop();
    }
}

impl Encoder for Codec {
    fn coding(&self) -> Coding {
        self.compressor.coding()
    }

    fn wants(&self, length: usize) -> bool {
        self.compressor.wants(length)
    }

    fn encode(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv> {
        self.compressor.encode(payload, out)
    }
}
