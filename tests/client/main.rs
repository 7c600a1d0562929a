//! The client, over HTTP/1.1, HTTP/2 and TLS.

mod connect;
mod connector;
mod http2;
mod managed;
mod reconnect;
mod refused;
mod request;

mod script;
#[path = "../support/mod.rs"]
mod support;
mod tls;
