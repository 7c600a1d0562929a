//! Metrics of sockets and rooms for Prometheus: an echo at `/ws`, a room at `/room`, the counts at
//! `/metrics`.
//!
//!     cargo run --release --example metrics
//!     curl http://127.0.0.1:3000/metrics
//!
//! A copy of it needs the feature `hub`.
//!
//! The tracker and the hub count by themselves; this example translates their counts for
//! Prometheus at each request. Only the durations are recorded when a conversation ends,
//! because a histogram needs each of them.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::hub::{EngineState, History, Hub};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, WebSocket, WebSocketService};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[path = "support/listener.rs"]
mod listener;

use listener::Listener;

#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

/// Collects the counts of a tracker for Prometheus.
#[derive(Debug)]
struct Sockets(Tracker);

impl Collector for Sockets {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let open = ConstGauge::new(stats.open);
        let metric = encoder.encode_descriptor(
            "websocket_open",
            "Sockets that there are now",
            None,
            MetricType::Gauge,
        )?;
        open.encode(metric)?;

        let accepted = encoder.encode_descriptor(
            "websocket_accepted",
            "Handshakes that were accepted",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(stats.accepted).encode(accepted)?;

        let (name, help) = ("websocket_refused", "Handshakes that were refused");
        counters(&mut encoder, name, help, "status", stats.refused)?;
        let (name, help) = ("websocket_ended", "Conversations that have ended");
        counters(&mut encoder, name, help, "cause", stats.ended)?;
        let (received, sent) = (stats.received, stats.sent);
        let counts = [("in", received.messages), ("out", sent.messages)];
        let (name, help) = ("websocket_messages", "Messages");
        counters(&mut encoder, name, help, "direction", counts)?;
        let counts = [("in", received.bytes), ("out", sent.bytes)];
        let (name, help) = ("websocket_message_bytes", "Bytes of messages");
        counters(&mut encoder, name, help, "direction", counts)
    }
}

/// Collects the counts of a hub for Prometheus.
#[derive(Debug)]
struct Rooms(Hub);

impl Collector for Rooms {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counters = self.0.counters();
        let is_up = i64::from(self.0.state() == EngineState::Up);
        for (name, help, value) in [
            ("hub_rooms", "Rooms on this server", count(self.0.len())),
            (
                "hub_history_bytes",
                "Memory of all histories",
                count(counters.history_bytes),
            ),
            (
                "hub_lag_bytes",
                "Memory of what members lag behind",
                count(counters.lag_bytes),
            ),
            ("hub_engine_up", "Whether the engine can be reached", is_up),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        for (name, help, value) in [
            (
                "hub_gaps_repaired",
                "Gaps whose messages were found",
                counters.gaps_repaired,
            ),
            (
                "hub_gaps_lost",
                "Gaps that members were told of",
                counters.gaps_lost,
            ),
            (
                "hub_interruptions",
                "Interruptions of the engine",
                counters.interruptions,
            ),
            (
                "hub_lagged",
                "Members whose queue was full when their room sent",
                counters.lagged,
            ),
            (
                "hub_too_slow",
                "Members that were closed since they lagged too far",
                counters.too_slow,
            ),
            ("hub_reads", "Reads of logs from the engine", counters.reads),
            (
                "hub_repeats",
                "Messages that the engine was told twice",
                counters.repeats,
            ),
            (
                "hub_dropped",
                "Messages that were not passed on",
                counters.dropped,
            ),
            (
                "hub_unreadable",
                "Messages of newer releases",
                counters.unreadable,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        Ok(())
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A counter for each value of a label.
fn counters<V: EncodeLabelValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    counts: impl IntoIterator<Item = (V, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (value, count) in counts {
        ConstCounter::new(count).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}

async fn visit(mut socket: WebSocket, hub: Hub) -> Result<(), hyper_ws::Error> {
    let room = hub.room("lobby");
    room.join(&socket);
    while let Some(message) = socket.recv().await? {
        room.send(message);
    }
    Ok(())
}

async fn app(
    request: Request<Incoming>,
    metrics: Arc<Registry>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::default();
    if request.uri().path() == "/metrics" {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &metrics)
            .expect("a String takes whatever is written");
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        response
            .headers_mut()
            .insert(CONTENT_TYPE, kind.parse().expect("it is a valid value"));
        *response.body_mut() = Full::from(text);
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
        *response.body_mut() =
            Full::from("sockets are at /ws and /room, the counts are at /metrics\n");
    }
    Ok(response)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let options = Options::parse();
    // From a tenth of a second to about a day.
    let durations = Histogram::new(exponential_buckets(0.1, 4.0, 11));
    let tracker = Tracker::new().on_end({
        let durations = durations.clone();
        move |ended| durations.observe(ended.duration.as_secs_f64())
    });
    let mut metrics = Registry::default();
    metrics.register(
        "websocket_duration_seconds",
        "How long conversations were",
        durations,
    );
    metrics.register_collector(Box::new(Sockets(tracker.clone())));
    let hub = Hub::new().history(History::last(100));
    metrics.register_collector(Box::new(Rooms(hub.clone())));
    let metrics = Arc::new(metrics);

    let service = WebSocketService::new(service_fn(move |request| app(request, metrics.clone())))
        .route("/ws", echo)
        .route("/room", move |socket: WebSocket| visit(socket, hub.clone()))
        .tracker(&tracker);
    let mut listener = Listener::bind(options.listen).await?;
    println!("listening on http://{}", listener.address()?);
    while let Some(stream) = listener.accept().await {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_secs(10))
            .serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection.with_upgrades());
    }
    drop(listener);
    tracker
        .drain(CloseCode::GOING_AWAY, Duration::from_secs(10))
        .await;
    Ok(())
}
