//! Instructions for each message, counted by callgrind: a figure that is the same
//! on a busy machine and on a quiet one, so a regression shows.
//!
//!     cargo bench --bench instructions              counts, beside the bounds
//!     cargo bench --bench instructions -- --check   fails if one is above its bound
//!     cargo bench --bench instructions -- --write   new bounds: benches/instructions.txt
//!
//! Each load runs twice, the second time with twice as many messages. The
//! difference leaves out the start, the handshake and one-time allocations. No
//! clock, no kernel and no other thread is involved.
//!
//! Valgrind emulates the same CPU on every machine that has AVX2. So the choices
//! made at run time (of the UTF-8 validation, of SHA-1, of the C library's copying)
//! are the same everywhere. Counts still change with the compiler, and a little
//! with the C library. So a bound is somewhat above its count, and the table names
//! the compiler. Two runs differ by one instruction at most, and only for the room,
//! whose members are in a table in random order.
//!
//! The C library copies some KiB and more with one repeated instruction, of which
//! every byte counts. Most of `read 64 KiB` is its one copy; a second copy would
//! nearly double it.

mod support;

use std::error::Error;
use std::fmt::Write as _;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs, thread};

use http::{Request, Response};
use hyper_ws::handshake::{Agreement, Head};
use hyper_ws::protocol::{Outbox, Prepared, Reader, Role, Writer};
use hyper_ws::{Config, Message};
use support::wire::{Conversation, Members};
use support::{handshake, layers, masked, returned};

/// The margin of a bound above its count.
const MARGIN: f64 = 1.08;

const BOUNDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.txt");

/// The loads and their numbers of messages: enough for work that happens only now
/// and then, few enough for a second under valgrind.
struct Load {
    name: &'static str,
    messages: usize,
    run: fn(usize),
}

const LOADS: &[Load] = &[
    load("read 20 B", 20_000, |n| read(n, 20, "b", 16)),
    load("read 1 KiB", 5_000, |n| read(n, 1024, "b", 4)),
    load("read 1 KiB of text", 5_000, |n| read(n, 1024, "ä", 4)),
    load("read 64 KiB", 200, |n| read(n, 65_536, "b", 1)),
    load("write 20 B", 20_000, |n| write(n, 20)),
    load("write 1 KiB", 5_000, |n| write(n, 1024)),
    load("write 64 KiB", 5_000, |n| write(n, 65_536)),
    load("write prepared 100 B", 20_000, write_prepared),
    load("echo 20 B, 1 in flight", 5_000, |n| echo(n, 20, 1)),
    load("echo 20 B, 16 in flight", 20_000, |n| echo(n, 20, 16)),
    load("echo 1 KiB, 1 in flight", 5_000, |n| echo(n, 1024, 1)),
    load("echo 16 KiB", 500, |n| echo(n, 16 << 10, 1)),
    load("echo 1 MiB of text", 20, echo_mebibytes),
    load("echo 1 KiB, compressed", 1_000, echo_compressed),
    load("receive 1 MiB in chunks", 20, receive_chunks),
    load("publish 100 B, 1 of 10", 5_000, |n| publish(n, 10)),
    load("publish 100 B, 1 of 50", 5_000, |n| publish(n, 50)),
    load("publish 100 B, 1 of 1,000", 5_000, |n| publish(n, 1_000)),
    load("publish 100 B, 16 behind", 40_000, publish_behind),
    load("TLS, both ends: echo 20 B", 2_000, |n| tls(n, 20)),
    load("TLS, both ends: echo 1 KiB", 2_000, |n| tls(n, 1024)),
    load("HTTP/2, both ends: 20 B", 2_000, |n| http2(n, 20)),
    load("HTTP/2, both ends: 1 KiB", 2_000, |n| http2(n, 1024)),
    load("handshake", 1_000, handshakes),
];

const fn load(name: &'static str, messages: usize, run: fn(usize)) -> Load {
    Load {
        name,
        messages,
        run,
    }
}

