//! The span of a connection: what was negotiated at its beginning, and how it ended.

use tracing::Span;
use tracing::field::Empty;

use crate::CloseCode;
use crate::error::{CloseCause, Violation};
use crate::rate::LogRate;
use crate::socket::shared::Shared;

/// Name and target, by which the span is recognised at the end. A filter names the target.
const NAME: &str = "websocket";
const TARGET: &str = "hyper_ws";

/// A child of the current span. Disabled unless a subscriber wants it.
pub(crate) fn connection(path: Option<&str>, protocol: Option<&str>, is_compressed: bool) -> Span {
    tracing::debug_span!(
        target: TARGET,
        NAME,
        path,
        protocol,
        compression = is_compressed,
        cause = Empty,
        received.messages = Empty,
        received.bytes = Empty,
        sent.messages = Empty,
        sent.bytes = Empty,
    )
}

/// Records the end of a connection in its span.
pub(super) fn end(shared: &Shared) {
    let Some(cause) = shared.close_cause() else {
        return;
    };
    // The task that runs the connection may have another span around it.
    let span = Span::current();
    let is_ours = |span: &tracing::Metadata<'_>| span.name() == NAME && span.target() == TARGET;
    if span.metadata().is_some_and(is_ours) {
        let (received, sent) = shared.traffic();
        span.record("cause", tracing::field::display(&cause));
        span.record("received.messages", received.messages);
        span.record("received.bytes", received.bytes);
        span.record("sent.messages", sent.messages);
        span.record("sent.bytes", sent.bytes);
    }
    tracing::debug!(%cause, "the WebSocket has ended");
    if let CloseCause::Violation(violation) = cause {
        log_violation(violation);
    }
}

/// Tells of a violation once a second for each close code: a limit that is too low, or a peer that
/// is broken, shows nowhere else unless the handler prints its error. What the peer sent is not in it.
fn log_violation(violation: Violation) {
    static PROTOCOL: LogRate = LogRate::new();
    static PAYLOAD: LogRate = LogRate::new();
    static POLICY: LogRate = LogRate::new();
    static SIZE: LogRate = LogRate::new();
    let code = violation.close_code();
    let rate = match code {
        CloseCode::INVALID_PAYLOAD => &PAYLOAD,
        CloseCode::POLICY_VIOLATION => &POLICY,
        CloseCode::MESSAGE_TOO_BIG => &SIZE,
        _ => &PROTOCOL,
    };
    let setting = match violation {
        Violation::MessageTooLarge { .. } => Some("Config::max_message_size"),
        Violation::FrameTooLarge { .. } => Some("Config::max_frame_size"),
        _ => None,
    };
    if let Some(left_out) = rate.pass() {
        let code = code.value();
        tracing::info!(
            code,
            setting,
            left_out,
            "a violation ended a WebSocket: {violation}"
        );
    }
}
