//! The page: the answers to all requests that are not handshakes.

use std::convert::Infallible;
use std::sync::LazyLock;

use base64::prelude::{BASE64_STANDARD, Engine};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_ws::Upgrade;
use hyper_ws::hub::{EngineState, Hub};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("chat.html");

/// The page's permissions: its own script and style, which are known by their hashes, and
/// connections to its own server. `require-trusted-types-for` makes the browser refuse to turn
/// text into markup.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        hash_of("script"),
        hash_of("style"),
    )
});

fn hash_of(element: &str) -> String {
    let (_, rest) = PAGE
        .split_once(&format!("<{element}>"))
        .expect("the page has one");
    let (inside, _) = rest
        .split_once(&format!("</{element}>"))
        .expect("the page closes it");
    // A checkout may have changed the line ends to CRLF; an HTML parser changes them to LF.
    let hash = Sha256::digest(inside.replace("\r\n", "\n"));
    format!("'sha256-{}'", BASE64_STANDARD.encode(hash))
}

pub(crate) async fn page(
    mut request: Request<Incoming>,
    hub: Hub,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // The route takes the handshakes: here, the rejection tells what is missing for one.
    if request.uri().path() == "/ws"
        && let Err(rejection) = Upgrade::from_request(&mut request)
    {
        return Ok(rejection.into_response());
    }
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => (StatusCode::OK, "text/html", PAGE),
        // For the balancer: a page that comes here now could not join a room.
        (&Method::GET | &Method::HEAD, "/ready") => match hub.state() {
            EngineState::Up => (StatusCode::OK, "text/plain", "ready\n"),
            _ => (
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain",
                "the other servers cannot be reached\n",
            ),
        },
        _ => (StatusCode::NOT_FOUND, "text/plain", "The page is at /\n"),
    };
    let response = Response::builder()
        .status(status)
        .header("content-type", format!("{kind}; charset=utf-8"))
        .header("content-security-policy", POLICY.as_str())
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
        .header("cache-control", "no-cache")
        .body(body.into());
    Ok(response.expect("every header is valid"))
}
