//! WebSockets over HTTP/2 (RFC 8441): the same service, layer, extractor,
//! function and handlers as over HTTP/1.1.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use hyper_ws::config::Compression;
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, Error, Upgrade, WebSocket, WebSocketLayer, WebSocketService};
use tokio::sync::mpsc;
use tower::ServiceBuilder;

use crate::support::http2::{Connection, handshake, page, serve, server};
use crate::support::{Client, TEXT, bind, echo, frame, until};

/// Echoes at `/ws`.
async fn connect() -> Connection {
    connect_to(Config::new()).await
}

async fn connect_to(config: Config) -> Connection {
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", echo)
        .config(config);
    Connection::open(serve(server(), service).await).await
}

fn with(
    mut request: Request<Empty<Bytes>>,
    name: &'static str,
    value: &str,
) -> Request<Empty<Bytes>> {
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

fn without(mut request: Request<Empty<Bytes>>, name: &str) -> Request<Empty<Bytes>> {
    request.headers_mut().remove(name);
    request
}

fn of_protocol(name: &'static str) -> Request<Empty<Bytes>> {
    let mut request = handshake("/ws");
    request.extensions_mut().insert(Protocol::from_static(name));
    request
}

#[tokio::test]
async fn an_extended_connect_is_answered_with_200_and_without_a_key() {
    let mut connection = connect().await;
    let (response, mut socket) = connection.accepted(handshake("/ws")).await;
    for absent in [
        "sec-websocket-accept",
        "upgrade",
        "connection",
        "content-length",
        "content-type",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    ] {
        assert!(!response.headers().contains_key(absent), "{absent}");
    }
    socket.echoes("hello").await;
    socket.close().await;
}

#[tokio::test]
async fn a_request_that_is_not_a_websocket_goes_to_the_inner_service() {
    let mut connection = connect().await;
    let answered =
        |status: u16, text: &str| (StatusCode::from_u16(status).unwrap(), text.to_owned());
    assert_eq!(connection.get("/ws").await, answered(200, "GET /ws"));
    for other in ["connect-udp", "WebSocket", "websocket2", ""] {
        let answer = connection.answer(of_protocol(other)).await;
        assert_eq!(answer, answered(404, "CONNECT /ws"), "{other}");
    }
    let answer = connection.answer(handshake("/elsewhere")).await;
    assert_eq!(answer, answered(404, "CONNECT /elsewhere"));
    connection.socket("/ws?room=a").await.echoes("hello").await;
}

#[tokio::test]
async fn one_handler_serves_both_versions_on_one_port() {
    let service = WebSocketService::new(service_fn(page)).route("/ws", echo);
    let address = serve_both(service).await;

    let mut old = Client::open(address, "/ws").await;
    old.echoes("over HTTP/1.1").await;
    let mut connection = Connection::open(address).await;
    let mut new = connection.socket("/ws").await;
    new.echoes("over HTTP/2").await;
    old.echoes("over HTTP/1.1 again").await;
    old.close().await;
    new.close().await;
}

/// A server with hyper-util's `auto`, which finds out the version of the client.
async fn serve_both<S>(service: WebSocketService<S>) -> SocketAddr
where
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<Full<Bytes>>,
            Error = Infallible,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    let (listener, address) = bind().await;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new());
    server.http2().enable_connect_protocol();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (server, service) = (server.clone(), service.clone());
            tokio::spawn(async move {
                server
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await
            });
        }
    });
    address
}

#[tokio::test]
async fn the_layer_answers_like_the_service() {
    let inner = tower::service_fn(page);
    let service = ServiceBuilder::new()
        .layer(WebSocketLayer::new().route("/ws", echo))
        .service(inner);
    let address = serve(server(), TowerToHyperService::new(service)).await;
    let mut connection = Connection::open(address).await;
    connection.socket("/ws").await.echoes("hello").await;
    assert_eq!(connection.get("/page").await.1, "GET /page");
}

#[tokio::test]
async fn the_function_answers_like_the_service_and_says_501_to_other_protocols() {
    let app = async |mut request: Request<Incoming>| {
        if !Upgrade::is_handshake(&request) && request.uri().path() == "/page" {
            return Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("a page")));
        }
        Ok(match Upgrade::from_request(&mut request) {
            Ok(upgrade) => upgrade.on_upgrade(echo),
            Err(rejection) => rejection.into(),
        })
    };
    let address = serve(server(), service_fn(app)).await;
    let mut connection = Connection::open(address).await;
    connection.socket("/page").await.echoes("hello").await;
    assert_eq!(connection.get("/page").await.1, "a page");

    let (status, text) = connection.answer(of_protocol("connect-udp")).await;
    assert_eq!(status, 501);
    assert!(text.contains("`connect-udp`"), "{text}");
    let (status, text) = connection.get("/ws").await;
    assert_eq!(status, 400);
    assert!(text.contains("got GET"), "{text}");
    assert!(text.contains("`enable_connect_protocol()`"), "{text}");
}

