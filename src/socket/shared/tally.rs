//! Counts of what has gone over a connection.

/// A number of messages and the bytes of their payloads.
///
/// Payloads are counted as the handler sees them: uncompressed, and without frame
/// headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// The number of messages.
    pub messages: u64,
    /// The bytes of all their payloads together.
    pub bytes: u64,
}

/// Up to 2⁴⁰ messages (a million a second for twelve days) and 256 TiB, then it starts
/// again at zero.
///
/// Packed into eleven bytes. With two bytes more, the allocator would give every
/// connection sixteen bytes more.
#[derive(Clone, Copy, Default)]
#[repr(Rust, packed)]
pub(super) struct Tally {
    bytes_low: u32,
    bytes_high: u16,
    messages_low: u32,
    messages_high: u8,
}

impl Tally {
    #[inline]
    pub(super) fn add(&mut self, messages: usize, bytes: usize) {
        // Two additions with carry are cheaper than joining the halves first.
        let (low, carry) = { self.bytes_low }.overflowing_add(bytes as u32);
        let high = ((bytes as u64 >> 32) as u16).wrapping_add(u16::from(carry));
        self.bytes_low = low;
        self.bytes_high = { self.bytes_high }.wrapping_add(high);
        // Never 2³² at once: the messages were all in a queue.
        let (low, carry) = { self.messages_low }.overflowing_add(messages as u32);
        self.messages_low = low;
        self.messages_high = self.messages_high.wrapping_add(u8::from(carry));
    }

    #[inline]
    fn bytes(self) -> u64 {
        u64::from(self.bytes_high) << 32 | u64::from(self.bytes_low)
    }

    #[inline]
    fn messages(self) -> u64 {
        u64::from(self.messages_high) << 32 | u64::from(self.messages_low)
    }
}

impl From<Tally> for Traffic {
    fn from(tally: Tally) -> Self {
        Traffic {
            messages: tally.messages(),
            bytes: tally.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_counted_than_32_bits_hold() {
        let mut tally = Tally::default();
        for _ in 0..200 {
            tally.add(u32::MAX as usize, 1 << 40);
        }
        let traffic = Traffic::from(tally);
        assert_eq!(traffic.messages, 200 * u64::from(u32::MAX));
        assert_eq!(traffic.bytes, 200 << 40);
        assert_eq!(size_of::<Tally>(), 11);
    }
}
