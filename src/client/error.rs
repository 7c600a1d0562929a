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
    /// Makes an error of a step that the program does itself, in a function that opens
    /// WebSockets its own way. The `source` says what happened. (An [`io::Error`] becomes one of
    /// the kind `Connect` by `?`.)
    ///
    /// ```
    /// use hyper_ws::client::{ConnectError, ConnectErrorKind};
    ///
    /// let error = ConnectError::new(ConnectErrorKind::Tls, "the smart card is missing");
    /// assert_eq!(error.to_string(), "failed to set up TLS");
    /// ```
    pub fn new(kind: ConnectErrorKind, source: impl Into<BoxError>) -> Self {
        let text = match kind {
            ConnectErrorKind::Request => "the request cannot become a handshake",
            ConnectErrorKind::Resolve => "failed to resolve the name of the server",
            ConnectErrorKind::Connect => "failed to connect",
            ConnectErrorKind::Tls => "failed to set up TLS",
            ConnectErrorKind::Timeout => "timed out while connecting",
            ConnectErrorKind::Http => "the server did not answer the handshake",
            ConnectErrorKind::Refused => "the server refused",
            ConnectErrorKind::Response => "the response does not answer the handshake",
            ConnectErrorKind::Random => "there are no random bytes",
        };
        ConnectError::with_text(kind, text.to_owned(), Some(source.into()))
    }

    /// Finds the error of `connect` inside another error: an [`Error`], an [`io::Error`] or a box,
    /// also behind several sources.
    ///
    /// ```no_run
    /// use std::error::Error;
    ///
    /// use hyper_ws::client::ConnectError;
    ///
    /// async fn client() -> Result<(), Box<dyn Error + Send + Sync>> {
    ///     let mut socket = hyper_ws::connect("ws://127.0.0.1:9001/").await?;
    ///     socket.send("hello").await?;
    ///     Ok(())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// if let Err(error) = client().await {
    ///     match ConnectError::find(&*error).and_then(ConnectError::status) {
    ///         Some(status) => println!("refused with {status}"),
    ///         None => println!("{error}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            // `source` of an `io::Error` skips the error inside.
            next = match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
                Some(Some(inner)) => Some(inner),
                _ => error.source(),
            };
        }
        None
    }

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

    /// Returns how long the server asks clients to stay away: the `Retry-After` of its refusal,
    /// if that is a number of seconds. (It may also be a date, which is ignored.)
    ///
    /// [`Backoff::failed`](super::Backoff::failed) obeys it.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = self.response()?.headers().get(header::RETRY_AFTER)?;
        let digits = value.to_str().ok()?;
        // `parse` takes a sign, which RFC 9110, section 10.2.3, does not.
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = digits.parse().ok().filter(|_| is_number)?;
        Some(Duration::from_secs(seconds))
    }

    /// Returns whether the same attempt may succeed later.
    ///
    /// That is so if the name was not resolved, if the connection was not accepted or broke off, or
    /// after a timeout. It is also so after a refusal with 408, 425, 429, or any status from 500 on
    /// except 501 and 505. The attempt would fail again if the request is wrong, a certificate is
    /// not trusted, there is no TLS, or the server does not speak HTTP/1.1 or WebSocket. The same
    /// holds for a refusal with any other status.
    pub fn is_transient(&self) -> bool {
        match self.0.kind {
            ConnectErrorKind::Resolve | ConnectErrorKind::Connect | ConnectErrorKind::Timeout => {
                true
            }
            // rustls reports what it does not accept as invalid data; the rest is the network.
            ConnectErrorKind::Tls => self
                .source_as::<io::Error>()
                .is_some_and(|error| error.kind() != io::ErrorKind::InvalidData),
            ConnectErrorKind::Http => self
                .source_as::<hyper::Error>()
                .is_none_or(|error| !error.is_parse()),
            ConnectErrorKind::Refused => self.status().is_some_and(|status| match status {
                StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_EARLY
                | StatusCode::TOO_MANY_REQUESTS => true,
                StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => false,
                status => status.is_server_error(),
            }),
            ConnectErrorKind::Request | ConnectErrorKind::Response | ConnectErrorKind::Random => {
                false
            }
        }
    }

    fn source_as<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.source.as_deref()?.downcast_ref()
    }

    pub(super) fn resolve(target: &Target, source: io::Error) -> Self {
        let text = format!("failed to resolve `{}`", target.host());
        ConnectError::with_text(ConnectErrorKind::Resolve, text, Some(source.into()))
    }

    pub(super) fn connect(target: &Target, source: impl Into<BoxError>) -> Self {
        let text = format!("failed to connect to `{target}`");
        ConnectError::with_text(ConnectErrorKind::Connect, text, Some(source.into()))
    }

    pub(super) fn timeout(text: String) -> Self {
        ConnectError::with_text(ConnectErrorKind::Timeout, text, None)
    }

    pub(super) fn no_answer(timeout: Duration) -> Self {
        ConnectError::timeout(format!(
            "timed out: the server did not answer the handshake within {timeout:?}"
        ))
    }

    pub(super) fn tls_timeout(target: &Target) -> Self {
        ConnectError::timeout(format!(
            "timed out during the TLS handshake with `{target}`"
        ))
    }

    pub(super) fn tls(target: &Target, source: impl Into<BoxError>) -> Self {
        let text = format!("failed to set up TLS with `{target}`");
        ConnectError::with_text(ConnectErrorKind::Tls, text, Some(source.into()))
    }

    #[cfg(feature = "rustls")]
    pub(super) fn no_platform(target: &Target, reason: NoPlatform) -> Self {
        match reason {
            // The text says what to do, so it must not hide behind `source`.
            NoPlatform::NoProvider => {
                ConnectError::with_text(ConnectErrorKind::Tls, reason.to_string(), None)
            }
            NoPlatform::Rustls(error) => ConnectError::tls(target, error),
        }
    }

    #[cfg(not(feature = "rustls"))]
    pub(super) fn no_tls() -> Self {
        let text = "`wss` is not supported without the feature `rustls` of hyper-ws (or use \
                    `Connect::tls_connector` with TLS of your own)";
        ConnectError::with_text(ConnectErrorKind::Tls, text.to_owned(), None)
    }

    pub(super) fn no_random(source: getrandom::Error) -> Self {
        let text = "the system did not provide random bytes".to_owned();
        ConnectError::with_text(ConnectErrorKind::Random, text, Some(source.into()))
    }

    pub(super) fn http(source: hyper::Error) -> Self {
        let text = if source.is_parse() {
            "the server did not answer with HTTP/1.1 (is this a port for `wss`?), or its response \
             was too long"
        } else {
            "the connection ended before the server answered the handshake"
        };
        let text = text.to_owned();
        ConnectError::with_text(ConnectErrorKind::Http, text, Some(source.into()))
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
        let mut error = ConnectError::with_text(ConnectErrorKind::Refused, text, None);
        error.0.response = Some(response);
        error
    }

    fn with_text(kind: ConnectErrorKind, text: String, source: Option<BoxError>) -> Self {
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

/// The kind is `Connect`, unless a `ConnectError` is inside, which is returned.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        error
            .downcast()
            .unwrap_or_else(|error| ConnectError::new(ConnectErrorKind::Connect, error))
    }
}

impl From<InvalidRequest> for ConnectError {
    fn from(error: InvalidRequest) -> Self {
        ConnectError::with_text(ConnectErrorKind::Request, error.to_string(), None)
    }
}

impl From<InvalidResponse> for ConnectError {
    fn from(error: InvalidResponse) -> Self {
        ConnectError::with_text(
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
