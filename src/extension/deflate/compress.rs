//! The sending half (RFC 7692, section 7.2.1).

use super::busy::Remembered;
use super::history::Context;
use super::zlib::Terms;
use crate::extension::{self, Coding};
use crate::frame::Rsv;

/// Compresses one connection's messages.
pub(super) struct Compressor {
    terms: Terms,
    /// What the peer knows, if it takes the context over.
    remembered: Option<Box<Remembered>>,
}

impl Compressor {
    pub(super) fn new(context: Context, terms: Terms) -> Self {
        let takes_over = context == Context::TakenOver;
        Compressor {
            terms,
            remembered: takes_over.then(|| Box::new(Remembered::new(terms.window_bits()))),
        }
    }

    pub(super) fn coding(&self) -> Coding {
        match self.remembered {
            Some(_) => Coding::InContext,
            None => Coding::Independent(extension::Terms::Deflate(self.terms)),
        }
    }

    pub(super) fn wants(&self, length: usize) -> bool {
        self.terms.wants(length)
    }

    pub(super) fn encode(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv> {
        let Some(remembered) = &mut self.remembered else {
            return self.terms.encode(payload, out);
        };
        let wanted = self.terms.wants(payload.len());
        (wanted && remembered.compress(self.terms, payload, out)).then_some(Rsv::RSV1)
    }
}
