//! What the server's memory grows by for each connection that does nothing.

use std::io::{self, Read, Write};
use std::thread::sleep;
use std::time::Duration;

use crate::Options;
use crate::frames::{self, Batch};
use crate::system::resident;

/// How many connections shake hands, or echo, at the same time.
const AT_ONCE: usize = 100;

pub fn run(options: &Options) -> io::Result<()> {
    let batch = Batch::new(options);
    let settle = || {
        sleep(Duration::from_millis(500));
        resident(options.pid)
    };
    let base = settle()?;
    let mut streams = Vec::with_capacity(options.connections);
    while streams.len() < options.connections {
        let begun = streams.len();
        for _ in 0..AT_ONCE.min(options.connections - begun) {
            streams.push(frames::ask(options)?);
        }
        for stream in &mut streams[begun..] {
            frames::check_answer(options, stream)?;
        }
    }
    let connected = settle()?;
    let mut reply = vec![0; batch.reply.len()];
    for streams in streams.chunks_mut(AT_ONCE) {
        for stream in &mut *streams {
            stream.write_all(&batch.request)?;
        }
        for stream in streams {
            stream.read_exact(&mut reply)?;
            if reply != batch.reply {
                return Err(io::Error::other("the reply is not what was sent"));
            }
        }
    }
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
