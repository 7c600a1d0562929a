//! What the servers here have in common, so that only the WebSocket part differs.
#![cfg(feature = "server")]

use std::future::Future;
use std::io;

use tokio::net::{TcpListener, TcpStream};

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

/// Listens on a port of the system's choice, on one thread, and prints the
/// address for the load generator.
pub fn listen<F, Fut>(serve: F) -> io::Result<()>
where
    F: FnOnce(TcpListener) -> Fut,
    Fut: Future<Output = io::Result<()>>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("listening on http://{}", listener.local_addr()?);
            serve(listener).await
        })
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

/// [`run`] for those that are called by hyper with a request.
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

/// For peers whose socket is a `Sink`: answers what is ready, then flushes
/// before it waits. `as_answer` leaves out what is not to be echoed.
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
