//! Connections to Redis: the address, the handshake, the scripts; and the pauses between attempts.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, PushInfo, Value};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::address::{Address, Place};
use super::call::Probe;
use super::fault::{Fault, FaultKind};
use super::names::Names;
use super::scripts::{self, Scripts};

/// How long one attempt to connect may take, all of its steps together.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest pause between two attempts is a random part of this.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// A connection that has lasted for so long was not a failure: the next pause is short.
const LASTING: Duration = Duration::from_secs(5);

/// A connection. It works while its [driver](Self::driver) is polled.
pub(super) struct Connection {
    pub(super) handle: MultiplexedConnection,
    /// Reads and writes, and gives what is pushed to the receiver. It ends with the connection.
    pub(super) driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) scripts: Scripts,
}

/// Opens a connection to a server that takes writes, and loads the scripts.
///
/// The name is resolved each time: after a failover it may lead to another server. What the server
/// pushes is given to `receive` while the driver is polled.
pub(super) async fn open(
    address: &Address,
    names: &Names,
    receive: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<Connection, Fault> {
    match timeout(CONNECT, open_now(address, names, receive)).await {
        Ok(opened) => opened,
        Err(_) => Err(Fault::lost(format!(
            "timed out while connecting to {address}"
        ))),
    }
}

async fn open_now(
    address: &Address,
    names: &Names,
    receive: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<Connection, Fault> {
    // Timeouts are ours: one that the connection itself had would not say that it is to be replaced.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        .set_push_sender(move |info| {
            receive(info);
            Ok::<(), ()>(())
        });
    let settings = address.settings();
    let (handle, driver): (_, Pin<Box<dyn Future<Output = ()> + Send>>) = match address.place() {
        Place::Tcp { host, port } => {
            let stream = tcp(address, host, *port).await?;
            let (handle, driver) =
                MultiplexedConnection::new_with_config(settings, stream, config).await?;
            (handle, Box::pin(driver))
        }
        #[cfg(feature = "redis-tls")]
        Place::Tls {
            host,
            port,
            config: tls,
        } => {
            let stream = tcp(address, host, *port).await?;
            let stream = super::tls::encrypt(stream, host, tls.clone())
                .await
                .map_err(|error| {
                    Fault::lost(format!("the TLS handshake with {address} failed: {error}"))
                })?;
            let (handle, driver) =
                MultiplexedConnection::new_with_config(settings, stream, config).await?;
            (handle, Box::pin(driver))
        }
        #[cfg(unix)]
        Place::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await;
            let stream = stream.map_err(|error| refused(address, &error))?;
            let (handle, driver) =
                MultiplexedConnection::new_with_config(settings, stream, config).await?;
            (handle, Box::pin(driver))
        }
    };
    let mut pending = Pending { handle, driver };
    let answers = pending.run(&scripts::load()).await?;
    let scripts = Scripts::loaded(names.clone(), &answers)?;
    let mut check = Pipeline::new();
    check.add_command(scripts.probe(None));
    match pending.run(&check).await?.first() {
        Some(Value::ServerError(error)) => Err(error.into()),
        Some(Value::Int(1)) => Ok(Connection {
            handle: pending.handle,
            driver: pending.driver,
            scripts,
        }),
        _ => Err(Fault::answer("probe")),
    }
}

async fn tcp(address: &Address, host: &str, port: u16) -> Result<TcpStream, Fault> {
    let found = lookup_host((host, port)).await.map_err(|error| {
        Fault::lost(format!("the name of {address} cannot be resolved: {error}"))
    })?;
    let mut failure = Fault::lost(format!("the name of {address} has no address"));
    for candidate in found {
        match TcpStream::connect(candidate).await {
            Ok(stream) => {
                // Each batch is one write, which Nagle's algorithm would hold back.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => failure = refused(address, &error),
        }
    }
    Err(failure)
}

fn refused(address: &Address, error: &std::io::Error) -> Fault {
    Fault::lost(format!("cannot connect to {address}: {error}"))
}

/// A connection of which no script is known yet.
struct Pending {
    handle: MultiplexedConnection,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Pending {
    async fn run(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, Fault> {
        run(&mut self.handle, &mut self.driver, pipeline).await
    }
}

impl Connection {
    /// Runs commands, and returns an answer for each: a value or a `ServerError`.
    pub(super) async fn run(
        &mut self,
        pipeline: &Pipeline,
        limit: Duration,
    ) -> Result<Vec<Value>, Fault> {
        match timeout(limit, run(&mut self.handle, &mut self.driver, pipeline)).await {
            Ok(answers) => answers,
            Err(_) => Err(late(limit)),
        }
    }

    /// Shows that channels may be used.
    pub(super) async fn check_channels(
        &mut self,
        names: &Names,
        limit: Duration,
    ) -> Result<(), Fault> {
        let mut heard = Pipeline::new();
        let probe = Probe {
            number: 0,
            line: None,
        };
        heard.add_command(self.scripts.probe(Some(probe)));
        if let Some(Value::ServerError(error)) = self.run(&heard, limit).await?.first() {
            return Err(error.into());
        }
        let mut handle = self.handle.clone();
        let subscribed = timeout(limit, async {
            tokio::select! {
                biased;
                subscribed = handle.subscribe(names.probe()) => Ok(subscribed?),
                () = &mut self.driver => Err(ended()),
            }
        });
        match subscribed.await {
            Ok(subscribed) => subscribed,
            Err(_) => Err(late(limit)),
        }
    }

    /// Loads the scripts again.
    pub(super) async fn reload(&mut self, limit: Duration) -> Result<(), Fault> {
        self.run(&scripts::load(), limit).await.map(drop)
    }
}

async fn run(
    handle: &mut MultiplexedConnection,
    driver: &mut Pin<Box<dyn Future<Output = ()> + Send>>,
    pipeline: &Pipeline,
) -> Result<Vec<Value>, Fault> {
    tokio::select! {
        biased;
        answers = handle.send_packed_commands(pipeline, 0, pipeline.len()) => Ok(answers?),
        () = driver => Err(ended()),
    }
}

/// The fault of an answer that does not come.
pub(super) fn late(limit: Duration) -> Fault {
    Fault::lost(format!("redis did not answer within {limit:?}"))
}

/// The fault of a connection whose driver has ended.
pub(super) fn ended() -> Fault {
    Fault::lost("redis has closed the connection")
}

/// The fault of a connection that is to be replaced, as the other one has shown.
pub(super) fn misled() -> Fault {
    Fault::lost("the connection leads to another server than it should")
}

/// The pauses between attempts to connect: random, and longer with each failure. So servers that
/// lose their connections at the same moment do not come back at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    failures: u32,
    connected: Option<Instant>,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Backoff {
            failures: 0,
            connected: None,
        }
    }

    pub(super) fn connected(&mut self, now: Instant) {
        self.connected = Some(now);
    }

    /// The pause before the next attempt. `random` is any number.
    pub(super) fn pause(&mut self, now: Instant, random: u64) -> Duration {
        if self
            .connected
            .take()
            .is_some_and(|since| now - since >= LASTING)
        {
            self.failures = 0;
        }
        let longest = MAX_PAUSE.min(Duration::from_millis(50) * (1 << self.failures.min(10)));
        self.failures += 1;
        Duration::from_micros(random % (longest.as_micros() as u64))
    }
}

/// Whether the other connection is to be replaced too: this one has shown that the name leads to a
/// server that it should not lead to.
pub(super) fn concerns_both(fault: &Fault) -> bool {
    fault.kind == FaultKind::WrongServer
}
