//! The log: a peer cannot forge lines in it, and no secret gets into it.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::tracker::Tracker;
use hyper_ws::{Config, WebSocket, WebSocketService};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::log::record;
use crate::support::{Client, Server, close_frame, frame, handshake, page};

/// Keeps every event and span of this crate, one entry each, without the escapes
/// of a formatter.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Entry(String);

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        write!(self.0, " {}={value}", field.name()).unwrap();
    }
}

impl Log {
    fn push(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Entry)) {
        if metadata.target().starts_with("hyper_ws") {
            let mut entry = Entry(format!("{} {}", metadata.level(), metadata.name()));
            record(&mut entry);
            self.0.lock().unwrap().push(entry.0);
        }
    }

    fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.push(span.metadata(), |entry| span.record(entry));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.push(event.metadata(), |entry| event.record(entry));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Every header that a peer can fill, each with `SECRET` in it.
const SECRETS: &str = "Cookie: session=SECRET\r\nAuthorization: Bearer SECRET\r\n\
                       Origin: http://SECRET.example\r\nSec-WebSocket-Protocol: SECRET\r\n\
                       X-SECRET: SECRET\r\n";

fn secretive(headers: &str) -> String {
    handshake("/ws?token=SECRET", headers)
}

async fn fails_on_text(mut socket: WebSocket) -> Result<(), &'static str> {
    match socket.recv().await {
        Ok(Some(message)) if message.as_text() == Some("SECRET fail") => Err("as ordered"),
        Ok(Some(message)) if message.as_text() == Some("SECRET panic") => panic!("as ordered"),
        _ => Ok(()),
    }
}

async fn server() -> Server {
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", fails_on_text)
        .config(
            Config::new()
                .allow_origins(["http://SECRET.example"])
                .close_timeout(Duration::from_millis(100)),
        )
        .tracker(&tracker);
    Server::start(service, tracker).await
}

async fn opened(server: &Server) -> Client {
    let mut client = server.connect().await;
    client.send(secretive(SECRETS)).await;
    assert_eq!(client.answer().await.status, 101);
    client
}

#[tokio::test]
async fn a_close_reason_cannot_forge_a_line_of_the_log() {
    let log = Log::default();
    let _recording = record(log.clone());
    let server = server().await;
    for reason in [
        "bye\r\n2026-01-01 INFO admin logged in",
        "\u{1b}[2J\u{1b}[31mred\u{7}",
        "\u{9b}31m \u{85} \u{2028} \u{202e} \0 \u{7f}",
        "quote \" and backslash \\",
    ] {
        let mut client = opened(&server).await;
        client.send(close_frame(4000, reason.as_bytes())).await;
        assert_eq!(client.close_code().await, Some(4000));
        drop(client);
        server.emptied().await;
    }
    let entries = log.entries();
    let ends: Vec<_> = entries
        .iter()
        .filter(|entry| entry.contains("4000"))
        .collect();
    // The reasons are logged: otherwise this would test nothing.
    assert_eq!(ends.len(), 4, "{entries:?}");
    for entry in &entries {
        let is_harmless = |it: char| !it.is_control() && !"\u{2028}\u{202e}".contains(it);
        assert!(entry.chars().all(is_harmless), "{entry:?}");
    }
    assert!(ends.iter().any(|entry| entry.contains(r"bye\r\n2026")));
}

#[tokio::test]
async fn neither_headers_nor_queries_nor_messages_get_into_the_log() {
    let log = Log::default();
    let _recording = record(log.clone());
    let server = server().await;
    // Conversations that end in each of the ways that are logged.
    for last in [
        frame(0x81, b"SECRET fail"),
        frame(0x81, b"SECRET panic"),
        frame(0x81, b"SECRET\xff"),
        frame(0x82, b"SECRET"),
        frame(0x89, b"SECRET"),
        frame(0x83, b"SECRET"),
        close_frame(1000, b""),
    ] {
        let mut client = opened(&server).await;
        client.send(last).await;
        tokio::task::yield_now().await;
        client.reset();
        server.emptied().await;
    }
    // Handshakes that are refused, each for a reason that quotes the fault.
    for request in [
        secretive("Origin: a\r\nOrigin: SECRET\r\n"),
        secretive("Sec-WebSocket-Protocol: SECRET \"\r\n"),
        secretive("Sec-WebSocket-Extensions: SECRET=\r\n"),
        secretive("Content-Length: 6\r\n"),
        secretive(SECRETS).replace("dGhlIHNhbXBsZSBub25jZQ==", "SECRET"),
        secretive(SECRETS).replace("Version: 13", "Version: SECRET"),
        secretive(SECRETS).replace("Host: example.com", "Host: SECRET@"),
        secretive(SECRETS).replace("GET ", "SECRET "),
        secretive(SECRETS).replace("Connection: Upgrade", "Connection: SECRET"),
    ] {
        let mut client = server.connect().await;
        client.send(request).await;
        assert_ne!(client.answer().await.status, 101);
    }
    let entries = log.entries();
    assert!(entries.len() >= 7, "nothing was logged: {entries:?}");
    assert!(entries.iter().any(|entry| entry.contains("as ordered")));
    for entry in entries {
        assert!(!entry.contains("SECRET"), "{entry:?}");
        assert!(!entry.contains("dGhlIHNhbXBsZSBub25jZQ"), "{entry:?}");
    }
}

