//! The one timer of a connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

use super::coop::poll_io;

pin_project! {
    /// A timer that is set as seldom as possible: it fires too early rather than
    /// being moved with every deadline.
    #[derive(Default)]
    pub(super) struct Timer {
        armed: bool,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer {
    /// Whether it is armed, and has not fired. Then it wakes the task that polled it last, and
    /// there is no need to poll it again or to read the clock.
    #[inline]
    pub(super) fn is_pending(&self) -> bool {
        let sleep = self.sleep.as_ref().filter(|_| self.armed);
        sleep.is_some_and(|sleep| !sleep.is_elapsed())
    }

    /// Whether it has fired, and that was not looked at.
    #[inline]
    pub(super) fn has_fired(&self) -> bool {
        let sleep = self.sleep.as_ref().filter(|_| self.armed);
        sleep.is_some_and(Sleep::is_elapsed)
    }

    fn deadline(&self) -> Option<Instant> {
        self.sleep
            .as_ref()
            .filter(|_| self.armed)
            .map(Sleep::deadline)
    }

    /// Arms the timer for `next`, unless it fires earlier anyway. Ready when it has fired,
    /// for a deadline that may have moved since. Without a `next` it need not fire. A timer
    /// that [is pending](Self::is_pending) in the `same_task` is not touched.
    pub(super) fn poll(
        self: Pin<&mut Self>,
        next: Option<Instant>,
        same_task: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let deadline = self.deadline();
        let is_pending = same_task && self.is_pending();
        let mut this = self.project();
        match (next, deadline) {
            (None, None) => return Poll::Pending,
            (next, Some(armed)) if next.is_none_or(|next| armed <= next) => {
                if is_pending {
                    return Poll::Pending;
                }
            }
            (None, Some(_)) => {}
            (Some(next), _) => {
                match this.sleep.as_mut().as_pin_mut() {
                    Some(sleep) => sleep.reset(next),
                    None => this.sleep.set(Some(tokio::time::sleep_until(next))),
                }
                *this.armed = true;
            }
        }
        if let Some(mut sleep) = this.sleep.as_mut().as_pin_mut()
            && poll_io(cx, |cx| sleep.as_mut().poll(cx)).is_pending()
        {
            return Poll::Pending;
        }
        *this.armed = false;
        Poll::Ready(())
    }

    /// Takes the timer off the runtime.
    pub(super) fn stop(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.sleep.set(None);
        *this.armed = false;
    }
}
