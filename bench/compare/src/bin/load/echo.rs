//! Each connection sends a batch, waits for all of its replies, sends again.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, recv};

use crate::frames::{self, Batch};
use crate::histogram::Histogram;
use crate::system::Clocks;
use crate::{Length, Options};

/// The time before the clocks are read for the first time.
const WARM_UP: Duration = Duration::from_millis(300);

/// From this size on, the kernel discards replies instead of copying them.
const LARGE: usize = 16 * 1024;

struct Connection {
    stream: TcpStream,
    sent: usize,
    received: usize,
    began: Instant,
    watched: EventFlags,
}

pub fn run(options: &Options) -> io::Result<()> {
    let batch = Batch::new(options);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut streams = frames::connect_all(options)?;
    frames::check_replies(&mut streams, &batch)?;
    let mut connections = Vec::with_capacity(streams.len());
    for (at, stream) in streams.into_iter().enumerate() {
        stream.set_nonblocking(true)?;
        let data = EventData::new_u64(at as u64);
        epoll::add(&epoll, &stream, data, EventFlags::IN)?;
        connections.push(Connection {
            stream,
            sent: 0,
            received: 0,
            began: Instant::now(),
            watched: EventFlags::IN,
        });
    }

    let mut quota = match options.length {
        Length::Messages(messages) => messages.div_ceil(options.in_flight as u64),
        Length::Seconds(_) => u64::MAX,
    };
    let mut start = Clocks::read(options.pid)?;
    let mut latency = Histogram::new();
    let began = Instant::now();
    let mut measuring = matches!(options.length, Length::Messages(_));
    let mut deadline = match options.length {
        Length::Seconds(_) => began + WARM_UP,
        Length::Messages(_) => began + Duration::from_secs(600),
    };
    let (mut batches, mut busy) = (0_u64, 0_usize);
    for (at, connection) in connections.iter_mut().enumerate() {
        if quota > 0 {
            quota -= 1;
            busy += 1;
            send(&epoll, at, connection, &batch)?;
        }
    }
    let mut buffer = vec![0; 1 << 20];
    let mut events = Vec::with_capacity(1024);
    while busy > 0 {
        epoll::wait(&epoll, spare_capacity(&mut events), None)?;
        let now = Instant::now();
        if now >= deadline {
            match options.length {
                Length::Seconds(seconds) if !measuring => {
                    measuring = true;
                    deadline = now + Duration::from_secs_f64(seconds);
                    (batches, latency) = (0, Histogram::new());
                    start = Clocks::read(options.pid)?;
                }
                _ => break,
            }
        }
        for event in events.drain(..) {
            let at = event.data.u64() as usize;
            let flags = event.flags;
            let connection = &mut connections[at];
            if flags.contains(EventFlags::OUT) {
                send(&epoll, at, connection, &batch)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
                && receive(connection, &batch, &mut buffer)?
            {
                batches += 1;
                latency.add(connection.began.elapsed());
                busy -= 1;
                if quota > 0 {
                    quota -= 1;
                    busy += 1;
                    (connection.sent, connection.received) = (0, 0);
                    send(&epoll, at, connection, &batch)?;
                }
            }
        }
    }
    let end = Clocks::read(options.pid)?;
    println!(
        "{{\"messages\": {}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, {}}}",
        batches * options.in_flight as u64,
        latency.quantile(0.50),
        latency.quantile(0.99),
        end.since(&start),
    );
    Ok(())
}

/// Sends the part of a batch that the kernel takes, and registers for writability.
fn send(
    epoll: &impl std::os::fd::AsFd,
    at: usize,
    connection: &mut Connection,
    batch: &Batch,
) -> io::Result<()> {
    if connection.sent == 0 {
        connection.began = Instant::now();
    }
    while connection.sent < batch.request.len() {
        match connection.stream.write(&batch.request[connection.sent..]) {
            Ok(count) => connection.sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    let wanted = if connection.sent < batch.request.len() {
        EventFlags::IN | EventFlags::OUT
    } else {
        EventFlags::IN
    };
    if wanted != connection.watched {
        let data = EventData::new_u64(at as u64);
        epoll::modify(epoll, &connection.stream, data, wanted)?;
        connection.watched = wanted;
    }
    Ok(())
}

/// Receives once; returns whether that completes the batch.
fn receive(connection: &mut Connection, batch: &Batch, buffer: &mut [u8]) -> io::Result<bool> {
    let flags = if batch.reply.len() < LARGE {
        RecvFlags::empty()
    } else {
        RecvFlags::TRUNC
    };
    let count = match recv(&connection.stream, &mut *buffer, flags) {
        Ok((_, count)) => count,
        Err(rustix::io::Errno::AGAIN) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    if count == 0 {
        return Err(io::Error::other("the server closed a connection"));
    }
    connection.received += count;
    if connection.received > batch.reply.len() {
        return Err(io::Error::other("more came back than was sent"));
    }
    Ok(connection.received == batch.reply.len() && connection.sent == batch.request.len())
}
