//! The crate's root for mutants of the plain parts of `socket/shared`.

#![allow(dead_code, unused_imports)]

mod close;
mod config;
mod deadline;
mod error;
mod extension;
mod frame;
mod handshake;
mod message;
mod protocol;
mod shrink;
mod socket;
mod tracker;
mod transport;

use close::CloseCode;
use config::Config;
use error::Error;
use message::Message;
use socket::{Sender, WebSocket};
