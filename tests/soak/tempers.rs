//! Clients of every temper: each function is one visit to a server.
//!
//! A visit ends early when `over` is set or when the server goes away, which is no
//! fault: one of the two servers is restarted all the time. A fault is what no
//! restart explains, such as an echo that differs.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_ws::client::{connect, connect_over_http2};
use hyper_ws::config::Compression;
use hyper_ws::{Config, Error, Message, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::dice::Dice;
use super::support::{BINARY, CLOSE, KEY, PING, TEXT, frame, handshake, header};
use super::world::Run;

/// How long a server may take for an answer while everything else goes on.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection whose handshake was accepted, for those who write bytes by hand.
async fn raw(port: u16, path: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = handshake(path, "");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    match head.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(stream),
        false => Err(io::Error::other("not accepted")),
    }
}

/// A message of any length up to `limit`: short ones are as frequent as long ones.
fn message(dice: &mut Dice, limit: usize) -> Message {
    let scale = dice.below(16);
    let length = dice.below(limit >> scale) + 1;
    let text: String = (0..length)
        .map(|_| char::from(b'a' + dice.below(8) as u8))
        .collect();
    match dice.below(2) {
        0 => Message::from(text),
        _ => Message::from(text.into_bytes()),
    }
}

/// Sends messages, some at once, and compares what comes back.
async fn converse(mut socket: WebSocket, dice: &mut Dice, run: &Run) -> Result<(), Error> {
    for _ in 0..dice.below(100) {
        if run.is_over() {
            break;
        }
        let sent: Vec<Message> = (0..=dice.below(8))
            .map(|_| message(dice, 64 * 1024))
            .collect();
        for message in &sent {
            socket.send(message.clone()).await?;
        }
        for message in sent {
            let Ok(echo) = timeout(PATIENCE, socket.recv()).await else {
                run.fault(format!("no echo of {} bytes", message.len()));
                return Ok(());
            };
            match echo? {
                None => return Ok(()),
                Some(echo) if echo == message => run.count(1),
                Some(echo) => run.fault(format!("{message:?} came back as {echo:?}")),
            }
        }
        sleep(Duration::from_millis(dice.below(100) as u64)).await;
    }
    socket.close(hyper_ws::CloseCode::NORMAL, "").await;
    Ok(())
}

pub(crate) async fn chatty(port: u16, dice: &mut Dice, run: &Run) -> Option<()> {
    let config = match dice.below(2) {
        0 => Config::new(),
        _ => Config::new().compression(Compression::dedicated()),
    };
    let url = format!("ws://127.0.0.1:{port}/echo");
    let socket = connect(&url).config(config).await.ok()?;
    converse(socket, dice, run).await.ok()
}

/// Several sockets on one connection of HTTP/2.
pub(crate) async fn over_http2(port: u16, dice: &mut Dice, run: &Run) -> Option<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let mut client = http2::Builder::new(TokioExecutor::new());
    client.max_send_buf_size(64 * 1024);
    let (sender, connection) = client
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .ok()?;
    let connection = tokio::spawn(connection);
    // RFC 8441, section 3: the server's settings come before extended CONNECT.
    sleep(Duration::from_millis(300)).await;
    let url = format!("ws://127.0.0.1:{port}/echo");
    let sockets = (0..4).map(|_| {
        let (sender, url) = (sender.clone(), url.clone());
        let mut dice = dice.fork();
        async move {
            let socket = connect_over_http2(sender, &url).await.ok()?;
            converse(socket, &mut dice, run).await.ok()
        }
    });
    futures_util::future::join_all(sockets).await;
    drop(sender);
    let _ = timeout(PATIENCE, connection).await;
    Some(())
}

/// Says nothing, and answers pings.
pub(crate) async fn silent(port: u16, dice: &mut Dice, run: &Run) -> Option<()> {
    let mut socket = connect(format!("ws://127.0.0.1:{port}/echo")).await.ok()?;
    let stay = Duration::from_millis(dice.below(15_000) as u64);
    tokio::select! {
        received = socket.recv() => {
            if let Ok(Some(message)) = received {
                run.fault(format!("unasked: {message:?}"));
            }
        }
        () = sleep(stay) => {}
        () = run.over() => {}
    }
    Some(())
}

/// Sends fragments, and expects the message in one piece or several.
pub(crate) async fn streaming(port: u16, dice: &mut Dice, run: &Run) -> Option<()> {
    let mut socket = connect(format!("ws://127.0.0.1:{port}/stream"))
        .await
        .ok()?;
    for _ in 0..dice.below(20) {
        let whole = message(dice, 200_000);
        let bytes = whole.as_bytes();
        let mut parts = socket.send_stream(whole.kind());
        for part in bytes.chunks(1 + dice.below(20_000)) {
            let part = Bytes::copy_from_slice(part);
            parts.write(Message::from(part)).await.ok()?;
        }
        parts.finish().await.ok()?;
        match timeout(PATIENCE, socket.recv()).await {
            Ok(Ok(Some(echo))) if echo == whole => run.count(1),
            Ok(Ok(Some(echo))) => run.fault(format!(
                "a stream of {} came back as {}",
                whole.len(),
                echo.len()
            )),
            Ok(_) => return None,
            Err(_) => run.fault(format!("no stream of {} bytes came back", whole.len())),
        }
        if run.is_over() {
            break;
        }
    }
    Some(())
}

