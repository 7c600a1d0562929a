//! Counting, limiting and draining the WebSockets of a server.
//!
//! hyper stops tracking a connection once it is upgraded, so its graceful shutdown
//! does not see WebSockets. A [`Tracker`] sees them: give it to every service, and
//! [`drain`](Tracker::drain) it *before* the server's own shutdown.
//!
//! ```
//! use std::time::Duration;
//! use hyper_ws::{CloseCode, tracker::Tracker};
//!
//! # async fn example() {
//! let tracker = Tracker::new().limit(10_000);
//! // let service = WebSocketService::new(app).route("/ws", echo).tracker(&tracker);
//! let drained = tracker.drain(CloseCode::GOING_AWAY, Duration::from_secs(10)).await;
//! println!("{} closed, {} aborted", drained.closed, drained.aborted);
//! # }
//! ```
//!
//! # Metrics
//!
//! [`stats`](Tracker::stats) returns the counts of all sockets, open ones included.
//! [`on_end`](Tracker::on_end) sets an observer that is called for each connection
//! that has ended. The example `metrics` exports both to Prometheus.
//!
//! Counting is cheap: each connection counts its own messages, under a lock that it
//! holds anyway.
//!
//! ```
//! use hyper_ws::tracker::Tracker;
//!
//! let tracker = Tracker::new().on_end(|ended| {
//!     println!("{} after {:?}: {} messages", ended.cause, ended.duration, ended.received.messages);
//! });
//! let stats = tracker.stats();
//! println!("{} of {} are open, {:?} were refused", stats.open, stats.accepted, stats.refused);
//! ```
//!
//! See also the guide to [shutdown, limits, metrics and logs](crate::guide::operations).

mod handle;
mod registry;
mod stats;
#[cfg(all(test, feature = "server"))]
mod tests;

pub use handle::{Drained, Tracker};
pub(crate) use registry::Permit;
pub use registry::Refused;
pub use stats::{Ended, Stats, Traffic};
