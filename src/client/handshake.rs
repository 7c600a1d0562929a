//! The handshake over a stream that is there.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
#[cfg(feature = "rustls")]
use tokio_rustls::rustls;

use super::error::ConnectError;
#[cfg(feature = "http2")]
use super::http2;
#[cfg(feature = "rustls")]
use super::tls;
use super::{http1, random};
use crate::config::Config;
use crate::handshake::{Question, Scheme, Target};
use crate::protocol::Role;
use crate::socket::{self, Start, WebSocket};

/// What TLS needs, if it comes to that.
pub(super) struct Tls {
    #[cfg(feature = "rustls")]
    pub(super) config: Option<Arc<rustls::ClientConfig>>,
    #[cfg_attr(not(feature = "rustls"), allow(dead_code))]
    pub(super) deadline: Instant,
}

impl Tls {
    /// Asks over the stream, encrypted or not, as the URL says.
    pub(super) async fn or_not<T>(self, stream: T, target: &Target, asking: Asking) -> Opened
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        match target.scheme() {
            Scheme::Ws => asking.over(stream).await,
            #[cfg(feature = "rustls")]
            Scheme::Wss => {
                let stream = tls::encrypt(stream, target, self.config, self.deadline).await?;
                asking.over(stream).await
            }
            #[cfg(not(feature = "rustls"))]
            Scheme::Wss => Err(ConnectError::no_tls()),
        }
    }
}

pub(super) type Opened = Result<(WebSocket, Response<()>), ConnectError>;

/// A handshake that is to be made.
pub(super) struct Asking {
    pub(super) request: Request<()>,
    pub(super) question: Question,
    pub(super) config: Arc<Config>,
    pub(super) timeout: Duration,
}

impl Asking {
    pub(super) async fn over<T>(self, stream: T) -> Opened
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let exchange = http1::exchange(stream, self.request, self.timeout);
        let (response, stream) = exchange.await?;
        open(self.question, self.config, response, stream)
    }

    #[cfg(feature = "http2")]
    pub(super) async fn over_http2(self, ask: http2::Ask) -> Opened {
        let exchange = http2::exchange(ask, self.request, self.timeout);
        let (response, stream) = exchange.await?;
        open(self.question, self.config, response, stream)
    }
}

/// The socket, if the response is an answer.
fn open<T>(question: Question, config: Arc<Config>, response: Response<()>, stream: T) -> Opened
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let agreement = question.conclude(&response)?;
    let start = Start {
        role: Role::Client {
            masking_key: random::masking_key,
        },
        config,
        protocol: agreement.protocol,
        codec: agreement.extension.map(|it| it.codec()),
        permit: None,
    };
    Ok((socket::bare(stream, start), response))
}
