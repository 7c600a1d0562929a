//! WebSockets over HTTP/2 (RFC 8441): the ways into a server, and the end of a
//! stream. (Backpressure is in the program `memory`.)

mod lifecycle;
mod services;
mod slow_readers;
#[path = "../support/mod.rs"]
mod support;
