//! From a name to a TCP connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::ConnectError;
use crate::handshake::Target;

/// The delay after which the next attempt begins beside the pending ones. RFC 8305,
/// section 5: the "RECOMMENDED value for a default delay is 250 milliseconds."
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first of the target's addresses that accepts.
pub(super) async fn dial(target: &Target, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let addresses = timeout_at(deadline, lookup_host((target.host(), target.port())))
        .await
        .map_err(|_| {
            ConnectError::timeout(format!("timed out while resolving `{}`", target.host()))
        })?
        .map_err(|error| ConnectError::resolve(target, error))?;
    let stream = timeout_at(deadline, first(in_turn(addresses)))
        .await
        .map_err(|_| ConnectError::timeout(format!("timed out while connecting to `{target}`")))?
        .map_err(|error| ConnectError::connect(target, error))?;
    // Messages are written whole, so to wait for more output (Nagle) costs a round
    // trip and gains nothing. If this fails, the next read reports why.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Orders addresses so that IPv6 and IPv4 alternate, beginning with the family of
/// the system's first choice (RFC 8305, section 4). So a family that leads nowhere
/// costs one delay.
pub(super) fn in_turn(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut addresses: Vec<_> = addresses.collect();
    let Some(preferred) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let mut seen = [0, 0];
    // Within a family the order stays, since the sort is stable.
    addresses.sort_by_cached_key(|address| {
        let other = address.is_ipv6() != preferred;
        let count = &mut seen[usize::from(other)];
        *count += 1;
        (*count, other)
    });
    addresses
}

/// Connects to the first of these addresses that accepts.
///
/// The next attempt begins when one has failed, or after [`ATTEMPT_DELAY`]. Earlier
/// attempts go on.
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
        let ended = if is_last {
            attempts.join_next().await
        } else {
            match timeout(ATTEMPT_DELAY, attempts.join_next()).await {
                Ok(ended) => ended,
                Err(_) => continue,
            }
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            // Report the first failure: that of the system's first choice.
            Some(Ok(Err(error))) => drop(failure.get_or_insert(error)),
            // The runtime is shutting down and has cancelled the attempt.
            Some(Err(error)) => return Err(error.into()),
            None => {
                let no_address =
                    || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                return Err(failure.unwrap_or_else(no_address));
            }
        }
    }
}
