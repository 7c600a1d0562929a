//! A client and the wire to it, in nine bytes and without a file descriptor.
//!
//! The peer checks the server's bytes where they are, and makes its own bytes when
//! the server reads, so a connection holds only its state. All bytes of the server
//! are compared with the expected ones; a difference is a panic, which ends the
//! program.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The client's only message.
pub(crate) const MESSAGE: [u8; 1024] = [b'm'; 1024];
/// The message to the room.
pub(crate) const PUBLISHED: [u8; 100] = [b'p'; 100];

/// A handshake without a fault.
pub(crate) const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: example.com\r\n\
    Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// [`MESSAGE`] in a masked frame.
pub(crate) const FRAME: [u8; 1032] = {
    let mut frame = [0; 1032];
    (frame[0], frame[1], frame[2], frame[3]) = (0x82, 0x80 | 126, 4, 0);
    let mut at = 0;
    while at < 4 {
        frame[4 + at] = KEY[at];
        at += 1;
    }
    let mut at = 0;
    while at < MESSAGE.len() {
        frame[8 + at] = MESSAGE[at] ^ KEY[at % 4];
        at += 1;
    }
    frame
};

const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

/// Clients that have got their message back.
pub(crate) static ECHOED: AtomicUsize = AtomicUsize::new(0);
/// Pings that were answered.
pub(crate) static PONGS: AtomicUsize = AtomicUsize::new(0);
/// Published messages that arrived.
pub(crate) static DELIVERED: AtomicUsize = AtomicUsize::new(0);
/// Close frames that were answered.
pub(crate) static CLOSED: AtomicUsize = AtomicUsize::new(0);
/// Connections that the server has dropped.
pub(crate) static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// The client's end of a connection, as the server's IO.
///
/// ```text
///   Request ─► Head ─► Message ─► Echo ─► Idle ─► Close ─► Ended
///                                          ▲ │
///                                  Pong ───╯◄╯
/// ```
pub(crate) struct Peer(Stage);

enum Stage {
    /// The request is there to be read.
    Request,
    /// Its answer is awaited.
    Head,
    /// The message is there to be read.
    Message,
    /// Its echo is awaited.
    Echo,
    Idle,
    /// A ping was received.
    Pong {
        payload: [u8; 8],
    },
    /// A close frame was received.
    Close {
        code: [u8; 2],
    },
    Ended,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Peer(Stage::Request)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        count(&DROPPED);
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let next = match &mut self.0 {
            // The task that reads is also the one that writes the awaited bytes: the
            // write wakes it, so no waker is kept.
            Stage::Head | Stage::Echo | Stage::Idle => return Poll::Pending,
            Stage::Request => {
                buffer.put_slice(REQUEST);
                Stage::Head
            }
            Stage::Message => {
                buffer.put_slice(&FRAME);
                Stage::Echo
            }
            Stage::Pong { payload } => {
                put_control(0x8a, payload, buffer);
                count(&PONGS);
                Stage::Idle
            }
            Stage::Close { code } => {
                put_control(0x88, code, buffer);
                count(&CLOSED);
                Stage::Ended
            }
            Stage::Ended => return Poll::Ready(Ok(())),
        };
        self.0 = next;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.0 {
            Stage::Head => {
                assert!(bytes.starts_with(b"HTTP/1.1 101 ") && bytes.ends_with(b"\r\n\r\n"));
                self.0 = Stage::Message;
            }
            Stage::Echo => {
                assert!(bytes[..4] == [0x82, 126, 4, 0] && bytes[4..] == MESSAGE);
                self.0 = Stage::Idle;
                count(&ECHOED);
            }
            Stage::Idle | Stage::Pong { .. } => self.frames(bytes),
            Stage::Request | Stage::Message | Stage::Close { .. } | Stage::Ended => {
                panic!("nothing is due: {bytes:x?}")
            }
        }
        // The answer is there when the runtime polls the task again, as with a real
        // socket.
        if !matches!(self.0, Stage::Idle) {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Peer {
    /// Takes whole frames: the server writes all its output, and all is accepted.
    fn frames(&mut self, mut bytes: &[u8]) {
        while let [first, length, rest @ ..] = bytes {
            let (payload, rest) = rest.split_at(usize::from(*length));
            match first {
                0x89 => {
                    let payload = payload.try_into().expect("a ping has 8 bytes");
                    self.0 = Stage::Pong { payload };
                }
                0x88 => {
                    let code = payload.try_into().expect("a close code and no reason");
                    self.0 = Stage::Close { code };
                }
                0x82 => {
                    assert!(payload == PUBLISHED);
                    count(&DELIVERED);
                }
                _ => panic!("not a frame that is due: {first:x}"),
            }
            bytes = rest;
        }
        assert!(bytes.is_empty());
    }
}

fn put_control(first: u8, payload: &[u8], buffer: &mut ReadBuf<'_>) {
    buffer.put_slice(&[first, 0x80 | payload.len() as u8]);
    buffer.put_slice(&KEY);
    for (byte, key) in payload.iter().zip(KEY.iter().cycle()) {
        buffer.put_slice(&[byte ^ key]);
    }
}

fn count(what: &AtomicUsize) {
    what.fetch_add(1, Ordering::Relaxed);
}
