//! The parts that all servers share, so that only the WebSocket part differs.
//!
//! All take the same options: `--listen ADDR`; `--broadcast` (every message goes to
//! all clients, including the sender, instead of back); some take `--batch`; and
//! `--workers N` for Tokio's multi-threaded runtime instead of one thread.
#![cfg(feature = "server")]

mod fan_out;

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

#[cfg(feature = "sink")]
pub use fan_out::broadcast;
pub use fan_out::{news, publish};

/// Whether one of the command line's words is `--name`.
pub fn has_flag(name: &str) -> bool {
    std::env::args().any(|argument| argument.strip_prefix("--") == Some(name))
}

/// The value of `--name VALUE` among the command line's words.
pub fn value<T: std::str::FromStr>(name: &str) -> Option<T> {
    let mut arguments = std::env::args();
    arguments.find(|argument| argument.strip_prefix("--") == Some(name))?;
    let value = arguments.next()?;
    Some(value.parse().unwrap_or_else(|_| panic!("--{name} {value}")))
}

/// Listens, and prints the address for the load generator.
pub fn listen<F, Fut>(serve: F) -> io::Result<()>
where
    F: FnOnce(TcpListener) -> Fut,
    Fut: Future<Output = io::Result<()>>,
{
    runtime()?.block_on(async {
        let address = value("listen").unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = TcpListener::bind(address).await?;
        println!("listening on http://{}", listener.local_addr()?);
        serve(listener).await
    })
}

fn runtime() -> io::Result<Runtime> {
    match value("workers") {
        Some(workers) => Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build(),
        None => Builder::new_current_thread().enable_all().build(),
    }
}

/// Spawns `serve` for each connection.
pub fn run<F, Fut>(serve: F) -> io::Result<()>
where
    F: Fn(TcpStream) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    listen(async |listener| {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream));
        }
    })
}

/// [`run`] for servers that hyper calls with a request.
#[cfg(feature = "hyper-server")]
pub fn run_hyper<F, Fut, B, E>(app: F) -> io::Result<()>
where
    F: Fn(hyper::Request<hyper::body::Incoming>) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = Result<hyper::Response<B>, E>> + Send + 'static,
    B: hyper::body::Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;

    run(move |stream| {
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(app))
            .with_upgrades();
        async move { _ = connection.await }
    })
}

/// An echo for crates whose socket is a `Sink`: answers all messages that are ready,
/// and flushes before it waits. `as_answer` drops messages that must not be echoed.
#[cfg(feature = "sink")]
pub async fn echo_in_batches<S, M, A, E>(
    socket: &mut S,
    as_answer: impl Fn(M) -> Option<A>,
) -> Result<(), E>
where
    S: futures_util::Stream<Item = M> + futures_util::Sink<A, Error = E> + Unpin,
{
    use futures_util::{FutureExt, SinkExt, StreamExt};

    let mut next = socket.next().await;
    while let Some(message) = next {
        if let Some(answer) = as_answer(message) {
            socket.feed(answer).await?;
        }
        next = match socket.next().now_or_never() {
            Some(next) => next,
            None => {
                socket.flush().await?;
                socket.next().await
            }
        };
    }
    Ok(())
}
