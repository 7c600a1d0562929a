//! The error of a WebSocket that was not opened.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};

use crate::error::{BoxError, Error};
use crate::handshake::{InvalidRequest, InvalidResponse, Target, excerpt};
#[cfg(feature = "rustls")]
use crate::tls::NoPlatform;

/// The error of a WebSocket that was not opened.
///
/// It says which [step](ConnectError::kind) failed, and holds the server's
/// [response](ConnectError::response) if the server refused. Its
/// [source](std::error::Error::source) is the error below, if there is one.
///
/// It converts into an [`Error`], so `?` works in functions that return one.
pub struct ConnectError(Box<Inner>);

struct Inner {
    kind: ConnectErrorKind,
    text: String,
    source: Option<BoxError>,
    response: Option<Response<Bytes>>,
}

/// The step that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The request cannot become a handshake. Nothing was sent.
    Request,
    /// The name could not be resolved.
    Resolve,
    /// No address accepted the connection.
    Connect,
    /// The connection could not be encrypted, or the server's certificate is not
    /// trusted.
    Tls,
    /// A step took too long.
    Timeout,
    /// The server does not speak HTTP/1.1, or closed the connection.
    Http,
    /// The server refused: its status is not 101 (HTTP/2: not 2xx). See
    /// [`ConnectError::response`].
    Refused,
    /// The status is 101 (HTTP/2: 2xx), but the response does not answer this
    /// handshake.
    Response,
    /// The system did not provide random bytes.
    Random,
}

impl ConnectError {
    /// Returns the step that failed.
    pub fn kind(&self) -> ConnectErrorKind {
        self.0.kind
    }

    /// Returns the response of a server that refused, with the beginning of its body:
    /// at most 64 KiB, and only what arrived before the timeout.
    pub fn response(&self) -> Option<&Response<Bytes>> {
        self.0.response.as_ref()
    }

    /// Returns the status of a server that refused.
    pub fn status(&self) -> Option<StatusCode> {
        self.response().map(Response::status)
    }

    pub(super) fn resolve(target: &Target, source: io::Error) -> Self {
        let text = format!("failed to resolve `{}`", target.host());
        ConnectError::new(ConnectErrorKind::Resolve, text, Some(source.into()))
    }

    pub(super) fn connect(target: &Target, source: io::Error) -> Self {
        let text = format!("failed to connect to `{target}`");
        ConnectError::new(ConnectErrorKind::Connect, text, Some(source.into()))
    }

    pub(super) fn timeout(text: String) -> Self {
        ConnectError::new(ConnectErrorKind::Timeout, text, None)
    }

    pub(super) fn no_answer(timeout: Duration) -> Self {
        ConnectError::timeout(format!(
            "timed out: the server did not answer the handshake within {timeout:?}"
        ))
    }

    #[cfg(feature = "rustls")]
    pub(super) fn tls(target: &Target, source: impl Into<BoxError>) -> Self {
        let text = format!("failed to set up TLS with `{target}`");
        ConnectError::new(ConnectErrorKind::Tls, text, Some(source.into()))
    }

    #[cfg(feature = "rustls")]
    pub(super) fn no_platform(target: &Target, reason: NoPlatform) -> Self {
        match reason {
            // The text says what to do, so it must not hide behind `source`.
            NoPlatform::NoProvider => {
                ConnectError::new(ConnectErrorKind::Tls, reason.to_string(), None)
            }
            NoPlatform::Rustls(error) => ConnectError::tls(target, error),
        }
    }

    #[cfg(not(feature = "rustls"))]
    pub(super) fn no_tls() -> Self {
        let text = "`wss` is not supported without the feature `rustls` of hyper-ws (or use \
                    `connect_over` with a stream that is encrypted)";
        ConnectError::new(ConnectErrorKind::Tls, text.to_owned(), None)
    }

    pub(super) fn no_random(source: getrandom::Error) -> Self {
        let text = "the system did not provide random bytes".to_owned();
        ConnectError::new(ConnectErrorKind::Random, text, Some(source.into()))
    }

    pub(super) fn http(source: hyper::Error) -> Self {
        let text = if source.is_parse() {
            "the server did not answer with HTTP/1.1 (is this a port for `wss`?), or its response \
             was too long"
        } else {
            "the connection ended before the server answered the handshake"
        };
        let text = text.to_owned();
        ConnectError::new(ConnectErrorKind::Http, text, Some(source.into()))
    }

    pub(super) fn refused(response: Response<Bytes>) -> Self {
        let mut text = format!("the server refused with {}", response.status());
        if let Some(location) = response.headers().get(header::LOCATION)
            && response.status().is_redirection()
        {
            text += &format!(
                " (redirects are not followed; this one leads to `{}`)",
                excerpt(location.as_bytes())
            );
        } else if is_plain_text(&response) && !response.body().is_empty() {
            text += &format!(": {}", excerpt(response.body().trim_ascii()));
        }
        let mut error = ConnectError::new(ConnectErrorKind::Refused, text, None);
        error.0.response = Some(response);
        error
    }

    fn new(kind: ConnectErrorKind, text: String, source: Option<BoxError>) -> Self {
        ConnectError(Box::new(Inner {
            kind,
            text,
            source,
            response: None,
        }))
    }
}

fn is_plain_text(response: &Response<Bytes>) -> bool {
    let media_type = response.headers().get(header::CONTENT_TYPE);
    media_type.is_some_and(|value| value.as_bytes().starts_with(b"text/plain"))
}

impl From<InvalidRequest> for ConnectError {
    fn from(error: InvalidRequest) -> Self {
        ConnectError::new(ConnectErrorKind::Request, error.to_string(), None)
    }
}

impl From<InvalidResponse> for ConnectError {
    fn from(error: InvalidResponse) -> Self {
        ConnectError::new(
            ConnectErrorKind::Response,
            error.to_string(),
            Some(error.into()),
        )
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        Error::connect(error)
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectError")
            .field("kind", &self.0.kind)
            .field("text", &self.0.text)
            .field("source", &self.0.source)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
