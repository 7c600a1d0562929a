//! How receiving and sending end, each by itself or both by a timeout.

use std::io;
use std::task::Context;

use tokio::io::{AsyncRead, AsyncWrite};

use super::backlog;
use super::conn::{Conn, Stage};
use super::deadlines::{Deadlines, Timeout};
use super::transmit::poll_transmit;
use super::turn::Turn;
use crate::error::Error;
use crate::socket::shared::{Demand, ReadEnd, Shared};

/// Receiving has ended: the writer answers, and `recv` learns why.
pub(super) fn end_receiving<T>(
    shared: &Shared,
    conn: &mut Conn<T>,
    end: ReadEnd,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) {
    if conn.buffers().backlog.is_some() {
        backlog::hand_over_all(shared, conn, turn, cx);
    }
    turn.demand = Demand::Discard;
    if end.is_final() || conn.stage() == Stage::ReceiveOnly {
        conn.set_stage(Stage::Over);
    }
    turn.repoll(shared.end_receiving(end, cx));
}

/// Whether a connection that is not open any more receives on: after a failed write. Once
/// this side has closed there is nothing left to do, since it can neither write a close frame
/// nor have it answered.
#[cold]
pub(super) fn receives_on<T>(shared: &Shared, conn: &mut Conn<T>) -> bool {
    if conn.stage() != Stage::ReceiveOnly {
        return false;
    }
    let is_closed = shared.demand() == Some(Demand::Discard);
    if is_closed {
        conn.set_stage(Stage::Over);
    }
    !is_closed
}

/// Nothing can be written any more. What has arrived is received on, if the end has not begun.
#[cold]
pub(super) fn writing_failed<T>(
    shared: &Shared,
    conn: &mut Conn<T>,
    deadlines: &mut Deadlines,
    error: io::Error,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) {
    let (cork, ..) = conn.buffers().output();
    match shared.writing_failed(error, cork, cx) {
        Ok(repoll) => {
            turn.repoll(repoll);
            conn.receive_only();
            deadlines.writing_failed(turn.now());
        }
        Err(repoll) => {
            turn.repoll(repoll);
            turn.demand = Demand::Discard;
            conn.set_stage(Stage::Over);
        }
    }
}

/// A deadline has passed: closes, and gives up a peer that does not seem to be there.
pub(super) fn time_out<T: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    conn: &mut Conn<T>,
    timeout: Timeout,
    turn: &mut Turn,
    cx: &mut Context<'_>,
) {
    if conn.buffers().backlog.is_some() {
        backlog::hand_over_all(shared, conn, turn, cx);
    }
    turn.demand = Demand::Discard;
    let Timeout {
        cause,
        error,
        close,
        is_peer_there,
    } = timeout;
    turn.repoll(shared.time_out(cause, Error::from_kind(error), close, cx));
    if !is_peer_there {
        // If the peer is there after all, the close frame is the last that it hears.
        if conn.stage() == Stage::Open {
            let _ = poll_transmit(shared, conn, &mut false, turn, cx);
        }
        conn.set_stage(Stage::Over);
    }
}
