//! Functions around a handler: they give it a state, and make the compiler say why a function is
//! not a handler.
//!
//! ```
//! use hyper_ws::middleware::handler;
//! use hyper_ws::{Error, WebSocket, WebSocketService, hub::Hub};
//!
//! async fn chat(mut socket: WebSocket, hub: Hub) -> Result<(), Error> {
//!     let room = hub.room("lobby");
//!     room.join(&socket);
//!     while let Some(message) = socket.recv().await? {
//!         room.send(message);
//!     }
//!     Ok(())
//! }
//!
//! # let app = ();
//! let service = WebSocketService::new(app).route("/chat", handler::socket_with(Hub::new(), chat));
//! ```
//!
//! A route takes handlers of several shapes, so the compiler can only say that a function is none
//! of them. Each function here takes one shape. With it, the compiler says which value makes a
//! future not `Send`, which type is no error, or how many arguments are expected:
//!
//! ```compile_fail,E0277
//! # use hyper_ws::{WebSocket, WebSocketService, middleware::handler};
//! async fn chat(socket: WebSocket) {
//!     let cell = std::rc::Rc::new(0);
//!     drop(socket);
//!     tokio::task::yield_now().await;
//!     println!("{cell}");
//! }
//!
//! // "future cannot be sent between threads safely .. `cell` .. is not `Send`"
//! # let app = ();
//! WebSocketService::new(app).route("/chat", handler::socket(chat));
//! ```

use std::future::Future;

use http::{Request, Response};

use crate::socket::{HandlerOutput, WebSocket};
use crate::upgrade::Upgrade;

/// Returns the handler unchanged: an `async fn(WebSocket)`.
pub fn socket<F, Fut>(handler: F) -> F
where
    F: Fn(WebSocket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: HandlerOutput> + Send + 'static,
{
    handler
}

/// Makes a handler of an `async fn(WebSocket, S)` and a state, which is cloned for each socket.
pub fn socket_with<S, F, Fut>(
    state: S,
    handler: F,
) -> impl Fn(WebSocket) -> Fut + Send + Sync + 'static + use<S, F, Fut>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(WebSocket, S) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: HandlerOutput> + Send + 'static,
{
    move |socket| handler(socket, state.clone())
}

/// Returns the handler unchanged: an `async fn(Upgrade, Request<()>)` that returns a
/// `Response<String>` or a `Result` of one.
pub fn upgrade<F, Fut>(handler: F) -> F
where
    F: Fn(Upgrade, Request<()>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: HandlerResponse> + Send + 'static,
{
    handler
}

/// Makes a handler of an `async fn(Upgrade, Request<()>, S)` and a state, which is cloned for each
/// handshake.
///
/// ```
/// use std::sync::Arc;
///
/// use hyper::{Request, Response, StatusCode};
/// use hyper_ws::handshake::Rejection;
/// use hyper_ws::middleware::handler;
/// use hyper_ws::{Upgrade, WebSocket, WebSocketService};
///
/// # struct Database;
/// # impl Database { async fn user(&self, _: &Request<()>) -> Option<String> { None } }
/// async fn chat(
///     upgrade: Upgrade,
///     request: Request<()>,
///     database: Arc<Database>,
/// ) -> Result<Response<String>, Rejection> {
///     let upgrade = upgrade.check()?;
///     let Some(user) = database.user(&request).await else {
///         return Err(upgrade.refuse(StatusCode::UNAUTHORIZED, "who are you?"));
///     };
///     Ok(upgrade.on_upgrade(|mut socket: WebSocket| async move { socket.send(user).await }))
/// }
///
/// # let (app, database) = ((), Arc::new(Database));
/// let service =
///     WebSocketService::new(app).route("/chat", handler::upgrade_with(database, chat));
/// ```
pub fn upgrade_with<S, F, Fut>(
    state: S,
    handler: F,
) -> impl Fn(Upgrade, Request<()>) -> Fut + Send + Sync + 'static + use<S, F, Fut>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(Upgrade, Request<()>, S) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: HandlerResponse> + Send + 'static,
{
    move |upgrade, request| handler(upgrade, request, state.clone())
}

/// The output of a handler of the second shape: a `Response<String>`, or a
/// `Result<Response<String>, E>` whose `E` converts into a `Response<String>`, as a
/// [`Rejection`](crate::handshake::Rejection) does.
///
/// It is implemented for these, and for no other type.
#[diagnostic::on_unimplemented(
    message = "a handler of a handshake cannot return `{Self}`",
    label = "expected `Response<String>` or `Result<Response<String>, E>` with `E: Into<Response<String>>`",
    note = "`Upgrade::on_upgrade`, `Upgrade::refuse` and `Rejection::into` make such responses"
)]
pub trait HandlerResponse: sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for Response<String> {}

impl HandlerResponse for Response<String> {}

impl<E: Into<Response<String>>> sealed::Sealed for Result<Response<String>, E> {}

impl<E: Into<Response<String>>> HandlerResponse for Result<Response<String>, E> {}
