//! `Upgrade` as an extractor of axum.

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::handshake::Rejection;
use crate::upgrade::Upgrade;

/// A handler that takes an `Upgrade` is called with good handshakes only; any
/// other request is answered with the [`Rejection`].
///
/// The parts stay whole but for hyper's `OnUpgrade`, so other extractors work
/// beside it. Route it with `any`: over HTTP/2 a handshake is no GET.
///
/// ```
/// use axum::response::Response;
/// use axum::routing::any;
/// use hyper_ws::{Error, Upgrade, WebSocket};
///
/// async fn echo(mut socket: WebSocket) -> Result<(), Error> {
///     while let Some(message) = socket.recv().await? {
///         socket.send(message).await?;
///     }
///     Ok(())
/// }
///
/// async fn handler(upgrade: Upgrade) -> Response {
///     upgrade.protocols(["chat.v1"]).on_upgrade(echo)
/// }
///
/// let app: axum::Router = axum::Router::new().route("/ws", any(handler));
/// ```
impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Rejection> {
        Upgrade::from_parts(parts)
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        Rejection::into_response::<Body>(self)
    }
}
