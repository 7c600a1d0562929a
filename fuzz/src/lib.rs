//! What the targets share.

use std::alloc::System;

use arbitrary::{Result, Unstructured};
use http::Request;
use hyper_ws::Config;
use hyper_ws::config::Compression;
use hyper_ws::handshake::{ClientHandshake, Head};
use hyper_ws::protocol::{Connection, Role};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts the bytes that are allocated from its beginning on, those that are freed again too.
pub struct Allocations(Region<'static, System>);

impl Allocations {
    pub fn begin() -> Self {
        Allocations(Region::new(ALLOCATOR))
    }

    pub fn bytes(&self) -> usize {
        self.0.change().bytes_allocated
    }
}

/// Returns any settings of compression, with a threshold that is mostly low.
pub fn compression(u: &mut Unstructured<'_>) -> Result<Compression> {
    let compression = match u.arbitrary()? {
        true => Compression::shared(),
        false => Compression::dedicated(),
    };
    Ok(compression
        .level(u.int_in_range(1..=9)?)
        .window_bits(u.int_in_range(9..=15)?)
        .memory_level(u.int_in_range(1..=9)?)
        .threshold(*u.choose(&[0, 1, 60, 512])?))
}

/// Makes the two sides of a connection, by a handshake between them.
pub fn pair(server: &Config, client: &Config) -> (Connection, Connection) {
    let request = Request::get("ws://a/").body(()).expect("a request");
    let (request, handshake) =
        ClientHandshake::new(request, client.clone(), *b"the sample nonce").expect("valid");
    let offer = Head::from(&request).validate().expect("valid");
    let agreement = offer.agree(server, None);
    let response = offer.respond::<()>(&agreement);
    let concluded = handshake.verify(&response).expect("valid");
    let masking_key = || [0x9a, 0x01, 0xff, 0x3c];
    (
        Connection::new(Role::Server, server).with_extension(agreement.extension()),
        Connection::new(Role::Client { masking_key }, client).with_extension(concluded.extension()),
    )
}
