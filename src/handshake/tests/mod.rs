//! The handshake on both sides, as pure functions: requests and responses in,
//! answers and agreements out.

mod accept;
mod allowed;
mod client;
mod extensions;
mod headers;
mod http2;
mod origin;
mod quote;
mod rejection;
mod server;
mod target;
