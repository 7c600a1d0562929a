//! Short programs: they open a bare socket, send, and end with their runtime.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use hyper_ws::handshake::accept_key;
use hyper_ws::{CloseCode, Error, WebSocket, connect};
use tokio::runtime::{Builder, Runtime};

/// First byte and payload.
type Frame = (u8, Vec<u8>);

/// Accepts one socket, greets, and returns the frames that arrive until the end of the stream.
fn server() -> (SocketAddr, JoinHandle<Vec<Frame>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        let accept = accept_key(key.unwrap().1.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {accept}\r\n\r\n"
        );
        // The greeting is never received: unread bytes must not turn the end into a reset.
        stream
            .write_all(&[answer.as_bytes(), b"\x81\x05hello"].concat())
            .unwrap();
        let mut bytes = vec![];
        stream.read_to_end(&mut bytes).unwrap();
        frames(&bytes)
    });
    (address, served)
}

/// The frames of a client, unmasked, of payloads shorter than 126 bytes.
fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = vec![];
    while let [first, length, rest @ ..] = bytes {
        let (key, rest) = rest.split_at(4);
        let (payload, rest) = rest.split_at(usize::from(length & 0x7f));
        let unmasked = payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b);
        frames.push((*first, unmasked.collect()));
        bytes = rest;
    }
    frames
}

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.enable_all().build().unwrap())
}

/// The frames that the server gets of a program that ends at once.
fn received(
    runtime: Runtime,
    program: impl AsyncFnOnce(WebSocket) -> Result<(), Error>,
) -> Vec<Frame> {
    let (address, served) = server();
    runtime.block_on(async {
        let socket = connect(format!("ws://{address}/")).await.unwrap();
        program(socket).await.unwrap();
    });
    drop(runtime);
    served.join().unwrap()
}

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

#[test]
fn a_program_that_sends_and_returns_has_sent_and_closed() {
    for runtime in runtimes() {
        let frames = received(runtime, async |mut socket| socket.send("x").await);
        assert_eq!(
            frames,
            [(TEXT, b"x".to_vec()), (CLOSE, 1000u16.to_be_bytes().into())]
        );
    }
}

#[test]
fn a_program_that_sends_by_a_sender_and_returns_has_sent_and_closed() {
    for runtime in runtimes() {
        let frames = received(runtime, async |socket| socket.sender().send("x").await);
        assert_eq!(
            frames,
            [(TEXT, b"x".to_vec()), (CLOSE, 1000u16.to_be_bytes().into())]
        );
    }
}

#[test]
fn a_program_that_closes_by_a_sender_and_returns_has_closed_with_that_code() {
    for runtime in runtimes() {
        let frames = received(runtime, async |socket| {
            socket.sender().close(CloseCode::GOING_AWAY, "");
            Ok(())
        });
        assert_eq!(frames, [(CLOSE, 1001u16.to_be_bytes().into())]);
    }
}

#[test]
fn a_socket_that_is_dropped_outside_of_its_runtime_has_sent_and_closed() {
    for runtime in runtimes() {
        let (address, served) = server();
        let socket = runtime.block_on(async { connect(format!("ws://{address}/")).await });
        let socket = socket.unwrap();
        runtime.block_on(socket.sender().send("x")).unwrap();
        drop(socket);
        assert_eq!(
            served.join().unwrap(),
            [(TEXT, b"x".to_vec()), (CLOSE, 1000u16.to_be_bytes().into())]
        );
    }
}

#[test]
fn a_socket_may_be_dropped_after_its_runtime() {
    for runtime in runtimes() {
        let (address, served) = server();
        let socket = runtime.block_on(async { connect(format!("ws://{address}/")).await });
        drop(runtime);
        drop(socket.unwrap());
        drop(served.join());
    }
}
