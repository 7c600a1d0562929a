//! A proxy for another WebSocket server: messages are forwarded to the same path
//! there, both ways, as they arrive.
//!
//!     cargo run --release --example echo
//!     cargo run --release --example proxy -- --upstream ws://127.0.0.1:9001
//!
//! A copy of it needs the feature `client`.
//!
//! Messages of any size go through in chunks. Backpressure of a slow reader reaches
//! the sender through the proxy, which holds some 64 KiB each way. Each connection
//! has pings of its own. Close codes are forwarded, and the client sees the
//! subprotocol, the header fields and the refusal of the server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::client::ConnectError;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Error, Sender, Upgrade, WebSocket, WebSocketService};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The server to forward to, without a path.
    #[arg(long, value_name = "URL")]
    upstream: String,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let tracker = Tracker::new();
    let upstream = options.upstream.trim_end_matches('/').to_owned();
    let service = WebSocketService::new(service_fn(nothing))
        .any_path(move |upgrade, request| proxy(upstream.clone(), upgrade, request))
        .config(config())
        .tracker(&tracker);
    let listener = TcpListener::bind(options.listen).await?;
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
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection.with_upgrades());
    }
    drop(listener);
    tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(10))
        .await;
    Ok(())
}

async fn nothing(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("there are only WebSockets here\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

/// Without a limit of size: the proxy does not assemble messages.
pub fn config() -> Config {
    Config::new().max_message_size(usize::MAX)
}

/// The handler. It connects upstream first, and gives the client that answer.
pub async fn proxy(upstream: String, upgrade: Upgrade, request: Request<()>) -> Response<String> {
    let path = request.uri().path_and_query();
    let mut connect = hyper_ws::connect(format!(
        "{upstream}{}",
        path.map_or("/", |path| path.as_str())
    ))
    .config(config());
    for (name, value) in forwarded(request.headers()) {
        connect = connect.header(name, value);
    }
    let (upstream, response) = match connect.with_response().await {
        Ok(opened) => opened,
        Err(error) => return refusal(error),
    };
    // The subprotocol that upstream has chosen from the client's offer.
    let protocol = upstream.protocol().map(str::to_owned);
    let mut answer = upgrade
        .protocols(protocol)
        .on_upgrade(|client| forward(client, upstream));
    for (name, value) in forwarded(response.headers()) {
        if *name != header::SEC_WEBSOCKET_PROTOCOL {
            answer.headers_mut().append(name, value.clone());
        }
    }
    answer
}

/// The header fields to forward: not those of one connection (RFC 9110, section
/// 7.6.1), and not the origin, which was checked here and differs from the host of
/// the server there.
fn forwarded(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    const OURS: [HeaderName; 11] = [
        header::CONNECTION,
        header::UPGRADE,
        header::HOST,
        header::ORIGIN,
        header::TRANSFER_ENCODING,
        header::PROXY_AUTHORIZATION,
        header::DATE,
        header::SEC_WEBSOCKET_KEY,
        header::SEC_WEBSOCKET_ACCEPT,
        header::SEC_WEBSOCKET_VERSION,
        // Each connection negotiates compression for itself.
        header::SEC_WEBSOCKET_EXTENSIONS,
    ];
    headers.iter().filter(|(name, _)| !OURS.contains(name))
}

/// The answer to a client that upstream did not accept: upstream's refusal, or 502
/// without an answer of upstream.
fn refusal(error: ConnectError) -> Response<String> {
    let mut response = Response::new(format!("{error}\n"));
    *response.status_mut() = error.status().unwrap_or(StatusCode::BAD_GATEWAY);
    if let Some(refused) = error.response() {
        *response.body_mut() = String::from_utf8_lossy(refused.body()).into_owned();
        for (name, value) in forwarded(refused.headers()) {
            if *name != header::CONTENT_LENGTH {
                response.headers_mut().append(name, value.clone());
            }
        }
    }
    response
}

async fn forward(mut client: WebSocket, mut upstream: WebSocket) {
    let (to_client, to_upstream) = (client.sender(), upstream.sender());
    // Both sockets are held until both directions have ended: dropping one closes it.
    tokio::join!(
        pump(&mut client, &to_upstream),
        pump(&mut upstream, &to_client),
    );
}

/// Forwards until the conversation on one of the sides has ended, and ends the other.
async fn pump(from: &mut WebSocket, to: &Sender) {
    let source = from.sender();
    loop {
        match forward_message(from, to, &source).await {
            Ok(true) => {}
            // A side that has ended by itself needs no close frame.
            Ok(false) | Err(_) => return carry_over(&source, to),
        }
    }
}

async fn forward_message(
    from: &mut WebSocket,
    to: &Sender,
    source: &Sender,
) -> Result<bool, Error> {
    let Some(mut message) = from.recv_stream().await? else {
        return Ok(false);
    };
    let mut outgoing = to.send_stream(message.kind());
    loop {
        match message.chunk().await {
            // Not larger than the bytes of one read: the message stays in one piece.
            Ok(Some(chunk)) if message.is_finished() && !outgoing.has_begun() => {
                to.send(chunk).await?;
                return Ok(true);
            }
            Ok(Some(chunk)) => outgoing.write(chunk).await?,
            Ok(None) => {
                outgoing.finish().await?;
                return Ok(true);
            }
            Err(error) => {
                // Before the unfinished message is dropped, which would close with a
                // less precise code.
                carry_over(source, to);
                return Err(error);
            }
        }
    }
}

/// Closes as the other side was closed. If that side has not ended by itself, it was closed by this
/// one.
fn carry_over(source: &Sender, to: &Sender) {
    if let Some(cause) = source.close_cause() {
        to.close_as(&cause);
    }
}
