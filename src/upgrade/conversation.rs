//! The managed socket of an accepted handshake, and its handler.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::pending::PendingUpgrade;
use super::transport::Transport;
use crate::socket::{self, Drive, Outcome, WebSocket};

pin_project! {
    /// The whole life of a connection that [`accept_with`](super::Upgrade::accept_with)
    /// answered: a future that waits for the connection, runs the handler on
    /// it, and ends when the connection has ended.
    ///
    /// Dropping it cuts the connection off.
    #[must_use = "spawn it: nothing is read or written unless it is polled"]
    pub struct Conversation<F, Fut> {
        #[pin]
        state: State<F, Fut>,
    }
}

pin_project! {
    /// What an idle connection keeps is `Running` alone: what was needed to
    /// get there is gone by then, and not beside it.
    #[project = StateProjection]
    enum State<F, Fut> {
        Upgrading { begin: Option<(PendingUpgrade, F)> },
        Running { #[pin] drive: Drive<Transport, Fut> },
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
    Fut: Future<Output: Outcome> + Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.project().state;
        if let StateProjection::Upgrading { begin } = state.as_mut().project() {
            let Some((pending, _)) = begin else {
                return Poll::Ready(());
            };
            let transport = ready!(pending.poll(cx));
            let (Ok(transport), Some((pending, handler))) = (transport, begin.take()) else {
                *begin = None;
                return Poll::Ready(());
            };
            let drive = socket::managed(transport, pending.start, handler);
            state.set(State::Running { drive });
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
