//! Pings that are to be answered.

use bytes::Bytes;

/// How many pings are answered one by one. A peer that sends more before it
/// reads the answers gets one for its newest.
const PENDING: usize = 16;

/// Pings whose answers cannot be written yet. However many come, only so many
/// are kept: "If an endpoint receives a Ping frame and has not yet sent Pong
/// frame(s) in response to previous Ping frame(s), the endpoint MAY elect to
/// send a Pong frame for only the most recently processed Ping frame."
/// (RFC 6455, section 5.5.3.)
#[derive(Debug, Default)]
pub(crate) struct Pongs(Vec<Bytes>);

impl Pongs {
    pub(crate) fn push(&mut self, ping: Bytes) {
        if self.0.len() == PENDING {
            self.0.pop();
        }
        self.0.push(ping);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the payloads out, the oldest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Bytes> {
        self.0.drain(..)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
