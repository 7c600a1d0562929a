//! How the time of the last frame is known, for the keep-alive.

/// The way in which a connection learns when its last frame arrived.
///
/// A usual turn needs the clock for that alone, and reading it is a fifteenth of the turn. So
/// where messages come fast, turns are only counted. The timer looks at the count every eighth
/// of the keep-alive's interval: a *sample*. If there were turns, the frames in them are taken
/// for as old as the sample before, so a ping never comes late, and by an eighth too early at
/// most. A look costs as much as reading the clock in some fifteen turns, so it must save more.
///
/// ```text
///        so many turns with messages before the timer looks
///   Timed ─────────────────────────────────────────────► Sampled
///     ▲                                                     │
///     └──────────── fewer turns in a sample ────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Each turn with messages reads the clock. With the number of these turns since the last
    /// look.
    Timed(u8),
    /// The timer finds out. With the number of turns with messages since the last look.
    Sampled(u8),
}

/// The number of turns for which sampling is worth while.
pub(super) const TURNS: u8 = 32;

/// What to do about the time of the messages in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turned {
    /// To read the clock.
    Timed,
    /// Nothing.
    Sampled,
    /// To take the first sample.
    SampledFromNow,
}

impl Default for Pace {
    fn default() -> Self {
        Pace::Timed(0)
    }
}

impl Pace {
    #[inline]
    pub(super) fn is_sampled(self) -> bool {
        matches!(self, Pace::Sampled(_))
    }

    /// Counts a turn with messages.
    #[inline]
    pub(super) fn count_turn(&mut self) -> Turned {
        match self {
            Pace::Sampled(turns) => {
                *turns = turns.saturating_add(1);
                Turned::Sampled
            }
            Pace::Timed(turns) if *turns < TURNS => {
                *turns += 1;
                Turned::Timed
            }
            Pace::Timed(_) => {
                *self = Pace::Sampled(0);
                Turned::SampledFromNow
            }
        }
    }

    /// The timer looks. Returns whether there were turns with messages that were only counted.
    pub(super) fn look(&mut self) -> bool {
        let (next, had_messages) = match *self {
            Pace::Timed(_) => (Pace::Timed(0), false),
            Pace::Sampled(TURNS..) => (Pace::Sampled(0), true),
            Pace::Sampled(turns) => (Pace::Timed(0), turns > 0),
        };
        *self = next;
        had_messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transition_is_that_of_the_picture() {
        let mut pace = Pace::default();
        for _ in 0..TURNS {
            assert_eq!(pace.count_turn(), Turned::Timed);
        }
        // The look came before there were more of them.
        assert!(!pace.look());
        for _ in 0..TURNS {
            assert_eq!(pace.count_turn(), Turned::Timed);
        }
        assert_eq!(pace.count_turn(), Turned::SampledFromNow);
        for turns in [u32::from(TURNS), 1000] {
            for _ in 0..turns {
                assert_eq!(pace.count_turn(), Turned::Sampled);
            }
            assert!(pace.look() && pace.is_sampled());
        }
        assert_eq!(pace.count_turn(), Turned::Sampled);
        assert!(pace.look() && !pace.is_sampled());
        assert_eq!(pace.count_turn(), Turned::Timed);
        assert!(!pace.look());
    }
}
