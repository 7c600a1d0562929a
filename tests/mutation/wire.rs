//! The crate's root for mutants of `frame`, `close`, `extension`, `protocol` and `handshake`.

#![allow(dead_code, unused_imports)]

mod close;
mod config;
mod error;
mod extension;
mod frame;
mod handshake;
mod message;
mod protocol;

use close::CloseCode;
use config::Config;
use error::Error;
use message::Message;
