//! Whether the driver's task must be woken, and whether its handler must be polled.

use std::task::{Context, Waker};

/// Whether the task of the driver must be woken. The names are those that tokio gives
/// the states of its tasks.
///
/// ```text
///            nothing to do
///   Running ───────────────► Idle
///    │ ▲ ▲                     │
///    │ │ └─── woken, polled ───┘
///    ▼ │ looks again
///   Notified
/// ```
///
/// So a push wakes the driver exactly when it sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DriverTask {
    /// In a turn, or woken and about to begin one.
    #[default]
    Running,
    /// In a turn, and something happened since: it looks again before it parks.
    Notified,
    /// Parked until its waker is called.
    Idle,
}

impl DriverTask {
    /// Something happened that the driver must see; returns whether to call its waker.
    #[must_use]
    pub(super) fn notify(&mut self) -> bool {
        let must_wake = *self == DriverTask::Idle;
        *self = match self {
            DriverTask::Idle => DriverTask::Running,
            DriverTask::Running | DriverTask::Notified => DriverTask::Notified,
        };
        must_wake
    }

    /// A turn begins, or its last look does: what happened before is seen by it.
    /// Returns whether something had happened.
    pub(super) fn run(&mut self) -> bool {
        std::mem::replace(self, DriverTask::Running) == DriverTask::Notified
    }

    /// The driver waits for its waker.
    pub(super) fn park(&mut self) {
        *self = DriverTask::Idle;
    }
}

/// Whether the handler has something new to look at. The driver polls it again then,
/// instead of waking its own task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(in crate::socket) enum Repoll {
    #[default]
    No,
    Yes,
}

impl Repoll {
    #[inline]
    pub(in crate::socket) fn or(self, other: Self) -> Self {
        match self {
            Repoll::Yes => self,
            Repoll::No => other,
        }
    }

    /// Wakes `waker`, unless it is the one of the task that the driver runs in.
    #[inline]
    pub(super) fn or_wake(waker: Option<Waker>, cx: &mut Context<'_>) -> Self {
        match waker {
            Some(waker) if waker.will_wake(cx.waker()) => Repoll::Yes,
            Some(waker) => {
                waker.wake();
                Repoll::No
            }
            None => Repoll::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[test]
    fn every_transition_from_every_state_is_that_of_the_picture() {
        use DriverTask::*;
        for (from, notified, must_wake, had_news) in [
            (Running, Notified, false, false),
            (Notified, Notified, false, true),
            (Idle, Running, true, false),
        ] {
            let mut task = from;
            assert_eq!(task.notify(), must_wake, "{from:?}");
            assert_eq!(task, notified);

            let mut task = from;
            assert_eq!(task.run(), had_news, "{from:?}");
            assert_eq!(task, Running);

            let mut task = from;
            task.park();
            assert_eq!(task, Idle);
        }
    }

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_own_task_is_polled_again_and_any_other_woken() {
        let (own, other) = (Arc::<Counter>::default(), Arc::<Counter>::default());
        let waker = Waker::from(own.clone());
        let mut cx = Context::from_waker(&waker);
        assert_eq!(Repoll::or_wake(None, &mut cx), Repoll::No);
        assert_eq!(Repoll::or_wake(Some(waker.clone()), &mut cx), Repoll::Yes);
        assert_eq!(
            Repoll::or_wake(Some(other.clone().into()), &mut cx),
            Repoll::No
        );
        assert_eq!(own.0.load(Ordering::Relaxed), 0);
        assert_eq!(other.0.load(Ordering::Relaxed), 1);
    }
}
