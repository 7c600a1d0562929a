//! WebSocket routes in front of a service: hyper's, tower's, with any body.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use hyper_ws::error::ErrorKind;
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, Message, Upgrade, WebSocket, WebSocketLayer, WebSocketService};
use tokio::sync::mpsc;
use tower::ServiceBuilder;

use crate::support::{Client, TEXT, echo, frame, handshake, listen};

/// The inner service, whose answer repeats the request.
async fn app(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut response = Response::new(Full::from([line.as_bytes(), b" ", &body].concat()));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
        .headers_mut()
        .insert("x-inner", "yes".parse().unwrap());
    Ok(response)
}

#[tokio::test]
async fn one_path_can_be_a_page_and_a_socket() {
    let address = listen(WebSocketService::new(service_fn(app)).route("/chat", echo)).await;
    let mut client = Client::connect(address).await;
    let answer = client.get("/chat?a=b").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (202, "GET /chat?a=b ")
    );
    client.upgrade("/chat?a=b").await;
    client.echoes("hello").await;
    client.close().await;
}

#[tokio::test]
async fn a_request_that_is_not_a_handshake_reaches_the_inner_service_whole() {
    let service = WebSocketService::new(service_fn(app))
        .route("/ws", echo)
        .any_path(echo);
    let mut client = Client::connect(listen(service).await).await;
    for (request, body) in [
        (
            "POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
            "POST /ws body",
        ),
        ("DELETE /ws HTTP/1.1\r\nHost: a\r\n\r\n", "DELETE /ws "),
        (
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "GET /ws ",
        ),
        // Only `Upgrade` makes a request a handshake.
        (
            "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\n\r\n",
            "GET /ws ",
        ),
    ] {
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (202, body),
            "{request}"
        );
        assert_eq!(answer.header("x-inner"), Some("yes"));
    }
    client
        .send(handshake("/ws", "").replace("HTTP/1.1", "HTTP/1.0"))
        .await;
    assert_eq!(client.answer().await.body, "GET /ws ");
}

#[tokio::test]
async fn a_handshake_on_no_route_goes_to_the_inner_service() {
    let address = listen(WebSocketService::new(service_fn(app)).route("/ws", echo)).await;
    for path in ["/", "/ws/", "/ws/room", "/w"] {
        let mut client = Client::connect(address).await;
        let answer = client.ask(path, "").await;
        assert_eq!((answer.status, answer.body), (202, format!("GET {path} ")));
    }
}

#[tokio::test]
async fn a_route_takes_precedence_over_any_path() {
    let service = WebSocketService::new(service_fn(app))
        .any_path(|mut socket: WebSocket| async move { socket.send("any").await })
        .route("/own", |mut socket: WebSocket| async move {
            socket.send("own").await
        });
    let address = listen(service).await;
    for (path, text) in [("/own", "own"), ("/", "any"), ("/own/er", "any")] {
        let mut client = Client::open(address, path).await;
        client.expect(TEXT, text).await;
        client.expect_close(1000).await;
    }
}

#[tokio::test]
async fn a_bad_handshake_on_a_route_is_told_why_and_the_connection_goes_on() {
    let address = listen(WebSocketService::new(service_fn(app)).route("/ws", echo)).await;
    let mut client = Client::connect(address).await;
    let good = handshake("/ws", "");
    for (request, status, reason) in [
        (good.replace("GET", "POST"), 405, "invalid method POST"),
        (
            good.replace("Connection: Upgrade", "Connection: keep-alive"),
            426,
            "`keep-alive`",
        ),
        (good.replace("Version: 13", "Version: 8"), 426, "`8`"),
        (
            good.replace("dGhlIHNhbXBsZSBub25jZQ==", "test"),
            400,
            "3 bytes",
        ),
        (good.replace("Host: example.com\r\n", ""), 400, "`Host`"),
        (
            handshake("/ws", "Origin: https://evil.example\r\n"),
            403,
            "https://evil.example",
        ),
        (
            handshake("/ws", "Sec-WebSocket-Extensions: a;;\r\n"),
            400,
            "Extensions",
        ),
        (
            handshake("/ws", "Sec-WebSocket-Protocol: a b\r\n"),
            400,
            "`a b`",
        ),
    ] {
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(reason), "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(answer.header("x-inner"), None);
    }
    client.send(good).await;
    assert_eq!(client.answer().await.status, 101);
    client.echoes("now it is right").await;
}

