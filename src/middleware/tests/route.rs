use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{Request, Response, StatusCode};

use crate::handshake::Rejection;
use crate::middleware::route::{Answer, Routes};
use crate::middleware::{PathRest, handler};
use crate::tracker::Tracker;
use crate::{Upgrade, WebSocket};

async fn ignore(_socket: WebSocket) {}

fn request(path: &str) -> Request<()> {
    Request::get(path)
        .header("upgrade", "websocket")
        .body(())
        .unwrap()
}

#[test]
fn a_route_is_a_whole_path() {
    let mut routes = Routes::default();
    routes.route("/ws", ignore);
    assert!(routes.find(&request("/ws")).is_some());
    assert!(routes.find(&request("/ws?room=a")).is_some());
    for path in ["/", "/w", "/ws/", "/ws/a", "/wss", "/WS", "/%77s"] {
        assert!(routes.find(&request(path)).is_none(), "{path}");
    }
    routes.any_path(ignore);
    assert!(routes.find(&request("/ws/a")).is_some());
}

/// In edition 2024 the output of such a block is `!`, in older ones `()`.
#[test]
fn a_handler_that_never_returns_is_a_handler() {
    async fn never(_socket: WebSocket) -> ! {
        std::future::pending().await
    }
    let mut routes = Routes::default();
    routes.route("/ws", never);
    routes.any_path(|mut socket: WebSocket| async move {
        loop {
            let _ = socket.recv().await;
            std::future::pending::<()>().await;
        }
    });
    assert!(routes.find(&request("/ws")).is_some());
}

#[test]
fn an_invalid_handshake_on_a_route_is_answered_and_not_passed_on() {
    let mut routes = Routes::default();
    routes.route("/ws", ignore);
    let request = request("/ws");
    let route = routes.find(&request).unwrap();
    match routes.answer(route, request) {
        Answer::Now(response) => assert_eq!(response.status(), 400),
        other => panic!("{other:?}"),
    }
}

/// What follows the prefix for this path, or the status of a refusal; `None` without a route.
fn rest_of(routes: &Routes, path: &str) -> Option<Result<String, u16>> {
    let request = Request::get(path)
        .header("host", "example.com")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .extension(hyper::upgrade::on(Request::new(())))
        .body(())
        .unwrap();
    let found = routes.find(&request)?;
    Some(match routes.answer(found, request) {
        Answer::Now(response) => Err(response.status().as_u16()),
        Answer::Later(mut future) => {
            let mut cx = Context::from_waker(Waker::noop());
            match future.as_mut().poll(&mut cx) {
                Poll::Ready(response) => Ok(response.into_body()),
                Poll::Pending => panic!("the handler waits for nothing"),
            }
        }
    })
}

#[test]
fn a_prefix_hands_over_the_rest_and_the_longest_route_wins() {
    async fn rest(_upgrade: Upgrade, request: Request<()>) -> Response<String> {
        Response::new(PathRest::of(&request).to_owned())
    }
    async fn longer(_upgrade: Upgrade, request: Request<()>) -> Response<String> {
        Response::new(format!("longer {}", PathRest::of(&request)))
    }
    let mut routes = Routes::default();
    routes.route_prefix("/rooms/", rest);
    routes.route_prefix("/rooms/private/", longer);
    routes.route("/rooms/exact", longer);
    routes.route("/rooms/caf%C3%A9", longer);
    let ok = |text: &str| Some(Ok(text.to_owned()));
    assert_eq!(rest_of(&routes, "/rooms/lobby"), ok("lobby"));
    assert_eq!(rest_of(&routes, "/rooms/lobby/"), ok("lobby/"));
    assert_eq!(rest_of(&routes, "/rooms/a%20b/c?d=e"), ok("a b/c"));
    assert_eq!(rest_of(&routes, "/rooms/"), ok(""));
    assert_eq!(rest_of(&routes, "/rooms/private/x"), ok("longer x"));
    assert_eq!(rest_of(&routes, "/rooms/private"), ok("private"));
    assert_eq!(rest_of(&routes, "/rooms/exact"), ok("longer "));
    for path in ["/rooms", "/room/a", "/", "/ROOMS/a"] {
        assert_eq!(rest_of(&routes, path), None, "{path}");
    }
    for path in [
        "/rooms/..",
        "/rooms/%2e%2E/x",
        "/rooms/a%2Fb",
        "/rooms//a",
        "/rooms/%0a",
        // Those of other routes in another spelling.
        "/rooms/%65xact",
        "/rooms/ex%61ct",
        "/rooms/%70rivate/x",
        "/rooms/private%2fx",
        "/rooms/caf%c3%a9",
    ] {
        assert_eq!(rest_of(&routes, path), Some(Err(400)), "{path}");
    }
    routes.any_path(rest);
    assert_eq!(rest_of(&routes, "/rooms"), ok(""));
}

