//! The span of a connection: what was agreed at its beginning, what came of it
//! at its end.

use tracing::Span;
use tracing::field::Empty;

use crate::socket::shared::Shared;
use crate::socket::start::Negotiated;

/// By these the span is known again. What a filter names is the crate.
const NAME: &str = "websocket";
const TARGET: &str = "hyper_ws";

/// A child of the current span, if anybody wants it.
pub(crate) fn connection(start: &Negotiated, path: Option<&str>) -> Span {
    tracing::debug_span!(
        target: TARGET,
        NAME,
        path,
        protocol = start.protocol.as_deref(),
        compression = start.codec.is_some(),
        cause = Empty,
        received.messages = Empty,
        received.bytes = Empty,
        sent.messages = Empty,
        sent.bytes = Empty,
    )
}

/// The connection has ended.
pub(super) fn end(shared: &Shared) {
    let Some(cause) = shared.close_cause() else {
        return;
    };
    // Whoever runs the connection has perhaps another span around it.
    let span = Span::current();
    let known = |it: &tracing::Metadata<'_>| it.name() == NAME && it.target() == TARGET;
    if span.metadata().is_some_and(known) {
        let (received, sent) = shared.traffic();
        span.record("cause", tracing::field::display(&cause));
        span.record("received.messages", received.messages);
        span.record("received.bytes", received.bytes);
        span.record("sent.messages", sent.messages);
        span.record("sent.bytes", sent.bytes);
    }
    tracing::debug!(%cause, "the WebSocket has ended");
}
