//! Connections without a kernel: hyper's handshake over an IO in memory, then the
//! conversation's own future, which only this module polls.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_ws::config::Compression;
use hyper_ws::hub::{Hub, Room};
use hyper_ws::{Config, Error, Message, Upgrade, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

/// Asks for a connection, which may be compressed.
pub(super) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
    client_no_context_takeover\r\n\r\n";

/// The C library copies this many bytes without the repeated instruction of which valgrind
/// counts every byte. So the wire's own copies do not hide those of the connection.
const PIECE: usize = 2048;

/// The bytes that a connection reads, and the number that it has written.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    input: Vec<u8>,
    read: usize,
    written: usize,
    /// What it has written, if that is kept.
    output: Option<Vec<u8>>,
    /// Kept as every IO does, and never woken.
    waker: Option<Waker>,
}

impl Ends {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) {
        self.written += bytes.len();
        if let Some(output) = &mut self.output {
            keep(bytes, output);
        }
    }
}

#[cold]
fn keep(bytes: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(bytes);
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, Ends> {
        self.0.lock().expect("nothing panics under the lock")
    }

    fn send(&self, bytes: &[u8]) {
        let mut ends = self.lock();
        ends.input.clear();
        ends.input.extend_from_slice(bytes);
        (ends.read, ends.written) = (0, 0);
    }

    /// Sends the same bytes once more.
    fn send_again(&self) {
        let mut ends = self.lock();
        (ends.read, ends.written) = (0, 0);
    }
}

#[inline(never)]
fn put_pieces(bytes: &[u8], buffer: &mut ReadBuf<'_>) {
    for piece in bytes.chunks(PIECE) {
        buffer.put_slice(piece);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut ends = self.lock();
        let rest = &ends.input[ends.read..];
        if rest.is_empty() {
            match &mut ends.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let length = rest.len().min(buffer.remaining());
        if length <= PIECE {
            buffer.put_slice(&rest[..length]);
        } else {
            put_pieces(&rest[..length], buffer);
        }
        ends.read += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.lock().write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection that waits for its first message. Its runtime is for the timer,
/// which is not polled.
pub(crate) struct Conversation {
    wire: Wire,
    task: Task,
    runtime: Arc<Runtime>,
}

impl Conversation {
    /// A connection whose handler echoes.
    pub(crate) fn echo() -> Self {
        Conversation::new(&runtime(), Config::new(), echo)
    }

    /// A connection whose handler receives messages in chunks, and answers each with `done`.
    pub(crate) fn chunks() -> Self {
        Conversation::new(&runtime(), Config::new(), receive_chunks)
    }

    /// A connection whose handler echoes compressed messages, each compressed by itself.
    pub(crate) fn compressed() -> Self {
        let config = Config::new().compression(Compression::shared());
        Conversation::new(&runtime(), config, echo)
    }

    fn new<F, Fut>(runtime: &Arc<Runtime>, config: Config, handler: F) -> Self
    where
        F: Fn(WebSocket) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let config = Arc::new(config);
        let wire = Wire::default();
        wire.send(REQUEST);
        let accepted: Arc<Mutex<Option<Task>>> = Arc::default();
        let place = accepted.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let upgrade = Upgrade::from_request(&mut request).expect("a good handshake");
            let upgrade = upgrade.config(config.clone());
            let (response, conversation) = upgrade.accept_with(handler.clone());
            *place.lock().expect("nothing panics under the lock") = Some(Box::pin(conversation));
            async { Ok::<Response<String>, Infallible>(response) }
        });
        let io = TokioIo::new(wire.clone());
        let connection = http1::Builder::new().serve_connection(io, service);
        let served = runtime.block_on(connection.with_upgrades());
        served.expect("it is handed over");
        let task = accepted
            .lock()
            .expect("nothing panics under the lock")
            .take();
        let mut conversation = Conversation {
            wire,
            task: task.expect("the handshake is done"),
            runtime: runtime.clone(),
        };
        // The first turn calls the handler and sets the timer.
        conversation.turn(&[]);
        conversation
    }

    /// Lets the connection read `input`, until it waits again; returns the number of
    /// bytes that it has written.
    pub(crate) fn turn(&mut self, input: &[u8]) -> usize {
        self.wire.send(input);
        self.poll()
    }

    /// Sends `input` with the next [`repeat`](Self::repeat).
    pub(crate) fn prepare(&mut self, input: &[u8]) {
        self.wire.send(input);
    }

    /// Lets the connection read the last input once more, in several turns, until it has written
    /// so many bytes. (A turn that takes long ends before all is done.)
    pub(crate) fn repeat(&mut self, output: usize) {
        self.wire.send_again();
        let written = (0..100)
            .map(|_| self.poll())
            .find(|&written| written >= output);
        assert_eq!(written, Some(output));
    }

    /// Returns what the connection answers to `input`.
    pub(crate) fn answer(&mut self, input: &[u8]) -> Vec<u8> {
        self.wire.lock().output = Some(Vec::new());
        self.turn(input);
        self.wire.lock().output.take().unwrap_or_default()
    }

    #[inline(always)]
    fn poll(&mut self) -> usize {
        let _runtime = self.runtime.enter();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(self.task.as_mut().poll(&mut cx).is_pending());
        self.wire.lock().written
    }
}

/// Connections in one room.
pub(crate) struct Members {
    room: Room,
    conversations: Vec<Conversation>,
}

impl Members {
    pub(crate) fn new(count: usize) -> Self {
        let room = Hub::new().room("all");
        let runtime = runtime();
        let handler = {
            let room = room.clone();
            move |socket: WebSocket| {
                room.join(&socket);
                echo(socket)
            }
        };
        let conversations =
            (0..count).map(|_| Conversation::new(&runtime, Config::new(), handler.clone()));
        let conversations = conversations.collect();
        Members {
            room,
            conversations,
        }
    }

    /// Sends to all members, whose turns come later.
    pub(crate) fn send(&self, message: Message) {
        self.room.send(message);
    }

    /// Sends to all members, and lets each write what is queued; returns the number of
    /// bytes that they have written.
    pub(crate) fn publish(&mut self, message: Message) -> usize {
        self.send(message);
        self.conversations
            .iter_mut()
            .map(|member| member.turn(&[]))
            .sum()
    }
}

pub(super) async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn receive_chunks(mut socket: WebSocket) -> Result<(), Error> {
    let sender = socket.sender();
    while let Some(mut message) = socket.recv_stream().await? {
        while message.chunk().await?.is_some() {}
        sender.send("done").await?;
    }
    Ok(())
}

fn runtime() -> Arc<Runtime> {
    let runtime = Builder::new_current_thread().enable_time().build();
    Arc::new(runtime.expect("the system has what a runtime needs"))
}
