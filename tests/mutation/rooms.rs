//! The crate's root for mutants of the plain parts of rooms: they know no socket.

#![allow(dead_code, unused_imports)]

mod close;
mod config;
mod error;
mod extension;
mod frame;
mod message;
mod protocol;

mod hub {
    pub(crate) mod backplane;
    mod envelope;
    mod follow;
    mod history;
    mod lag;
    mod people;
    mod position;
    mod ring;
    mod seats;
    #[cfg(test)]
    mod tests {
        mod backlog;
        mod envelope;
        mod follow;
        mod history;
        mod lag;
        mod model;
        mod position;
        mod ring;
        mod seats;
        mod wanted;
    }

    pub(crate) use position::Position;
}

// The model's log.
#[cfg(test)]
mod testing {
    pub(crate) mod engine {
        mod log;
        pub(crate) use log::{Append, Log};
    }
}

use close::CloseCode;
use config::Config;
use error::Error;
use message::Message;
