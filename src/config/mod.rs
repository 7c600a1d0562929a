//! Connection settings: limits, timeouts, allowed origins and compression.

mod check;
#[cfg(feature = "deflate")]
mod compression;
mod origin;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "deflate")]
pub use compression::Compression;
#[cfg(feature = "deflate")]
pub(crate) use compression::Slot;
#[cfg(feature = "handshake")]
pub(crate) use origin::{Host, Origin};

/// The settings of a connection. The defaults are safe.
///
/// Each setting has a setter of its name, and a getter that begins with `get_`
/// (as [`std::process::Command`] names them: the plain name belongs to the setter,
/// which is called far more often).
///
/// A setter panics, with the reason, if its value can never match or work: a misspelt origin, for
/// example, or a timeout of zero.
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
/// Put a `Config` into an [`Arc`] to share it between connections: every function
/// that takes a configuration takes `impl Into<Arc<Config>>`.
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

/// The policy for a message that is sent when the output queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The sender waits until the peer has read enough. A sender that cannot wait
    /// ([`push`](crate::Sender::push), rooms) closes the connection, as with `Close`.
    Wait,
    /// The new message is dropped.
    DropNewest,
    /// The oldest messages in the queue are dropped until there is room for the new one.
    ///
    /// Only messages that were sent by this policy are dropped. All other messages stay, such as
    /// those of a room that keeps them for slow members, and those of `try_send`. If such messages
    /// alone fill the queue, the new message is dropped. Messages that are being written are never
    /// dropped, and count against the limit. If they alone reach it, all messages that may be
    /// dropped, and wait behind them, are dropped.
    DropOldest,
    /// The connection is closed with 1013: the peer reads too slowly. In a room, a member is closed
    /// when it is too far behind (`Hub::lag_limit`).
    Close,
}

/// When to ping a silent peer, and how long to wait for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

/// The origins whose pages may open a socket.
#[derive(Clone)]
pub(crate) enum Origins {
    /// The origin that the request itself was sent to.
    Same,
    /// These, byte by byte.
    List(Vec<String>),
    /// Those for which this returns `true`.
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
                // Together less than the 60 s after which proxies cut idle connections.
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

const NO_LIMIT: &str = "`None` sets no limit";

impl Config {
    /// Makes a configuration with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the largest message to accept, in bytes; 1 MiB unless set.
    ///
    /// A larger one closes the connection with 1009. It is refused as soon as its
    /// length is known, before its bytes are kept. `usize::MAX` sets no limit.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        check::size("max_message_size", bytes);
        self.max_message_size = bytes;
        self
    }

