//! The request and its response as a stream of an HTTP/2 connection.

use std::pin::Pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use super::error::ConnectError;
use super::http1::beginning;
use crate::deadline::after;
use crate::error::BoxError;
use crate::transport::Http2Stream;

/// Makes an [`Ask`] of hyper's sender, whose type has a parameter.
pub(super) fn ask<B>(mut sender: SendRequest<B>) -> Ask
where
    B: Body + Default + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    Box::new(move |request: Request<()>| {
        Box::pin(async move {
            sender.ready().await?;
            sender.send_request(request.map(|()| B::default())).await
        })
    })
}

/// Sends a request on the connection, once it is ready for one.
pub(super) type Ask = Box<dyn FnOnce(Request<()>) -> Answering + Send>;

type Answering = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// Sends the request, and returns the stream with a response of status 2xx.
///
/// Any other status is an error, with as much of the body as arrives in time.
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
