//! This crate with compression, as in its README. `--dedicated`: with a context for
//! each connection. `--level`, `--window` and `--memory` replace the defaults.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::config::Compression;
use hyper_ws::{Config, WebSocket, WebSocketService};

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn app(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("connect with a WebSocket\n")))
}

fn compression() -> Compression {
    let mut compression = if compare::has_flag("dedicated") {
        Compression::dedicated()
    } else {
        Compression::shared()
    };
    if let Some(level) = compare::value("level") {
        compression = compression.level(level);
    }
    if let Some(bits) = compare::value("window") {
        compression = compression.window_bits(bits);
    }
    if let Some(level) = compare::value("memory") {
        compression = compression.memory_level(level);
    }
    compression
}

fn main() -> std::io::Result<()> {
    let service = WebSocketService::new(service_fn(app))
        .route("/", echo)
        .config(Config::new().compression(compression()));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new());
    compare::run(move |stream| {
        let connection = server.serve_connection(TokioIo::new(stream), service.clone());
        async move { _ = connection.with_upgrades().await }
    })
}
