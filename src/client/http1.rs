//! The request and its response over HTTP/1.1, by hyper's client.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::error::ConnectError;
use super::header_case::HeaderCase;
use crate::deadline::after;
use crate::transport::Rewind;

/// The longest head of a response, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How much of the body of a refusal is kept, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// Sends the request over the stream, and returns the stream with a response of
/// status 101.
///
/// Any other status is an error, with as much of the body as arrives in time.
pub(crate) async fn exchange<T>(
    stream: T,
    request: Request<()>,
    title_case_headers: bool,
    timeout: Duration,
) -> Result<(Response<()>, Rewind<T>), ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let deadline = after(timeout);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .title_case_headers(title_case_headers)
        .handshake(TokioIo::new(HeaderCase::new(stream, title_case_headers)))
        .await
        .map_err(ConnectError::http)?;
    let mut connection = Running {
        connection,
        state: State::Open,
    };
    // An empty body, of a type that hyper knows.
    let request = request.map(|()| String::new());
    let answer = connection.run_with(sender.send_request(request));
    let response = timeout_at(deadline, answer)
        .await
        .map_err(|_| ConnectError::no_answer(timeout))?
        .map_err(ConnectError::http)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (head, body) = response.into_parts();
        let body = connection.run_with(beginning(body, deadline)).await;
        return Err(ConnectError::refused(Response::from_parts(head, body)));
    }
    let stream = timeout_at(deadline, connection.end())
        .await
        .map_err(|_| ConnectError::no_answer(timeout))?
        .map_err(ConnectError::http)?;
    Ok((response.map(|_| ()), stream))
}

/// hyper's connection, which makes progress only while it is polled.
struct Running<T: AsyncRead + AsyncWrite + Unpin> {
    connection: http1::Connection<TokioIo<HeaderCase<T>>, String>,
    state: State,
}

enum State {
    Open,
    /// The connection must not be polled again.
    Ended,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Running<T> {
    /// Polls the connection until the future is ready.
    async fn run_with<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let State::Open = self.state
                // An error is not looked at here: the future reports it too.
                && self.connection.poll_without_shutdown(cx).is_ready()
            {
                self.state = State::Ended;
            }
            future.as_mut().poll(cx)
        })
        .await
    }

    /// Polls the connection until hyper is done with it, and returns the stream,
    /// with the bytes that hyper has read past the response.
    async fn end(mut self) -> Result<Rewind<T>, hyper::Error> {
        if let State::Open = self.state {
            poll_fn(|cx| self.connection.poll_without_shutdown(cx)).await?;
        }
        let parts = self.connection.into_parts();
        let stream = parts.io.into_inner().into_inner();
        Ok(Rewind::new(stream, parts.read_buf))
    }
}

/// Reads the beginning of a body. It explains a refusal and is not needed whole.
pub(super) async fn beginning(mut body: Incoming, deadline: Instant) -> Bytes {
    let mut read = Vec::new();
    while read.len() < MAX_BODY {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
        let Ok(Some(Ok(frame))) = timeout_at(deadline, frame).await else {
            break;
        };
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(&data[..data.len().min(MAX_BODY - read.len())]);
        }
    }
    read.into()
}
