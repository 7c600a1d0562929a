//! A graceful shutdown in order: no new connections, then the sockets, then the
//! requests that hyper has not answered yet.
//!
//!     cargo run --release --example graceful_shutdown
//!
//! A copy of it needs the feature `http2`.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, WebSocket, WebSocketService};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

async fn app(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("the socket is at /ws\n")))
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(app))
        .route("/ws", echo)
        .tracker(&tracker);
    // `auto`, because hyper-util's graceful shutdown does not know hyper's own
    // HTTP/1 connection with upgrades.
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new());
    server
        .http2()
        .enable_connect_protocol()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .max_send_buf_size(64 * 1024);
    let graceful = GracefulShutdown::new();

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    // Made once: a signal between two turns of the loop counts too.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        let connection = server
            .serve_connection_with_upgrades(TokioIo::new(stream), service.clone())
            .into_owned();
        tokio::spawn(graceful.watch(connection));
    }
    drop(listener);
    // The sockets before hyper's own shutdown, which no longer knows a connection
    // that became a socket, and which over HTTP/2 waits for sockets to end.
    let drained = tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(10))
        .await;
    println!(
        "{} sockets closed, {} cut off",
        drained.closed, drained.aborted
    );
    // A client that reads nothing would keep hyper waiting.
    let _ = tokio::time::timeout(Duration::from_secs(10), graceful.shutdown()).await;
    Ok(())
}
