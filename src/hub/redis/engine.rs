//! The engine: the public type, and what the hub sees of it.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::address::Address;
use super::call::Request;
use super::connect;
use super::health::Health;
use super::line;
use super::names::Names;
use super::publisher::{self, Order};
use super::shared::{Channels, Shared};
use crate::hub::backplane::{
    Backplane, EngineError, Enter, Inbound, Publish, Read, ReadPeople, Relay, Roster, Stopped,
};
use crate::hub::position::Tags;

/// Rooms over several servers, by Redis.
///
/// An engine is for one hub: give each hub its own.
pub struct Redis {
    address: Address,
    prefix: String,
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
+publish +subscribe +unsubscribe +@hash +@list +@sortedset +get +set +del +pexpire +time";

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

    /// Sets for how long a request waits for Redis. The default is ten seconds. After that a
    /// message is given up: with
    /// [`Unknown`](crate::hub::backplane::PublishError::Unknown) if it has been sent, so that it
    /// may be in the log, and else with
    /// [`Unavailable`](crate::hub::backplane::PublishError::Unavailable).
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long Redis may take to answer. The default is two seconds. After that the
    /// connection is replaced, and what was asked is asked again.
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

    /// Sets the configuration of TLS. By default, the certificates are trusted that the system
    /// trusts. It has no effect unless the URL is `rediss`.
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
        Names::new(&self.prefix, Tags::new().next())
    }

    fn ask(&self, request: Request) {
        // If the engine has ended, the request is dropped, which says so.
        let _ = self.orders.send(Order::Request(request));
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
        self.ask(Request::Publish(request));
    }

    fn relay(&self, request: Relay) {
        self.ask(Request::Relay(request));
    }

    fn read(&self, request: Read) {
        self.ask(Request::Read(request));
    }

    fn roster(&self) -> Option<&dyn Roster> {
        Some(self)
    }

    fn stop(&self, stopped: Stopped) {
        let _ = self.orders.send(Order::Stop(stopped));
    }
}

impl Roster for Redis {
    fn enter(&self, request: Enter) {
        self.ask(Request::Enter(request));
    }

    fn leave(&self, room: &Arc<str>, key: &str, seat: u64) {
        self.ask(Request::Leave {
            room: room.clone(),
            key: key.into(),
            seat,
        });
    }

    fn people(&self, request: ReadPeople) {
        self.ask(Request::People(request));
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("address", &self.address)
            .field("prefix", &self.prefix)
            .field("patience", &self.patience)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}
