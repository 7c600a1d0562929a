//! The other side of a conversation, for tests.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::task::{JoinError, JoinHandle};

use super::*;
use crate::protocol::{Connection, Event};

/// The other end of the conversation: a sans-IO client on the other side of a pipe.
pub(crate) struct Peer {
    pub(crate) io: DuplexStream,
    pub(crate) connection: Connection,
    pub(crate) input: Vec<u8>,
}

impl Peer {
    pub(crate) fn new(io: DuplexStream) -> Self {
        let role = Role::Client {
            masking_key: || [7, 1, 9, 3],
        };
        let config = Config::new().max_message_size(1 << 24);
        Peer {
            io,
            connection: Connection::new(role, &config),
            input: vec![],
        }
    }

    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.connection.send(message).unwrap();
        self.flush().await;
    }

    pub(crate) async fn flush(&mut self) {
        let output = self.connection.take_output();
        self.io.write_all(&output).await.unwrap();
    }

    /// The next event; `None` at the end of input.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            let (taken, event) = self.connection.receive(&mut self.input).unwrap();
            self.input.drain(..taken);
            self.flush_quietly().await;
            if event.is_some() {
                return event;
            }
            let mut buffer = [0; 4096];
            match self.io.read(&mut buffer).await {
                Ok(count) if count > 0 => self.input.extend_from_slice(&buffer[..count]),
                _ => return None,
            }
        }
    }

    pub(crate) async fn flush_quietly(&mut self) {
        let output = self.connection.take_output();
        let _ = self.io.write_all(&output).await;
    }

    pub(crate) async fn message(&mut self) -> Message {
        loop {
            match self.event().await.expect("the conversation goes on") {
                Event::Message(message) => return message,
                _ => continue,
            }
        }
    }

    pub(crate) async fn close_frame(&mut self) -> Option<u16> {
        loop {
            match self.event().await {
                Some(Event::Close(frame)) => return frame.map(|it| it.code.value()),
                Some(_) => continue,
                None => return None,
            }
        }
    }
}

/// A client whose masking key is no secret.
pub(crate) const CLIENT: Role = Role::Client {
    masking_key: || [1, 2, 3, 4],
};

/// What a connection in this role begins with, over a pipe that holds so many bytes, and its
/// peer.
pub(crate) fn pair(role: Role, pipe: usize, config: Config) -> (DuplexStream, Negotiated, Peer) {
    let (ours, theirs) = tokio::io::duplex(pipe);
    let mut peer = Peer::new(theirs);
    if let Role::Client { .. } = role {
        peer.connection = Connection::new(Role::Server, &Config::new());
    }
    let start = Negotiated {
        role,
        ..start(config)
    };
    (ours, start, peer)
}

pub(crate) fn start(config: Config) -> Negotiated {
    Negotiated {
        role: Role::Server,
        config: Arc::new(config),
        protocol: None,
        codec: None,
        permit: None,
    }
}

/// The task of a managed socket.
///
/// The driver catches a panic of its handler. It fails the test all the same, when this is
/// awaited or dropped: an assertion in a handler would pass unseen otherwise.
pub(crate) struct Task {
    task: JoinHandle<()>,
    panic: Panic,
}

/// The panic of a handler, if it had one.
type Panic = Arc<OnceLock<String>>;

/// What a handler says that panics on purpose.
pub(crate) const BUG: &str = "a bug";

impl Task {
    pub(crate) fn spawn<T, F, Fut>(io: T, start: Negotiated, handler: F) -> Self
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: FnOnce(WebSocket) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: HandlerOutput,
    {
        let panic = Panic::default();
        let handler = remember_panic(panic.clone(), handler);
        let task = tokio::spawn(managed(io, start, handler));
        Task { task, panic }
    }

    /// Runs `handler` with a bare socket, managed or as it is.
    pub(crate) fn run<F, Fut>(managed: bool, socket: WebSocket, handler: F) -> Self
    where
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: HandlerOutput,
    {
        let panic = Panic::default();
        let handler = remember_panic(panic.clone(), handler);
        let task = match managed {
            true => tokio::spawn(socket.run(handler)),
            false => tokio::spawn(async { drop(handler(socket).await) }),
        };
        Task { task, panic }
    }

    pub(crate) fn abort(&self) {
        self.task.abort();
    }

    fn check(&self) {
        if let Some(panic) = self.panic.get() {
            assert!(std::thread::panicking(), "the handler panicked: {panic}");
        }
    }
}

impl Future for Task {
    type Output = Result<(), JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.task).poll(cx));
        self.check();
        Poll::Ready(ended)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.check();
    }
}

/// The same handler, whose panic is remembered before the driver catches it.
fn remember_panic<F, Fut>(
    panic: Panic,
    handler: F,
) -> impl FnOnce(WebSocket) -> Pin<Box<dyn Future<Output = Fut::Output> + Send>>
where
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: HandlerOutput,
{
    move |socket| {
        let mut handler = Box::pin(handler(socket));
        Box::pin(poll_fn(move |cx| {
            let poll = AssertUnwindSafe(|| handler.as_mut().poll(cx));
            catch_unwind(poll).unwrap_or_else(|payload| {
                let text = match payload.downcast_ref::<String>() {
                    Some(text) => text,
                    None => *payload.downcast_ref::<&str>().unwrap_or(&"no text"),
                };
                if text != BUG {
                    let _ = panic.set(text.to_owned());
                }
                resume_unwind(payload)
            })
        }))
    }
}

/// Spawns a managed socket that compresses; its peer does too.
#[cfg(feature = "deflate")]
pub(crate) fn serve_compressed<F, Fut>(
    config: Config,
    compression: crate::config::Compression,
    handler: F,
) -> (Peer, Task)
where
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: HandlerOutput,
{
    serve_compressed_over(4096, config, compression, handler)
}

/// The same over a pipe that holds so many bytes.
#[cfg(feature = "deflate")]
pub(crate) fn serve_compressed_over<F, Fut>(
    pipe: usize,
    config: Config,
    compression: crate::config::Compression,
    handler: F,
) -> (Peer, Task)
where
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: HandlerOutput,
{
    let (server, client) = crate::extension::agree(compression.clone(), compression);
    let (ours, theirs) = tokio::io::duplex(pipe);
    let start = Negotiated {
        codec: Some(server.codec()),
        ..start(config)
    };
    let task = Task::spawn(ours, start, handler);
    let mut peer = Peer::new(theirs);
    peer.connection = peer
        .connection
        .with_extension(Some(crate::protocol::Extension(client)));
    (peer, task)
}

/// Spawns a managed socket with `handler`; returns its peer and its task.
pub(crate) fn serve<F, Fut>(config: Config, handler: F) -> (Peer, Task)
where
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: HandlerOutput,
{
    serve_with(64 * 1024, config, handler)
}

pub(crate) fn serve_with<F, Fut>(pipe: usize, config: Config, handler: F) -> (Peer, Task)
where
    F: FnOnce(WebSocket) -> Fut,
    Fut: Future + Send + 'static,
    Fut::Output: HandlerOutput,
{
    let (ours, theirs) = tokio::io::duplex(pipe);
    let task = Task::spawn(ours, start(config), handler);
    (Peer::new(theirs), task)
}

/// Counts the writes that reach the transport.
pub(crate) struct Counted {
    pub(crate) io: DuplexStream,
    pub(crate) writes: Arc<AtomicUsize>,
    pub(crate) vectored: bool,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
