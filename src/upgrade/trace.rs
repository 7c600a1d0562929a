//! The spans of a handshake and of the connection that follows.

use http::{StatusCode, Uri};

use crate::socket::Negotiated;

/// The span of a handshake, from the request to its answer. `None` unless a
/// subscriber wants it.
///
/// It is never entered: the service that answers the request has spans of its own.
#[cfg(feature = "tracing")]
pub(super) struct Trace(Option<Box<Recorded>>);

#[cfg(feature = "tracing")]
struct Recorded {
    span: tracing::Span,
    path: String,
}

#[cfg(feature = "tracing")]
impl Trace {
    /// Opens the span when a request has come.
    ///
    /// Only the path is recorded. The query may hold a token, since a page cannot
    /// set header fields.
    pub(super) fn begin(uri: &Uri) -> Self {
        let path = uri.path();
        let span = tracing::debug_span!(
            target: "hyper_ws",
            "websocket_handshake",
            path,
            status = tracing::field::Empty
        );
        let is_enabled = !span.is_disabled();
        Trace(is_enabled.then(|| {
            let path = path.to_owned();
            Box::new(Recorded { span, path })
        }))
    }

    /// Records the status of the answer.
    pub(super) fn answered(&self, status: StatusCode) {
        if let Some(handshake) = &self.0 {
            handshake.span.record("status", status.as_u16());
        }
    }

    /// Ends the span of the handshake, and returns the one for the connection: its
    /// own, or the current one where that is disabled.
    pub(super) fn connection(self, start: &Negotiated) -> ConnectionSpan {
        let path = self.0.as_ref().map(|handshake| &*handshake.path);
        let protocol = start.protocol.as_deref();
        let span = crate::socket::connection_span(path, protocol, start.codec.is_some());
        ConnectionSpan(if span.is_disabled() {
            tracing::Span::current()
        } else {
            span
        })
    }
}

/// The span that a connection's task is spawned with.
#[cfg(feature = "tracing")]
pub(super) struct ConnectionSpan(tracing::Span);

#[cfg(feature = "tracing")]
impl ConnectionSpan {
    pub(super) fn spawn(self, conversation: impl Future<Output = ()> + Send + 'static) {
        use tracing::Instrument;
        // `instrument` makes the task larger, even with a disabled span.
        if self.0.is_disabled() {
            tokio::spawn(conversation);
        } else {
            tokio::spawn(conversation.instrument(self.0));
        }
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) struct Trace;

#[cfg(not(feature = "tracing"))]
impl Trace {
    pub(super) fn begin(_: &Uri) -> Self {
        Trace
    }

    pub(super) fn answered(&self, _: StatusCode) {}

    pub(super) fn connection(self, _: &Negotiated) -> ConnectionSpan {
        ConnectionSpan
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) struct ConnectionSpan;

#[cfg(not(feature = "tracing"))]
impl ConnectionSpan {
    pub(super) fn spawn(self, conversation: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(conversation);
    }
}
