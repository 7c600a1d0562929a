//! The ways into a server (function, service, layer, extractor), and what handlers
//! do with a socket.

mod axum;
mod failed_upgrade;
mod middleware;
mod over;
mod pauses;
mod proxy;
mod refused;
mod runtime;
mod spans;
mod stream_sink;
#[path = "../support/mod.rs"]
mod support;
mod test_kit;
mod upgrade;
mod workers;
