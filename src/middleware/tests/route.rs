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

#[test]
fn a_bad_handshake_on_a_route_is_answered_and_not_passed_on() {
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
fn what_is_no_handshake_belongs_to_somebody_else() {
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
fn a_path_that_could_never_match_is_a_mistake() {
    Routes::default().route("ws", handler);
}
