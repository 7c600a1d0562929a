//! How the time of the last frame is known, for the keep-alive.

/// The way in which a connection learns when its last frame arrived.
///
/// A usual turn needs the clock for that alone, and reading it is a fifteenth of the turn. So
/// where messages come fast, turns are only counted. The timer looks at the count every eighth
/// of the keep-alive's interval: a *sample*. When the turns get fewer, the last frame is taken
/// for as old as the sample before it, so a ping never comes late, and by an eighth too early
/// at most. A sample costs as much as reading the clock in some fifteen turns, so it must save
/// more.
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
    /// To read the clock for the last time. The first sample follows.
    SampledFromNow,
}

/// What a look of the timer has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// No sample was due.
    Timed,
    /// A sample, and the next follows.
    Sampled,
    /// The last sample: there were few turns with messages, or none.
    TimedFromNow { had_messages: bool },
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

    /// The timer looks.
    pub(super) fn look(&mut self) -> Looked {
        let (next, looked) = match *self {
            Pace::Timed(_) => (Pace::Timed(0), Looked::Timed),
            Pace::Sampled(TURNS..) => (Pace::Sampled(0), Looked::Sampled),
            Pace::Sampled(turns) => {
                let had_messages = turns > 0;
                (Pace::Timed(0), Looked::TimedFromNow { had_messages })
            }
        };
        *self = next;
        looked
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
        assert_eq!(pace.look(), Looked::Timed);
        for _ in 0..TURNS {
            assert_eq!(pace.count_turn(), Turned::Timed);
        }
        assert_eq!(pace.count_turn(), Turned::SampledFromNow);
        for turns in [u32::from(TURNS), 1000] {
            for _ in 0..turns {
                assert_eq!(pace.count_turn(), Turned::Sampled);
            }
            assert_eq!(pace.look(), Looked::Sampled);
            assert!(pace.is_sampled());
        }
        for turns in [TURNS - 1, 0] {
            pace = Pace::Sampled(0);
            for _ in 0..turns {
                assert_eq!(pace.count_turn(), Turned::Sampled);
            }
            let had_messages = turns > 0;
            assert_eq!(pace.look(), Looked::TimedFromNow { had_messages });
            assert_eq!(pace, Pace::default());
        }
    }
}
