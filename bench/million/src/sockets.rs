//! The same over real sockets: the kernel's memory for them, and the cost of keeping
//! them alive. Server and client are two processes, since the number of open files
//! of each is limited.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::{Config, WebSocketService};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, stdin};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::app::{app, echo, serve};
use crate::json::Object;
use crate::peer::{FRAME, MESSAGE, PONGS, REQUEST};
use crate::usage::Usage;

/// The time for the answer to a ping, enough for the busiest machine.
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// The first bytes of a ping of this crate.
const PING: [u8; 2] = [0x89, 8];

/// The number of connections that are made at a time.
const AT_A_TIME: usize = 50;

fn in_runtime(run: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(run)
}

/// Prints its address, and for every line on the standard input its resources so
/// far, until the input ends. Pings after `interval` of silence.
pub(crate) fn server(interval: Duration) -> io::Result<()> {
    in_runtime(async move {
        let config = Config::new().keep_alive(interval, PING_TIMEOUT);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let service = WebSocketService::new(service_fn(app))
            .route("/ws", echo)
            .config(config);
        let accepting = async {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => serve(stream, service.clone()),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        let asked = async {
            let mut lines = BufReader::new(stdin()).lines();
            while let Ok(Some(_)) = lines.next_line().await {
                let usage = Usage::now();
                let mut report = Object::new("server", 0);
                report.number("allocated", usage.live as f64);
                report.number("resident", usage.resident as f64);
                report.number("CPU seconds", usage.cpu.as_secs_f64());
                println!("{report}");
            }
        };
        tokio::select! {
            () = asked => Ok(()),
            () = accepting => Ok(()),
        }
    })
}

/// Connects, sends a message on each connection, compares the echo, and reports it.
/// Answers pings, and for every line on the standard input prints their number,
/// until the input ends.
pub(crate) fn client(address: SocketAddr, sockets: usize) -> io::Result<()> {
    in_runtime(async {
        let mut made = JoinSet::new();
        let mut alive = JoinSet::new();
        let mut begun = 0;
        while begun < sockets || !made.is_empty() {
            while begun < sockets && made.len() < AT_A_TIME {
                made.spawn(connect(address));
                begun += 1;
            }
            if let Some(stream) = made.join_next().await {
                alive.spawn(answer_pings(stream??));
            }
        }
        println!("{sockets}");
        let asked = async {
            let mut lines = BufReader::new(stdin()).lines();
            while let Ok(Some(_)) = lines.next_line().await {
                println!("{}", PONGS.load(Ordering::Relaxed));
            }
        };
        tokio::select! {
            // None of them ends before the server does.
            Some(ended) = alive.join_next() => ended?,
            () = asked => Ok(()),
        }
    })
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(REQUEST).await?;
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    stream.write_all(&FRAME).await?;
    let mut start = [0; 2];
    stream.read_exact(&mut start).await?;
    // When pings are frequent, one may arrive first.
    while start == PING {
        answer_ping(&mut stream).await?;
        stream.read_exact(&mut start).await?;
    }
    let mut echo = [0; 2 + MESSAGE.len()];
    stream.read_exact(&mut echo).await?;
    if !head.starts_with(b"HTTP/1.1 101 ") || echo[2..] != MESSAGE {
        return Err(io::Error::other("not what the server should answer"));
    }
    Ok(stream)
}

async fn answer_pings(mut stream: TcpStream) -> io::Result<()> {
    let mut start = [0; 2];
    loop {
        stream.read_exact(&mut start).await?;
        if start != PING {
            return Err(io::Error::other("not a ping"));
        }
        answer_ping(&mut stream).await?;
    }
}

/// Answers a ping whose first two bytes have been read.
async fn answer_ping(stream: &mut TcpStream) -> io::Result<()> {
    // A masking key of zeros leaves the payload as it is.
    let mut pong = [0x8a, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    stream.read_exact(&mut pong[6..]).await?;
    stream.write_all(&pong).await?;
    PONGS.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
