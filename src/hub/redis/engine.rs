//! The engine: the public type, and what the hub sees of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::address::Address;
use super::call::{Order, Request};
use super::connect;
use super::health::Health;
use super::line;
use super::names::Names;
use super::publisher;
use super::shared::{Channels, Shared};
use super::wire::Versions;
use crate::hub::backplane::{
    Backplane, EngineError, Enter, Inbound, Publish, Read, ReadPeople, Relay, Roster, Stopped,
};
use crate::hub::position::Tags;

/// The engine that connects the hubs of several servers by Redis.
///
/// ```no_run
/// use hyper_ws::hub::{History, Hub, Redis};
///
/// # async fn start() -> Result<(), hyper_ws::hub::EngineError> {
/// let redis = Redis::new("redis://127.0.0.1:6379")?;
/// // Optional: a server that is of no use without Redis says so at once.
/// redis.check().await?;
/// let hub = Hub::new().history(History::last(100)).backplane(redis);
/// # let _ = hub;
/// # Ok(())
/// # }
/// ```
///
/// Each server makes its own engine with the same URL. An engine is for one hub. It holds two
/// connections, whatever the number of rooms: one subscribes to the rooms that have members here,
/// the other publishes and reads. Requests that wait for a connection are sent in batches, and
/// messages of one room that wait together travel together.
///
/// [Rooms over several servers](crate::guide::rooms) says what happens when something fails.
///
/// # The server
///
/// Redis from version 6.2 on, or Valkey, as a single server or a primary with replicas. The tests
/// run with Redis 7.0, and have been run with Valkey 8.1. The name in the URL must lead to the
/// primary; it is resolved anew at each attempt to connect. If the primary becomes a replica, the
/// engine disconnects from it within some five seconds. Redis Cluster and Sentinel are not
/// supported.
///
/// Set `maxmemory-policy` to `noeviction`. All other policies, also the `volatile` ones, may evict
/// a room, whose keys have an expiry. An evicted room begins anew, and its members are told. With
/// `appendonly yes` and `appendfsync always`, a restart loses nothing. With `everysec`, or with
/// replicas, it may lose the newest messages, which members are told too.
///
/// # The rights of a user
///
/// A user of Redis needs no more than these rules, for the prefix `hws1`:
///
/// ```text
/// ACL SETUSER chat on ><password> ~hws1:* &hws1:* +hello +ping +script|load +evalsha
///     +publish +subscribe +unsubscribe +@hash +@list +@sortedset +get +set +del +pexpire +pttl +time
/// ```
///
/// A database other than 0 needs `+select` in addition.
///
/// # What is kept
///
/// All names begin with the [prefix](Self::prefix), here `hws1`:
///
/// | name | what |
/// |---|---|
/// | `hws1:{room}` | the channel of a room |
/// | `hws1:{room}:l` | its log: a list, at most as large as the [`History`](super::super::History) says, where each message counts with its head of some 20 bytes; forgotten after the history's age |
/// | `hws1:{room}:t` | the end of the log: a hash, forgotten 24 hours after the room was last used |
/// | `hws1:{room}:o:..` | the positions of [messages with a key](super::super::Room::publish_once), for five minutes |
/// | `hws1:{room}:w` | who is present: a hash |
/// | `hws1:servers`, `hws1:server:..`, `hws1:loss:..`, `hws1:scan:..` | the leases of servers whose people are present |
/// | `hws1:probe:..` | the channel on which a server hears its own probes |
///
/// A closing brace in the name of a room is doubled, so that no name is that of another room too.
///
/// The end of a log names the last message of each server that has published in the room, so that
/// a message that is sent again is recognised. If some 70 servers have, all but the 32 that have
/// published there last are forgotten.
///
/// A program that can write to these names can say anything in any room.
pub struct Redis {
    address: Address,
    prefix: String,
    versions: Versions,
    patience: Duration,
    response_timeout: Duration,
    channels: Arc<Channels>,
    orders: mpsc::UnboundedSender<Order>,
    /// Taken when the engine is started.
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Order>>>,
}

/// The rights of a user, as the documentation of [`Redis`] shows them. A test runs with them.
#[cfg(test)]
pub(super) const ACL: &str = "\
chat on ><password> ~hws1:* &hws1:* +hello +ping +script|load +evalsha \
+publish +subscribe +unsubscribe +@hash +@list +@sortedset +get +set +del +pexpire +pttl +time";

impl Redis {
    /// Makes an engine for the Redis at a URL, without connecting:
    /// `redis://user:password@host:port/db`, `rediss://..` with TLS (feature `redis-tls`), or
    /// `unix:///a/path`.
    ///
    /// # Errors
    ///
    /// If the URL is malformed.
    pub fn new(url: &str) -> Result<Self, EngineError> {
        let (orders, receiver) = mpsc::unbounded_channel();
        Ok(Redis {
            address: Address::parse(url)?,
            prefix: "hws1".to_owned(),
            versions: Versions::OWN,
            patience: Duration::from_secs(10),
            response_timeout: Duration::from_secs(2),
            channels: Arc::default(),
            orders,
            receiver: Mutex::new(Some(receiver)),
        })
    }

