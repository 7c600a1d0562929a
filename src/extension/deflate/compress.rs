//! The sending half (RFC 7692, section 7.2.1).

use super::busy::SentMessages;
use super::history::Context;
use super::zlib::Settings;
use crate::extension::{Coding, Terms};
use crate::frame::Rsv;

/// Compresses the messages of one connection.
pub(super) struct Compressor {
    settings: Settings,
    /// What the peer knows of earlier messages, with context takeover.
    sent: Option<Box<SentMessages>>,
}

impl Compressor {
    pub(super) fn new(context: Context, settings: Settings) -> Self {
        let takes_over = context == Context::TakenOver;
        Compressor {
            settings,
            sent: takes_over.then(|| Box::new(SentMessages::new(settings.window_bits()))),
        }
    }

    pub(super) fn coding(&self) -> Coding {
        match self.sent {
            Some(_) => Coding::InContext,
            None => Coding::Independent(Terms::Deflate(self.settings)),
        }
    }

    pub(super) fn wants(&self, length: usize) -> bool {
        self.settings.wants(length)
    }

    pub(super) fn encode(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<Rsv> {
        let Some(sent) = &mut self.sent else {
            return self.settings.encode(payload, out);
        };
        let wanted = self.settings.wants(payload.len());
        (wanted && sent.compress(self.settings, payload, out)).then_some(Rsv::RSV1)
    }
}