/// Does something that may be logged until its line has come: a line of its kind by another test of
/// this process may have been written less than a second before.
async fn line_of<F: Future<Output = ()>>(
    log: &Log,
    part: &str,
    mut cause: impl FnMut() -> F,
) -> String {
    for _ in 0..600 {
        cause().await;
        if let Some(line) = log.entries().into_iter().find(|it| it.contains(part)) {
            return line;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no line with {part:?} in {:?}", log.entries());
}

async fn refused(server: &Server, request: String) {
    let mut client = server.connect().await;
    client.send(request).await;
    assert_ne!(client.answer().await.status, 101);
}

#[tokio::test]
async fn a_refusal_by_a_setting_is_told_at_the_default_level_with_the_setting() {
    let log = Log::default();
    let _recording = record(log.clone());
    let tracker = Tracker::new().limit(1);
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", fails_on_text)
        .config(Config::new().hosts(["example.com"]))
        .tracker(&tracker);
    let server = Server::start(service, tracker.clone()).await;

    let evil = "Origin: https://evil.example\r\n";
    let line = line_of(&log, "evil", || refused(&server, handshake("/ws", evil))).await;
    assert!(line.starts_with("WARN"), "{line}");
    assert!(line.contains("setting=Config::allow_origins "), "{line}");
    assert!(line.contains("status=403"), "{line}");
    assert!(
        line.contains("the origin `https://evil.example` is not allowed"),
        "{line}"
    );
    assert!(line.contains("left_out="), "{line}");

    let rebound = || handshake("/ws", "").replace("example.com", "rebound.test");
    let line = line_of(&log, "rebound", || refused(&server, rebound())).await;
    assert!(
        line.starts_with("WARN") && line.contains("setting=Config::hosts"),
        "{line}"
    );

    let _first = opened_without_origin(&server).await;
    let line = line_of(&log, "status=503", || {
        refused(&server, handshake("/ws", ""))
    })
    .await;
    assert!(
        line.starts_with("WARN") && line.contains("setting=Tracker::limit"),
        "{line}"
    );

    // A flood of them is a line a second.
    let before = count(&log, "evil");
    let began = std::time::Instant::now();
    for _ in 0..200 {
        refused(&server, handshake("/ws", evil)).await;
    }
    let seconds = began.elapsed().as_secs() as usize;
    let lines = count(&log, "evil") - before;
    assert!(lines <= seconds + 2, "{lines} lines in {seconds} s");
}

#[tokio::test]
async fn an_origin_cannot_forge_a_line_of_the_log() {
    let log = Log::default();
    let _recording = record(log.clone());
    let server = server().await;
    let forged = "Origin: https://forged\u{85}\u{2028}\u{202e}\t\u{9b}31m\r\n";
    let line = line_of(&log, "forged", || {
        refused(&server, handshake("/ws", forged))
    })
    .await;
    assert!(line.is_ascii(), "{line:?}");
    assert!(!line.contains(|it: char| it.is_control()), "{line:?}");
}

#[tokio::test]
async fn a_violation_is_told_at_the_default_level_with_its_code() {
    let log = Log::default();
    let _recording = record(log.clone());
    let tracker = Tracker::new();
    let service = WebSocketService::new(service_fn(page))
        .route("/ws", fails_on_text)
        .config(Config::new().max_message_size(10))
        .tracker(&tracker);
    let server = Server::start(service, tracker).await;
    for (frame, code, part) in [
        (
            frame(0x82, b"more than ten bytes"),
            1009,
            "setting=Config::max_",
        ),
        (frame(0x83, b""), 1002, "opcode 3 is reserved"),
        (frame(0x81, b"\xff"), 1007, "not valid UTF-8"),
    ] {
        let violate = || async {
            let mut client = opened_without_origin(&server).await;
            client.send(frame.clone()).await;
            assert_eq!(client.close_code().await, Some(code));
            drop(client);
            server.emptied().await;
        };
        let line = line_of(&log, &format!("code={code} "), violate).await;
        assert!(line.starts_with("INFO"), "{line}");
        assert!(line.contains(part), "{line}");
    }
}

async fn opened_without_origin(server: &Server) -> Client {
    let mut client = server.connect().await;
    client.send(handshake("/ws", "")).await;
    assert_eq!(client.answer().await.status, 101);
    client
}

fn count(log: &Log, part: &str) -> usize {
    let entries = log.entries();
    entries.iter().filter(|it| it.contains(part)).count()
}
