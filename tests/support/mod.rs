//! A WebSocket client in a hundred lines that shares no code with the crate:
//! bytes to a TCP socket, bytes from it.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod attacker;
pub(crate) mod http2;
pub(crate) mod http2_wire;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A handshake that nothing is wrong with, and more headers, each line with
/// its `\r\n`.
pub(crate) fn handshake(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// One whole masked frame.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let key = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ ..=125 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    frame.extend(key);
    frame.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;

/// A response without its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    text: String,
}

impl Head {
    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The value of a header that is there once.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [] => None,
            [value] => Some(value),
            _ => panic!("several `{name}`:\n{}", self.text),
        }
    }
}

pub(crate) struct Client<T = TcpStream> {
    pub(crate) stream: T,
    read: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Client::on(TcpStream::connect(address).await.unwrap())
    }

    /// A client whose handshake was accepted.
    pub(crate) async fn open(address: SocketAddr, path: &str) -> Self {
        let mut client = Client::connect(address).await;
        client.send(handshake(path, "")).await;
        assert_eq!(client.head().await.status, 101);
        client
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Client<T> {
    /// A client on whatever carries bytes.
    pub(crate) fn on(stream: T) -> Self {
        Client {
            stream,
            read: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn head(&mut self) -> Head {
        let end = loop {
            match self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end,
                None => assert!(self.more().await, "end of input in {:?}", self.read),
            }
        };
        let rest = self.read.split_off(end + 4);
        let text = String::from_utf8(std::mem::replace(&mut self.read, rest)).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        Head { status, text }
    }

    /// A response and its body, as long as `Content-Length` says.
    pub(crate) async fn response(&mut self) -> (Head, String) {
        let head = self.head().await;
        let length = head.one("content-length").unwrap().parse().unwrap();
        let body = self.exactly(length).await;
        (head, String::from_utf8(body).unwrap())
    }

    /// The opcode and the payload of the next frame.
    pub(crate) async fn receive(&mut self) -> (u8, Vec<u8>) {
        let start = self.exactly(2).await;
        assert_eq!(start[0] & 0xf0, 0x80, "one unfragmented frame is expected");
        let length = match start[1] {
            126 => {
                let length = self.exactly(2).await;
                usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            length => usize::from(length),
        };
        assert!(
            length < 1 << 16,
            "a server masks nothing and this test sends nothing so long"
        );
        (start[0] & 0x0f, self.exactly(length).await)
    }

    pub(crate) async fn echoes(&mut self, text: &str) {
        self.send(frame(TEXT, text.as_bytes())).await;
        assert_eq!(self.receive().await, (TEXT, text.as_bytes().to_vec()));
    }

    /// The code of the close frame that comes next.
    pub(crate) async fn closed(&mut self) -> u16 {
        let (opcode, payload) = self.receive().await;
        assert_eq!(opcode, CLOSE, "{payload:?}");
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// What comes until the server closes the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.read)
    }

    /// The closing handshake, begun here.
    pub(crate) async fn close(mut self) {
        self.send(frame(CLOSE, &1000_u16.to_be_bytes())).await;
        assert_eq!(self.closed().await, 1000);
        assert_eq!(self.rest().await, b"");
    }

    async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.more().await, "end of input in {:?}", self.read);
        }
        let rest = self.read.split_off(length);
        std::mem::replace(&mut self.read, rest)
    }

    /// Reads; false at the end of input, however it came. A test that waits
    /// for what never comes fails instead of hanging.
    async fn more(&mut self) -> bool {
        let read = timeout(
            Duration::from_secs(20),
            self.stream.read_buf(&mut self.read),
        );
        read.await.expect("nothing came for 20 s").unwrap_or(0) > 0
    }
}