#[tokio::test]
async fn handshakes_of_browsers_and_curl_are_accepted() {
    let address = listen(WebSocketService::new(service_fn(app)).route("/ws", echo)).await;
    let good = handshake("/ws", "");
    for request in [
        good.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        good.replace(
            "Connection: Upgrade",
            "Connection: keep-alive\r\nConnection: upgrade",
        ),
        good.replace("Upgrade: websocket", "Upgrade: WebSocket"),
        good.replace("Upgrade: websocket", "Upgrade: h2c, websocket"),
        handshake("/ws", "Origin: https://example.com\r\n"),
        handshake(
            "/ws",
            "Sec-WebSocket-Extensions: permessage-deflate; unknown=1, x\r\n",
        ),
    ] {
        let mut client = Client::connect(address).await;
        client.send(&request).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 101, "{request}");
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        client.echoes("hello").await;
        client.close().await;
    }
}

#[tokio::test]
async fn the_chosen_subprotocol_reaches_the_client_and_the_handler() {
    let service = WebSocketService::new(service_fn(app))
        .protocols(["chat.v2", "chat.v1"])
        .route("/ws", |mut socket: WebSocket| async move {
            let protocol = socket.protocol().unwrap_or("none").to_owned();
            socket.send(protocol).await
        });
    let address = listen(service).await;
    for (offered, chosen) in [
        (
            "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n",
            Some("chat.v2"),
        ),
        (
            "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: chat.v1\r\n",
            Some("chat.v1"),
        ),
        ("Sec-WebSocket-Protocol: CHAT.V1\r\n", None),
        ("", None),
    ] {
        let mut client = Client::connect(address).await;
        let answer = client.ask("/ws", offered).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("sec-websocket-protocol"), chosen);
        let text = chosen.unwrap_or("none").as_bytes().to_vec();
        client.expect(TEXT, text).await;
    }
}

/// Sets the last subprotocol that the client offers, or the one that the path
/// names.
async fn chooses(upgrade: Upgrade, request: Request<()>) -> Response<String> {
    let last = upgrade.offered_protocols().last().map(str::to_owned);
    let named = request.uri().query().map(str::to_owned);
    let chosen = named.or(last).unwrap();
    let upgrade = upgrade.set_protocol(&chosen);
    upgrade.on_upgrade(|mut socket: WebSocket| async move {
        let protocol = socket.protocol().unwrap_or("none").to_owned();
        socket.send(protocol).await
    })
}

#[tokio::test]
async fn a_handler_may_select_any_subprotocol_that_was_offered() {
    // Set for all routes, and overruled.
    let service = WebSocketService::new(service_fn(app))
        .protocols(["a"])
        .any_path(chooses);
    let address = listen(service).await;
    let offers = "Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Protocol: c\r\n";
    for (path, chosen) in [("/", "c"), ("/?b", "b"), ("/?a", "a")] {
        let mut client = Client::connect(address).await;
        let answer = client.ask(path, offers).await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.header("sec-websocket-protocol"), Some(chosen));
        client.expect(0x80 | TEXT, chosen).await;
    }
}

#[tokio::test]
async fn a_subprotocol_that_was_not_offered_is_refused_and_never_selected() {
    let address = listen(WebSocketService::new(service_fn(app)).any_path(chooses)).await;
    for (offers, offered) in [
        ("Sec-WebSocket-Protocol: a, b\r\n", "`a`, `b`"),
        ("", "none"),
    ] {
        let mut client = Client::connect(address).await;
        let answer = client.ask("/?other", offers).await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("sec-websocket-protocol"), None);
        let body = &answer.body;
        assert!(body.contains(offered) && body.contains("`other`"), "{body}");
    }
}

/// Accepts clients with a cookie, and refuses the others with a reason.
async fn private(upgrade: Upgrade, request: Request<()>) -> Response<String> {
    let Some(cookie) = request.headers().get("cookie") else {
        let mut response = Response::new("who are you?".to_owned());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
            .headers_mut()
            .insert("www-authenticate", "Cookie".parse().unwrap());
        return response;
    };
    let cookie = cookie.to_str().unwrap().to_owned();
    let peer = request.extensions().get::<SocketAddr>().copied();
    let greeting = format!("{cookie} {} {}", request.uri(), peer.is_some());
    // A wait, as for a database.
    tokio::task::yield_now().await;
    upgrade.on_upgrade(|mut socket: WebSocket| async move { socket.send(greeting).await })
}

