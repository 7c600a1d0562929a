//! The server of the soak: every feature on, and limits short enough that each is
//! reached within seconds.
//!
//! - `/echo` sends each message back, compressed if the client wants that
//! - `/stream` sends each message back in the parts in which it arrives
//! - `/ws` is a place in a room, in the lines of `rooms_server`
//! - `/stats` says how many tasks, sockets and rooms there are, and how many bytes are allocated
//!
//! SIGTERM closes every socket with 1001, and then ends the process.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_ws::config::Compression;
use hyper_ws::error::BoxError;
use hyper_ws::hub::{Gap, History, Hub, Redis};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Error, WebSocket, WebSocketService};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[path = "../rooms/server.rs"]
#[allow(dead_code, reason = "its `main` is that of another program")]
mod rooms;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// The bytes that are allocated. Unlike the resident memory, which the allocator gives back to the
/// system when it pleases, they come to the same number after the same work.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.wrapping_sub(stats.bytes_deallocated)
}

#[derive(Parser)]
struct Options {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long)]
    redis: String,
}

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn stream(mut socket: WebSocket) -> Result<(), Error> {
    let sender = socket.sender();
    while let Some(mut message) = socket.recv_stream().await? {
        let mut answer = sender.send_stream(message.kind());
        while let Some(chunk) = message.chunk().await? {
            answer.write(chunk).await?;
        }
        answer.finish().await?;
    }
    Ok(())
}

async fn app(
    request: Request<Incoming>,
    hub: Hub,
    tracker: Tracker,
) -> Result<Response<String>, Infallible> {
    if request.uri().path() != "/stats" {
        return rooms::serve(request, hub).await;
    }
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    Ok(Response::new(format!(
        "tasks {tasks}\nsockets {}\nrooms {}\nbytes {}\n",
        tracker.len(),
        hub.len(),
        allocated()
    )))
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let hub = Hub::new()
        .history(History::last(10_000).bytes(1 << 24))
        .stamp(|_, position, message| format!("m {position} {}", message.as_text().unwrap_or("?")))
        .gap(Gap::tell(|_, position| format!("missed {position}").into()))
        .backplane(Redis::new(&options.redis)?.patience(Duration::from_secs(20)));
    let tracker = Tracker::new();
    let config = Config::new()
        .max_message_size(4 << 20)
        .keep_alive(Duration::from_secs(2), Duration::from_secs(3))
        .close_timeout(Duration::from_secs(3))
        .message_timeout(Duration::from_secs(5))
        .write_timeout(Duration::from_secs(5))
        .compression(Compression::dedicated());
    let service = {
        let (hub, tracker) = (hub.clone(), tracker.clone());
        service_fn(move |request| app(request, hub.clone(), tracker.clone()))
    };
    let service = WebSocketService::new(service)
        .route("/echo", echo)
        .route("/stream", stream)
        .config(config)
        .tracker(&tracker);
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(5));
    server
        .http2()
        .enable_connect_protocol()
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024)
        .max_send_buf_size(64 * 1024);

    let listener = TcpListener::bind(options.listen).await?;
    println!("{}", listener.local_addr()?.port());
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors: other connections will close theirs.
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = terminate.recv() => break,
        };
        let _ = stream.set_nodelay(true);
        let connection = server
            .serve_connection_with_upgrades(TokioIo::new(stream), service.clone())
            .into_owned();
        tokio::spawn(connection);
    }
    drop(listener);
    tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(3))
        .await;
    Ok(())
}
