//! The life of a connection, as its handles see it.

use crate::error::{CloseCause, Error};

/// The progress of a connection towards its end, and why it ended.
///
/// ```text
///   Open ── begin_end ──► Closing ── finish ──► Closed
///    │ │                   ▲ │                    │
///    │ │ writing_failed    │ │ abort              │ abort
///    │ └──► ReceiveOnly ───┘ │                    │
///    │ abort        │ abort  │                    │
///    └──────────────┴───► Aborting                ▼
///                             └── finish ──► Discarded
/// ```
///
/// The end is begun by `close`, the peer's close frame, a violation, a timeout or an IO
/// error. `finish` on an open life goes through `Closing`: the driver was dropped.
///
/// The first cause stays, with one exception. In `ReceiveOnly` the failed write is the cause
/// of whatever ends the connection, except for what the peer had sent before:
/// [`input_ended`](Life::input_ended). Until then there is no cause to be told.
///
/// `Open` is a null pointer, so an idle connection pays eight bytes for all of this.
#[derive(Default)]
pub(super) struct Life(Option<Box<End>>);

struct End {
    phase: Phase,
    cause: CloseCause,
    /// The error that `recv` has yet to return.
    error: Option<Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A write has failed. Nothing can be sent, and what has arrived is still received.
    ReceiveOnly,
    /// The closing handshake is under way. Nothing more is received.
    Closing,
    /// The driver drops the IO and the handler in its next turn.
    Aborting,
    /// The IO is gone. The handler may still run.
    Closed,
    /// The IO is gone, and the handler must not be polled again.
    Discarded,
}

impl Life {
    /// Begins the end; returns whether this call did.
    pub(super) fn begin_end(&mut self, cause: CloseCause, error: Option<Error>) -> bool {
        let is_first = self.is_open();
        if is_first {
            self.0 = Some(Box::new(End {
                phase: Phase::Closing,
                cause,
                error,
            }));
        } else if let Some(end) = &mut self.0
            && end.phase == Phase::ReceiveOnly
        {
            end.phase = Phase::Closing;
        }
        is_first
    }

    /// The peer had something to say about the end: its close frame, or a violation. That is
    /// the cause, even if a write has failed before it was read.
    pub(super) fn input_ended(&mut self, cause: CloseCause, error: Option<Error>) {
        self.0.take_if(|end| end.phase == Phase::ReceiveOnly);
        self.begin_end(cause, error);
    }

    /// A write has failed, for this cause; returns whether receiving goes on.
    pub(super) fn writing_failed(&mut self, cause: CloseCause, error: Option<Error>) -> bool {
        if self.is_open() {
            self.0 = Some(Box::new(End {
                phase: Phase::ReceiveOnly,
                cause,
                error,
            }));
        }
        self.is_receive_only()
    }

    /// Has the driver drop the IO, if it has not yet, and the handler.
    pub(super) fn abort(&mut self, cause: CloseCause) {
        self.begin_end(cause, None);
        if let Some(end) = &mut self.0 {
            end.phase = match end.phase {
                Phase::ReceiveOnly | Phase::Closing | Phase::Aborting => Phase::Aborting,
                Phase::Closed | Phase::Discarded => Phase::Discarded,
            };
        }
    }

    /// Notes that the IO is gone; returns whether this call is the first to do so.
    pub(super) fn finish(&mut self, cause: CloseCause) -> bool {
        let is_first = !self.is_closed();
        self.begin_end(cause, None);
        if let Some(end) = &mut self.0 {
            end.phase = match end.phase {
                Phase::ReceiveOnly | Phase::Closing | Phase::Closed => Phase::Closed,
                Phase::Aborting | Phase::Discarded => Phase::Discarded,
            };
        }
        is_first
    }

    fn phase(&self) -> Option<Phase> {
        self.0.as_ref().map(|end| end.phase)
    }

    /// Whether messages may still be received and sent.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// Whether messages may still be received.
    #[inline]
    pub(super) fn may_receive(&self) -> bool {
        self.is_open() || self.is_receive_only()
    }

    /// Whether a write has failed, and receiving goes on.
    pub(super) fn is_receive_only(&self) -> bool {
        self.phase() == Some(Phase::ReceiveOnly)
    }

    /// Whether nothing more will be written, whatever is queued.
    pub(super) fn is_writing_over(&self) -> bool {
        self.is_closed() || self.is_receive_only()
    }

