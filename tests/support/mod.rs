//! A server in this process, and a WebSocket client that shares no code with the
//! crate: it sends and receives bytes, so it can also send what a good client
//! never would. (The client that does share code is `hyper_ws::testing::Client`.)
//!
//! - [`frame`](mod@frame): frames as a client sends them
//! - [`client`]: the handshake, and [`Client`]
//! - [`server`]: servers over TCP and over pipes in memory
//! - [`http2`]: hyper's client on HTTP/2, and servers for it
//! - [`http2_wire`]: an HTTP/2 client that writes each frame by hand
//! - [`log`]: subscribers that see the events of one test
#![allow(dead_code, unused_imports, reason = "each program uses its own part")]

pub(crate) mod client;
pub(crate) mod frame;
pub(crate) mod http2;
pub(crate) mod http2_wire;
pub(crate) mod log;
pub(crate) mod server;

pub(crate) use client::{ACCEPT, Answer, Client, Frame, handshake};
pub(crate) use frame::{BINARY, CLOSE, KEY, PING, PONG, TEXT, close_frame, frame, header};
pub(crate) use server::{Server, bind, echo, listen, page, pipe, piped, until};
