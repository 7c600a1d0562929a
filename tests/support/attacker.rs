//! What the attacks share: a server in this process and a client that knows
//! nothing of WebSockets but bytes.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, Error, WebSocket, WebSocketService};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// How long the client waits for anything before the test fails: never reached
/// unless something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many bytes the client receives at a time at most.
const WINDOW: usize = 16 * 1024;

/// What `Sec-WebSocket-Key` of [`handshake`] is answered (RFC 6455, section 1.3).
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The masking key of the frames that are sent here.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The request of RFC 6455, section 1.2, with `headers` (whole lines) added.
pub(crate) fn handshake(headers: &str) -> String {
    format!("{}{headers}\r\n", handshake_without_end())
}

fn handshake_without_end() -> &'static str {
    "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
}

/// A frame as a client sends it: masked, its length in the shortest form.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len() as u64);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(a, b)| a ^ b));
    frame
}

/// The header of a masked frame that announces `length` bytes.
pub(crate) fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..=125 => header.push(0x80 | length as u8),
        126..=0xffff => {
            header.push(0xfe);
            header.extend((length as u16).to_be_bytes());
        }
        _ => {
            header.push(0xff);
            header.extend(length.to_be_bytes());
        }
    }
    header.extend(KEY);
    header
}

/// A close frame of a client.
pub(crate) fn close_frame(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

/// What is behind the routes: it tells what it was asked, so that a request
/// that should not have been one shows.
pub(crate) async fn page(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("{} {}\n", request.method(), request.uri());
    Ok(Response::new(text.into()))
}

pub(crate) async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

/// A server; it accepts no more when this is dropped.
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

    /// Serves `service`, which counts its sockets in `tracker`.
    pub(crate) async fn start<S, B>(service: S, tracker: Tracker) -> Self
    where
        S: HttpService<Incoming, ResBody = B> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = tokio::spawn(accept(listener, service)).abort_handle();
        Server {
            address,
            tracker,
            accepting,
        }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// A client whose kernel buffers little of what it does not read. (Below the
    /// size of a segment the kernels would wait for each other.)
    pub(crate) async fn connect_narrow(&self) -> Client<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        Client::new(socket.connect(self.address).await.unwrap())
    }

    /// A client past its handshake.
    pub(crate) async fn open(&self) -> Client<TcpStream> {
        let mut client = self.connect().await;
        client.open().await;
        client
    }

    /// Returns when there is no socket any more.
    pub(crate) async fn emptied(&self) {
        until("every socket has ended", || self.tracker.is_empty()).await;
    }
}

async fn accept<S, B>(listener: TcpListener, service: S)
where
    S: HttpService<Incoming, ResBody = B> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
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
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades()
        .await;
}

/// A client over a pipe in memory, whose clock may be tokio's paused one, and a
/// server that echoes. `buffer` bytes fit into the pipe either way.
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
    S: HttpService<Incoming, ResBody = B> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (near, far) = tokio::io::duplex(buffer);
    tokio::spawn(serve(far, service));
    Client {
        io: near,
        received: Vec::new(),
        window: vec![0; WINDOW].into(),
        // The paused clock runs ahead whenever everybody waits.
        patience: Duration::from_secs(1_000_000),
    }
}

/// Lets other tasks run until `reached`.
pub(crate) async fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let looking = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, looking).await.expect(what);
}

/// A client that sends and receives bytes.
pub(crate) struct Client<T> {
    pub(crate) io: T,
    /// Received and not looked at.
    received: Vec<u8>,
    /// Where it is received to: allocated once, so that it is not measured.
    window: Box<[u8]>,
    patience: Duration,
}

/// What a server answered a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The head, header names in lower case as hyper writes them.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(known, value)| (known == name).then_some(value))
    }
}

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The code of a close frame.
    pub(crate) fn close_code(&self) -> Option<u16> {
        match (self.first, self.payload.first_chunk()) {
            (0x88, Some(code)) => Some(u16::from_be_bytes(*code)),
            _ => None,
        }
    }
}

impl Client<TcpStream> {
    pub(crate) fn new(io: TcpStream) -> Self {
        io.set_nodelay(true).unwrap();
        Client {
            io,
            received: Vec::new(),
            window: vec![0; WINDOW].into(),
            patience: PATIENCE,
        }
    }

    /// Closes the connection with RST.
    pub(crate) fn reset(self) {
        self.io.set_zero_linger().unwrap();
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        patient(self.patience, self.io.write_all(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// Makes the handshake.
    pub(crate) async fn open(&mut self) {
        self.send(handshake("")).await;
        let answer = self.answer().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
    }

    /// The answer to a request.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_if_any().await.expect("an answer")
    }

    /// The answer to a request; `None` if the server closes instead.
    pub(crate) async fn answer_if_any(&mut self) -> Option<Answer> {
        let end = loop {
            let end = self.received.windows(4).position(|it| it == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None if self.receive().await == 0 => return None,
                None => {}
            }
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).unwrap();
        let mut answer = Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body: String::new(),
        };
        if answer.status != 101 {
            let length = answer.header("content-length").unwrap_or("0");
            let body = self.exactly(length.parse().unwrap()).await;
            answer.body = String::from_utf8(body.expect("the whole body")).unwrap();
        }
        Some(answer)
    }

    /// The next frame; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        let [first, second] = self.exactly(2).await?[..] else {
            unreachable!("two bytes")
        };
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let length = match second {
            126 => u16::from_be_bytes(*self.exactly(2).await?.first_chunk()?).into(),
            127 => u64::from_be_bytes(*self.exactly(8).await?.first_chunk()?),
            short => short.into(),
        };
        let payload = self.exactly(length as usize).await?;
        Some(Frame { first, payload })
    }

    /// Expects a frame, and that it is the next.
    pub(crate) async fn expect(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let frame = self.frame().await;
        let payload = payload.as_ref().to_vec();
        assert_eq!(frame, Some(Frame { first, payload }));
    }

    /// Reads on to a close frame, and then to the end, which must be FIN and
    /// not RST: gives the code.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        let code = loop {
            let frame = self.frame().await.expect("a close frame before the end");
            if frame.first == 0x88 {
                break frame.close_code();
            }
        };
        self.end().await;
        code
    }

    /// Expects that a close frame with this code is the next.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        let frame = self.frame().await.expect("a close frame");
        assert_eq!(frame.close_code(), Some(code), "{frame:x?}");
    }

    /// Expects that the server sends nothing more, and FIN.
    pub(crate) async fn end(&mut self) {
        assert_eq!(self.exactly(1).await, None, "more than expected");
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.received.len() < count {
            if self.receive().await == 0 {
                assert_eq!(self.received, b"", "the end within something");
                return None;
            }
        }
        let taken = self.received.drain(..count).collect();
        if self.received.is_empty() {
            // What this client's buffer has grown to is nothing to be measured.
            self.received = Vec::new();
        }
        Some(taken)
    }

    async fn receive(&mut self) -> usize {
        let count = patient(self.patience, self.io.read(&mut self.window))
            .await
            .unwrap();
        self.received.extend_from_slice(&self.window[..count]);
        count
    }
}

async fn patient<R>(
    patience: Duration,
    what: impl Future<Output = io::Result<R>>,
) -> io::Result<R> {
    timeout(patience, what).await.expect("something hangs")
}
