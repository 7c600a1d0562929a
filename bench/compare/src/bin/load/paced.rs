//! A fixed number of messages a second, spread evenly over the connections, whether
//! or not the server has answered the last ones. Latency counts from the time when a
//! message was due, so a stall shows in every message that it delays.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::time::Timespec;

use crate::Options;
use crate::frames::{self, Batch};
use crate::histogram::Histogram;
use crate::system::Clocks;

/// The time before the clocks are read for the first time.
const WARM_UP: Duration = Duration::from_millis(300);

/// Never sleeps: a sleeping generator would be late by the time of its wake-up.
const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

struct Connection {
    stream: TcpStream,
    /// The due times of the messages without a reply.
    due: VecDeque<Instant>,
    received: usize,
}

pub fn run(options: &Options, rate: f64) -> io::Result<()> {
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
            due: VecDeque::new(),
            received: 0,
        });
    }

    let began = Instant::now();
    let warm = began + WARM_UP;
    let end = warm + Duration::from_secs_f64(options.seconds());
    let mut start = None;
    let mut latency = Histogram::new();
    let (mut sent, mut answered) = (0_u64, 0_u64);
    let mut due = began;
    let mut buffer = vec![0; 1 << 16];
    let mut events = Vec::with_capacity(1024);
    loop {
        let now = Instant::now();
        if now >= end {
            break;
        }
        if start.is_none() && now >= warm {
            (answered, latency) = (0, Histogram::new());
            start = Some(Clocks::read(options.pid)?);
        }
        while due <= now {
            let at = sent as usize % connections.len();
            let connection = &mut connections[at];
            connection
                .stream
                .write_all(&batch.request)
                .map_err(|error| {
                    io::Error::new(error.kind(), format!("{rate} messages a second: {error}"))
                })?;
            connection.due.push_back(due);
            sent += 1;
            due = began + Duration::from_secs_f64(sent as f64 / rate);
        }
        epoll::wait(&epoll, spare_capacity(&mut events), Some(&AT_ONCE))?;
        for event in events.drain(..) {
            let connection = &mut connections[event.data.u64() as usize];
            for due in receive(connection, &batch, &mut buffer)? {
                answered += 1;
                latency.add(due.elapsed());
            }
        }
    }
    let Some(start) = start else {
        return Err(io::Error::other("too short to measure anything"));
    };
    let end = Clocks::read(options.pid)?;
    println!(
        "{{\"messages\": {answered}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, {}}}",
        latency.quantile(0.50),
        latency.quantile(0.99),
        end.since(&start),
    );
    Ok(())
}

/// Receives once; returns the due times of the answered messages.
fn receive<'a>(
    connection: &'a mut Connection,
    batch: &Batch,
    buffer: &mut [u8],
) -> io::Result<impl Iterator<Item = Instant> + 'a> {
    match connection.stream.read(buffer) {
        Ok(0) => return Err(io::Error::other("the server closed a connection")),
        Ok(count) => connection.received += count,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    let replies = connection.received / batch.reply.len();
    connection.received %= batch.reply.len();
    if replies > connection.due.len() {
        return Err(io::Error::other("more came back than was sent"));
    }
    Ok(connection.due.drain(..replies))
}