    /// Whether the IO is gone.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase(), Some(Phase::Closed | Phase::Discarded))
    }

    /// Whether the driver is to drop the IO now.
    pub(super) fn is_aborting(&self) -> bool {
        self.phase() == Some(Phase::Aborting)
    }

    /// Whether the driver is to drop the handler now.
    pub(super) fn is_handler_unwanted(&self) -> bool {
        matches!(self.phase(), Some(Phase::Aborting | Phase::Discarded))
    }

    /// Returns why the connection ended, or is about to.
    pub(super) fn cause(&self) -> Option<&CloseCause> {
        let end = self.0.as_ref();
        end.filter(|end| end.phase != Phase::ReceiveOnly)
            .map(|end| &end.cause)
    }

    /// Whether `recv` has an error to return.
    pub(super) fn has_error(&self) -> bool {
        self.0.as_ref().is_some_and(|end| end.error.is_some())
    }

    /// What `recv` returns once there are no more messages: the error once, then the
    /// end. `None` while there may be more.
    pub(super) fn take_end(&mut self) -> Option<Result<(), Error>> {
        let end = self.0.as_mut()?;
        if end.phase == Phase::ReceiveOnly {
            return None;
        }
        Some(end.error.take().map_or(Ok(()), Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CloseCode;
    use crate::error::ErrorKind;

    /// A life in each phase, with the cause that it must keep.
    fn in_phase(phase: Option<Phase>) -> (Life, Option<CloseCause>) {
        let mut life = Life::default();
        if let Some(phase) = phase {
            life.begin_end(CloseCause::PingTimeout, None);
            life.0.as_mut().unwrap().phase = phase;
        }
        (life, phase.map(|_| CloseCause::PingTimeout))
    }

    const ALL: [Option<Phase>; 6] = [
        None,
        Some(Phase::ReceiveOnly),
        Some(Phase::Closing),
        Some(Phase::Aborting),
        Some(Phase::Closed),
        Some(Phase::Discarded),
    ];

    #[test]
    fn every_transition_from_every_phase_is_that_of_the_picture() {
        use Phase::*;
        for (from, begun, aborted, finished) in [
            (None, Closing, Aborting, Closed),
            (Some(ReceiveOnly), Closing, Aborting, Closed),
            (Some(Closing), Closing, Aborting, Closed),
            (Some(Aborting), Aborting, Aborting, Discarded),
            (Some(Closed), Closed, Discarded, Closed),
            (Some(Discarded), Discarded, Discarded, Discarded),
        ] {
            let (mut life, _) = in_phase(from);
            assert_eq!(life.begin_end(CloseCause::Lost, None), from.is_none());
            assert_eq!(life.phase(), Some(begun), "{from:?}");

            let (mut life, _) = in_phase(from);
            life.abort(CloseCause::Aborted);
            assert_eq!(life.phase(), Some(aborted), "{from:?}");

            let (mut life, _) = in_phase(from);
            let was_closed = matches!(from, Some(Closed | Discarded));
            assert_eq!(life.finish(CloseCause::Lost), !was_closed);
            assert_eq!(life.phase(), Some(finished), "{from:?}");
        }
    }

    #[test]
    fn the_first_cause_stays() {
        for phase in ALL {
            let (mut life, cause) = in_phase(phase);
            life.begin_end(CloseCause::Lost, None);
            life.abort(CloseCause::Aborted);
            life.finish(CloseCause::Local(CloseCode::NORMAL));
            assert_eq!(life.cause().cloned(), cause.or(Some(CloseCause::Lost)));
        }
    }

    #[test]
    fn a_failed_write_ends_the_sending_of_an_open_life_and_nothing_else() {
        for phase in ALL {
            let (mut life, _) = in_phase(phase);
            let receives = matches!(phase, None | Some(Phase::ReceiveOnly));
            assert_eq!(life.writing_failed(CloseCause::Lost, None), receives);
        }
        let mut life = Life::default();
        let error = Error::from_kind(ErrorKind::Io);
        assert!(life.writing_failed(CloseCause::Lost, Some(error)));
        assert!(!life.is_open() && life.may_receive() && life.is_writing_over());
        assert!(life.cause().is_none() && life.take_end().is_none());
    }

    #[test]
    fn what_the_peer_had_said_is_the_cause_and_not_the_failed_write() {
        for phase in ALL {
            let (mut life, cause) = in_phase(phase);
            life.input_ended(CloseCause::Remote(None), None);
            let expected = match phase {
                None | Some(Phase::ReceiveOnly) => Some(CloseCause::Remote(None)),
                Some(_) => cause,
            };
            assert_eq!(life.cause().cloned(), expected, "{phase:?}");
        }
    }

    #[test]
    fn each_phase_answers_the_four_questions() {
        let answers = ALL.map(|phase| {
            let (life, _) = in_phase(phase);
            [
                life.is_open(),
                life.is_aborting(),
                life.is_closed(),
                life.is_handler_unwanted(),
            ]
        });
        assert_eq!(
            answers,
            [
                [true, false, false, false],
                [false, false, false, false],
                [false, false, false, false],
                [false, true, false, true],
                [false, false, true, false],
                [false, false, true, true],
            ]
        );
    }

    #[test]
    fn the_error_is_returned_once_and_only_of_the_first_end() {
        let mut life = Life::default();
        assert!(life.take_end().is_none());
        life.begin_end(
            CloseCause::PingTimeout,
            Some(Error::from_kind(ErrorKind::PingTimeout)),
        );
        life.begin_end(
            CloseCause::WriteTimeout,
            Some(Error::from_kind(ErrorKind::WriteTimeout)),
        );
        assert!(life.has_error());
        let error = life.take_end().unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::PingTimeout));
        assert!(!life.has_error());
        assert!(life.take_end().unwrap().is_ok());
    }

    #[test]
    fn an_open_life_is_one_null_pointer() {
        assert_eq!(size_of::<Life>(), size_of::<usize>());
    }
}
