//! Connections that live for one message: connect, upgrade, echo, reset. A
//! message is a connection here.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::frames::{self, Batch};
use crate::histogram::Histogram;
use crate::system::Clocks;
use crate::{Length, Options, Protocol};

/// The time before the clocks are read for the first time.
const WARM_UP: Duration = Duration::from_millis(300);

struct Visit {
    stream: TcpStream,
    began: Instant,
    stage: Stage,
    received: Vec<u8>,
}

#[derive(PartialEq, Eq)]
enum Stage {
    /// Waits for the answer to its handshake.
    Handshake,
    /// Has sent its message, waits for the echo.
    Echo,
}

pub fn run(options: &Options, at_once: usize) -> io::Result<()> {
    let batch = Batch::new(options);
    // The only one whose accept key is compared.
    drop(frames::connect(options)?);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let (mut quota, mut measuring) = match options.length {
        Length::Messages(messages) => (messages, true),
        Length::Seconds(_) => (u64::MAX, false),
    };
    let mut start = Clocks::read(options.pid)?;
    let mut deadline = Instant::now() + WARM_UP;
    let mut latency = Histogram::new();
    let mut done = 0_u64;
    let mut visits = Vec::with_capacity(at_once);
    for at in 0..at_once.min(quota as usize) {
        quota -= 1;
        visits.push(begin(options, &batch)?);
        watch(&epoll, &visits[at], at)?;
    }
    let mut open = visits.len();
    let mut buffer = [0; 4096];
    let mut events = Vec::with_capacity(1024);
    'run: while open > 0 {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let at = event.data.u64() as usize;
            if !go_on(&mut visits[at], &batch, &mut buffer)? {
                continue;
            }
            done += 1;
            latency.add(visits[at].began.elapsed());
            if quota == 0 {
                epoll::delete(&epoll, &visits[at].stream)?;
                open -= 1;
                continue;
            }
            quota -= 1;
            visits[at] = begin(options, &batch)?;
            watch(&epoll, &visits[at], at)?;
            if let Length::Seconds(seconds) = options.length
                && Instant::now() >= deadline
            {
                if measuring {
                    break 'run;
                }
                measuring = true;
                deadline = Instant::now() + Duration::from_secs_f64(seconds);
                (done, latency) = (0, Histogram::new());
                start = Clocks::read(options.pid)?;
            }
        }
    }
    let end = Clocks::read(options.pid)?;
    println!(
        "{{\"messages\": {done}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, {}}}",
        latency.quantile(0.50),
        latency.quantile(0.99),
        end.since(&start),
    );
    Ok(())
}

fn begin(options: &Options, batch: &Batch) -> io::Result<Visit> {
    let began = Instant::now();
    let mut stream = frames::ask(options)?;
    stream.set_nonblocking(true)?;
    let stage = match options.protocol {
        Protocol::WebSocket => Stage::Handshake,
        Protocol::Raw => {
            stream.write_all(&batch.request)?;
            Stage::Echo
        }
    };
    Ok(Visit {
        stream,
        began,
        stage,
        received: Vec::with_capacity(512),
    })
}

fn watch(epoll: &impl std::os::fd::AsFd, visit: &Visit, at: usize) -> io::Result<()> {
    let data = EventData::new_u64(at as u64);
    Ok(epoll::add(epoll, &visit.stream, data, EventFlags::IN)?)
}

/// Receives once; returns whether the connection is done.
fn go_on(visit: &mut Visit, batch: &Batch, buffer: &mut [u8]) -> io::Result<bool> {
    match visit.stream.read(buffer) {
        Ok(0) => return Err(io::Error::other("the server closed a connection")),
        Ok(count) => visit.received.extend_from_slice(&buffer[..count]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    }
    if visit.stage == Stage::Handshake {
        if !visit.received.ends_with(b"\r\n\r\n") {
            return Ok(false);
        }
        if !visit.received.starts_with(b"HTTP/1.1 101") {
            return Err(io::Error::other("a handshake was refused"));
        }
        visit.stage = Stage::Echo;
        visit.received.clear();
        visit.stream.write_all(&batch.request)?;
        return Ok(false);
    }
    if visit.received.len() < batch.reply.len() {
        return Ok(false);
    }
    if visit.received == batch.reply {
        Ok(true)
    } else {
        Err(io::Error::other("the reply is not what was sent"))
    }
}
