//! Echoes every message, on every path, from pages of any origin.
//!
//! Over HTTP/1.1 and over HTTP/2 (prior knowledge), on one port.
//!
//!     cargo run --release --example echo -- --listen 127.0.0.1:9001

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_ws::config::Compression;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, WebSocket, WebSocketService};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// The largest message to accept.
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024)]
    max_message: usize,
    /// Compress; `dedicated` keeps a context for each connection.
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "shared")]
    deflate: Option<Deflate>,
    /// Worker threads; one a core unless given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Deflate {
    Shared,
    Dedicated,
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(10);

async fn no_page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("connect with a WebSocket\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let mut runtime = match options.threads {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads) = options.threads {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build()?.block_on(serve(options))
}

async fn serve(options: Options) -> std::io::Result<()> {
    let mut config = Config::new()
        .max_message_size(options.max_message)
        .message_timeout(Duration::from_secs(600))
        .danger_allow_any_origin();
    if let Some(mode) = options.deflate {
        config = config.compression(match mode {
            Deflate::Shared => Compression::shared(),
            Deflate::Dedicated => Compression::dedicated(),
        });
    }
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(no_page))
        .any_path(echo)
        .config(config)
        .tracker(&tracker);
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE);
    // A socket whose handler is busy must not use up what all sockets of its
    // connection share: README, "HTTP/2".
    server
        .http2()
        .enable_connect_protocol()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .max_send_buf_size(64 * 1024)
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30));
    let server = Arc::new(server);

    let listener = TcpListener::bind(options.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors, say: others will close theirs.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
        };
        let (server, service) = (Arc::clone(&server), service.clone());
        tokio::spawn(async move {
            // Over HTTP/2 nobody else does.
            let _ = stream.set_nodelay(true);
            // `auto` has no deadline for the first byte, which tells it the version.
            let begun = timeout(PATIENCE, stream.peek(&mut [0])).await;
            if matches!(begun, Ok(Ok(1..))) {
                let io = TokioIo::new(stream);
                let _ = server.serve_connection_with_upgrades(io, service).await;
            }
        });
    }
    drop(listener);
    tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(10))
        .await;
    Ok(())
}
