//! The limit: bytes come back as they came, without any protocol.
//!
//! With `--lent`, connections share one buffer and hold none while they are
//! idle; otherwise each has 64 KiB of its own.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

fn main() -> io::Result<()> {
    if compare::has_flag("lent") {
        compare::run(|mut stream| async move {
            let mut rest = Vec::new();
            let _ = poll_fn(|cx| poll_lent(&mut stream, &mut rest, cx)).await;
        })
    } else {
        compare::run(|stream| async move { _ = owned(stream).await })
    }
}

async fn owned(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; 128 * 1024].into());
}

/// Only what the peer does not take at once is kept, in `rest`.
fn poll_lent(
    stream: &mut TcpStream,
    rest: &mut Vec<u8>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        while !rest.is_empty() {
            let count = ready!(Pin::new(&mut *stream).poll_write(cx, rest))?;
            rest.drain(..count);
        }
        *rest = Vec::new();
        let end = BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            let mut filled = buffer.filled();
            if filled.is_empty() {
                return Poll::Ready(Ok(true));
            }
            while !filled.is_empty() {
                match Pin::new(&mut *stream).poll_write(cx, filled)? {
                    Poll::Ready(count) => filled = &filled[count..],
                    Poll::Pending => {
                        rest.extend_from_slice(filled);
                        break;
                    }
                }
            }
            Poll::Ready(io::Result::Ok(false))
        });
        if ready!(end)? {
            return Poll::Ready(Ok(()));
        }
    }
}
