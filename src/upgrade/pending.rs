//! A connection between its answer and its first frame: hyper still has it.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use http::Version;

use super::handover::{HandedOver, Handover};
use super::transport::Transport;
use crate::error::{BoxError, Error};
use crate::socket::Negotiated;

/// An accepted handshake whose connection hyper has not handed over yet.
pub(super) struct PendingUpgrade {
    pub(super) handover: Handover,
    pub(super) version: Version,
    pub(super) start: Negotiated,
    pub(super) on_failed: Option<OnFailedUpgrade>,
}

impl PendingUpgrade {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Transport, Error>> {
        self.handover.poll(cx).map(|result| match result {
            HandedOver::Hyper(Ok(upgraded)) => Ok(Transport::new(upgraded, self.version)),
            HandedOver::Other(Ok(io)) => Ok(Transport::Other { io }),
            // `.with_upgrades()` is missing. hyper reports nothing else as the
            // fault of its user.
            HandedOver::Hyper(Err(error)) if error.is_user() => {
                let error = Error::upgrade(error);
                #[cfg(feature = "tracing")]
                tracing::error!("{error}");
                Err(error)
            }
            HandedOver::Hyper(Err(error)) => Err(ended_before(error.into())),
            HandedOver::Other(Err(error)) => Err(ended_before(error)),
        })
    }

    /// Reports that there will be no socket.
    ///
    /// A [`Tracker`](crate::tracker::Tracker) has forgotten the connection by then.
    pub(super) fn fail(self, error: Error) {
        let PendingUpgrade {
            start, on_failed, ..
        } = self;
        drop(start);
        if let Some(on_failed) = on_failed {
            on_failed.call(error);
        }
    }
}

/// Not a mistake: the client left before the answer was written, or the server closed the connection.
fn ended_before(error: BoxError) -> Error {
    #[cfg(feature = "tracing")]
    tracing::debug!("the connection ended before it was handed over: {error}");
    Error::from_io(io::Error::new(io::ErrorKind::ConnectionAborted, error))
}

/// The callback of [`Upgrade::on_failed_upgrade`](super::Upgrade::on_failed_upgrade).
///
/// The mutex is never locked. It makes an `Upgrade` `Sync`, so that a future that
/// borrows one is `Send`.
pub(super) struct OnFailedUpgrade(Mutex<Box<dyn FnOnce(Error) + Send>>);

impl OnFailedUpgrade {
    pub(super) fn new(callback: impl FnOnce(Error) + Send + 'static) -> Self {
        OnFailedUpgrade(Mutex::new(Box::new(callback)))
    }

    fn call(self, error: Error) {
        let callback = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        callback(error);
    }
}
