//! The parts of the work, each by itself, in time: `cargo bench --bench parts`.
//!
//! `bench/compare` measures the whole cost of a server. `benches/instructions.rs`
//! shows whether a change made anything slower: times differ from run to run.

mod support;

/// The crate's own file, which no other user needs and which is therefore private.
#[path = "../src/frame/mod.rs"]
#[allow(dead_code, unused_imports, reason = "not all of it is measured")]
mod frame;

/// Where `frame` looks for it.
mod error {
    pub(crate) use hyper_ws::error::Violation;
}

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use frame::utf8::Validator;
use frame::{Header, Opcode, Rsv, mask, utf8};
use http::Response;
use hyper_ws::handshake::{Agreement, Head, accept_key};
use hyper_ws::protocol::{Outbox, Prepared, Reader, Role, Writer};
use hyper_ws::{Config, Message};
use support::wire::Members;
use support::{fragmented, handshake, masked};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const KIB: usize = 1024;

criterion_main!(parts);

criterion_group! {
    name = parts;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50);
    targets = masking, text, headers, reading, writing, prepared, rooms, handshakes
}

fn masking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for size in [16, 125, KIB, 16 * KIB, 64 * KIB] {
        group.throughput(Throughput::Bytes(size as u64));
        // As allocated, and behind a header of an odd length.
        for offset in [0, 1, 6] {
            let mut buffer = vec![0x5a; offset + size];
            let id = BenchmarkId::new(format!("{size} B"), format!("at {offset}"));
            group.bench_function(id, |bencher| {
                bencher.iter(|| mask::apply(black_box(KEY), black_box(&mut buffer[offset..])));
            });
        }
    }
}

fn text(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf8");
    let kinds = [
        ("ASCII", "plain text, nothing else "),
        ("mixed", "Grüße, 你好, привет, 🎉 and so on "),
        ("Chinese", "网络套接字"),
    ];
    for (kind, phrase) in kinds {
        for size in [20, KIB, 64 * KIB] {
            let text = whole_characters(phrase, size);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(format!("{kind}/{size} B"), |bencher| {
                bencher.iter(|| assert!(utf8::is_valid(black_box(text.as_bytes()))));
            });
        }
        // Cut within characters, as by fragments and reads.
        let text = whole_characters(phrase, 64 * KIB);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(format!("{kind}/64 KiB by 1000 B"), |bencher| {
            bencher.iter(|| {
                let mut validator = Validator::default();
                for piece in black_box(text.as_bytes()).chunks(1000) {
                    assert!(validator.push(piece).is_ok());
                }
                assert!(validator.finish().is_ok());
            });
        });
    }
}

/// Repeats `phrase` up to `size` bytes, and ends with a whole character.
fn whole_characters(phrase: &str, size: usize) -> String {
    let mut text = phrase.repeat(size / phrase.len() + 1);
    let end = (0..=size).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    text
}

fn headers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header");
    for length in [20, KIB, 64 * KIB] {
        let header = Header {
            fin: true,
            rsv: Rsv::NONE,
            opcode: Opcode::Binary,
            masking_key: Some(KEY),
            length: length as u64,
        };
        let mut bytes = Vec::with_capacity(frame::MAX_HEADER);
        group.bench_function(format!("encode/{length} B"), |bencher| {
            bencher.iter(|| {
                bytes.clear();
                black_box(&header).encode(black_box(&mut bytes));
            });
        });
        group.bench_function(format!("decode/{length} B"), |bencher| {
            bencher.iter(|| black_box(Header::decode(black_box(&bytes))));
        });
    }
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    let binary = |size| Message::from(vec![b'b'; size]);
    let letters = |size| Message::from("ä".repeat(size / 2));
    // With a key of zeros, unmasking in place leaves the payload as it is.
    let key = [0; 4];
    read(
        &mut group,
        "20 B x16",
        masked(&binary(20), key).repeat(16),
        16,
    );
    read(&mut group, "1 KiB", masked(&binary(KIB), key), 1);
    read(&mut group, "1 KiB, text", masked(&letters(KIB), key), 1);
    read(&mut group, "64 KiB", masked(&binary(64 * KIB), key), 1);
    read(
        &mut group,
        "64 KiB, text",
        masked(&letters(64 * KIB), key),
        1,
    );
    let parts = fragmented(&binary(64 * KIB), key, KIB);
    read(&mut group, "64 KiB by 1 KiB", parts, 1);
    let parts = fragmented(&letters(64 * KIB), key, KIB - 1);
    read(&mut group, "64 KiB by 1023 B, text", parts, 1);
}

fn read(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut input: Vec<u8>, messages: usize) {
    let mut reader = Reader::new(Role::Server, &Config::new());
    group.throughput(Throughput::Bytes(input.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            let mut count = 0;
            let taken = reader.drain(black_box(&mut input), &mut |event| {
                count += 1;
                drop(black_box(event));
                ControlFlow::Continue(())
            });
            assert_eq!((taken, count), (Ok(input.len()), messages));
        });
    });
}

fn writing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    let client = Role::Client {
        masking_key: || KEY,
    };
    for (name, role) in [("server", Role::Server), ("client", client)] {
        for (size, at_once) in [(20, 16), (KIB, 1), (64 * KIB, 1)] {
            let (mut writer, mut outbox) = (Writer::new(role), Outbox::default());
            let message = Message::from(vec![7; size]);
            group.throughput(Throughput::Bytes((size * at_once) as u64));
            group.bench_function(format!("{name}/{size} B x{at_once}"), |bencher| {
                bencher.iter(|| {
                    for _ in 0..at_once {
                        let written = writer.message(black_box(&message), &mut outbox);
                        assert!(written.is_ok());
                    }
                    sent(&mut outbox);
                });
            });
        }
    }
}

fn prepared(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("prepared");
    for size in [100, 64 * KIB] {
        let message = Message::from(vec![7; size]);
        group.bench_function(format!("prepare/{size} B"), |bencher| {
            let own = || message.clone();
            bencher.iter_batched(own, Prepared::new, BatchSize::SmallInput);
        });
        let prepared = Prepared::new(message.clone());
        let (mut writer, mut outbox) = (Writer::new(Role::Server), Outbox::default());
        group.bench_function(format!("write/{size} B"), |bencher| {
            bencher.iter(|| {
                let written = writer.prepared(black_box(&prepared), &mut outbox);
                assert!(written.is_ok());
                sent(&mut outbox);
            });
        });
    }
}

/// A message to a room, and the turns in which its members write it. The number of
/// elements a second stays the same for any size, if the cost of each does not grow.
fn rooms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    for size in [10, 1_000, 15_000] {
        let mut members = Members::new(size);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("100 B to {size}"), |bencher| {
            bencher.iter(|| members.publish(Message::from(vec![7; 100])));
        });
    }
}

fn sent(outbox: &mut Outbox) {
    while !outbox.is_empty() {
        let length = black_box(outbox.chunk()).len();
        outbox.advance(length);
    }
}

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake");
    let request = handshake();
    group.bench_function("validate", |bencher| {
        bencher.iter(|| Head::from(black_box(&request)).validate().is_ok());
    });
    let offer = Head::from(&request).validate().expect("a good handshake");
    group.bench_function("respond", |bencher| {
        bencher.iter(|| -> Response<String> { offer.respond(&Agreement::default()) });
    });
    group.bench_function("accept key", |bencher| {
        bencher.iter(|| accept_key(black_box("dGhlIHNhbXBsZSBub25jZQ==")));
    });
}
