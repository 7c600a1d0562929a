//! The spans of a handshake and of a connection, as a subscriber sees them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_ws::{Error, Upgrade, WebSocket, WebSocketService};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

use crate::support::log::record;
use crate::support::{CLOSE, TEXT, frame, handshake};

#[tokio::test]
async fn a_connection_is_a_span_that_says_how_it_began_and_ended() {
    let seen = Seen::default();
    let _guard = record(Registry::default().with(seen.clone()));
    let mut client = serve("/ws?token=SECRET", "Cookie: SECRET\r\n").await;

    let handshake = seen.span("websocket_handshake");
    assert!(handshake.closed, "{handshake:?}");
    assert_eq!(handshake.fields["path"], "\"/ws\"");
    assert_eq!(handshake.fields["status"], "101");

    client.write_all(&frame(TEXT, b"hello")).await.unwrap();
    client.read_exact(&mut [0; 7]).await.unwrap();
    let connection = seen.span("websocket");
    assert!(!connection.closed, "{connection:?}");
    assert_eq!(connection.fields["path"], "\"/ws\"");
    assert_eq!(connection.fields["compression"], "false");
    assert_eq!(seen.event("got one"), ["websocket"]);

    let close = frame(CLOSE, b"\x03\xe8bye\nforged");
    client.write_all(&close).await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    drop(client);
    seen.closed("websocket").await;
    let fields = seen.span("websocket").fields;
    let cause = r#"closed by the peer: 1000 (normal closure) "bye\nforged""#;
    assert_eq!(fields["cause"], cause);
    assert_eq!(fields["received.messages"], "1");
    assert_eq!(fields["received.bytes"], "5");
    assert_eq!(fields["sent.messages"], "1");
    assert_eq!(fields["sent.bytes"], "5");
    assert_eq!(seen.event("the WebSocket has ended"), ["websocket"]);
    let all = format!("{:?}", seen.0.lock().unwrap());
    assert!(!all.contains("SECRET"), "{all}");
}

#[tokio::test]
async fn a_refused_handshake_is_a_span_with_its_status_and_no_connection_follows() {
    let seen = Seen::default();
    let _guard = record(Registry::default().with(seen.clone()));
    for (headers, status) in [
        ("Origin: https://elsewhere.example\r\n", "403"),
        ("Content-Length: 5\r\n", "400"),
    ] {
        let _client = serve("/ws", headers).await;
        let handshake = seen.span("websocket_handshake");
        assert!(handshake.closed, "{handshake:?}");
        assert_eq!(handshake.fields["status"], status);
        seen.0.lock().unwrap().spans.clear();
    }
}

#[tokio::test]
async fn without_a_subscriber_to_it_the_span_of_the_request_is_carried() {
    let seen = Seen::default();
    let filtered = Registry::default().with(LevelFilter::INFO);
    let _guard = record(filtered.with(seen.clone()));
    let request = tracing::info_span!("request", cause = tracing::field::Empty);
    let mut client = serve("/ws", "").instrument(request).await;
    client.write_all(&frame(TEXT, b"hello")).await.unwrap();
    client.read_exact(&mut [0; 7]).await.unwrap();
    assert_eq!(seen.event("got one"), ["request"]);
    assert_eq!(seen.names(), ["request"]);

    drop(client);
    seen.closed("request").await;
    // The span of the request has a field of that name, which is not the crate's.
    assert!(!seen.span("request").fields.contains_key("cause"));
}

