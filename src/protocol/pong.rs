//! Pings that are yet to be answered.

use bytes::Bytes;

/// How many pings are kept. Further ones replace the newest, until the answers can
/// be written.
const MAX_PENDING: usize = 16;

/// Pings whose answers cannot be written yet.
///
/// A flood of pings does not make it grow: "If an endpoint receives a Ping frame and
/// has not yet sent Pong frame(s) in response to previous Ping frame(s), the endpoint
/// MAY elect to send a Pong frame for only the most recently processed Ping frame."
/// (RFC 6455, section 5.5.3.)
#[derive(Debug, Default)]
pub(crate) struct Pongs(Vec<Bytes>);

impl Pongs {
    pub(crate) fn push(&mut self, ping: Bytes) {
        if self.0.len() == MAX_PENDING {
            self.0.pop();
        }
        self.0.push(ping);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out the payloads, the oldest first.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Bytes> {
        self.0.drain(..)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_pings_keeps_the_oldest_and_the_newest() {
        let mut pongs = Pongs::default();
        assert!(pongs.is_empty());
        for number in 0..20 {
            pongs.push(Bytes::from(vec![number]));
        }
        assert!(!pongs.is_empty());
        let kept: Vec<u8> = pongs.drain().map(|ping| ping[0]).collect();
        assert_eq!(kept[..15], (0..15).collect::<Vec<_>>());
        assert_eq!(kept[15..], [19]);
        assert!(pongs.is_empty());
        pongs.push(Bytes::new());
        pongs.clear();
        assert!(pongs.is_empty());
    }
}
