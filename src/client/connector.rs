//! Ways to the server that the program provides: connectors, and TLS of its own.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::error::ConnectError;
use crate::error::BoxError;
use crate::handshake::Target;
use crate::transport::Io;

/// A stream to the server before it is encrypted, as [`Connect::tls_connector`] hands it to
/// TLS of the program's own: a TCP connection, or the stream of a connector.
///
/// [`Connect::tls_connector`]: super::Connect::tls_connector
pub struct PlainStream(Box<dyn Io>);

/// A connector of the program's: returns the stream to the target.
pub(super) type Connector = Box<dyn FnOnce(Target) -> Opening + Send>;
/// TLS of the program's own: encrypts a stream to the target.
pub(super) type Encryptor = Box<dyn FnOnce(PlainStream, Target) -> Opening + Send>;

type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn Io>, BoxError>> + Send>>;

/// Erases the types of a connector.
pub(super) fn connector<F, Fut, T, E>(connect: F) -> Connector
where
    F: FnOnce(Target) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Into<BoxError>,
{
    Box::new(|target| {
        let connecting = connect(target);
        Box::pin(async { Ok(Box::new(connecting.await.map_err(Into::into)?) as Box<dyn Io>) })
    })
}

/// Erases the types of TLS.
pub(super) fn encryptor<F, Fut, T, E>(encrypt: F) -> Encryptor
where
    F: FnOnce(PlainStream, Target) -> Fut + Send + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Into<BoxError>,
{
    Box::new(|stream, target| {
        let encrypting = encrypt(stream, target);
        Box::pin(async { Ok(Box::new(encrypting.await.map_err(Into::into)?) as Box<dyn Io>) })
    })
}

/// Returns the connector's stream to the target.
pub(super) async fn dial(
    connector: Connector,
    target: &Target,
    deadline: Instant,
) -> Result<Box<dyn Io>, ConnectError> {
    timeout_at(deadline, connector(target.clone()))
        .await
        .map_err(|_| ConnectError::timeout(format!("timed out while connecting to `{target}`")))?
        .map_err(|error| own_or(error, |error| ConnectError::connect(target, error)))
}

/// Encrypts a stream to the target.
pub(super) async fn encrypt<T>(
    encryptor: Encryptor,
    stream: T,
    target: &Target,
    deadline: Instant,
) -> Result<Box<dyn Io>, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = PlainStream(Box::new(stream));
    timeout_at(deadline, encryptor(stream, target.clone()))
        .await
        .map_err(|_| ConnectError::tls_timeout(target))?
        .map_err(|error| own_or(error, |error| ConnectError::tls(target, error)))
}

/// An error that a connector has made itself is returned as it is.
fn own_or(error: BoxError, otherwise: impl FnOnce(BoxError) -> ConnectError) -> ConnectError {
    match error.downcast::<ConnectError>() {
        Ok(own) => *own,
        Err(error) => otherwise(error),
    }
}

impl AsyncRead for PlainStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for PlainStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl fmt::Debug for PlainStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainStream")
    }
}
