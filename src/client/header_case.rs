//! Header names as RFC 6455 writes them, for servers that compare them by case.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream over which hyper writes the head of a request, with names such as
/// `Sec-Websocket-Key`. It writes `Sec-WebSocket-Key`.
///
/// RFC 6455 has one name whose capital letters are not those after a hyphen, and
/// hyper cannot be told. The servers in question look for this name.
pub(super) struct HeaderCase<T> {
    io: T,
    /// How much of [`PREFIX`] the current line begins with. `None` where names are
    /// to be left alone.
    matched: Option<Matched>,
    /// The bytes to write, changed.
    changed: Vec<u8>,
}

/// How a line begins.
#[derive(Clone, Copy)]
enum Matched {
    /// With so many bytes of [`PREFIX`], and nothing else until now.
    Prefix(usize),
    /// With something else, or the prefix is complete.
    Other,
}

/// What is written, and the place of the letter that hyper writes small.
const PREFIX: &[u8] = b"Sec-WebSocket-";
const CAPITAL: usize = 7;

impl<T> HeaderCase<T> {
    pub(super) fn new(io: T, change: bool) -> Self {
        HeaderCase {
            io,
            matched: change.then_some(Matched::Prefix(0)),
            changed: Vec::new(),
        }
    }

    pub(super) fn into_inner(self) -> T {
        self.io
    }
}

impl Matched {
    /// Changes one byte, and returns how its line begins with it.
    fn change(self, byte: &mut u8) -> Self {
        match self {
            _ if *byte == b'\n' => Matched::Prefix(0),
            Matched::Prefix(at)
                if PREFIX
                    .get(at)
                    .is_some_and(|name| name.eq_ignore_ascii_case(byte)) =>
            {
                if at == CAPITAL {
                    *byte = PREFIX[CAPITAL];
                }
                Matched::Prefix(at + 1)
            }
            _ => Matched::Other,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for HeaderCase<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(matched) = &mut this.matched else {
            return Pin::new(&mut this.io).poll_write(cx, bytes);
        };
        this.changed.clear();
        this.changed.extend_from_slice(bytes);
        let mut line = *matched;
        for byte in &mut this.changed {
            line = line.change(byte);
        }
        let written = std::task::ready!(Pin::new(&mut this.io).poll_write(cx, &this.changed))?;
        // The rest comes again.
        for byte in &mut this.changed[..written] {
            *matched = matched.change(byte);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for HeaderCase<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}