    /// Sets what the names of all keys and channels begin with. The default is `hws1`. Hubs with
    /// equal prefixes share their rooms.
    ///
    /// # Panics
    ///
    /// If it is empty, or contains `{` or `}`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        assert!(
            !self.prefix.is_empty() && !self.prefix.contains(['{', '}']),
            "the prefix {:?} (expected some characters, and no braces)",
            self.prefix
        );
        self
    }

    /// Sets the version of what this server writes to Redis, for a deployment in which servers of
    /// two releases run side by side. The default is the newest version that this release knows.
    ///
    /// | version | since |
    /// |---|---|
    /// | 1 | 0.1 |
    ///
    /// A release reads what all earlier ones have written. An older release that meets a newer
    /// version in a room refuses it: it publishes nothing there
    /// ([`Unavailable`](crate::hub::backplane::PublishError::Unavailable)), applies the
    /// [gap policy](crate::hub::Hub::gap) to its members, counts the message as
    /// [unreadable](crate::hub::Counters::unreadable), and logs that once. To avoid this, set the
    /// older version in the newer release until the last server of the older one is gone.
    ///
    /// # Panics
    ///
    /// If this release does not know the version.
    pub fn write_version(mut self, version: u8) -> Self {
        let known = 1..=self.versions.reads;
        assert!(
            known.contains(&version),
            "write version {version} (expected {} to {})",
            known.start(),
            known.end()
        );
        self.versions.writes = version;
        self
    }

    /// Stands for the engine of another release.
    #[cfg(test)]
    pub(super) fn release(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// Sets for how long a request waits for Redis. The default is ten seconds. After that,
    /// publishing fails: with [`Unknown`](crate::hub::backplane::PublishError::Unknown) if the
    /// message has been sent, so that it may be in the log, and otherwise with
    /// [`Unavailable`](crate::hub::backplane::PublishError::Unavailable).
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long Redis may take to answer. The default is two seconds. After that, the engine
    /// replaces the connection, and repeats the requests.
    ///
    /// The whole log of a room must arrive in that time, since a member that has missed much needs all
    /// of it. Meanwhile no message is published. So for histories of tens of megabytes in one room,
    /// allow more.
    ///
    /// # Panics
    ///
    /// If it is 0.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        assert!(
            !timeout.is_zero(),
            "a response timeout of 0 (expected more)"
        );
        self.response_timeout = timeout;
        self
    }

    /// Sets the configuration of TLS. By default, the system's trusted certificates are used. The
    /// crypto provider is the one that the program has installed, or else that of the feature
    /// `rustls-ring` or `rustls-aws-lc-rs`. It has no effect unless the URL is `rediss`.
    #[cfg(feature = "redis-tls")]
    pub fn tls_config(mut self, config: Arc<tokio_rustls::rustls::ClientConfig>) -> Self {
        self.address.set_tls(config);
        self
    }

    /// Connects once, and says whether Redis can be used: whether it answers, takes writes, and
    /// permits what is needed. A server that should not start without Redis calls this first. The
    /// engine itself starts in any case, and connects when Redis is there.
    ///
    /// # Errors
    ///
    /// The reason why Redis cannot be used.
    pub async fn check(&self) -> Result<(), EngineError> {
        let names = self.names();
        let opened = connect::open(&self.address, &names, |_| {}).await;
        let mut connection = opened.map_err(|fault| fault.reason)?;
        let checked = connection.check_channels(&names, self.response_timeout);
        checked.await.map_err(|fault| fault.reason)
    }

    /// The names, for an engine with a new name.
    fn names(&self) -> Names {
        Names::new(&self.prefix, Tags::new().next(), self.versions)
    }

    fn order(&self, order: Order) {
        // If the engine has ended, the request is dropped, which says so.
        let _ = self.orders.send(order);
    }
}

impl Backplane for Redis {
    fn start(&self, inbound: Inbound) {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(orders) = receiver.take() else {
            return;
        };
        let (answers, to_give) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            address: self.address.clone(),
            names: self.names(),
            patience: self.patience,
            response_timeout: self.response_timeout,
            inbound,
            health: Health::new(),
            interest: self.channels.clone(),
            line: AtomicU64::new(0),
            replace_line: Notify::new(),
            replace_publisher: Notify::new(),
            probe: Notify::new(),
            random: Tags::new(),
            has_unreadable: AtomicBool::new(false),
            answers,
        });
        tokio::spawn(async move {
            shared.health.begin(&shared.inbound);
            let line = tokio::spawn(line::run(shared.clone(), to_give));
            let stopped = publisher::run(shared, orders).await;
            line.abort();
            let _ = line.await;
            drop(stopped);
        });
    }

    fn follow(&self, room: &Arc<str>) {
        if self.channels.lock().follow(room) {
            self.channels.changed.notify_one();
        }
    }

    fn unfollow(&self, room: &Arc<str>) {
        if self.channels.lock().unfollow(room) {
            self.channels.changed.notify_one();
        }
    }

    fn publish(&self, request: Publish) {
        self.order(Order::Publish(request));
    }

    fn relay(&self, request: Relay) {
        self.order(Order::Other(Request::Relay(request)));
    }

    fn read(&self, request: Read) {
        self.order(Order::Read(request));
    }

    fn roster(&self) -> Option<&dyn Roster> {
        Some(self)
    }

    fn stop(&self, stopped: Stopped) {
        self.order(Order::Stop(stopped));
    }
}

impl Roster for Redis {
    fn enter(&self, request: Enter) {
        self.order(Order::Other(Request::Enter(request)));
    }

    fn leave(&self, room: &Arc<str>, key: &str, seat: u64) {
        self.order(Order::Other(Request::Leave {
            room: room.clone(),
            key: key.into(),
            seat,
        }));
    }

    fn people(&self, request: ReadPeople) {
        self.order(Order::Other(Request::People(request)));
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("address", &self.address)
            .field("prefix", &self.prefix)
            .field("write_version", &self.versions.writes)
            .field("patience", &self.patience)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}
