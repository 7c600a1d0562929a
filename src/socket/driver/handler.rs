//! The handler: polls it, and draws the consequences of its result.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::CloseCode;
use crate::error::{BoxError, CloseCause};
use crate::socket::shared::Shared;

/// The output of a handler: `()`, a `Result` whose error closes the connection with 1011, or `!` if
/// the handler never returns.
///
/// It is implemented for these three, and for no other type.
///
/// ```
/// # use hyper_ws::WebSocket;
/// # use hyper_ws::socket::HandlerOutput;
/// # fn is_handler<F: AsyncFn(WebSocket) -> O, O: HandlerOutput>(_: F) {}
/// // It ends when the connection is aborted, with its task, or by a panic.
/// is_handler(async |mut socket: WebSocket| {
///     loop {
///         println!("{:?}", socket.recv().await);
///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///     }
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "a WebSocket handler cannot return `{Self}`",
    label = "expected `()` or `Result<(), E>` with `E: Into<Box<dyn Error + Send + Sync>>`",
    note = "a handler that uses `?` names its error: end it with `Ok::<(), hyper_ws::Error>(())`"
)]
pub trait HandlerOutput: sealed::Sealed + Send + 'static {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), BoxError>;
}

mod sealed {
    pub trait Sealed {}

    pub trait Function {
        type Output;
    }

    impl<T> Function for fn() -> T {
        type Output = T;
    }
}

impl sealed::Sealed for () {}

impl HandlerOutput for () {
    fn into_result(self) -> Result<(), BoxError> {
        Ok(())
    }
}

impl sealed::Sealed for Never {}

/// From edition 2024 on, `async { loop { .. } }` has this output.
impl HandlerOutput for Never {
    fn into_result(self) -> Result<(), BoxError> {
        self
    }
}

/// The type `!`, which stable Rust names as the output of a function only.
type Never = <fn() -> ! as sealed::Function>::Output;

impl<E> sealed::Sealed for Result<(), E> {}

impl<E: Into<BoxError> + Send + 'static> HandlerOutput for Result<(), E> {
    fn into_result(self) -> Result<(), BoxError> {
        self.map_err(Into::into)
    }
}

/// The way in which a handler ended.
pub(in crate::socket) enum Outcome {
    Returned,
    Failed(BoxError),
    Panicked(Box<dyn Any + Send>),
}

/// Polls the handler, and catches its panic. (Unwind safe: after a panic the handler is
/// dropped without being polled again.)
#[inline]
pub(super) fn poll<H>(handler: Pin<&mut H>, cx: &mut Context<'_>) -> Poll<Outcome>
where
    H: Future,
    H::Output: HandlerOutput,
{
    let polled = catch_unwind(AssertUnwindSafe(|| {
        handler.poll(cx).map(HandlerOutput::into_result)
    }));
    Poll::Ready(match polled {
        Ok(polled) => match ready!(polled) {
            Ok(()) => Outcome::Returned,
            Err(error) => Outcome::Failed(error),
        },
        Err(panic) => Outcome::Panicked(panic),
    })
}

/// Drops a handler that has ended, and does what follows from its outcome.
pub(super) fn conclude<H>(shared: &Shared, mut handler: Pin<&mut Option<H>>, outcome: Outcome) {
    let dropped = catch_unwind(AssertUnwindSafe(|| handler.set(None)));
    let outcome = match (outcome, dropped) {
        (Outcome::Panicked(panic), _) | (_, Err(panic)) => Outcome::Panicked(panic),
        (outcome, Ok(())) => outcome,
    };
    finish(shared, outcome);
}

/// Drops a handler that must not be polled again.
pub(super) fn discard<H>(mut handler: Pin<&mut Option<H>>) {
    let _ = catch_unwind(AssertUnwindSafe(|| handler.set(None)));
}

/// Closes the connection if the handler failed.
pub(in crate::socket) fn finish(shared: &Shared, outcome: Outcome) {
    let code = CloseCode::INTERNAL_ERROR;
    match outcome {
        Outcome::Returned => {}
        Outcome::Failed(error) => {
            // An error that follows from the end of the connection is not worth a line.
            if shared.close(CloseCause::HandlerFailed, code, "") {
                log_error(&error);
            }
        }
        Outcome::Panicked(panic) => {
            shared.close(CloseCause::HandlerPanicked, code, "");
            log_panic(&panic);
        }
    }
}

pin_project! {
    /// A handler whose connection is driven by another task.
    pub(in crate::socket) struct HandlerOnly<H> {
        shared: Arc<Shared>,
        #[pin]
        handler: Option<H>,
    }
}

impl<H> HandlerOnly<H> {
    pub(in crate::socket) fn new(shared: Arc<Shared>, handler: H) -> Self {
        HandlerOnly {
            shared,
            handler: Some(handler),
        }
    }
}

impl<H> Future for HandlerOnly<H>
where
    H: Future,
    H::Output: HandlerOutput,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(handler) = this.handler.as_mut().as_pin_mut() {
            let outcome = ready!(poll(handler, cx));
            conclude(this.shared, this.handler, outcome);
        }
        Poll::Ready(())
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
fn log_panic(panic: &Box<dyn Any + Send>) {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(panic = message, "the WebSocket handler panicked");
}

#[cfg(feature = "tracing")]
pub(super) use super::span::end as log_end;

#[cfg(not(feature = "tracing"))]
fn log_error(_: &BoxError) {}

#[cfg(not(feature = "tracing"))]
fn log_panic(_: &Box<dyn Any + Send>) {}

#[cfg(not(feature = "tracing"))]
pub(super) fn log_end(_: &Shared) {}
