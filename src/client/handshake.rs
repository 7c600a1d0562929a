//! The handshake over a given stream, and the socket that it results in.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
#[cfg(feature = "rustls")]
use tokio_rustls::rustls;

use super::connector::{self, Encryptor};
use super::error::ConnectError;
#[cfg(feature = "http2")]
use super::http2;
#[cfg(feature = "rustls")]
use super::tls;
use super::{http1, random};
use crate::config::Config;
use crate::handshake::{ClientHandshake, Scheme, Target};
use crate::protocol::Role;
use crate::socket::{self, Negotiated, WebSocket};
#[cfg(feature = "rustls")]
use crate::tls::platform;

/// The settings of TLS, for a URL that says `wss`.
pub(super) struct Tls {
    pub(super) encryption: Encryption,
    pub(super) deadline: Instant,
}

/// How a stream is encrypted.
#[derive(Default)]
pub(super) enum Encryption {
    /// By rustls, trusting whom the system trusts.
    #[default]
    Platform,
    /// By rustls, as configured.
    #[cfg(feature = "rustls")]
    Configured(Arc<rustls::ClientConfig>),
    /// By the program itself.
    Own(Encryptor),
}

impl Tls {
    /// Makes the handshake over a stream, which is encrypted first if the URL says
    /// `wss`.
    pub(super) async fn connect_if_wss<T>(
        self,
        stream: T,
        target: &Target,
        handshake: Handshake,
    ) -> Result<(WebSocket, Response<()>), ConnectError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if target.scheme() == Scheme::Ws {
            return handshake.over(stream).await;
        }
        match self.encryption {
            Encryption::Own(encryptor) => {
                let stream = connector::encrypt(encryptor, stream, target, self.deadline).await?;
                handshake.over(stream).await
            }
            #[cfg(feature = "rustls")]
            Encryption::Configured(config) => {
                let stream = tls::encrypt(stream, target, &config, self.deadline).await?;
                handshake.over(stream).await
            }
            #[cfg(feature = "rustls")]
            Encryption::Platform => {
                let config =
                    platform().map_err(|error| ConnectError::no_platform(target, error))?;
                let stream = tls::encrypt(stream, target, &config, self.deadline).await?;
                handshake.over(stream).await
            }
            #[cfg(not(feature = "rustls"))]
            Encryption::Platform => Err(ConnectError::no_tls()),
        }
    }
}

/// A handshake that has not been made yet.
pub(super) struct Handshake {
    pub(super) request: Request<()>,
    pub(super) question: ClientHandshake,
    pub(super) config: Arc<Config>,
    /// On HTTP/1.1.
    pub(super) title_case_headers: bool,
    pub(super) timeout: Duration,
}

impl Handshake {
    /// Makes the handshake over a stream as it is.
    pub(super) async fn over<T>(self, stream: T) -> Result<(WebSocket, Response<()>), ConnectError>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let exchange = http1::exchange(stream, self.request, self.title_case_headers, self.timeout);
        let (response, stream) = exchange.await?;
        open(self.question, self.config, response, stream)
    }

    /// Makes the handshake as a stream of an HTTP/2 connection.
    #[cfg(feature = "http2")]
    pub(super) async fn over_http2(
        self,
        ask: http2::Ask,
    ) -> Result<(WebSocket, Response<()>), ConnectError> {
        let exchange = http2::exchange(ask, self.request, self.timeout);
        let (response, stream) = exchange.await?;
        open(self.question, self.config, response, stream)
    }
}

/// Verifies the response, and makes a socket of the stream.
fn open<T>(
    question: ClientHandshake,
    config: Arc<Config>,
    response: Response<()>,
    stream: T,
) -> Result<(WebSocket, Response<()>), ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let agreement = question.verify(&response)?;
    let start = Negotiated {
        role: Role::Client {
            masking_key: random::masking_key,
        },
        config,
        protocol: agreement.protocol,
        codec: agreement.extension.map(|extension| extension.codec()),
        permit: None,
    };
    Ok((socket::bare(stream, start), response))
}
