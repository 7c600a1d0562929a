//! The promises of the test kit, `hyper_ws::testing`.

use std::convert::Infallible;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_ws::client::ConnectErrorKind;
use hyper_ws::config::Compression;
use hyper_ws::protocol::Event;
use hyper_ws::testing::{self, Server};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Config, Error, Upgrade, WebSocket, WebSocketLayer, WebSocketService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceBuilder;

use crate::support::echo;

/// Sends "tick" after ten seconds of silence: a message of the client restarts the
/// wait, which is the bug.
async fn clock_with_a_bug(mut socket: WebSocket) -> Result<(), Error> {
    loop {
        tokio::select! {
            message = socket.recv() => if message?.is_none() { return Ok(()) },
            _ = sleep(Duration::from_secs(10)) => socket.send("tick").await?,
        }
    }
}

async fn clock(mut socket: WebSocket) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(Duration::from_secs(10));
    ticks.tick().await;
    loop {
        tokio::select! {
            message = socket.recv() => if message?.is_none() { return Ok(()) },
            _ = ticks.tick() => socket.send("tick").await?,
        }
    }
}

/// The test that the documentation shows.
async fn a_client_that_talks_gets_the_time_too(mut client: testing::Client) -> bool {
    for _ in 0..4 {
        sleep(Duration::from_secs(3)).await;
        client.send("I am here").await.unwrap();
    }
    let tick = timeout(Duration::from_secs(1), client.recv()).await;
    tick.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_bug_that_only_time_shows_is_found_at_once() {
    let began = std::time::Instant::now();
    let client = testing::connect(clock_with_a_bug).await;
    assert!(!a_client_that_talks_gets_the_time_too(client).await);
    let client = testing::connect(clock).await;
    assert!(a_client_that_talks_gets_the_time_too(client).await);
    // Half a minute on the handlers' clock.
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_answers_pings_stays_and_a_silent_one_is_disconnected() {
    for polite in [true, false] {
        let config = Config::new().keep_alive(Duration::from_secs(25), Duration::from_secs(20));
        let mut client = testing::connect(echo).config(config).await;
        if !polite {
            client.ignore_pings();
        }
        let began = Instant::now();
        let Event::Ping(_) = client.event().await.unwrap().unwrap() else {
            panic!("a silent client is asked");
        };
        let asked = began.elapsed().as_secs();
        assert!((22..=28).contains(&asked), "{asked}");
        if polite {
            assert!(matches!(client.event().await, Ok(Some(Event::Ping(_)))));
            client.send("still here").await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some("still here".into()));
        } else {
            assert_eq!(client.closed().await, Some(CloseCode::INTERNAL_ERROR));
            let reason = &client.close_frame().unwrap().reason;
            assert_eq!(reason, "a ping was not answered in time");
            assert_eq!(began.elapsed().as_secs() - asked, 20);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_vanished_client_is_found_by_a_ping_and_one_that_leaves_is_known_at_once() {
    let tracker = Tracker::new();
    let server = testing::serve(
        WebSocketService::new(service_fn(page))
            .any_path(echo)
            .tracker(&tracker),
    );
    let gone = server.connect("/").await.unwrap();
    let left = server.connect("/").await.unwrap();
    drop(left);
    let mut closing = server.connect("/").await.unwrap();
    let answer = closing.close(CloseCode::GOING_AWAY, "").await;
    assert_eq!(answer, Some(CloseCode::GOING_AWAY));
    sleep(Duration::from_secs(1)).await;
    let ended = tracker.stats().ended;
    assert_eq!((ended["lost"], ended["remote"], ended.len()), (1, 1, 2));

    // No method of this client is awaited, so it answers no ping.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(tracker.stats().ended["ping_timeout"], 1);
    drop(gone);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_fills_the_pipe_and_then_the_queue() {
    let (sent, mut count) = tokio::sync::watch::channel(0);
    let flood = move |mut socket: WebSocket| {
        let sent = sent.clone();
        async move {
            loop {
                socket.send(vec![0; 1000]).await?;
                sent.send_modify(|count| *count += 1);
            }
            #[expect(unreachable_code, reason = "it says what the error is")]
            Ok::<(), Error>(())
        }
    };
    let config = Config::new().output_limit(10_000);
    let service = WebSocketService::new(service_fn(page))
        .any_path(flood)
        .config(config);
    let server = testing::serve(service).pipe(4096);
    let mut client = server.connect("/").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let queued = *count.borrow_and_update();
    assert!((8..=30).contains(&queued), "{queued}");
    sleep(Duration::from_secs(20)).await;
    assert!(!count.has_changed().unwrap());

    // The client reads again before the write timeout.
    for _ in 0..100 {
        assert_eq!(client.recv().await.unwrap().unwrap().len(), 1000);
    }
    sleep(Duration::from_secs(31)).await;
    assert_eq!(client.closed().await, None, "it was cut off");
}

#[tokio::test(start_paused = true)]
async fn invalid_frames_and_handshakes_can_be_sent() {
    let mut client = testing::connect(echo).await;
    client.send_raw(&[0x81, 0x02, b'h', b'i']).await.unwrap();
    let answer = client.recv_raw().await.unwrap();
    assert_eq!((answer[0], &answer[2..4]), (0x88, &[3, 234][..]));

    let server = server();
    let mut stream = server.stream();
    stream
        .write_all(b"GET /ws HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 426");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_shows_its_status_and_its_reason() {
    let server = server();
    let request = Request::get("/ws").header("origin", "https://elsewhere.example");
    let refused = server.connect(request.body(()).unwrap()).await.unwrap_err();
    assert_eq!(refused.kind(), ConnectErrorKind::Refused);
    let response = refused.response().unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let reason = std::str::from_utf8(response.body()).unwrap();
    assert!(reason.contains("`localhost`"), "{reason}");

    // Pages of the server's own host may connect, whatever host the client names.
    for (url, origin) in [
        ("/ws", "http://localhost"),
        ("http://example.com/ws?a=b", "https://example.com"),
    ] {
        let request = Request::get(url).header("origin", origin).body(());
        let mut client = server.connect(request.unwrap()).await.unwrap();
        assert_eq!(client.response().status(), StatusCode::SWITCHING_PROTOCOLS);
        client.send("hello").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("hello".into()));
    }
    let elsewhere = server.connect("/elsewhere").await.unwrap_err();
    assert_eq!(elsewhere.status(), Some(StatusCode::OK), "the page");
}

#[tokio::test(start_paused = true)]
async fn layers_routers_and_handlers_of_both_shapes_are_served() {
    async fn router(upgrade: Upgrade) -> axum::response::Response {
        upgrade.on_upgrade(echo)
    }
    async fn second_shape(upgrade: Upgrade, _: Request<()>) -> Response<String> {
        // The handler blocks, as on a database, and the other clients wait.
        sleep(Duration::from_secs(10)).await;
        upgrade.on_upgrade(echo)
    }
    let layered = ServiceBuilder::new()
        .layer(WebSocketLayer::new().route("/ws", echo))
        .service(tower::service_fn(page));
    let router = axum::Router::new().route("/ws", axum::routing::any(router));
    let clients = [
        testing::serve_tower(layered).connect("/ws").await.unwrap(),
        testing::serve_tower(router).connect("/ws").await.unwrap(),
        testing::connect(echo).await,
        testing::connect(second_shape).await,
    ];
    for mut client in clients {
        client.send("hello").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("hello".into()));
        client.ping(b"there?").await.unwrap();
        assert_eq!(
            client.event().await.unwrap(),
            Some(Event::Pong("there?".into()))
        );
        assert_eq!(
            client.close(CloseCode::NORMAL, "bye").await,
            Some(CloseCode::NORMAL)
        );
        assert_eq!(client.recv().await.unwrap(), None);
        assert!(client.send("too late").await.unwrap_err().is_closed());
    }
}

#[tokio::test(start_paused = true)]
async fn messages_may_be_long_and_compressed() {
    let config = Config::new().compression(Compression::shared());
    let service = WebSocketService::new(service_fn(page))
        .any_path(echo)
        .config(config.clone());
    let server = testing::serve(service).client_config(config).pipe(1000);
    let mut client = server.connect("/").await.unwrap();
    let extensions = &client.response().headers()["sec-websocket-extensions"];
    assert!(
        extensions
            .to_str()
            .unwrap()
            .starts_with("permessage-deflate")
    );
    let long = "all work and no play ".repeat(30_000);
    for _ in 0..3 {
        client.send(&*long).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some((&*long).into()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_or_panics_closes_with_1011() {
    let mut client = testing::connect(async |_: WebSocket| Err::<(), _>("no database")).await;
    assert_eq!(client.closed().await, Some(CloseCode::INTERNAL_ERROR));
    let mut client = testing::connect(async |socket: WebSocket| {
        drop(socket);
    })
    .await;
    assert_eq!(client.closed().await, Some(CloseCode::NORMAL));
    let mut client = testing::connect(async |socket: WebSocket| socket.abort()).await;
    assert_eq!(client.closed().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_is_dropped_loses_nothing() {
    let mut client = testing::connect(async |mut socket: WebSocket| {
        for number in 0..20 {
            sleep(Duration::from_millis(number % 3)).await;
            socket.send(number.to_string()).await?;
        }
        Ok::<(), Error>(())
    })
    .await;
    let mut received = Vec::new();
    while client.close_frame().is_none() {
        if let Ok(message) = timeout(Duration::from_micros(300), client.recv()).await {
            received.extend(message.unwrap());
        }
    }
    let expected: Vec<_> = (0..20).map(|number| number.to_string().into()).collect();
    assert_eq!(received, expected);
}

#[tokio::test]
#[should_panic(expected = "failed to connect to the handler: ")]
async fn a_refused_connect_panics_with_the_status_and_the_reason() {
    testing::connect(async |_: Upgrade, _: Request<()>| {
        let mut response = Response::new("not you".to_owned());
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    })
    .await;
}

async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("a page")))
}

fn server() -> Server {
    testing::serve(WebSocketService::new(service_fn(page)).route("/ws", echo))
}
