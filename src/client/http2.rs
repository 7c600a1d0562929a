//! The handshake over an HTTP/2 connection that somebody else has opened.

use std::pin::Pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use super::exchange::beginning;
use super::{Connect, ConnectError, Way, after};
use crate::error::BoxError;
use crate::handshake::IntoRequest;
use crate::transport::Http2Stream;

/// Makes the handshake over an HTTP/2 connection of hyper's, beside whatever
/// else it is used for (RFC 8441). Of the URL, the host becomes `:authority`;
/// it is not connected to.
///
/// RFC 8441, section 3: it may only be asked of a server that has said that it
/// knows this. Its word comes with its first frames:
/// [`Connection::is_extended_connect_protocol_enabled`] tells.
///
/// ```no_run
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper::client::conn::http2;
/// use hyper_util::rt::{TokioExecutor, TokioIo};
/// use hyper_ws::client::connect_over_http2;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let stream = TokioIo::new(tokio::net::TcpStream::connect("127.0.0.1:9001").await?);
/// let (sender, connection) = http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await?;
/// tokio::spawn(connection);
/// let mut socket = connect_over_http2(sender.clone(), "ws://127.0.0.1:9001/chat").await?;
/// socket.send("hello").await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of [`connect`](super::connect).
///
/// # Cancel safety
///
/// Dropping the future resets the stream, and leaves the connection as it is.
///
/// [`Connection::is_extended_connect_protocol_enabled`]: hyper::client::conn::http2::Connection::is_extended_connect_protocol_enabled
pub fn connect_over_http2<B>(mut sender: SendRequest<B>, request: impl IntoRequest) -> Connect
where
    B: Body + Default + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let ask = move |request: Request<()>| -> Answering {
        Box::pin(async move {
            sender.ready().await?;
            sender.send_request(request.map(|()| B::default())).await
        })
    };
    Connect::new(request, Way::Http2(Box::new(ask)))
}

/// What becomes of a request.
pub(super) type Ask = Box<dyn FnOnce(Request<()>) -> Answering + Send>;

type Answering = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// Asks, and makes a stream of the answer if it is a 2xx. Any other is an error,
/// with as much of its body as came in time.
pub(super) async fn exchange(
    ask: Ask,
    mut request: Request<()>,
    timeout: Duration,
) -> Result<(Response<()>, impl AsyncRead + AsyncWrite + Unpin + Send), ConnectError> {
    let deadline = after(timeout);
    let websocket = Protocol::from_static("websocket");
    request.extensions_mut().insert(websocket);
    let mut response = timeout_at(deadline, ask(request))
        .await
        .map_err(|_| ConnectError::no_answer(timeout))?
        .map_err(ConnectError::http)?;
    if !response.status().is_success() {
        let (head, body) = response.into_parts();
        let body = beginning(body, deadline).await;
        return Err(ConnectError::refused(Response::from_parts(head, body)));
    }
    let upgraded = timeout_at(deadline, hyper::upgrade::on(&mut response))
        .await
        .map_err(|_| ConnectError::no_answer(timeout))?
        .map_err(ConnectError::http)?;
    let stream = Http2Stream::new(TokioIo::new(upgraded));
    Ok((response.map(drop), stream))
}
