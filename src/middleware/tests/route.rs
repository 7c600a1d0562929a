use http::Request;

use crate::WebSocket;
use crate::middleware::route::{Answer, Routes};

async fn handler(_socket: WebSocket) {}

fn request(path: &str) -> Request<()> {
    Request::get(path)
        .header("upgrade", "websocket")
        .body(())
        .unwrap()
}

#[test]
fn a_route_is_a_whole_path() {
    let mut routes = Routes::default();
    routes.route("/ws", handler);
    assert!(routes.find(&request("/ws")).is_some());
    assert!(routes.find(&request("/ws?room=a")).is_some());
    for path in ["/", "/w", "/ws/", "/ws/a", "/wss", "/WS", "/%77s"] {
        assert!(routes.find(&request(path)).is_none(), "{path}");
    }
    routes.any_path(handler);
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
    routes.route("/ws", handler);
    let request = request("/ws");
    let route = routes.find(&request).unwrap();
    match routes.answer(route, request) {
        Answer::Now(response) => assert_eq!(response.status(), 400),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_that_is_not_a_handshake_has_no_route() {
    let mut routes = Routes::default();
    routes.any_path(handler);
    let other = Request::post("/ws")
        .header("upgrade", "h2c")
        .body(())
        .unwrap();
    assert!(routes.find(&other).is_none());
}

#[test]
#[should_panic(expected = "a path must begin with `/`")]
fn a_path_without_a_leading_slash_panics() {
    Routes::default().route("ws", handler);
}