    /// Sets the largest frame to accept, in bytes; the size of the largest message
    /// unless set.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        check::size("max_frame_size", bytes);
        self.max_frame_size = Some(bytes);
        self
    }

    /// Sets at how many bytes the output queue is full; 64 KiB unless set.
    ///
    /// An empty queue accepts one message of any size, so a limit of 1 lets one message wait at a
    /// time. `usize::MAX` sets no limit.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        check::size("output_limit", bytes);
        self.output_limit = bytes;
        self
    }

    /// Sets what `send` and `push` of a [`WebSocket`](crate::WebSocket) and of a
    /// [`Sender`](crate::Sender) do when the output queue is full; [`Overflow::Wait`] unless set.
    ///
    /// With [`Overflow::Wait`], [`push`](crate::Sender::push) cannot wait, so it closes the
    /// connection. Other calls ignore the policy: when the queue is full, `try_send` returns an
    /// error, and `reserve`, `Sink` and `send_stream` wait. Rooms have a policy of their own
    /// (`Hub::overflow`), and keep the messages for which a member's queue has no room
    /// (`Hub::lag_limit`).
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets when to ping a silent peer, and how long to wait for its answer; 25 s and
    /// 20 s unless set.
    ///
    /// A peer is pinged when nothing was received from it for `interval`. The connection ends if
    /// nothing is received for another `timeout`.
    ///
    /// The interval is up to a tenth longer or shorter, at random for each ping, so that
    /// connections do not ping together. After a busy time (messages in more than 32 reads within
    /// an eighth of the interval) the ping may come up to an eighth of the interval sooner.
    ///
    /// With [`Duration::MAX`] as `interval` no ping is sent. With `Duration::MAX` as `timeout`, a
    /// missing answer never ends the connection.
    ///
    /// # Panics
    ///
    /// If one of them is zero, or less than a millisecond:
    /// [`no_keep_alive`](Self::no_keep_alive) turns pings off.
    #[track_caller]
    pub fn keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        assert!(
            interval.min(timeout) >= Duration::from_millis(1),
            "a keep-alive of {interval:?} and {timeout:?} is shorter than a millisecond: \
             `no_keep_alive` turns pings off, `Duration::MAX` never comes"
        );
        self.keep_alive = Some(KeepAlive { interval, timeout });
        self
    }

    /// Turns pings off. A peer that vanishes silently is then noticed only when
    /// something is sent to it.
    pub fn no_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }

    /// Sets how long the closing handshake may take; 10 s unless set.
    ///
    /// The time begins when the close frame has been written. Messages queued before the close
    /// frame are written first, and [`write_timeout`](Self::write_timeout) limits that.
    ///
    /// For a client this includes the time until the server ends the TCP
    /// connection (RFC 6455, section 7.1.1).
    ///
    /// After a failed write nothing can be sent, but messages that have arrived can still be
    /// received. The connection then ends when the peer has sent nothing for this long. It also
    /// ends when messages wait and the handler has received none for 64 times as long.
    ///
    /// # Panics
    ///
    /// If it is zero: the peer would not have the time to answer.
    /// [`abort`](crate::Sender::abort) ends a connection without closing it.
    #[track_caller]
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        check::timeout(
            "close_timeout",
            timeout,
            "the peer would have no time to answer (`abort` ends a connection without closing it)",
        );
        self.close_timeout = timeout;
        self
    }

    /// Sets how long a message may take from its first byte to its last; 60 s
    /// unless set. `None` sets no limit.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn message_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.message_timeout = timeout.into();
        if let Some(timeout) = self.message_timeout {
            check::timeout("message_timeout", timeout, NO_LIMIT);
        }
        self
    }

    /// Sets how long queued output may make no progress at all; 30 s unless set. `None` sets no
    /// limit. In that case [`close_timeout`](Self::close_timeout) is the limit once this side or
    /// the peer has closed.
    ///
    /// Progress means that the transport takes more bytes, which it does in steps. Over HTTP/2 a
    /// step is 32 KiB that the peer has read; over TCP it is a third of the kernel's send buffer,
    /// which can be a megabyte. A peer that reads steadily, but less than one step in this time, is
    /// disconnected. At 30 s that means less than 1.1 KB/s over HTTP/2. Give slow peers more time,
    /// or limit the send buffer (`SO_SNDBUF`).
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn write_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.write_timeout = timeout.into();
        if let Some(timeout) = self.write_timeout {
            check::timeout("write_timeout", timeout, NO_LIMIT);
        }
        self
    }

    /// Accepts pages of these origins only.
    ///
    /// An origin is a scheme, a host and, unless it is the default of the scheme, a
    /// port: `https://example.com`, `http://localhost:8080`. A name beyond ASCII is
    /// written in its `xn--` form. `null` is the origin of sandboxed pages and files.
    /// Requests without an `Origin` header do not come from a page and are accepted.
    /// So an empty list accepts no page at all.
    ///
    /// Unless set, pages of the origin that the request was sent to are accepted:
    /// the same host and port, over HTTP/2 the same scheme too. An HTTP/1.1 request
    /// does not say its scheme, so a page of `http://` is accepted where one of
    /// `https://` is. Name the origin where that matters.
    ///
    /// # Panics
    ///
    /// If no page can have such an origin: it has no scheme or has a path, a blank or a
    /// wildcard. The text says what to write instead. For patterns, and for origins that only
    /// clients other than browsers send, use [`allow_origins_if`](Self::allow_origins_if).
    #[track_caller]
    pub fn allow_origins<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        let origins = origins.into_iter().map(Into::into).collect::<Vec<String>>();
        for origin in &origins {
            check::origin(origin);
        }
        self.origins = Origins::List(origins);
        self
    }

    /// Accepts pages of the origins for which `allowed` returns `true`.
    pub fn allow_origins_if(
        mut self,
        allowed: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.origins = Origins::If(Arc::new(allowed));
        self
    }

    /// Accepts pages of every origin.
    ///
    /// Dangerous: any page on the web can then open a socket with the cookies of
    /// the user who visits it (cross-site WebSocket hijacking; RFC 6455,
    /// section 10.2). Use it only where connections need no authentication, or are
    /// authenticated by something other than cookies.
    pub fn danger_allow_any_origin(mut self) -> Self {
        self.origins = Origins::Any;
        self
    }

    /// Accepts requests to these hosts only.
    ///
    /// A host is written as in the `Host` header: `example.com`, `[::1]:3000`. Its port is compared
    /// only if you give one; a request that names no port matches both 80 and 443. This stops DNS
    /// rebinding, which the same-origin rule cannot see.
    ///
    /// # Panics
    ///
    /// If no request can be sent to such a host (it has a scheme, a path, a blank or a
    /// wildcard), or if the list is empty. The text says what to write instead.
    #[track_caller]
    pub fn hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        let hosts = hosts.into_iter().map(Into::into).collect::<Vec<String>>();
        check::any_hosts(&hosts);
        for host in &hosts {
            check::host(host);
        }
        self.hosts = Some(hosts);
        self
    }

    /// Compresses messages where the peer agrees to it (RFC 7692); off unless set.
    ///
    /// [`max_message_size`](Self::max_message_size) limits the decompressed size,
    /// and decompressing stops there.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }
}