#[test]
fn a_handler_of_a_handshake_may_return_a_rejection() {
    async fn refuses(
        upgrade: Upgrade,
        _request: Request<()>,
    ) -> Result<Response<String>, Rejection> {
        let upgrade = upgrade.check()?;
        Err(upgrade.refuse(StatusCode::UNAUTHORIZED, "who are you?"))
    }
    let tracker = Tracker::new();
    let mut routes = Routes::default();
    routes.tracker(&tracker);
    routes.route_prefix("/a/", refuses);
    routes.route_prefix("/b/", |upgrade: Upgrade, _: Request<()>| async move {
        Err(upgrade.refuse(StatusCode::NOT_FOUND, "no such room"))
    });
    let refused = |status| Some(Ok::<_, u16>(status));
    assert_eq!(
        rest_of(&routes, "/a/x"),
        refused("who are you?\n".to_owned())
    );
    assert_eq!(
        rest_of(&routes, "/b/x"),
        refused("no such room\n".to_owned())
    );
    assert_eq!(rest_of(&routes, "/b/.."), Some(Err(400)));
    let refused = tracker.stats().refused;
    assert_eq!(refused, [(400, 1), (401, 1), (404, 1)].into());
}

#[test]
fn a_prefix_that_is_no_prefix_is_refused_at_the_start() {
    for prefix in ["/rooms", "rooms/", "/rooms/{id}/", "/a b/"] {
        let refused = std::panic::catch_unwind(|| {
            Routes::default().route_prefix(prefix, ignore);
        });
        assert!(refused.is_err(), "{prefix}");
    }
}

#[test]
fn a_state_reaches_both_shapes_without_a_closure() {
    async fn socket(_socket: WebSocket, _state: Arc<str>) {}
    async fn upgrade(
        _upgrade: Upgrade,
        _request: Request<()>,
        state: Arc<str>,
    ) -> Response<String> {
        Response::new(state.to_string())
    }
    let state: Arc<str> = "state".into();
    let mut routes = Routes::default();
    routes.route("/socket", handler::socket_with(state.clone(), socket));
    routes.route("/upgrade", handler::upgrade_with(state, upgrade));
    assert_eq!(rest_of(&routes, "/upgrade"), Some(Ok("state".to_owned())));
    assert!(routes.find(&request("/socket")).is_some());
}

#[test]
fn a_request_that_is_not_a_handshake_has_no_route() {
    let mut routes = Routes::default();
    routes.any_path(ignore);
    let other = Request::post("/ws")
        .header("upgrade", "h2c")
        .body(())
        .unwrap();
    assert!(routes.find(&other).is_none());
}

#[test]
#[should_panic(expected = "a path must begin with `/`")]
fn a_path_without_a_leading_slash_panics() {
    Routes::default().route("ws", ignore);
}

/// The text of the panic that a path causes.
fn refused(path: &'static str) -> String {
    let panic = std::panic::catch_unwind(|| Routes::default().route(path, ignore));
    *panic.unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn a_path_that_no_client_asks_for_panics_with_the_one_that_clients_do() {
    for (path, right) in [
        ("/a b", "/a%20b"),
        ("/ws ", "/ws%20"),
        ("/é", "/%C3%A9"),
        ("/a\\b", "/a/b"),
        ("/\"a\"", "/%22a%22"),
    ] {
        let panic = refused(path);
        assert!(panic.contains(&format!("write {right:?}")), "{panic}");
        Routes::default().route(right, ignore);
    }
    assert!(refused("/room/{id}").contains("any_path"));
    Routes::default().route("/a/@:b;c=d/~%7B*|[]!$&'(),+", ignore);
}

#[test]
fn a_subprotocol_that_no_client_can_offer_panics() {
    for name in ["", "a b", "chat, chat2", "chat/2", "é", " chat"] {
        let panic = std::panic::catch_unwind(|| Routes::default().protocols(["ok", name]));
        let panic = panic.unwrap_err().downcast::<String>().unwrap();
        assert!(panic.contains(&format!("{name:?}")), "{panic}");
        assert!(panic.contains("token"), "{panic}");
    }
    Routes::default().protocols(["chat.v2", "soap"]);
    Routes::default().protocols([] as [&str; 0]);
}