#[tokio::test]
async fn a_handler_may_look_at_the_request_and_refuse_before_the_101() {
    let routes = WebSocketService::new(service_fn(app)).route("/private", private);
    let service = service_fn(move |mut request: Request<Incoming>| {
        // As an accept loop that knows the peer does.
        request
            .extensions_mut()
            .insert(SocketAddr::from(([127, 0, 0, 1], 1)));
        hyper::service::Service::call(&routes, request)
    });
    let mut client = Client::connect(listen(service).await).await;
    let answer = client.ask("/private", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (401, "who are you?"));
    assert_eq!(answer.header("www-authenticate"), Some("Cookie"));

    assert_eq!(
        client.ask("/private?x=1", "Cookie: a=b\r\n").await.status,
        101
    );
    client.expect(TEXT, b"a=b /private?x=1 true").await;
}

#[tokio::test]
async fn a_route_may_have_a_configuration_of_its_own() {
    let service = WebSocketService::new(service_fn(app))
        .config(Config::new().allow_origins(["https://good.example"]))
        .route("/strict", echo)
        .route(
            "/open",
            |upgrade: Upgrade, _request: Request<()>| async move {
                upgrade
                    .config(Config::new().danger_allow_any_origin())
                    .on_upgrade(echo)
            },
        );
    let address = listen(service).await;
    for (path, origin, status) in [
        ("/strict", "https://good.example", 101),
        ("/strict", "https://example.com", 403),
        ("/open", "https://evil.example", 101),
    ] {
        let mut client = Client::connect(address).await;
        assert_eq!(
            client
                .ask(path, &format!("Origin: {origin}\r\n"))
                .await
                .status,
            status,
            "{path} {origin}"
        );
    }
}

#[tokio::test]
async fn limits_of_the_configuration_apply_to_every_route() {
    let service = WebSocketService::new(service_fn(app))
        .config(Config::new().max_message_size(10))
        .route("/ws", echo);
    let mut client = Client::open(listen(service).await, "/ws").await;
    client.echoes("0123456789").await;
    client.send(frame(TEXT, b"0123456789a")).await;
    client.expect_close(1009).await;
}

#[tokio::test]
async fn a_handler_that_fails_or_panics_closes_with_1011() {
    let service = WebSocketService::new(service_fn(app))
        .route("/fails", |_: WebSocket| async {
            Err(io::Error::other("no database")) as io::Result<()>
        })
        .route("/panics", |socket: WebSocket| async move {
            assert!(socket.protocol().is_some(), "on purpose");
        });
    let address = listen(service).await;
    for path in ["/fails", "/panics"] {
        let mut client = Client::open(address, path).await;
        client.expect_close(1011).await;
    }
    let mut client = Client::connect(address).await;
    assert_eq!(client.get("/").await.status, 202);
}

#[tokio::test]
async fn sockets_of_all_routes_are_counted_and_limited() {
    let tracker = Tracker::new().limit(2);
    let service = WebSocketService::new(service_fn(app))
        .tracker(&tracker)
        .route("/a", echo)
        .route("/b", |upgrade: Upgrade, _: Request<()>| async move {
            upgrade.on_upgrade(echo)
        });
    let address = listen(service).await;
    let one = Client::open(address, "/a").await;
    let two = Client::open(address, "/b").await;
    assert_eq!(tracker.len(), 2);
    let mut three = Client::connect(address).await;
    three.send(handshake("/a", "")).await;
    let answer = three.answer().await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    // Ordinary requests are not limited.
    assert_eq!(three.get("/").await.status, 202);
    one.close().await;
    two.close().await;
    while !tracker.is_empty() {
        tokio::task::yield_now().await;
    }
    Client::open(address, "/b").await.close().await;
}

