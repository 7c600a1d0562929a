//! WebSockets over HTTP/2 (RFC 8441).

mod lifecycle;
mod services;
#[path = "../support/mod.rs"]
mod support;
