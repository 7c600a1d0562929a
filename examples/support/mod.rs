//! The part that the servers `echo` and `broadcast` share: their options, and an
//! accept loop that serves HTTP/1.1 and HTTP/2 (prior knowledge) on one port
//! until SIGTERM or Ctrl-C.
//!
//! The tests and measurements of other programs connect to these two, so they
//! accept pages of any origin and large messages.

mod listener;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::Service;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_ws::config::Compression;
use hyper_ws::error::BoxError;
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use listener::Listener;

/// How long a client may take for its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Parser)]
pub(crate) struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: SocketAddr,
    /// The largest message to accept.
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024)]
    max_message: usize,
    /// Compress; `dedicated` keeps a context for each connection.
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "shared")]
    deflate: Option<Deflate>,
    /// Worker threads; one for each core unless given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Deflate {
    Shared,
    Dedicated,
}

impl Options {
    /// The configuration of the sockets.
    pub(crate) fn config(&self) -> Config {
        let config = Config::new()
            .max_message_size(self.max_message)
            .message_timeout(Duration::from_secs(600))
            .danger_allow_any_origin();
        match self.deflate {
            None => config,
            Some(Deflate::Shared) => config.compression(Compression::shared()),
            Some(Deflate::Dedicated) => config.compression(Compression::dedicated()),
        }
    }
}

/// Answers a request that is not a handshake.
pub(crate) async fn no_page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("connect with a WebSocket\n"));
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

/// The runtime, with as many threads as the options say.
pub(crate) fn runtime(options: &Options) -> io::Result<Runtime> {
    let mut runtime = match options.threads {
        Some(1) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if let Some(threads) = options.threads {
        runtime.worker_threads(threads);
    }
    runtime.enable_all().build()
}

/// Serves `service` until SIGTERM or Ctrl-C, and then closes the sockets of
/// `tracker`.
pub(crate) async fn serve<S, B>(options: &Options, service: S, tracker: &Tracker) -> io::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send, Error: Into<BoxError>>
        + Clone
        + Send
        + 'static,
    B: hyper::body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT);
    // A socket whose handler is busy must not use up the window that all sockets
    // of its HTTP/2 connection share (README, "HTTP/2").
    server
        .http2()
        .enable_connect_protocol()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .max_send_buf_size(64 * 1024)
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30));
    let server = Arc::new(server);

    let mut listener = Listener::bind(options.listen).await?;
    println!("listening on http://{}", listener.address()?);
    while let Some(stream) = listener.accept().await {
        let (server, service) = (Arc::clone(&server), service.clone());
        tokio::spawn(async move {
            // The crate sets it over HTTP/1.1, and cannot over HTTP/2.
            let _ = stream.set_nodelay(true);
            // `auto` has no deadline for the first bytes, by which it tells the version.
            let begun = timeout(REQUEST_TIMEOUT, stream.peek(&mut [0])).await;
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
