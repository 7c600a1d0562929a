//! From a request to a handshake that can be answered.

use http::{Extensions, Request, Version, request};
use hyper::upgrade::OnUpgrade;
use tokio::io::{AsyncRead, AsyncWrite};

use super::builder::Upgrade;
use super::handover::Handover;
use super::trace::Trace;
use crate::error::BoxError;
use crate::handshake::{Head, Offer, Rejection};

impl Upgrade {
    /// Checks whether a request is a valid handshake, and takes its connection over if
    /// it is.
    ///
    /// The request keeps everything except hyper's `OnUpgrade` in its extensions.
    /// Do not keep its body: from now on the connection carries frames.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] to answer with, if the request is not a valid handshake.
    /// If other requests reach this code too, call
    /// [`is_handshake`](Upgrade::is_handshake) first, or use the
    /// [middleware](crate::middleware).
    pub fn from_request<B>(request: &mut Request<B>) -> Result<Self, Rejection> {
        let trace = Trace::begin(request.uri());
        let offer = with_protocol(Head::from(&*request), request.extensions()).validate();
        let version = request.version();
        Upgrade::from_offer(offer, version, request.extensions_mut(), trace)
    }

    /// Returns whether a request is a WebSocket handshake, valid or not.
    ///
    /// On HTTP/1.1 that is a request whose `Upgrade` names `websocket`, on HTTP/2
    /// (feature `http2`) a `CONNECT` whose `:protocol` is `websocket`.
    pub fn is_handshake<B>(request: &Request<B>) -> bool {
        with_protocol(Head::from(request), request.extensions()).is_handshake()
    }

    /// Does what [`from_request`](Upgrade::from_request) does, for a request
    /// without its body.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] to answer with, if the request is not a valid handshake.
    pub fn from_parts(parts: &mut request::Parts) -> Result<Self, Rejection> {
        let trace = Trace::begin(&parts.uri);
        let offer = with_protocol(Head::from(&*parts), &parts.extensions).validate();
        Upgrade::from_offer(offer, parts.version, &mut parts.extensions, trace)
    }

    /// Takes `OnUpgrade` out of the extensions, and refuses if it is missing.
    ///
    /// `hyper::upgrade::on` would return a future that fails after the 101 is sent.
    fn from_offer(
        offer: Result<Offer, Rejection>,
        version: Version,
        extensions: &mut Extensions,
        trace: Trace,
    ) -> Result<Self, Rejection> {
        let offer = offer.inspect_err(|rejection| trace.answered(rejection.status()))?;
        let Some(on_upgrade) = extensions.remove::<OnUpgrade>() else {
            #[cfg(feature = "tracing")]
            tracing::error!(
                "a WebSocket handshake came without hyper's `OnUpgrade` in its extensions: \
                 something rebuilt the request, or another handler took it"
            );
            let rejection = Rejection::not_upgradable(version);
            trace.answered(rejection.status());
            return Err(rejection);
        };
        Ok(Upgrade::new(
            offer,
            version,
            Handover::Hyper(on_upgrade),
            trace,
        ))
    }

    /// Checks whether a request is a valid handshake, and takes over a stream that a server other
    /// than hyper's hands out. `stream` is a future that is ready when that server has written the
    /// response. The stream's first byte must be the one that follows the request. See the
    /// [module](super#over-another-servers-stream) for an example.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] to answer with, if the request is not a valid handshake. Then the future is
    /// dropped without being polled.
    pub fn over<B, T, E>(
        request: &Request<B>,
        stream: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<Self, Rejection>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        E: Into<BoxError>,
    {
        let trace = Trace::begin(request.uri());
        let offer = with_protocol(Head::from(request), request.extensions()).validate();
        let offer = offer.inspect_err(|rejection| trace.answered(rejection.status()))?;
        let handover = Handover::other(stream);
        Ok(Upgrade::new(offer, request.version(), handover, trace))
    }
}

/// Adds the `:protocol` of HTTP/2 to a head: hyper keeps it in the extensions
/// (RFC 8441, section 4).
#[cfg(feature = "http2")]
fn with_protocol<'a>(head: Head<'a>, extensions: &'a Extensions) -> Head<'a> {
    let protocol = extensions.get::<hyper::ext::Protocol>();
    head.protocol(protocol.map(|protocol| protocol.as_str()))
}

#[cfg(not(feature = "http2"))]
fn with_protocol<'a>(head: Head<'a>, _: &'a Extensions) -> Head<'a> {
    head
}
