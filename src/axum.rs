//! The extractor for axum.

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;

use crate::handshake::Rejection;
use crate::upgrade::Upgrade;

/// Extracts a valid handshake. Any other request is answered with the
/// [`Rejection`], and the handler is not called.
///
/// `Result<Upgrade, Rejection>` is an extractor too, for a path that is both a page and a socket.
/// To set a configuration, keep it in axum's state and pass it to [`config`](Upgrade::config). To
/// refuse before the rest of the handler runs, call [`check`](Upgrade::check). See
/// [authentication](crate::guide::handlers#authentication).
///
/// Other extractors work beside it: only hyper's `OnUpgrade` is taken out of the
/// request. Route with `any`, since over HTTP/2 a handshake is not a GET.
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
