//! From what happened to how the conversation ends.

use std::io;
use std::task::Context;

use crate::CloseCode;
use crate::error::{BoxError, CloseCause, Error};
use crate::socket::driver::conn::ReadEnd;
use crate::socket::shared::Shared;
use crate::socket::shared::exchange::Repoll;

/// How a conversation ended, and what `recv` has yet to report of that.
pub(in crate::socket) struct Ending {
    pub(in crate::socket) cause: CloseCause,
    pub(in crate::socket) error: Option<Error>,
}

/// Receiving ends; the writer hears of it, and `recv` learns why.
pub(in crate::socket) fn end_receiving(
    shared: &Shared,
    end: ReadEnd,
    cx: &mut Context<'_>,
) -> Repoll {
    match end {
        ReadEnd::Close(frame) => {
            let reply = frame.clone();
            let cause = CloseCause::Remote(frame);
            shared.end_receiving(
                cause,
                None,
                |writer, outbox| writer.received_close(reply.as_ref(), outbox),
                cx,
            )
        }
        ReadEnd::Violation(violation) => shared.end_receiving(
            CloseCause::Violation(violation),
            Some(violation.into()),
            |writer, outbox| writer.fail(violation, outbox),
            cx,
        ),
        ReadEnd::Eof => shared.end_receiving(
            CloseCause::Lost,
            None,
            |writer, _| writer.received_end(),
            cx,
        ),
        ReadEnd::Failed(error) => {
            let (cause, error) = match is_disconnect(error.kind()) {
                true => (CloseCause::Lost, None),
                false => (CloseCause::Io(error.kind()), Some(error.into())),
            };
            shared.end_receiving(cause, error, |writer, _| writer.received_end(), cx)
        }
    }
}

/// The ways in which a peer just goes away.
fn is_disconnect(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::*;
    matches!(
        kind,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected | WriteZero
    )
}

type Panic = Box<dyn std::any::Any + Send>;

/// The handler has returned, or panicked.
pub(in crate::socket) fn finish_handler(
    shared: &Shared,
    outcome: Result<Result<(), BoxError>, Panic>,
) {
    let code = CloseCode::INTERNAL_ERROR;
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let began = shared.close(CloseCause::HandlerFailed, code, "");
            // An error that follows from the end of the conversation is no news.
            if began {
                log_error(&error);
            }
        }
        Err(panic) => {
            shared.close(CloseCause::HandlerPanicked, code, "");
            log_panic(&panic);
        }
    }
}

#[cfg(feature = "tracing")]
fn log_error(error: &BoxError) {
    tracing::error!(
        error = &**error as &dyn std::error::Error,
        "the WebSocket handler failed"
    );
}

#[cfg(feature = "tracing")]
fn log_panic(panic: &Panic) {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = message, "the WebSocket handler panicked");
}

#[cfg(feature = "tracing")]
pub(in crate::socket) use crate::socket::driver::span::end as log_end;

#[cfg(not(feature = "tracing"))]
fn log_error(_: &BoxError) {}

#[cfg(not(feature = "tracing"))]
fn log_panic(_: &Panic) {}

#[cfg(not(feature = "tracing"))]
pub(in crate::socket) fn log_end(_: &Shared) {}
