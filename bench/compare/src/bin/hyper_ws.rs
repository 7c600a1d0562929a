//! This crate, as in its README: default features, default configuration.
//! `--broadcast`: a room of its `hub`.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::hub::{Hub, Room};
use hyper_ws::{WebSocket, WebSocketService};

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn broadcast(mut socket: WebSocket, room: Room) -> Result<(), hyper_ws::Error> {
    room.join(&socket);
    while let Some(message) = socket.recv().await? {
        room.send(message);
    }
    Ok(())
}

async fn app(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("connect with a WebSocket\n")))
}

fn main() -> std::io::Result<()> {
    let room = Hub::new().room("all");
    let service = WebSocketService::new(service_fn(app));
    let service = if compare::has_flag("broadcast") {
        service.route("/", move |socket| broadcast(socket, room.clone()))
    } else {
        service.route("/", echo)
    };
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new());
    // TCP_NODELAY is set by the crate, and `run` would set it once more.
    compare::listen(async move |listener| {
        loop {
            let (stream, _) = listener.accept().await?;
            let connection = server.serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(async move { _ = connection.with_upgrades().await });
        }
    })
}