#[tokio::test]
async fn the_extractor_answers_on_axums_own_server() {
    let handler = async |upgrade: Upgrade| -> axum::response::Response {
        upgrade.protocols(["chat.v1"]).on_upgrade(echo)
    };
    let app: axum::Router = axum::Router::new()
        .route("/ws", axum::routing::any(handler))
        .route("/page", axum::routing::get(async || "a page"));
    let (listener, address) = bind().await;
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut connection = Connection::open(address).await;
    let request = with(
        handshake("/ws"),
        "sec-websocket-protocol",
        "chat.v2, chat.v1",
    );
    let (response, mut socket) = connection.accepted(request).await;
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat.v1");
    socket.echoes("hello").await;
    assert_eq!(connection.get("/page").await.1, "a page");
    let mut old = Client::open(address, "/ws").await;
    old.echoes("over HTTP/1.1").await;
}

#[tokio::test]
async fn a_handler_that_sees_the_request_may_refuse_it() {
    let private = async |upgrade: Upgrade, request: Request<()>| -> Response<String> {
        assert_eq!(request.method(), Method::CONNECT);
        match request.headers().get("cookie") {
            Some(_) => upgrade.on_upgrade(echo),
            None => Response::builder()
                .status(401)
                .body("who are you?".to_owned())
                .unwrap(),
        }
    };
    let service = WebSocketService::new(service_fn(page)).route("/ws", private);
    let mut connection = Connection::open(serve(server(), service).await).await;
    let (status, text) = connection.answer(handshake("/ws")).await;
    assert_eq!((status.as_u16(), &text[..]), (401, "who are you?"));
    let (_, mut socket) = connection
        .accepted(with(handshake("/ws"), "cookie", "a=b"))
        .await;
    socket.echoes("hello").await;
}

#[tokio::test]
async fn a_bare_socket_works_on_a_stream() {
    let app = async |mut request: Request<Incoming>| {
        let upgrade = match Upgrade::from_request(&mut request) {
            Ok(upgrade) => upgrade,
            Err(rejection) => return Ok::<_, Infallible>(rejection.into_response::<Full<Bytes>>()),
        };
        let (response, accepted) = upgrade.accept();
        tokio::spawn(async move {
            let mut socket = accepted.await?;
            while let Some(message) = socket.recv().await? {
                socket.send(message).await?;
            }
            Ok::<_, Error>(())
        });
        Ok(response)
    };
    let mut connection = Connection::open(serve(server(), service_fn(app)).await).await;
    let mut socket = connection.socket("/").await;
    socket.echoes("hello").await;
    socket.close().await;
}

/// The status, the text and `sec-websocket-version` of a refused handshake.
async fn refused(connection: &mut Connection, request: Request<Empty<Bytes>>) -> (u16, String) {
    let response = connection.request(request).await.unwrap();
    for absent in ["upgrade", "connection"] {
        assert!(!response.headers().contains_key(absent), "{absent}");
    }
    assert_eq!(response.headers()["cache-control"], "no-store");
    let status = response.status().as_u16();
    let body = http_body_util::BodyExt::collect(response.into_body()).await;
    let text = String::from_utf8(body.unwrap().to_bytes().to_vec()).unwrap();
    (status, text)
}

#[tokio::test]
async fn a_bad_handshake_is_refused_and_the_connection_goes_on() {
    let mut connection = connect().await;
    let bad = [
        (
            without(handshake("/ws"), "sec-websocket-version"),
            400,
            "missing `Sec-WebSocket-Version`",
        ),
        (
            with(handshake("/ws"), "sec-websocket-version", "13"),
            400,
            "several `Sec-WebSocket-Version`",
        ),
        (
            with(handshake("/ws"), "sec-websocket-protocol", "a b"),
            400,
            "`Sec-WebSocket-Protocol`",
        ),
        (
            with(handshake("/ws"), "sec-websocket-extensions", "a; ="),
            400,
            "`Sec-WebSocket-Extensions`",
        ),
        (
            with(handshake("/ws"), "origin", "http://evil.example"),
            403,
            "`http://example.com`",
        ),
        (with(handshake("/ws"), "origin", "null"), 403, "`null`"),
    ];
    for (request, status, reason) in bad {
        let answer = refused(&mut connection, request).await;
        assert_eq!(answer.0, status, "{}", answer.1);
        assert!(answer.1.contains(reason), "{}", answer.1);
    }
    connection.socket("/ws").await.echoes("hello").await;
}

#[tokio::test]
async fn a_client_of_another_version_is_told_the_servers_version() {
    let mut connection = connect().await;
    let request = without(handshake("/ws"), "sec-websocket-version");
    let request = with(request, "sec-websocket-version", "8");
    let response = connection.request(request).await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(response.headers()["sec-websocket-version"], "13");
}

