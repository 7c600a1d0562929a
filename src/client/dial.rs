//! From a name to a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::ConnectError;
use crate::handshake::Target;

/// RFC 8305, section 5: how long an attempt has to itself. "RECOMMENDED value
/// for a default delay is 250 milliseconds."
const ATTEMPT: Duration = Duration::from_millis(250);

/// Connects to the first of the target's addresses that answers.
pub(super) async fn dial(target: &Target, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let addresses = timeout_at(deadline, lookup_host((target.host(), target.port())))
        .await
        .map_err(|_| ConnectError::timeout(format!("`{}` was not resolved", target.host())))?
        .map_err(|error| ConnectError::resolve(target, error))?;
    let stream = timeout_at(deadline, first(in_turn(addresses)))
        .await
        .map_err(|_| ConnectError::timeout(format!("{target} did not accept the connection")))?
        .map_err(|error| ConnectError::connect(target, error))?;
    // Messages are written whole, so waiting for more to send (Nagle) costs a
    // round trip and wins nothing. Where it cannot be set, reading tells why.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// RFC 8305, section 4: the families by turns, beginning with that of the
/// system's first choice, so that one of them that leads nowhere costs one wait.
pub(super) fn in_turn(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses.collect();
    let Some(favourite) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let mut seen = [0, 0];
    // The sort is stable.
    addresses.sort_by_cached_key(|address| {
        let other = address.is_ipv6() != favourite;
        let count = &mut seen[usize::from(other)];
        *count += 1;
        (*count, other)
    });
    addresses
}

/// The first connection that comes about. The next attempt begins when one has
/// failed, or has had its time; those before go on.
pub(super) async fn first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut failure = None;
    loop {
        let more = addresses.next();
        let is_last = more.is_none();
        if let Some(address) = more {
            attempts.spawn(TcpStream::connect(address));
        }
        let ended = match is_last {
            true => attempts.join_next().await,
            false => match timeout(ATTEMPT, attempts.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            },
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            // The first is that of the favourite.
            Some(Ok(Err(error))) => drop(failure.get_or_insert(error)),
            // Cancelled by a runtime that shuts down.
            Some(Err(error)) => return Err(error.into()),
            None => {
                let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                return Err(failure.unwrap_or_else(nothing));
            }
        }
    }
}
