//! Limits, timers and who may connect: everything one may want to turn.

#[cfg(feature = "deflate")]
mod compression;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "deflate")]
pub use compression::Compression;
#[cfg(feature = "deflate")]
pub(crate) use compression::Slot;

/// How a connection behaves. The defaults are safe; each has a setter.
///
/// ```
/// use std::time::Duration;
/// use hyper_ws::Config;
///
/// let config = Config::new()
///     .max_message_size(64 * 1024)
///     .keep_alive(Duration::from_secs(15), Duration::from_secs(10))
///     .allow_origins(["https://example.com"]);
/// ```
///
/// A `Config` is cheap to clone once it is in an [`Arc`]; the ways in take
/// `impl Into<Arc<Config>>`, so that one serves all connections.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) max_message_size: usize,
    pub(crate) max_frame_size: Option<usize>,
    pub(crate) output_limit: usize,
    pub(crate) overflow: Overflow,
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) close_timeout: Duration,
    pub(crate) message_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) origins: Origins,
    pub(crate) hosts: Option<Vec<String>>,
    #[cfg(feature = "deflate")]
    pub(crate) compression: Option<Compression>,
}

/// What happens to a message for which the output queue has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The sender waits until the peer has read.
    Wait,
    /// The new message is dropped.
    DropNewest,
    /// The oldest queued messages are dropped, whole, until the new one fits.
    DropOldest,
    /// The peer is too slow: it is closed with 1013.
    Close,
}

/// When to ask whether the peer is still there, and how long to wait for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// Which `Origin` headers may open a socket.
#[derive(Clone)]
pub(crate) enum Origins {
    /// The origin that the request itself was sent to.
    Same,
    /// These, byte by byte.
    List(Vec<String>),
    /// Those for which it answers `true`.
    If(Arc<dyn Fn(&str) -> bool + Send + Sync>),
    /// All.
    Any,
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origins::Same => f.write_str("Same"),
            Origins::List(list) => f.debug_tuple("List").field(list).finish(),
            Origins::If(_) => f.write_str("If(..)"),
            Origins::Any => f.write_str("Any"),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            max_message_size: 1024 * 1024,
            max_frame_size: None,
            output_limit: 64 * 1024,
            overflow: Overflow::Wait,
            keep_alive: Some(KeepAlive {
                // Under the 60 s after which proxies cut idle connections.
                interval: Duration::from_secs(25),
                timeout: Duration::from_secs(20),
            }),
            close_timeout: Duration::from_secs(10),
            message_timeout: Some(Duration::from_secs(60)),
            write_timeout: Some(Duration::from_secs(30)),
            origins: Origins::Same,
            hosts: None,
            #[cfg(feature = "deflate")]
            compression: None,
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest message to accept, in bytes; 1 MiB unless set.
    ///
    /// A larger one closes the connection with 1009, before its bytes are kept.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// The largest frame to accept, in bytes; as large as a message unless set.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.max_frame_size = Some(bytes);
        self
    }

    /// How many bytes may wait to be written, beside one message that is
    /// always accepted by an empty queue; 64 KiB unless set.
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// What [`WebSocket::send`](crate::WebSocket::send) and
    /// [`Sender::send`](crate::Sender::send) do when the output queue is full;
    /// they wait unless this says otherwise. (`try_send` says that it is full,
    /// `reserve` and `Sink` wait, whatever this says.)
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Ping a peer of whom nothing was received for `interval`, and give it up
    /// `timeout` later; 25 s and 20 s unless set.
    pub fn keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.keep_alive = Some(KeepAlive { interval, timeout });
        self
    }

    /// Never ping. A peer that vanishes without a word is then never noticed
    /// unless something is sent to it.
    pub fn no_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }

    /// How long the closing handshake may take; 10 s unless set. For a client that
    /// is until the server has ended the connection (RFC 6455, section 7.1.1).
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// How long a message may take from its first byte to its last (`None`:
    /// for ever); 60 s unless set.
    pub fn message_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.message_timeout = timeout.into();
        self
    }

    /// How long queued output may make no progress at all (`None`: for ever);
    /// 30 s unless set.
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.write_timeout = timeout.into();
        self
    }

    /// Accept pages of these origins, and no others.
    ///
    /// An origin is a scheme, a host and, unless it is the scheme's own, a
    /// port: `https://example.com`, `http://localhost:8080`. Requests without
    /// an `Origin` header do not come from a page and are accepted.
    ///
    /// Unless set, the origin that the request was sent to is accepted: its host
    /// and port, over HTTP/2 its scheme. HTTP/1.1 does not tell that, so a page of
    /// `http://` passes for one of `https://` there; name the origin where that
    /// makes a difference.
    pub fn allow_origins<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        self.origins = Origins::List(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Accept pages of the origins for which `allowed` answers `true`.
    pub fn allow_origins_if(
        mut self,
        allowed: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.origins = Origins::If(Arc::new(allowed));
        self
    }

    /// Accept pages of every origin.
    ///
    /// Dangerous: any page on the web can then open a socket with the cookies
    /// of whoever looks at it (cross-site WebSocket hijacking; RFC 6455,
    /// section 10.2). Right only where a connection proves its rights by
    /// something else than cookies, or has none.
    pub fn danger_allow_any_origin(mut self) -> Self {
        self.origins = Origins::Any;
        self
    }

    /// Accept requests to these hosts only (as in the `Host` header; a port is
    /// compared only where one is named here). This stops DNS rebinding, which
    /// the same-origin rule cannot see.
    pub fn hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Compress messages where the client offers it (RFC 7692); off unless set.
    ///
    /// [`max_message_size`](Self::max_message_size) holds for what a message is
    /// decompressed to, and decompressing stops there.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// The largest payload of one frame.
    pub(crate) fn frame_limit(&self) -> usize {
        self.max_frame_size.unwrap_or(self.max_message_size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_finite() {
        let config = Config::new();
        assert_eq!(config.max_message_size, 1 << 20);
        assert_eq!(config.frame_limit(), 1 << 20);
        assert_eq!(config.output_limit, 64 << 10);
        assert!(
            config
                .keep_alive
                .is_some_and(|it| it.interval + it.timeout < Duration::from_secs(60))
        );
        assert!(config.message_timeout.is_some());
        assert!(config.write_timeout.is_some());
        assert!(config.close_timeout < Duration::from_secs(60));
        assert!(matches!(config.origins, Origins::Same));
    }
}
