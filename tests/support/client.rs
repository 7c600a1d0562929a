//! A client that sends and receives bytes, over anything that carries them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CLOSE, TEXT, close_frame, frame};

/// How long the client waits before the test fails: reached only when something
/// hangs.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// The most bytes that the client receives at a time.
const WINDOW: usize = 16 * 1024;

/// The answer to the `Sec-WebSocket-Key` of [`handshake`] (RFC 6455, section 1.3).
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A handshake without a fault, with more `headers`: whole lines, each with its
/// `\r\n`.
pub(crate) fn handshake(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
}

/// A server's answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the headers, whose names hyper writes in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The value of a header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        match self.headers(name)[..] {
            [] => None,
            [value] => Some(value),
            _ => panic!("several `{name}`:\n{}", self.head),
        }
    }
}

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The code of a close frame.
    pub(crate) fn close_code(&self) -> Option<u16> {
        match (self.first, self.payload.first_chunk()) {
            (CLOSE, Some(code)) => Some(u16::from_be_bytes(*code)),
            _ => None,
        }
    }
}

pub(crate) struct Client<T = TcpStream> {
    pub(crate) io: T,
    /// Received, and not yet taken.
    received: Vec<u8>,
    /// Where bytes are received: allocated once, so that it is not measured.
    window: Box<[u8]>,
    timeout: Duration,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Client::over_tcp(TcpStream::connect(address).await.unwrap())
    }

    /// A client whose handshake was accepted.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        let mut client = Client::connect(address).await;
        client.upgrade(path).await;
        client
    }

    pub(crate) fn over_tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Client::over(stream)
    }

    /// Closes the connection with RST.
    pub(crate) fn reset(self) {
        self.io.set_zero_linger().unwrap();
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    /// A client over anything that carries bytes.
    pub(crate) fn over(io: T) -> Self {
        Client {
            io,
            received: Vec::new(),
            window: vec![0; WINDOW].into(),
            timeout: TIMEOUT,
        }
    }

    /// For a paused clock, which runs ahead whenever every task waits.
    pub(crate) fn without_timeout(self) -> Self {
        Client {
            timeout: Duration::from_secs(1_000_000),
            ..self
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        in_time(self.timeout, self.io.write_all(bytes.as_ref()))
            .await
            .unwrap();
    }

    /// Makes a handshake, which the server must accept.
    pub(crate) async fn upgrade(&mut self, path: &str) {
        self.upgrade_with(path, b"").await;
    }

    /// Makes a handshake with `frames` behind it in the same segment; the server
    /// must accept it.
    pub(crate) async fn upgrade_with(&mut self, path: &str, frames: &[u8]) {
        self.send([handshake(path, "").as_bytes(), frames].concat())
            .await;
        let answer = self.answer().await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
    }

    /// The answer to a handshake with these headers.
    pub(crate) async fn ask(&mut self, path: &str, headers: &str) -> Answer {
        self.send(handshake(path, headers)).await;
        self.answer().await
    }

    /// The answer to a GET that is not a handshake.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n"))
            .await;
        self.answer().await
    }

    /// The answer to a request.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_if_any().await.expect("an answer")
    }

    /// The answer to a request; `None` if the server closes instead.
    pub(crate) async fn answer_if_any(&mut self) -> Option<Answer> {
        let end = loop {
            let mut windows = self.received.windows(4);
            match windows.position(|bytes| bytes == b"\r\n\r\n") {
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

    /// Expects that the next frame is this one.
    pub(crate) async fn expect(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let frame = self.frame().await;
        let payload = payload.as_ref().to_vec();
        assert_eq!(frame, Some(Frame { first, payload }));
    }

    /// Sends a text, and expects the same next.
    pub(crate) async fn echoes(&mut self, text: &str) {
        self.send(frame(TEXT, text.as_bytes())).await;
        self.expect(TEXT, text).await;
    }

    /// Expects that the next frame is a close frame with this code.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        let frame = self.frame().await.expect("a close frame");
        assert_eq!(frame.close_code(), Some(code), "{frame:x?}");
    }

    /// The code of the next close frame; the connection must end behind it, with
    /// FIN and not RST.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        let code = loop {
            let frame = self.frame().await.expect("a close frame before the end");
            if frame.first == CLOSE {
                break frame.close_code();
            }
        };
        self.end().await;
        code
    }

    /// Makes the closing handshake.
    pub(crate) async fn close(mut self) {
        self.send(close_frame(1000, b"")).await;
        self.expect_close(1000).await;
        self.end().await;
    }

    /// Expects that the server sends nothing more, and then FIN.
    pub(crate) async fn end(&mut self) {
        assert_eq!(self.exactly(1).await, None, "more than expected");
    }

    /// Expects that the server sends nothing more, and then FIN or RST: RST comes
    /// where it has not read everything.
    pub(crate) async fn end_or_reset(&mut self) {
        assert_eq!(self.received, b"", "more than expected");
        let received = in_time(self.timeout, self.io.read(&mut self.window)).await;
        assert_eq!(received.unwrap_or(0), 0, "more than expected");
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
            // The buffer that this client has grown must not be measured.
            self.received = Vec::new();
        }
        Some(taken)
    }

    async fn receive(&mut self) -> usize {
        let count = in_time(self.timeout, self.io.read(&mut self.window))
            .await
            .unwrap();
        self.received.extend_from_slice(&self.window[..count]);
        count
    }
}

async fn in_time<R>(limit: Duration, done: impl Future<Output = io::Result<R>>) -> io::Result<R> {
    timeout(limit, done).await.expect("something hangs")
}