fn main() -> ExitCode {
    // `cargo bench` adds a `--bench` of its own.
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => counts().map(|counts| print!("{}", table(&counts, &bounds()).0)),
        ["--check"] => check(),
        ["--write"] => counts().and_then(|counts| Ok(fs::write(BOUNDS, to_text(&counts))?)),
        // The run under valgrind.
        ["--run", name, messages] => run(name, messages),
        _ => Err("give nothing, --check or --write".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads `at_once` masked frames with one call, as a driver does after a read.
fn read(messages: usize, size: usize, letter: &str, at_once: usize) {
    let text = letter.repeat(size / letter.len());
    let message = match letter {
        "b" => Message::from(text.into_bytes()),
        _ => Message::from(text),
    };
    // With a key of zeros, unmasking in place leaves the payload as it is.
    let mut input = masked(&message, [0; 4]).repeat(at_once);
    let mut reader = Reader::new(Role::Server, &Config::new());
    let mut count = 0;
    while count < messages {
        let taken = reader.drain(black_box(&mut input), &mut |event| {
            count += 1;
            drop(black_box(event));
            ControlFlow::Continue(())
        });
        assert_eq!(taken, Ok(input.len()));
    }
}

fn write(messages: usize, size: usize) {
    let message = Message::from(vec![7; size]);
    let (mut writer, mut outbox) = (Writer::new(Role::Server), Outbox::default());
    for _ in 0..messages {
        let written = writer.message(black_box(&message), &mut outbox);
        assert!(written.is_ok());
        sent(&mut outbox);
    }
}

fn write_prepared(messages: usize) {
    let prepared = Prepared::new(vec![7; 100]);
    let (mut writer, mut outbox) = (Writer::new(Role::Server), Outbox::default());
    for _ in 0..messages {
        let written = writer.prepared(black_box(&prepared), &mut outbox);
        assert!(written.is_ok());
        sent(&mut outbox);
    }
}

fn sent(outbox: &mut Outbox) {
    while !outbox.is_empty() {
        let length = black_box(outbox.chunk()).len();
        outbox.advance(length);
    }
}

/// Whole turns of a connection's task behind hyper: it reads, polls the handler and
/// writes.
fn echo(messages: usize, size: usize, in_flight: usize) {
    let mut conversation = Conversation::echo();
    let message = Message::from(vec![7; size]);
    let input = masked(&message, [1, 2, 3, 4]).repeat(in_flight);
    for _ in 0..messages / in_flight {
        let sent = conversation.turn(&input);
        assert_eq!(sent, input.len() - 4 * in_flight);
    }
}

/// Texts that are longer than a read.
fn echo_mebibytes(messages: usize) {
    let mut conversation = Conversation::echo();
    // Reads cut within characters.
    let input = masked(&Message::from("aä".repeat((1 << 20) / 3)), [1, 2, 3, 4]);
    conversation.prepare(&input);
    for _ in 0..messages {
        conversation.repeat(input.len() - 4);
    }
}

/// Decompresses and compresses JSON of a kibibyte.
fn echo_compressed(messages: usize) {
    let mut conversation = Conversation::compressed();
    let text: String = (0..50)
        .map(|at| format!("{{\"id\":{at},\"ok\":true}},"))
        .collect();
    let plain = masked(&Message::from(text), [1, 2, 3, 4]);
    let answer = conversation.answer(&plain);
    assert_eq!(answer[0], 0xc1, "it is compressed");
    let input = returned(&answer, [1, 2, 3, 4]);
    for _ in 0..messages {
        assert_eq!(conversation.turn(&input), answer.len());
    }
}

/// Messages that the handler takes as they arrive.
fn receive_chunks(messages: usize) {
    let mut conversation = Conversation::chunks();
    let input = masked(&Message::from(vec![7; 1 << 20]), [1, 2, 3, 4]);
    conversation.prepare(&input);
    for _ in 0..messages {
        conversation.repeat(b"\x81\x04done".len());
    }
}

/// A message to a room, and the turns in which its members write it: the cost of
/// each member.
fn publish(messages: usize, size: usize) {
    let mut members = Members::new(size);
    for _ in 0..messages / size {
        assert_eq!(members.publish(Message::from(vec![7; 100])), size * 102);
    }
}

/// Sixteen messages to a room of fifty before the turns in which its members write them: the cost
/// of each message for each member.
fn publish_behind(messages: usize) {
    let size = 50;
    let mut members = Members::new(size);
    for _ in 0..messages / size / 16 {
        for _ in 0..15 {
            members.send(Message::from(vec![7; 100]));
        }
        let sent = members.publish(Message::from(vec![7; 100]));
        assert_eq!(sent, size * 16 * 102);
    }
}

/// An echo, and its client's part in TLS.
fn tls(messages: usize, size: usize) {
    let input = masked(&Message::from(vec![7; size]), [1, 2, 3, 4]);
    layers::tls(messages, &input, input.len() - 4);
}

/// An echo, and its client's part in HTTP/2.
fn http2(messages: usize, size: usize) {
    let input = masked(&Message::from(vec![7; size]), [1, 2, 3, 4]);
    layers::http2(messages, &input, input.len() - 4);
}

/// From the head of a request to the head of its answer, without hyper.
fn handshakes(count: usize) {
    let request: Request<()> = handshake();
    for _ in 0..count {
        let offer = Head::from(black_box(&request)).validate();
        let offer = offer.expect("nothing is wrong with it");
        assert!(offer.check(&Config::new()).is_ok());
        let response: Response<String> = offer.respond(&Agreement::default());
        black_box(response);
    }
}

fn run(name: &str, messages: &str) -> Result<(), Box<dyn Error>> {
    let load = LOADS.iter().find(|load| load.name == name);
    let load = load.ok_or("there is no such load")?;
    (load.run)(messages.parse()?);
    Ok(())
}

/// The instructions for each message, in the order of [`LOADS`].
fn counts() -> Result<Vec<f64>, Box<dyn Error>> {
    Command::new("valgrind")
        .arg("--version")
        .output()
        .map_err(|_| "valgrind is missing; run: sudo apt-get install valgrind")?;
    // Other programs do not change the counts, so all CPUs may be used.
    let threads = thread::available_parallelism()?.get();
    let mut counts = Vec::new();
    for loads in LOADS.chunks(threads) {
        let counted: Vec<Result<f64, String>> = thread::scope(|scope| {
            let begun: Vec<_> = loads
                .iter()
                .map(|load| scope.spawn(|| count(load)))
                .collect();
            let ended = begun.into_iter().map(|thread| thread.join());
            ended
                .map(|result| result.unwrap_or_else(|_| Err("a thread panicked".into())))
                .collect()
        });
        for count in counted {
            counts.push(count?);
        }
    }
    Ok(counts)
}

fn count(load: &Load) -> Result<f64, String> {
    let once = callgrind(load, load.messages)?;
    let twice = callgrind(load, load.messages * 2)?;
    Ok((twice - once) as f64 / load.messages as f64)
}

/// The instructions of a whole run.
fn callgrind(load: &Load, messages: usize) -> Result<u64, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--run", load.name, &messages.to_string()])
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr);
    // `==1234== Collected : 56789`
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.trim().parse().ok());
    match collected {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("valgrind on `{}`:\n{text}", load.name)),
    }
}

