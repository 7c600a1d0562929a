//! The input of the benchmarks: frames, requests, connections.
#![allow(dead_code, reason = "each benchmark uses its own part")]

#[path = "../../tests/support/frame.rs"]
mod frame;
pub(crate) mod layers;
pub(crate) mod wire;

use http::Request;
use hyper_ws::Message;

/// A message as a client sends it, in one frame.
pub(crate) fn masked(message: &Message, key: [u8; 4]) -> Vec<u8> {
    frame::masked(FIN | opcode(message), message.as_bytes(), key)
}

/// A server's frame of less than 64 KiB, as a client sends it.
pub(crate) fn returned(frame: &[u8], key: [u8; 4]) -> Vec<u8> {
    match frame {
        [first, 126, _, _, payload @ ..] | [first, _, payload @ ..] => {
            frame::masked(*first, payload, key)
        }
        _ => panic!("no frame: {frame:?}"),
    }
}

/// A message in frames of `size` bytes.
pub(crate) fn fragmented(message: &Message, key: [u8; 4], size: usize) -> Vec<u8> {
    let payload = message.as_bytes();
    let parts = payload.len().div_ceil(size);
    let parts = payload.chunks(size).enumerate().map(|(at, part)| {
        let opcode = if at == 0 { opcode(message) } else { 0 };
        let fin = if at + 1 == parts { FIN } else { 0 };
        frame::masked(fin | opcode, part, key)
    });
    parts.collect::<Vec<_>>().concat()
}

const FIN: u8 = 0x80;

fn opcode(message: &Message) -> u8 {
    match message {
        Message::Text(_) => 1,
        Message::Binary(_) => 2,
    }
}

/// A request as a browser sends it.
pub(crate) fn handshake() -> Request<()> {
    Request::get("/chat")
        .header("host", "example.com")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)")
        .header("accept", "*/*")
        .header("accept-language", "en-US,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br, zstd")
        .header("sec-websocket-version", "13")
        .header("origin", "https://example.com")
        .header("sec-websocket-extensions", "permessage-deflate")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("connection", "keep-alive, Upgrade")
        .header("pragma", "no-cache")
        .header("cache-control", "no-cache")
        .header("upgrade", "websocket")
        .body(())
        .expect("a request")
}
