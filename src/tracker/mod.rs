//! How many sockets there are, how many there may be, and how to end them all.
//!
//! hyper forgets a connection when it is upgraded, so its graceful shutdown
//! does not see WebSockets. A [`Tracker`] does: give it to every service, and
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
//! println!("{} closed, {} cut off", drained.closed, drained.aborted);
//! # }
//! ```
//!
//! # What it counts
//!
//! [`stats`](Tracker::stats) says what there was and is, sockets that are still
//! open included; [`on_end`](Tracker::on_end) is called for each that has ended.
//! Each connection counts for itself, where it has the lock in its hand anyway.
//! The example `metrics` makes of this what Prometheus reads.
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

mod handle;
mod registry;
mod stats;
#[cfg(all(test, feature = "server"))]
mod tests;

pub use handle::{Drained, Tracker};
pub(crate) use registry::{Permit, Refused};
pub use stats::{Ended, Stats, Traffic};