fn check() -> Result<(), Box<dyn Error>> {
    if !cfg!(target_arch = "x86_64") {
        println!("The bounds are for x86-64: nothing is judged here.");
        return Ok(());
    }
    let (table, above) = table(&counts()?, &bounds());
    print!("{table}");
    if above.is_empty() {
        return Ok(());
    }
    let taken = fs::read_to_string(BOUNDS).unwrap_or_default();
    let taken = taken
        .lines()
        .find_map(|line| line.strip_prefix("# Counted with "));
    Err(format!(
        "More instructions than the bound, or no bound: {}. The bounds were counted with {} \
         and this is {}. If there is a good reason, `cargo bench --bench instructions -- --write`.",
        above.join("; "),
        taken.unwrap_or("(it is not said)"),
        compiler(),
    )
    .into())
}

/// Each count beside its bound, and those that are above it.
fn table(counts: &[f64], bounds: &[(String, f64)]) -> (String, Vec<&'static str>) {
    let mut text = format!("{:26} {:>12} {:>12}\n", "instructions", "counted", "bound");
    let mut above = Vec::new();
    for (load, count) in LOADS.iter().zip(counts) {
        let bound = bounds.iter().find(|(name, _)| name == load.name);
        let (bound, verdict) = match bound {
            None => ("none".to_owned(), "!"),
            Some((_, bound)) if count > bound => (format!("{bound:.0}"), "above it"),
            Some((_, bound)) if count * MARGIN < bound * 0.95 => {
                (format!("{bound:.0}"), "could be lower")
            }
            Some((_, bound)) => (format!("{bound:.0}"), ""),
        };
        if matches!(verdict, "!" | "above it") {
            above.push(load.name);
        }
        let line = format!("{:26} {count:12.1} {bound:>12} {verdict}", load.name);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    (text, above)
}

fn bounds() -> Vec<(String, f64)> {
    let text = fs::read_to_string(Path::new(BOUNDS)).unwrap_or_default();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let (rest, bound) = line.trim_end().rsplit_once(' ')?;
            let (name, _) = rest.trim_end().rsplit_once(' ')?;
            Some((name.trim_end().to_owned(), bound.parse().ok()?))
        })
        .collect()
}

fn to_text(counts: &[f64]) -> String {
    let mut text = format!(
        "# Instructions for each message: what was counted, and the most there may be.\n\
         # Written by `cargo bench --bench instructions -- --write`.\n\
         # Counted with {}\n",
        compiler(),
    );
    for (load, count) in LOADS.iter().zip(counts) {
        let bound = (count * MARGIN).ceil();
        let _ = writeln!(text, "{:26} {count:12.1} {bound:12.0}", load.name);
    }
    text
}

fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("--version").output();
    version.map_or_else(
        |_| "an unknown compiler".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
