//! A program of its own, because it measures the memory of the whole process.
//!
//! A socket as a stream of bytes, over real TCP: both ways at once, behind
//! `copy_bidirectional`, and with hyper on top of it. The measured test carries a
//! gigabyte each way, in a release build, where it takes some seconds:
//!
//!     cargo test --release --test tunnel -- --ignored

mod support;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_ws::error::BoxError;
use hyper_ws::socket::ByteStream;
use hyper_ws::{WebSocket, WebSocketService, connect};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use support::{bind, listen, page};

const MIB: u64 = 1024 * 1024;

/// A server that gives each socket to `handler`; returns its address.
async fn serve<F, Fut>(handler: F) -> SocketAddr
where
    F: Fn(WebSocket) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    listen(WebSocketService::new(service_fn(page)).route("/", handler)).await
}

async fn accept<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = Result<(), BoxError>> + Send + 'static,
{
    let (listener, address) = bind().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn open(address: SocketAddr) -> WebSocket {
    connect(format!("ws://{address}/")).await.unwrap()
}

/// Fills `block` with bytes that differ with the position and with `seed`.
fn fill(seed: u64, start: u64, block: &mut [u8]) {
    for (at, word) in block.chunks_mut(8).enumerate() {
        let at = start / 8 + at as u64 + 1;
        let value = (at ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word.copy_from_slice(&value.to_le_bytes()[..word.len()]);
    }
}

async fn send(mut io: impl AsyncWrite + Unpin, seed: u64, length: u64) -> io::Result<()> {
    let mut block = vec![0; 64 * 1024];
    for start in (0..length).step_by(block.len()) {
        fill(seed, start, &mut block);
        io.write_all(&block).await?;
    }
    io.flush().await
}

/// Checks every byte: a checksum would not say where they differ.
async fn receive(mut io: impl AsyncRead + Unpin, seed: u64, length: u64) -> io::Result<()> {
    let (mut block, mut expected) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    for start in (0..length).step_by(block.len()) {
        io.read_exact(&mut block).await?;
        fill(seed, start, &mut expected);
        assert!(block == expected, "within 64 KiB after {start}");
    }
    Ok(())
}

async fn both_ways(
    stream: ByteStream,
    [ours, theirs]: [u64; 2],
    length: u64,
) -> io::Result<ByteStream> {
    let (read, write) = tokio::io::split(stream);
    let sending = tokio::spawn(async move {
        let mut write = write;
        send(&mut write, ours, length).await.map(|()| write)
    });
    let mut read = read;
    receive(&mut read, theirs, length).await?;
    Ok(read.unsplit(sending.await??))
}

/// The process's resident memory, in bytes.
fn memory() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

async fn carry(length: u64) {
    let address = serve(move |socket| async move {
        let mut stream = both_ways(socket.into_byte_stream(), [1, 2], length).await?;
        // The client ends the stream.
        assert_eq!(stream.read(&mut [0; 8]).await?, 0);
        Ok(())
    })
    .await;
    let socket = open(address).await;
    let (done, wait) = tokio::sync::oneshot::channel();
    tokio::spawn(socket.run(move |socket| async move {
        let mut stream = both_ways(socket.into_byte_stream(), [2, 1], length).await?;
        stream.shutdown().await?;
        assert_eq!(stream.read(&mut [0; 8]).await?, 0);
        done.send(()).unwrap();
        Ok::<_, io::Error>(())
    }));
    wait.await.expect("the client has reached its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_go_both_ways_at_once() {
    carry(16 * MIB).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long unless it is a release build"]
async fn a_gigabyte_goes_both_ways_at_once_and_memory_stays_flat() {
    static MOST: AtomicU64 = AtomicU64::new(0);
    carry(64 * MIB).await;
    let before = memory();
    let watching = tokio::spawn(async {
        let mut most = 0;
        loop {
            most = memory().max(most);
            MOST.store(most, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    carry(1024 * MIB).await;
    watching.abort();
    let grown = MOST.load(Ordering::Relaxed).saturating_sub(before);
    println!(
        "{} MiB before, {} KiB more at most",
        before / MIB,
        grown / 1024
    );
    assert!(grown < 8 * MIB, "memory grew by {grown} bytes");
}

#[tokio::test]
async fn a_bare_socket_is_a_stream_even_when_split_over_two_tasks() {
    let address = serve(|socket| async move {
        let mut stream = both_ways(socket.into_byte_stream(), [1, 2], 2 * MIB).await?;
        assert_eq!(stream.read(&mut [0; 8]).await?, 0);
        Ok(())
    })
    .await;
    let stream = open(address).await.into_byte_stream();
    let mut stream = both_ways(stream, [2, 1], 2 * MIB).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tunnel_carries_a_tcp_connection() {
    // TCP on both sides, a socket in the middle. The target sends first and closes
    // first, so that no side needs to close one half only.
    let target = accept(|stream| async move {
        let (mut read, mut write) = tokio::io::split(stream);
        let sending =
            tokio::spawn(async move { send(&mut write, 1, 4 * MIB).await.map(|()| write) });
        receive(&mut read, 2, 4 * MIB).await?;
        Ok(read.unsplit(sending.await??).shutdown().await?)
    })
    .await;
    let exit = serve(move |socket| async move {
        let mut target = TcpStream::connect(target).await?;
        copy_bidirectional(&mut socket.into_byte_stream(), &mut target).await?;
        Ok(())
    })
    .await;
    let entrance = accept(move |mut stream| async move {
        let mut tunnel = open(exit).await.into_byte_stream();
        copy_bidirectional(&mut stream, &mut tunnel).await?;
        Ok(())
    })
    .await;
    let stream = TcpStream::connect(entrance).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = tokio::spawn(async move { send(&mut write, 2, 4 * MIB).await.map(|()| write) });
    receive(&mut read, 1, 4 * MIB).await.unwrap();
    assert_eq!(read.read(&mut [0; 8]).await.unwrap(), 0);
    drop(sending.await.unwrap().unwrap());
}

#[tokio::test]
async fn hyper_runs_on_top_of_a_tunnel_and_a_socket_on_top_of_that() {
    async fn reverse(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let mut body = request.into_body().collect().await?.to_bytes().to_vec();
        body.reverse();
        Ok(Response::new(body.into()))
    }
    async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
        while let Some(message) = socket.recv().await? {
            socket.send(message).await?;
        }
        Ok(())
    }
    let address = serve(|socket| async move {
        let service = WebSocketService::new(service_fn(reverse)).route("/echo", echo);
        http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(socket.into_byte_stream()), service)
            .with_upgrades()
            .await?;
        Ok(())
    })
    .await;
    let io = TokioIo::new(open(address).await.into_byte_stream());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    for length in [0, 10, 100_000, 1_000_000] {
        let mut body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let request = Request::post("/")
            .header("host", "localhost")
            .body(Full::new(Bytes::from(body.clone())))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        body.reverse();
        let received = response.into_body().collect().await.unwrap().to_bytes();
        assert!(received == body, "{length} bytes");
    }
    drop(sender);
    connection.await.unwrap().unwrap();

    let stream = open(address).await.into_byte_stream();
    let mut inner = hyper_ws::client::connect_over(stream, "ws://localhost/echo")
        .await
        .unwrap();
    let message = hyper_ws::Message::from(vec![9; 300_000]);
    inner.send(message.clone()).await.unwrap();
    assert!(inner.recv().await.unwrap() == Some(message));
}
