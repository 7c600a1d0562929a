//! The demand: how much the driver is to read, and for which way of receiving.

use super::inbox::Capacity;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::socket) enum Demand {
    /// `recv` waits for messages.
    Awaited(Capacity),
    /// Messages are read ahead: the handler is busy.
    Ahead(Capacity),
    /// Messages are handed over in chunks.
    Chunks(Capacity),
    /// The message that is arriving is handed over in chunks, to be put together for
    /// `recv`.
    Rest(Capacity),
    /// The inbox is full. Messages are read into the driver's backlog, for the sake of the
    /// control frames behind them.
    Beyond(Capacity),
    /// Messages are discarded, since the handler does not receive. The connection goes on.
    ControlFrames,
    /// Everything is discarded: only the peer's close frame is of interest.
    Discard,
}

impl Demand {
    /// Returns the capacity that is left for messages; `None` if they are discarded, which
    /// has no limit.
    #[inline]
    pub(in crate::socket) fn capacity(&mut self) -> Option<&mut Capacity> {
        match self {
            Demand::Awaited(capacity)
            | Demand::Ahead(capacity)
            | Demand::Chunks(capacity)
            | Demand::Rest(capacity)
            | Demand::Beyond(capacity) => Some(capacity),
            Demand::ControlFrames | Demand::Discard => None,
        }
    }

    /// Whether there is room for a message.
    #[inline]
    pub(in crate::socket) fn has_capacity(mut self) -> bool {
        self.capacity().is_none_or(|capacity| !capacity.is_empty())
    }

    /// Whether messages are taken as they arrive, without being assembled.
    pub(in crate::socket) fn is_in_chunks(self) -> bool {
        matches!(self, Demand::Chunks(_) | Demand::Rest(_)) || self.discards()
    }

    /// Whether a message may take as long as it likes.
    pub(in crate::socket) fn is_untimed(self) -> bool {
        matches!(self, Demand::Chunks(_)) || self.discards()
    }

    /// Whether messages are discarded as they arrive.
    pub(in crate::socket) fn discards(self) -> bool {
        matches!(self, Demand::ControlFrames | Demand::Discard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_discarding_needs_no_capacity() {
        let full = Capacity::WHOLE.less(usize::MAX, 0);
        for demand in [
            Demand::Awaited,
            Demand::Ahead,
            Demand::Chunks,
            Demand::Rest,
            Demand::Beyond,
        ] {
            assert!(demand(Capacity::WHOLE).has_capacity());
            assert!(!demand(full).has_capacity());
        }
        assert!(Demand::Discard.has_capacity());
        assert!(Demand::ControlFrames.has_capacity());
    }

    #[test]
    fn a_message_for_recv_is_timed_even_where_it_comes_in_chunks() {
        let capacity = Capacity::WHOLE;
        let answers = [
            Demand::Awaited(capacity),
            Demand::Ahead(capacity),
            Demand::Chunks(capacity),
            Demand::Rest(capacity),
            Demand::ControlFrames,
            Demand::Discard,
        ]
        .map(|demand| (demand.is_in_chunks(), demand.is_untimed()));
        assert_eq!(
            answers,
            [
                (false, false),
                (false, false),
                (true, true),
                (true, false),
                (true, true),
                (true, true)
            ]
        );
    }
}