#[tokio::test]
async fn a_connection_that_the_caller_spawns_is_in_the_callers_span() {
    let seen = Seen::default();
    let _guard = record(Registry::default().with(seen.clone()));
    let app = service_fn(|mut request: Request<Incoming>| async move {
        let upgrade = Upgrade::from_request(&mut request).unwrap();
        let (response, conversation) = upgrade.accept_with::<Full<Bytes>, _, _>(echo);
        tokio::spawn(conversation.instrument(tracing::info_span!("mine")));
        Ok::<_, Infallible>(response)
    });
    let (mut client, server) = tokio::io::duplex(4096);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(server), app);
    tokio::spawn(connection.with_upgrades());
    ask(&mut client, "/ws", "").await;
    client.write_all(&frame(TEXT, b"hello")).await.unwrap();
    client.read_exact(&mut [0; 7]).await.unwrap();
    assert_eq!(seen.event("got one"), ["mine"]);
}

/// The reason for the second subscriber in [`record`].
#[test]
fn an_event_that_a_thread_without_a_subscriber_reaches_first_is_seen() {
    let seen = Seen::default();
    let _guard = record(Registry::default().with(seen.clone()));
    let event = || tracing::info!("in both threads");
    std::thread::spawn(event).join().unwrap();
    event();
    assert_eq!(seen.event("in both threads"), [""; 0]);
}

async fn echo(mut socket: WebSocket) -> Result<(), Error> {
    while let Some(message) = socket.recv().await? {
        tracing::info!("got one");
        socket.send(message).await?;
    }
    Ok(())
}

/// A client whose handshake has been answered. The server runs in the current span.
async fn serve(target: &str, headers: &str) -> DuplexStream {
    async fn page(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        Ok(Response::default())
    }
    let service = WebSocketService::new(service_fn(page)).route("/ws", echo);
    let (mut client, server) = tokio::io::duplex(4096);
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(server), service)
        .with_upgrades();
    tokio::spawn(connection.in_current_span());
    ask(&mut client, target, headers).await;
    client
}

async fn ask(client: &mut DuplexStream, target: &str, headers: &str) {
    let request = handshake(target, headers);
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        head.extend(byte);
    }
}

/// All spans and events, of this crate and of others.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    spans: Vec<(Id, Span)>,
    /// Each event with the names of its spans, the outermost first.
    events: Vec<(String, Vec<&'static str>)>,
}

#[derive(Clone, Debug)]
struct Span {
    name: &'static str,
    fields: BTreeMap<&'static str, String>,
    closed: bool,
}

impl Seen {
    /// The last span of this name.
    fn span(&self, name: &str) -> Span {
        let state = self.0.lock().unwrap();
        let found = state.spans.iter().rfind(|(_, span)| span.name == name);
        found.unwrap_or_else(|| panic!("{state:?}")).1.clone()
    }

    fn names(&self) -> Vec<&'static str> {
        let state = self.0.lock().unwrap();
        state.spans.iter().map(|(_, span)| span.name).collect()
    }

    fn event(&self, message: &str) -> Vec<&'static str> {
        let state = self.0.lock().unwrap();
        let found = state.events.iter().find(|(it, _)| it == message);
        found.unwrap_or_else(|| panic!("{state:?}")).1.clone()
    }

    async fn closed(&self, name: &str) {
        for _ in 0..1000 {
            if self.span(name).closed {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("still open: {:?}", self.span(name));
    }

    fn change(&self, id: &Id, change: impl FnOnce(&mut Span)) {
        let mut state = self.0.lock().unwrap();
        // The id of a closed span may be used again.
        if let Some((_, span)) = state.spans.iter_mut().rfind(|(it, _)| it == id) {
            change(span);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = Span {
            name: attributes.metadata().name(),
            fields: fields.0,
            closed: false,
        };
        self.0.lock().unwrap().spans.push((id.clone(), span));
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        record.record(&mut fields);
        self.change(id, |span| span.fields.extend(fields.0));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let message = fields.0.remove("message").unwrap_or_default();
        let scope = context.event_scope(event).into_iter();
        let scope = scope
            .flat_map(|scope| scope.from_root())
            .map(|span| span.name());
        let entry = (message, scope.collect());
        self.0.lock().unwrap().events.push(entry);
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.change(&id, |span| span.closed = true);
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