#[tokio::test]
async fn state_reaches_a_handler_by_capture() {
    let opened = Arc::new(AtomicUsize::new(0));
    let counter = opened.clone();
    let service = WebSocketService::new(service_fn(app)).route("/ws", move |socket| {
        counter.fetch_add(1, Ordering::Relaxed);
        echo(socket)
    });
    let address = listen(service).await;
    for _ in 0..3 {
        let mut client = Client::open(address, "/ws").await;
        client.echoes("hello").await;
        client.close().await;
    }
    assert_eq!(opened.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn every_kind_of_handler_is_accepted_without_annotation() {
    async fn silent(_socket: WebSocket) {}
    let service = WebSocketService::new(service_fn(app))
        .route("/silent", silent)
        .route("/echo", echo)
        .route("/private", private)
        .route("/closure", |socket| async { echo(socket).await })
        .route("/both", |upgrade, request| async {
            private(upgrade, request).await
        })
        .route("/async", async |mut socket: WebSocket| {
            socket.send("async").await
        })
        .route("/boxed", |mut socket: WebSocket| async move {
            socket.send(Message::from("boxed")).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
    let address = listen(service).await;
    for (path, text) in [("/async", "async"), ("/boxed", "boxed")] {
        let mut client = Client::open(address, path).await;
        client.expect(TEXT, text).await;
    }
    Client::open(address, "/silent")
        .await
        .expect_close(1000)
        .await;
    Client::open(address, "/closure")
        .await
        .echoes("hello")
        .await;
}

#[tokio::test]
async fn the_layer_works_in_a_tower_stack_behind_hyper() {
    let service = ServiceBuilder::new()
        .layer(WebSocketLayer::new().route("/ws", echo).protocols(["chat"]))
        .service(tower::service_fn(app));
    let address = listen(TowerToHyperService::new(service)).await;
    let mut client = Client::connect(address).await;
    let answer = client.get("/ws").await;
    assert_eq!((answer.status, answer.body.as_str()), (202, "GET /ws "));
    client
        .send(handshake("/ws", "Sec-WebSocket-Protocol: chat\r\n"))
        .await;
    assert_eq!(
        client.answer().await.header("sec-websocket-protocol"),
        Some("chat")
    );
    client.echoes("hello").await;
    client.close().await;
}

#[tokio::test]
async fn a_failed_upgrade_on_any_route_calls_the_callback() {
    async fn never_called(_socket: WebSocket) {
        panic!("there is no socket");
    }
    let (sender, mut errors) = mpsc::unbounded_channel();
    let service = WebSocketService::new(service_fn(app))
        .route("/one", never_called)
        .route("/two", |upgrade: Upgrade, _: Request<()>| async {
            upgrade.on_upgrade(never_called)
        })
        .on_failed_upgrade(move |error| sender.send(error.kind()).unwrap());
    for path in ["/one", "/two"] {
        let (client, server) = tokio::io::duplex(1024);
        let connection = http1::Builder::new();
        // Without `.with_upgrades()`.
        tokio::spawn(connection.serve_connection(TokioIo::new(server), service.clone()));
        let mut client = Client::over(client);
        client.send(handshake(path, "")).await;
        assert_eq!(client.answer().await.status, 101);
        assert_eq!(errors.recv().await, Some(ErrorKind::Upgrade));
    }
}

#[tokio::test]
async fn the_inner_body_may_be_of_any_kind() {
    let boxed = service_fn(|_: Request<Incoming>| async {
        let body: BoxBody<Bytes, io::Error> = Full::new(Bytes::from("boxed"))
            .map_err(|never| match never {})
            .boxed();
        Ok::<_, Infallible>(Response::new(body))
    });
    let address = listen(WebSocketService::new(boxed).route("/ws", echo)).await;
    let mut client = Client::connect(address).await;
    let answer = client.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "boxed"));
    Client::open(address, "/ws").await.echoes("hello").await;

    let empty = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let address = listen(WebSocketService::new(empty).route("/ws", echo)).await;
    let mut client = Client::connect(address).await;
    let answer = client.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let bad = handshake("/ws", "").replace("Version: 13", "Version: 12");
    client.send(bad).await;
    assert_eq!(client.answer().await.status, 426);
}

#[tokio::test]
async fn a_clone_keeps_the_routes_that_it_was_made_with() {
    let one = WebSocketService::new(service_fn(app)).route("/one", echo);
    let two = one.clone().route("/two", echo);
    let (one, two) = (listen(one).await, listen(two).await);
    let mut client = Client::connect(one).await;
    assert_eq!(client.ask("/two", "").await.status, 202);
    Client::open(two, "/one").await.echoes("hello").await;
    Client::open(two, "/two").await.echoes("hello").await;
}
