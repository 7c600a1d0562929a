//! Why a WebSocket was not opened.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};

use crate::error::{BoxError, Error};
use crate::handshake::{InvalidRequest, InvalidResponse, Target, excerpt};

/// Why a WebSocket was not opened: at which step it failed, and what is known
/// about it. The [source](std::error::Error::source) says the rest.
///
/// It converts into an [`Error`], so that `?` works in functions that return one.
pub struct ConnectError(Box<Inner>);

struct Inner {
    kind: ConnectErrorKind,
    text: String,
    source: Option<BoxError>,
    response: Option<Response<Bytes>>,
}

/// At which step it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The request cannot be a handshake; nothing was sent.
    Request,
    /// The name was not resolved.
    Resolve,
    /// No address accepts the connection.
    Connect,
    /// The connection could not be encrypted, or the server's certificate is
    /// not one to trust.
    Tls,
    /// It took too long.
    Timeout,
    /// What answered does not speak HTTP/1.1, or closed the connection.
    Http,
    /// The server refused: its status is not 101. See [`ConnectError::response`].
    Refused,
    /// The answer has the status 101, but is no answer to this handshake.
    Response,
    /// The system has no random bytes.
    Random,
}

impl ConnectError {
    /// At which step it failed.
    pub fn kind(&self) -> ConnectErrorKind {
        self.0.kind
    }

    /// The response of a server that refused, with the beginning of its body (64
    /// KiB at most, and what came in time).
    pub fn response(&self) -> Option<&Response<Bytes>> {
        self.0.response.as_ref()
    }

    /// The status of a server that refused.
    pub fn status(&self) -> Option<StatusCode> {
        self.response().map(Response::status)
    }

    pub(super) fn resolve(target: &Target, source: io::Error) -> Self {
        let text = format!("the name `{}` was not resolved", target.host());
        ConnectError::new(ConnectErrorKind::Resolve, text, Some(source.into()))
    }

    pub(super) fn connect(target: &Target, source: io::Error) -> Self {
        let text = format!("{target} does not accept a connection");
        ConnectError::new(ConnectErrorKind::Connect, text, Some(source.into()))
    }

    pub(super) fn timeout(text: String) -> Self {
        ConnectError::new(ConnectErrorKind::Timeout, text, None)
    }

    pub(super) fn no_answer(timeout: Duration) -> Self {
        ConnectError::timeout(format!(
            "the server did not answer the handshake within {timeout:?}"
        ))
    }

    #[cfg(feature = "rustls")]
    pub(super) fn tls(target: &Target, source: impl Into<BoxError>) -> Self {
        let text = format!("no encrypted connection to {target}");
        ConnectError::new(ConnectErrorKind::Tls, text, Some(source.into()))
    }

    #[cfg(not(feature = "rustls"))]
    pub(super) fn no_tls() -> Self {
        let text = "`wss` needs the feature `rustls` of hyper-ws, or a stream of yours that \
                    encrypts, with `connect_over`";
        ConnectError::new(ConnectErrorKind::Tls, text.to_owned(), None)
    }

    pub(super) fn no_random(source: getrandom::Error) -> Self {
        let text = "the system has no random bytes".to_owned();
        ConnectError::new(ConnectErrorKind::Random, text, Some(source.into()))
    }

    pub(super) fn http(source: hyper::Error) -> Self {
        let text = match source.is_parse() {
            true => {
                "what answered is no HTTP/1.1 (a port for `wss`, asked with `ws`?), or too long"
            }
            false => "the connection ended before the handshake was answered",
        };
        let text = text.to_owned();
        ConnectError::new(ConnectErrorKind::Http, text, Some(source.into()))
    }

    pub(super) fn refused(response: Response<Bytes>) -> Self {
        let mut text = format!("the server refused with {}", response.status());
        if let Some(place) = response.headers().get(header::LOCATION)
            && response.status().is_redirection()
        {
            text += &format!(
                "; redirects are not followed, this one leads to {}",
                excerpt(place.as_bytes())
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
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"))
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
