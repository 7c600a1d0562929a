//! One connection sends a batch, and all connections (including the sender) must
//! receive it before the next. Here a message is a delivery.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::frames::{self, Batch};
use crate::histogram::Histogram;
use crate::system::Clocks;
use crate::{Length, Options};

/// The time before the clocks are read for the first time.
const WARM_UP: Duration = Duration::from_millis(300);

/// The time until the last accepted connection surely receives.
const SETTLE: Duration = Duration::from_millis(300);

/// The time after which a message counts as lost.
const TIMEOUT: Duration = Duration::from_secs(60);

struct Member {
    stream: TcpStream,
    received: usize,
}

pub fn run(options: &Options) -> io::Result<()> {
    let batch = Batch::new(options);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut members = Vec::with_capacity(options.connections);
    for (at, stream) in frames::connect_all(options)?.into_iter().enumerate() {
        let data = EventData::new_u64(at as u64);
        epoll::add(&epoll, &stream, data, EventFlags::IN)?;
        members.push(Member {
            stream,
            received: 0,
        });
    }
    sleep(SETTLE);
    check(&mut members, &batch)?;
    for member in &members {
        member.stream.set_nonblocking(true)?;
    }

    let (mut left, mut measuring) = match options.length {
        Length::Messages(rounds) => (rounds, true),
        Length::Seconds(_) => (u64::MAX, false),
    };
    let mut deadline = Instant::now() + WARM_UP;
    let mut latency = Histogram::new();
    let mut rounds = 0_u64;
    let mut start = Clocks::read(options.pid)?;
    let mut buffer = vec![0; 1 << 16];
    let mut events = Vec::with_capacity(1024);
    while left > 0 {
        left -= 1;
        let began = Instant::now();
        members[0].stream.write_all(&batch.request)?;
        let mut waiting = members.len();
        while waiting > 0 {
            epoll::wait(&epoll, spare_capacity(&mut events), None)?;
            if began.elapsed() > TIMEOUT {
                return Err(io::Error::other("a message did not reach all connections"));
            }
            for event in events.drain(..) {
                let member = &mut members[event.data.u64() as usize];
                if receive(member, &batch, &mut buffer)? {
                    member.received = 0;
                    waiting -= 1;
                    latency.add(began.elapsed());
                }
            }
        }
        rounds += 1;
        if let Length::Seconds(seconds) = options.length
            && Instant::now() >= deadline
        {
            if measuring {
                break;
            }
            measuring = true;
            deadline = Instant::now() + Duration::from_secs_f64(seconds);
            (rounds, latency) = (0, Histogram::new());
            start = Clocks::read(options.pid)?;
        }
    }
    let end = Clocks::read(options.pid)?;
    println!(
        "{{\"messages\": {}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, {}}}",
        rounds * (options.in_flight * members.len()) as u64,
        latency.quantile(0.50),
        latency.quantile(0.99),
        end.since(&start),
    );
    Ok(())
}

/// Compares the first batch byte by byte, at every member.
fn check(members: &mut [Member], batch: &Batch) -> io::Result<()> {
    members[0].stream.write_all(&batch.request)?;
    let mut reply = vec![0; batch.reply.len()];
    for member in members {
        member.stream.set_read_timeout(Some(TIMEOUT))?;
        member.stream.read_exact(&mut reply)?;
        if reply != batch.reply {
            return Err(io::Error::other("what came is not what was sent"));
        }
    }
    Ok(())
}

/// Receives once; returns whether that completes the batch.
fn receive(member: &mut Member, batch: &Batch, buffer: &mut [u8]) -> io::Result<bool> {
    match member.stream.read(buffer) {
        Ok(0) => return Err(io::Error::other("the server closed a connection")),
        Ok(count) => member.received += count,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error),
    }
    if member.received > batch.reply.len() {
        return Err(io::Error::other("more came than was sent"));
    }
    Ok(member.received == batch.reply.len())
}
