//! Both directions of one connection.

use std::sync::Arc;

use super::compress::Compressor;
use super::inflate::Decompressor;
use crate::config::Slot;
use crate::error::Violation;
use crate::extension::{Coding, Decoder, Encoder};
use crate::frame::Rsv;

/// Both directions of one connection. An idle connection holds this, and its histories.
pub(super) struct DeflateCodec {
    pub(super) compressor: Compressor,
    pub(super) decompressor: Decompressor,
    /// Held as long as one of the directions has a history.
    pub(super) _slot: Option<Arc<Slot>>,
}

impl Decoder for DeflateCodec {
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

impl Encoder for DeflateCodec {
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
