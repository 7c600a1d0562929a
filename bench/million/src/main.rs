//! The cost of many idle WebSockets: see `README.md`. `run.py` starts this program
//! once for each measurement, and makes a page of its output.

mod app;
mod json;
mod peer;
mod simulate;
mod sockets;
mod usage;

use std::io;
use std::time::Duration;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["idle", sockets] => println!("{}", simulate::idle(number(sockets)?)),
        ["room", sockets] => println!("{}", simulate::room(number(sockets)?)),
        ["server", interval] => {
            let milliseconds = interval.parse().map_err(io::Error::other)?;
            sockets::server(Duration::from_millis(milliseconds))?;
        }
        ["client", address, sockets] => {
            let address = address.parse().map_err(io::Error::other)?;
            sockets::client(address, number(sockets)?)?;
        }
        _ => {
            eprintln!("million idle N | room N | server PING_INTERVAL_MS | client ADDRESS N");
            std::process::exit(2);
        }
    }
    Ok(())
}

/// More sockets than the first few, which do not count.
fn number(argument: &str) -> io::Result<usize> {
    match argument.parse() {
        Ok(number) if number >= 1000 => Ok(number),
        _ => Err(io::Error::other("give a number of sockets from 1000 on")),
    }
}
