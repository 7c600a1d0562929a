//! Writing what the handles have queued, until the IO takes no more or fails.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::conn::Conn;
use super::turn::Turn;
use crate::socket::shared::Shared;

/// Writes everything that is queued, and flushes. Sets `progress` if bytes were written.
#[inline]
pub(super) fn poll_transmit<T: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    conn: &mut Conn<T>,
    progress: &mut bool,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if shared.has_output() || conn.has_output() {
        poll_transmit_slow(shared, conn, progress, turn, cx)
    } else {
        Poll::Ready(Ok(()))
    }
}

/// Does the same in a usual turn. If the handler alone has sent something, the lock is not
/// needed: what is in the cork came first, whatever is queued meanwhile.
#[inline(always)]
pub(super) fn poll_transmit_usual<T: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    conn: &mut Conn<T>,
    progress: &mut bool,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    if !shared.is_plain() {
        return poll_transmit(shared, conn, progress, turn, cx);
    }
    if !conn.buffers().take_cork() {
        return Poll::Ready(Ok(()));
    }
    let written = conn.poll_write(progress, cx);
    if !matches!(written, Poll::Ready(Ok(()))) {
        settle(shared, conn);
    }
    written
}

/// Has the lock know what a usual turn did without it.
pub(super) fn settle<T>(shared: &Shared, conn: &mut Conn<T>) {
    let buffers = conn.buffers();
    let in_flight = buffers.writing.len();
    shared.settle(buffers.desk(), in_flight);
}

#[inline(never)]
fn poll_transmit_slow<T: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    conn: &mut Conn<T>,
    progress: &mut bool,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    for batch in 0u32.. {
        if !conn.is_written() {
            ready!(conn.poll_write(progress, cx))?;
        }
        // Other threads may queue as fast as the peer reads. This is not a wait for the IO: the
        // driver sees the progress, and yields because the turn is long.
        // (`senders_that_never_stop_do_not_keep_the_thread` in `tests/coop.rs`.)
        if batch > 1 && turn.is_long() {
            break;
        }
        let buffers = conn.buffers();
        if !shared.has_output() && !buffers.has_new_output() {
            return Poll::Ready(Ok(()));
        }
        let (cork, writing, control) = buffers.output();
        turn.repoll(shared.take_output(cork, writing, control, cx));
        if writing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        conn.encode_batch();
    }
    Poll::Pending
}
