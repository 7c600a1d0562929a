//! An HTTP/2 client that writes each frame by hand (RFC 9113, section 4.1), so
//! that it can also send what a good client never would.

use std::collections::HashMap;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::HttpService;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::server::BoxError;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `SETTINGS_INITIAL_WINDOW_SIZE`: the bytes that the server may send on a stream.
pub(crate) const INITIAL_WINDOW: u16 = 4;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn is_end(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }

    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => panic!("{self:?} has no code"),
        };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

pub(crate) struct Wire<T = DuplexStream> {
    pub(crate) io: T,
    read: Vec<u8>,
    /// The bytes that the server's WINDOW_UPDATE frames allow, by stream.
    granted: HashMap<u32, usize>,
}

/// A connection in memory, and the task that serves it. No part of it waits for the
/// kernel, so the clock may be paused.
pub(crate) async fn pair<S, B>(
    server: &http2::Builder<TokioExecutor>,
    service: S,
    settings: &[(u16, u32)],
) -> (Wire, JoinHandle<hyper::Result<()>>)
where
    S: HttpService<Incoming, ResBody = B, Future: Send, Error: Into<BoxError>> + Send + 'static,
    B: hyper::body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let (client, stream) = tokio::io::duplex(64 * 1024);
    let serving = tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
    (Wire::begin(client, settings).await, serving)
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    /// RFC 9113, section 3.4: the preface, and each side's settings.
    pub(crate) async fn begin(io: T, settings: &[(u16, u32)]) -> Self {
        let mut wire = Wire {
            io,
            read: Vec::new(),
            granted: HashMap::new(),
        };
        wire.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        wire.send(SETTINGS, 0, 0, &payload).await;
        let theirs = wire.any().await;
        assert_eq!((theirs.kind, theirs.flags), (SETTINGS, 0));
        // RFC 8441, section 3: SETTINGS_ENABLE_CONNECT_PROTOCOL is 8.
        assert!(
            theirs
                .payload
                .chunks(6)
                .any(|setting| setting == [0, 8, 0, 0, 0, 1])
        );
        wire.send(SETTINGS, ACK, 0, b"").await;
        wire
    }

    pub(crate) async fn raw(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.raw(&frame(kind, flags, stream, payload)).await;
    }

    pub(crate) async fn data(&mut self, stream: u32, payload: &[u8]) {
        self.send(DATA, 0, stream, payload).await;
    }

    /// Ends the client's half of a stream.
    pub(crate) async fn end(&mut self, stream: u32) {
        self.send(DATA, END_STREAM, stream, b"").await;
    }

    pub(crate) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    /// Lets the server send more bytes, on one stream or (0) on all.
    pub(crate) async fn window(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
            .await;
    }

    /// Asks for a WebSocket, and does not wait for the answer.
    pub(crate) async fn ask(&mut self, stream: u32, path: &str) {
        let block = block(&handshake(path));
        self.send(HEADERS, END_HEADERS, stream, &block).await;
    }

    /// Opens a WebSocket.
    pub(crate) async fn open(&mut self, stream: u32, path: &str) {
        self.ask(stream, path).await;
        self.accepted(stream).await;
    }

    /// The bytes that the server's WINDOW_UPDATE frames have allowed on a stream
    /// since the last call.
    pub(crate) fn granted(&mut self, stream: u32) -> usize {
        self.granted.remove(&stream).unwrap_or(0)
    }

    /// Expects status 200 next on this stream, without an end.
    pub(crate) async fn accepted(&mut self, stream: u32) {
        let head = self.next().await;
        assert_eq!(
            (head.kind, head.stream, head.is_end()),
            (HEADERS, stream, false)
        );
        // RFC 7541, appendix A: `:status: 200` is number 8 of the static table.
        assert_eq!(head.payload[0], 0x88);
    }

    /// The next frame that concerns a stream, or GOAWAY.
    pub(crate) async fn next(&mut self) -> Frame {
        loop {
            let frame = self.any().await;
            match (frame.kind, frame.flags & ACK) {
                (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, b"").await,
                (PING, 0) => self.send(PING, ACK, 0, &frame.payload).await,
                (SETTINGS | PING | WINDOW_UPDATE, _) => {}
                _ => return frame,
            }
        }
    }

    /// The next `count` bytes on a stream: whole frames of RFC 6455.
    pub(crate) async fn bytes(&mut self, stream: u32, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let frame = self.next().await;
            assert_eq!((frame.kind, frame.stream), (DATA, stream), "{frame:?}");
            assert!(!frame.is_end(), "{bytes:?}");
            bytes.extend(frame.payload);
        }
        assert_eq!(bytes.len(), count);
        bytes
    }

    /// Expects that the server ends its half, without more data.
    pub(crate) async fn ended(&mut self, stream: u32) {
        let frame = self.next().await;
        assert_eq!(
            frame,
            Frame {
                kind: DATA,
                flags: END_STREAM,
                stream,
                payload: vec![]
            }
        );
    }

    /// Makes a round trip, after which the server has seen everything sent before.
    pub(crate) async fn settle(&mut self) {
        self.send(PING, 0, 0, b"settled?").await;
        loop {
            let frame = self.any().await;
            if (frame.kind, &frame.payload[..]) == (PING, b"settled?") {
                break;
            }
        }
    }

    /// Expects GOAWAY without an error, and then the end of the connection.
    pub(crate) async fn expect_goaway(&mut self) {
        let mut said = false;
        while let Some(frame) = self.some().await {
            match frame.kind {
                GOAWAY => {
                    assert_eq!(frame.code(), 0);
                    said = true;
                }
                PING => self.send(PING, ACK, 0, &frame.payload).await,
                _ => {}
            }
        }
        assert!(said);
    }

    async fn any(&mut self) -> Frame {
        self.some().await.expect("the server has not left")
    }

    /// The next frame; `None` at the end of the connection.
    async fn some(&mut self) -> Option<Frame> {
        let head = self.exactly(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..9].try_into().unwrap()),
            payload: self.exactly(length as usize).await?,
        };
        if frame.kind == WINDOW_UPDATE {
            let bytes = u32::from_be_bytes(frame.payload[..].try_into().unwrap());
            *self.granted.entry(frame.stream).or_default() += bytes as usize;
        }
        Some(frame)
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            let read = timeout(TIMEOUT, self.io.read_buf(&mut self.read));
            let count = read.await.expect("the server says something");
            if count.unwrap_or(0) == 0 {
                return None;
            }
        }
        let rest = self.read.split_off(length);
        Some(std::mem::replace(&mut self.read, rest))
    }
}

/// Longer than any deadline of the server; on a paused clock it costs nothing.
const TIMEOUT: Duration = Duration::from_secs(300);

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The fields of a handshake without a fault (RFC 8441, section 5.1).
pub(crate) fn handshake(path: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "example.com"),
        ("sec-websocket-version", "13"),
    ]
}

/// The header block of `fields`, each a literal that is not indexed (RFC 7541,
/// section 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            assert!(text.len() < 127);
            block.extend(text.as_bytes());
        }
    }
    block
}
