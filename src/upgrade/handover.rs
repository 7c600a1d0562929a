//! The future of a stream that carries frames: hyper's, or one that another server made.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::BoxError;
use crate::transport::Io;

/// A connection that will be handed over once the answer to its handshake has been written.
pub(super) enum Handover {
    Hyper(OnUpgrade),
    Other(OtherUpgrade),
}

/// What has been handed over.
pub(super) enum HandedOver {
    Hyper(Result<Upgraded, hyper::Error>),
    Other(Result<Box<dyn Io>, BoxError>),
}

/// The mutex is never locked: see [`OnFailedUpgrade`](super::pending::OnFailedUpgrade).
pub(super) struct OtherUpgrade(Mutex<BoxedUpgrade>);

type BoxedUpgrade = Pin<Box<dyn Future<Output = Result<Box<dyn Io>, BoxError>> + Send>>;

impl Handover {
    pub(super) fn other<T, E>(stream: impl Future<Output = Result<T, E>> + Send + 'static) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        E: Into<BoxError>,
    {
        Handover::Other(OtherUpgrade(Mutex::new(Box::pin(async {
            match stream.await {
                Ok(io) => Ok(Box::new(io) as Box<dyn Io>),
                Err(error) => Err(error.into()),
            }
        }))))
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<HandedOver> {
        match self {
            Handover::Hyper(upgrade) => Pin::new(upgrade).poll(cx).map(HandedOver::Hyper),
            Handover::Other(OtherUpgrade(upgrade)) => {
                let upgrade = upgrade.get_mut().unwrap_or_else(PoisonError::into_inner);
                upgrade.as_mut().poll(cx).map(HandedOver::Other)
            }
        }
    }
}
