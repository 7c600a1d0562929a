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

/// The text of the panic that a path causes.
fn refused(path: &'static str) -> String {
    let panic = std::panic::catch_unwind(|| Routes::default().route(path, handler));
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
        Routes::default().route(right, handler);
    }
    assert!(refused("/room/{id}").contains("any_path"));
    Routes::default().route("/a/@:b;c=d/~%7B*|[]!$&'(),+", handler);
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