#[tokio::test]
async fn the_scheme_of_an_origin_counts_where_the_request_has_one() {
    let mut connection = connect().await;
    let same = with(handshake("/ws"), "origin", "http://example.com");
    connection.accepted(same).await.1.echoes("hello").await;
    let same = with(handshake("/ws"), "origin", "http://EXAMPLE.com:80");
    connection.accepted(same).await.1.echoes("hello").await;
    for other in ["https://example.com", "http://example.com:81"] {
        let request = with(handshake("/ws"), "origin", other);
        assert_eq!(refused(&mut connection, request).await.0, 403, "{other}");
    }

    let mut connection = connect_to(Config::new().allow_origins(["https://example.com"])).await;
    let listed = with(handshake("/ws"), "origin", "https://example.com");
    connection.accepted(listed).await.1.echoes("hello").await;
}

#[tokio::test]
async fn messages_are_compressed_where_that_was_agreed_on() {
    let mut connection = connect_to(Config::new().compression(Compression::shared())).await;
    let request = with(
        handshake("/ws"),
        "sec-websocket-extensions",
        "permessage-deflate",
    );
    let (response, mut socket) = connection.accepted(request).await;
    let agreed = response.headers()["sec-websocket-extensions"]
        .to_str()
        .unwrap();
    assert!(agreed.starts_with("permessage-deflate"), "{agreed}");
    // RFC 7692, section 7.2.3.1: "Hello" compressed, so with RSV1.
    let compressed = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    socket.send(frame(0x40 | TEXT, &compressed)).await;
    socket.expect(TEXT, b"Hello").await;
}

#[tokio::test]
async fn a_tracker_counts_and_limits_sockets_on_streams() {
    let tracker = Tracker::new().limit(2);
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", echo)
        .tracker(&tracker);
    let mut connection = Connection::open(serve(server(), service).await).await;
    let mut first = connection.socket("/ws").await;
    let second = connection.socket("/ws").await;
    assert_eq!(tracker.len(), 2);
    assert_eq!(refused(&mut connection, handshake("/ws")).await.0, 503);
    first.echoes("hello").await;
    second.close().await;
    while tracker.len() > 1 {
        tokio::task::yield_now().await;
    }
    connection.socket("/ws").await.echoes("hello").await;
}

/// A request that lost its extensions on its way to the handler.
#[tokio::test]
async fn a_request_without_its_extensions_is_answered_with_500() {
    let app = async |request: Request<Incoming>| {
        let mut rebuilt = Request::builder()
            .method(request.method())
            .version(request.version())
            .uri(request.uri())
            .extension(Protocol::from_static("websocket"))
            .body(())
            .unwrap();
        *rebuilt.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(match Upgrade::from_request(&mut rebuilt) {
            Ok(upgrade) => upgrade.on_upgrade(echo),
            Err(rejection) => rejection.into_response::<Full<Bytes>>(),
        })
    };
    let mut connection = Connection::open(serve(server(), service_fn(app)).await).await;
    let (status, text) = refused(&mut connection, handshake("/ws")).await;
    assert_eq!(status, 500, "{text}");
}

/// RFC 8441, section 3: a client must not ask without the server's setting.
#[tokio::test]
async fn without_enable_connect_protocol_no_handshake_arrives() {
    let service = WebSocketService::new(service_fn(page)).any_path(echo);
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let mut connection = Connection::open(serve(server, service).await).await;
    assert!(connection.request(handshake("/ws")).await.is_err());
    assert_eq!(connection.get("/page").await.1, "GET /page");
}

#[tokio::test]
async fn an_outer_layer_that_replaces_the_200_fails_the_upgrade() {
    let tracker = Tracker::new();
    let (errors, mut failed) = mpsc::unbounded_channel();
    let counted = tracker.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (errors, tracker) = (errors.clone(), counted.clone());
        async move {
            if request.method() != Method::CONNECT {
                return page(request).await;
            }
            let upgrade = Upgrade::from_request(&mut request).unwrap();
            let upgrade = upgrade.tracker(&tracker).on_failed_upgrade(move |error| {
                errors.send(error.kind()).unwrap();
            });
            let _: Response<Full<Bytes>> = upgrade.on_upgrade(async |_: WebSocket| {
                panic!("there is no stream");
            });
            let mut response = Response::new(Full::from("no"));
            *response.status_mut() = StatusCode::FORBIDDEN;
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = Connection::open(serve(server(), service).await).await;
    let (status, body) = connection.answer(handshake("/ws")).await;
    assert_eq!((status, body.as_str()), (StatusCode::FORBIDDEN, "no"));
    assert!(failed.recv().await.is_some());
    until("the socket is gone", || tracker.is_empty()).await;
}
