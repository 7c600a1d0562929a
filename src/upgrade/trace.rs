//! The spans of a handshake and of the connection that comes of it.

use http::{StatusCode, Uri};

use crate::socket::Start;

/// The span of a handshake, from the request to its answer; nothing, unless
/// somebody subscribes to it. Nobody enters it: what answers the request has
/// spans of its own.
#[cfg(feature = "tracing")]
pub(super) struct Trace(Option<Box<Recorded>>);

#[cfg(feature = "tracing")]
struct Recorded {
    span: tracing::Span,
    path: String,
}

#[cfg(feature = "tracing")]
impl Trace {
    /// A request has come. Its query is not for logs: that is where browsers
    /// put tokens, since a page cannot set header fields.
    pub(super) fn begin(uri: &Uri) -> Self {
        let path = uri.path();
        let span = tracing::debug_span!(
            target: "hyper_ws",
            "websocket_handshake",
            path,
            status = tracing::field::Empty
        );
        let wanted = !span.is_disabled();
        Trace(wanted.then(|| {
            let path = path.to_owned();
            Box::new(Recorded { span, path })
        }))
    }

    /// The answer is known.
    pub(super) fn answered(&self, status: StatusCode) {
        if let Some(handshake) = &self.0 {
            handshake.span.record("status", status.as_u16());
        }
    }

    /// The span that the connection is to have: its own, or at least the
    /// current one. (Not that of the handshake, which ends here.)
    pub(super) fn connection(self, start: &Start) -> ConnectionSpan {
        let path = self.0.as_ref().map(|handshake| &*handshake.path);
        let span = crate::socket::connection_span(start, path);
        ConnectionSpan(match span.is_disabled() {
            true => tracing::Span::current(),
            false => span,
        })
    }
}

/// A span on its way into a task.
#[cfg(feature = "tracing")]
pub(super) struct ConnectionSpan(tracing::Span);

#[cfg(feature = "tracing")]
impl ConnectionSpan {
    pub(super) fn spawn(self, conversation: impl Future<Output = ()> + Send + 'static) {
        use tracing::Instrument;
        // A disabled one would be carried by every idle connection for nothing.
        match self.0.is_disabled() {
            true => tokio::spawn(conversation),
            false => tokio::spawn(conversation.instrument(self.0)),
        };
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

    pub(super) fn connection(self, _: &Start) -> ConnectionSpan {
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
