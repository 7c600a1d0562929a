//! The managed socket of an accepted handshake, with its handler.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::pending::PendingUpgrade;
use super::transport::Transport;
use crate::socket::{self, Driver, HandlerOutput, WebSocket};

pin_project! {
    /// A connection and its handler, returned by
    /// [`accept_with`](super::Upgrade::accept_with).
    ///
    /// This future waits until hyper hands the connection over, runs the handler
    /// on it, and ends when the connection has ended.
    ///
    /// Dropping it aborts the connection: no close frame is sent.
    #[must_use = "spawn it: nothing is read or written unless it is polled"]
    pub struct Conversation<F, Fut> {
        #[pin]
        state: State<F, Fut>,
    }
}

pin_project! {
    /// An enum, so that an idle connection does not keep the room for what was
    /// needed only to get there.
    #[project = StateProjection]
    enum State<F, Fut> {
        /// `None` after a refusal or a failure: there is nothing to run.
        Upgrading { begin: Option<(PendingUpgrade, F)> },
        Running { #[pin] drive: Driver<Transport, Fut> },
    }
}

impl<F, Fut> Conversation<F, Fut> {
    pub(super) fn new(pending: Option<PendingUpgrade>, handler: F) -> Self {
        let begin = pending.map(|pending| (pending, handler));
        Conversation {
            state: State::Upgrading { begin },
        }
    }
}

impl<F, Fut> Future for Conversation<F, Fut>
where
    F: FnOnce(WebSocket) -> Fut + Send + 'static,
    Fut: Future<Output: HandlerOutput> + Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.project().state;
        if let StateProjection::Upgrading { begin } = state.as_mut().project() {
            let Some((pending, _)) = begin else {
                return Poll::Ready(());
            };
            let transport = ready!(pending.poll(cx));
            let Some((pending, handler)) = begin.take() else {
                return Poll::Ready(());
            };
            match transport {
                Ok(transport) => {
                    let drive = socket::managed(transport, pending.start, handler);
                    state.set(State::Running { drive });
                }
                Err(error) => {
                    drop(handler);
                    pending.fail(error);
                    return Poll::Ready(());
                }
            }
        }
        match state.project() {
            StateProjection::Running { drive } => drive.poll(cx),
            StateProjection::Upgrading { .. } => Poll::Ready(()),
        }
    }
}

impl<F, Fut> fmt::Debug for Conversation<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").finish_non_exhaustive()
    }
}
