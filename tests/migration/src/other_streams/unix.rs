use std::convert::Infallible;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::{Error, WebSocket, WebSocketService};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn nothing(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new("there is only /ws\n".to_owned());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

/// One connection over any stream: what tungstenite's `accept_async` is for.
pub async fn serve_one<T>(stream: T)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = WebSocketService::new(service_fn(nothing)).route("/ws", echo);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        eprintln!("the connection failed: {error}");
    }
}

pub async fn serve(listener: UnixListener) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve_one(stream));
    }
}
