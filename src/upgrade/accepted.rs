//! The bare socket of an accepted handshake.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::pending::PendingUpgrade;
use crate::error::{Error, ErrorKind};
use crate::socket::{self, WebSocket};

/// A future of the bare socket, returned by [`accept`](super::Upgrade::accept).
///
/// # Errors
///
/// [`ErrorKind::Upgrade`] if the connection is served without
/// `.with_upgrades()`, [`ErrorKind::Io`] if the client left before the answer
/// was written, [`ErrorKind::Closed`] if the answer is a refusal.
///
/// # Cancel safety
///
/// You can stop awaiting `&mut accepted`, and await it again later. Dropping the `Accepted`
/// itself closes the connection.
#[must_use = "dropping it closes the connection"]
pub struct Accepted {
    /// `None` after a refusal, and once the socket is there.
    pub(super) pending: Option<PendingUpgrade>,
}

impl Future for Accepted {
    type Output = Result<WebSocket, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(pending) = &mut self.pending else {
            return Poll::Ready(Err(Error::from_kind(ErrorKind::Closed)));
        };
        let transport = ready!(pending.poll(cx));
        let start = self.pending.take().map(|pending| pending.start);
        Poll::Ready(match start {
            Some(start) => transport.map(|transport| socket::bare(transport, start)),
            None => Err(Error::from_kind(ErrorKind::Closed)),
        })
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").finish_non_exhaustive()
    }
}