/// Getters: the value that was set, or the default.
impl Config {
    /// Returns the largest message that is accepted, in bytes.
    pub fn get_max_message_size(&self) -> usize {
        self.max_message_size
    }

    /// Returns the largest frame that is accepted, in bytes.
    pub fn get_max_frame_size(&self) -> usize {
        self.max_frame_size.unwrap_or(self.max_message_size)
    }

    /// Returns at how many bytes the output queue is full.
    pub fn get_output_limit(&self) -> usize {
        self.output_limit
    }

    /// Returns what `send` does when the output queue is full.
    pub fn get_overflow(&self) -> Overflow {
        self.overflow
    }

    /// Returns the interval and the timeout of pings, `None` if they are turned off.
    pub fn get_keep_alive(&self) -> Option<(Duration, Duration)> {
        self.keep_alive
            .map(|keep_alive| (keep_alive.interval, keep_alive.timeout))
    }

    /// Returns how long the closing handshake may take.
    pub fn get_close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// Returns how long a message may take to arrive.
    pub fn get_message_timeout(&self) -> Option<Duration> {
        self.message_timeout
    }

    /// Returns how long writing may stall.
    pub fn get_write_timeout(&self) -> Option<Duration> {
        self.write_timeout
    }

    /// Returns the origins of [`allow_origins`](Self::allow_origins), `None` if
    /// another rule decides.
    pub fn get_allowed_origins(&self) -> Option<&[String]> {
        match &self.origins {
            Origins::List(origins) => Some(origins),
            Origins::Same | Origins::If(_) | Origins::Any => None,
        }
    }

    /// Returns the hosts that requests may be sent to, `None` if any.
    pub fn get_hosts(&self) -> Option<&[String]> {
        self.hosts.as_deref()
    }

    /// Returns how messages are compressed, `None` if they are not.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn get_compression(&self) -> Option<&Compression> {
        self.compression.as_ref()
    }
}
