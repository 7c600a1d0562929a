//! The growth of the server's memory for each idle connection.

use std::io;
use std::thread::sleep;
use std::time::Duration;

use crate::Options;
use crate::frames::{self, Batch};
use crate::system::resident;

pub fn run(options: &Options) -> io::Result<()> {
    let batch = Batch::new(options);
    let settle = || {
        sleep(Duration::from_millis(500));
        resident(options.pid)
    };
    let base = settle()?;
    let mut streams = frames::connect_all(options)?;
    let connected = settle()?;
    frames::check_replies(&mut streams, &batch)?;
    let echoed = settle()?;
    let per_connection = |now: u64| (now as f64 - base as f64) / options.connections as f64;
    println!(
        "{{\"connections\": {}, \"base_bytes\": {base}, \
         \"connected_bytes\": {:.1}, \"echoed_bytes\": {:.1}}}",
        options.connections,
        per_connection(connected),
        per_connection(echoed),
    );
    Ok(())
}