/// Reads a few kilobytes at a time of what it has asked for.
pub(crate) async fn slow(port: u16, dice: &mut Dice, run: &Run) -> Option<()> {
    let mut stream = raw(port, "/echo").await.ok()?;
    let payload = vec![b'x'; 1 << 20];
    let (mut reading, mut writing) = stream.split();
    let write = async {
        for _ in 0..4 {
            if writing.write_all(&frame(BINARY, &payload)).await.is_err() {
                break;
            }
        }
        run.over().await;
    };
    let mut window = vec![0; 4096];
    let stay = Instant::now() + Duration::from_millis(dice.below(20_000) as u64);
    let read = async {
        while Instant::now() < stay && matches!(reading.read(&mut window).await, Ok(1..)) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! { () = write => {} () = read => {} }
    Some(())
}

/// Neither reads nor writes from now on; the server must give it up.
pub(crate) async fn half_dead(port: u16, _: &mut Dice, run: &Run) -> Option<()> {
    let mut stream = raw(port, "/echo").await.ok()?;
    tokio::select! {
        () = sleep(Duration::from_secs(12)) => {}
        () = run.over() => return None,
    }
    // The pings and the close frame are there, and behind them the end.
    let mut rest = Vec::new();
    match timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await {
        Ok(_) => run.count(1),
        Err(_) => run.fault("a peer that answers no ping is kept".to_owned()),
    }
    Some(())
}

/// Breaks a rule, or the connection.
pub(crate) async fn abusive(port: u16, dice: &mut Dice, run: &Run) -> Option<()> {
    if dice.below(4) == 0 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let request = handshake("/echo", "");
        let cut = dice.below(request.len());
        stream.write_all(&request.as_bytes()[..cut]).await.ok()?;
        sleep(Duration::from_millis(dice.below(2000) as u64)).await;
        return Some(());
    }
    let mut stream = raw(port, "/echo").await.ok()?;
    let (bytes, is_refused) = match dice.below(9) {
        0 => (frame(0x83, b"opcode 3"), true),
        1 => (frame(0xf1, b"reserved bits"), true),
        2 => (frame(TEXT, &[0xff, 0xfe]), true),
        3 => (header(BINARY, 1 << 40), true),
        4 => (header(0x89, 126), true),
        5 => (frame(0x88, &[1]), true),
        6 => (frame(0x80, b"nothing to continue"), true),
        7 => (vec![0x81, 5, b'h', b'e', b'l', b'l', b'o'], true),
        // A message that never goes on.
        _ => ([&header(BINARY, 100_000)[..], &KEY].concat(), false),
    };
    stream.write_all(&bytes).await.ok()?;
    match dice.below(3) {
        0 => stream.set_zero_linger().ok()?,
        1 => sleep(Duration::from_millis(dice.below(300) as u64)).await,
        _ if is_refused => {
            // A close frame with a code, and the end within the deadlines.
            let mut answer = Vec::new();
            match timeout(PATIENCE, stream.read_to_end(&mut answer)).await {
                Err(_) => run.fault(format!("{bytes:x?} is not refused")),
                // Pings may come before the close frame, and nothing else.
                Ok(Ok(_)) if !ends_in_close(&answer) => {
                    run.fault(format!("{bytes:x?} is answered by {answer:x?}"));
                }
                Ok(_) => run.count(1),
            }
        }
        _ => sleep(Duration::from_secs(1)).await,
    }
    Some(())
}

/// Whether these are pings and then one close frame, or nothing at all: behind a reset
/// nothing is read.
fn ends_in_close(mut frames: &[u8]) -> bool {
    while let [PING, length, rest @ ..] = frames {
        frames = rest.get(usize::from(*length)..).unwrap_or_default();
    }
    matches!(frames, [] | [CLOSE, ..])
}

/// Stays until the end, and has a message echoed every now and then.
pub(crate) async fn faithful(port: u16, pause: Duration, run: Arc<Run>) {
    echo_every(pause, port, &run, |_| run.count(1)).await;
}

/// Returns how long each of its short messages took.
pub(crate) async fn probe(port: u16, run: Arc<Run>) -> Vec<Duration> {
    let mut times = Vec::new();
    echo_every(Duration::from_millis(20), port, &run, |time| {
        times.push(time)
    })
    .await;
    times
}

/// A well-behaved peer: one short message at a time, until the end of the run.
async fn echo_every(pause: Duration, port: u16, run: &Run, mut on_echo: impl FnMut(Duration)) {
    let Ok(mut socket) = connect(format!("ws://127.0.0.1:{port}/echo")).await else {
        return run.fault("a peer is not accepted".to_owned());
    };
    while !run.is_over() {
        let began = Instant::now();
        let echo = async {
            socket.send("well-behaved").await?;
            socket.recv().await
        };
        match timeout(PATIENCE, echo).await {
            Ok(Ok(Some(echo))) if echo == Message::from("well-behaved") => on_echo(began.elapsed()),
            other => return run.fault(format!("a well-behaved peer received {other:?}")),
        }
        // What the server sends meanwhile is a ping, which the socket answers.
        let received = timeout(pause, socket.recv()).await;
        if received.is_ok() && !run.is_over() {
            return run.fault(format!("a well-behaved peer received {received:?}"));
        }
    }
}
