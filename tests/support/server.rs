//! Servers over TCP and over pipes in memory.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, Error, Sender, WebSocket, WebSocketService};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Client;
use super::client::TIMEOUT;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The service behind the routes. Its answer repeats the request, so that a
/// request that should not have been one shows.
pub(crate) async fn page(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("{} {}\n", request.method(), request.uri());
    Ok(Response::new(text.into()))
}

/// The handler of most tests.
pub(crate) async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

/// A server that stops accepting when this is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) tracker: Tracker,
    accepting: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Echoes on `/ws`.
    pub(crate) async fn echo(config: Config) -> Self {
        let tracker = Tracker::new();
        let service = WebSocketService::new(service_fn(page))
            .route("/ws", echo)
            .config(config)
            .tracker(&tracker);
        Server::start(service, tracker).await
    }

    /// Drops all messages on `/ws`; the receiver gets a sender of each socket.
    pub(crate) async fn with_senders() -> (Self, UnboundedReceiver<Sender>) {
        let (tell, senders) = mpsc::unbounded_channel();
        let tracker = Tracker::new();
        let service = WebSocketService::new(service_fn(page))
            .route("/ws", move |mut socket: WebSocket| {
                tell.send(socket.sender()).unwrap();
                async move { while let Ok(Some(_)) = socket.recv().await {} }
            })
            .tracker(&tracker);
        (Server::start(service, tracker).await, senders)
    }

    /// Serves `service`, which counts its sockets in `tracker`.
    pub(crate) async fn start<S, B>(service: S, tracker: Tracker) -> Self
    where
        S: HttpService<Incoming, ResBody = B, Future: Send, Error: Into<BoxError>>
            + Clone
            + Send
            + 'static,
        B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
    {
        let (listener, address) = bind().await;
        let accepting = tokio::spawn(accept(listener, service)).abort_handle();
        Server {
            address,
            tracker,
            accepting,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A client whose kernel buffers little of what it does not read. (Below the
    /// size of a segment the kernels would wait for each other.)
    pub(crate) async fn connect_narrow(&self) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        Client::over_tcp(socket.connect(self.address).await.unwrap())
    }

    /// A client whose handshake on `/ws` was accepted.
    pub(crate) async fn open(&self) -> Client {
        Client::open(self.address, "/ws").await
    }

    /// Returns when every socket has ended.
    pub(crate) async fn emptied(&self) {
        until("every socket has ended", || self.tracker.is_empty()).await;
    }
}

/// Serves every connection as long as the runtime lives; returns the address.
pub(crate) async fn listen<S, B>(service: S) -> SocketAddr
where
    S: HttpService<Incoming, ResBody = B, Future: Send, Error: Into<BoxError>>
        + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let (listener, address) = bind().await;
    tokio::spawn(accept(listener, service));
    address
}

pub(crate) async fn bind() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn accept<S, B>(listener: TcpListener, service: S)
where
    S: HttpService<Incoming, ResBody = B, Future: Send, Error: Into<BoxError>>
        + Clone
        + Send
        + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(stream, service.clone()));
    }
}

/// Serves one connection over any IO.
pub(crate) async fn serve<T, S, B>(io: T, service: S)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B, Error: Into<BoxError>>,
    B: Body<Error: Into<BoxError>> + 'static,
{
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades()
        .await;
}

/// A client over a pipe in memory to a server that echoes on `/ws`. Its clock may
/// be tokio's paused one. `buffer` bytes fit into the pipe in each direction.
pub(crate) fn piped(config: Config, buffer: usize) -> (Client<DuplexStream>, Tracker) {
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", echo)
        .config(config)
        .tracker(&tracker);
    (pipe(service, buffer), tracker)
}

/// A client over a pipe to `service`.
pub(crate) fn pipe<S, B>(service: S, buffer: usize) -> Client<DuplexStream>
where
    S: HttpService<Incoming, ResBody = B, Future: Send, Error: Into<BoxError>> + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(buffer);
    tokio::spawn(serve(far, service));
    Client::over(near).without_timeout()
}

/// Lets other tasks run until `reached`.
pub(crate) async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let looking = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(TIMEOUT, looking).await.expect(what);
}
