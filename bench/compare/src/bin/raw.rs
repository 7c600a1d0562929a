//! The limit: an echo of bytes, without any protocol.
//!
//! With `--lent`, connections share one buffer and hold none while they are idle;
//! otherwise each has 64 KiB of its own. With `--broadcast`, the bytes of one
//! connection are written to all.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;

fn main() -> io::Result<()> {
    if compare::has_flag("broadcast") {
        compare::run(|stream| async move { _ = broadcast(stream).await })
    } else if compare::has_flag("lent") {
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

static MEMBERS: Mutex<Vec<Arc<OwnedWriteHalf>>> = Mutex::new(Vec::new());

/// Does not wait for a peer that does not read: bytes that do not fit are lost, and
/// the load reports an error.
async fn broadcast(stream: TcpStream) -> io::Result<()> {
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(writer);
    MEMBERS.lock().unwrap().push(writer.clone());
    let mut buffer = vec![0; 4 * 1024];
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        for member in MEMBERS.lock().unwrap().iter() {
            _ = member.try_write(&buffer[..count]);
        }
    }
    MEMBERS
        .lock()
        .unwrap()
        .retain(|member| !Arc::ptr_eq(member, &writer));
    Ok(())
}

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; 128 * 1024].into());
}

/// Keeps in `rest` only the bytes that the peer does not take at once.
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
