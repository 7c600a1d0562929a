//! Connections from several addresses, since one address has some 28,000 ports.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

/// The connections of one address before the next one is used.
const PER_ADDRESS: u32 = 10_000;

/// The addresses 127.0.0.2 to 127.0.0.9, again and again.
const ADDRESSES: u32 = 8;

static MADE: AtomicU32 = AtomicU32::new(0);

/// A blocking stream. It ends with a reset, which leaves no port in TIME_WAIT: the
/// next sample needs as many ports.
pub fn stream(server: SocketAddr) -> io::Result<TcpStream> {
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let last = 2 + made / PER_ADDRESS % ADDRESSES;
    let own = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, last as u8), 0);
    let kind = SocketType::STREAM;
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &own)?;
    connect(&socket, &server)?;
    set_socket_linger(&socket, Some(Duration::ZERO))?;
    Ok(TcpStream::from(socket))
}
