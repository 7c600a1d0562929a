//! A connection that hyper has not handed over yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Version;
use hyper::upgrade::OnUpgrade;

use super::transport::Transport;
use crate::error::Error;
use crate::socket::Start;

/// A connection between its answer and its first frame.
pub(super) struct PendingUpgrade {
    pub(super) on_upgrade: OnUpgrade,
    pub(super) version: Version,
    pub(super) start: Start,
}

impl PendingUpgrade {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Transport, Error>> {
        Pin::new(&mut self.on_upgrade)
            .poll(cx)
            .map(|result| match result {
                Ok(upgraded) => Ok(Transport::new(upgraded, self.version)),
                // The developer's mistake, the only one hyper reports as such.
                Err(error) if error.is_user() => {
                    let error = Error::upgrade(error);
                    #[cfg(feature = "tracing")]
                    tracing::error!("{error}");
                    Err(error)
                }
                // Nobody's: the client left before the answer was written, or the
                // server closed the connection.
                Err(error) => {
                    #[cfg(feature = "tracing")]
                    tracing::debug!("the connection ended before it was handed over: {error}");
                    Err(io::Error::new(io::ErrorKind::ConnectionAborted, error).into())
                }
            })
    }
}
