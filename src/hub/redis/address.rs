//! Where Redis is: a URL, taken apart.

use std::fmt;

use redis::{ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

use crate::hub::backplane::EngineError;

/// Where Redis is, and how to log in.
#[derive(Clone)]
pub(super) struct Address {
    place: Place,
    settings: RedisConnectionInfo,
}

#[derive(Clone)]
pub(super) enum Place {
    Tcp {
        host: String,
        port: u16,
    },
    #[cfg(feature = "redis-tls")]
    Tls {
        host: String,
        port: u16,
        /// `None` trusts whom the system trusts.
        config: Option<std::sync::Arc<tokio_rustls::rustls::ClientConfig>>,
    },
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, EngineError> {
        // The client crate refuses `rediss` without TLS of its own. Ours trusts whom the system
        // trusts, as `wss` does.
        let tls = ["rediss://", "valkeys://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        if tls.is_some() && !cfg!(feature = "redis-tls") {
            return Err(EngineError::new(
                "a `rediss` URL needs TLS (turn on the feature `redis-tls`)",
            ));
        }
        let plain = tls.map(|rest| format!("redis://{rest}"));
        let plain = plain.as_deref().unwrap_or(url);
        // The error is not shown: it could contain the password.
        let info = plain.into_connection_info().map_err(|_| {
            EngineError::new(
                "the URL of redis is malformed (expected `redis://user:password@host:port/db`)",
            )
        })?;
        let settings = info
            .redis_settings()
            .clone()
            .set_protocol(ProtocolVersion::RESP3)
            // One right less to be granted; Redis 7.0 does not even know it.
            .set_skip_set_lib_name();
        let place = match info.addr().clone() {
            #[cfg(feature = "redis-tls")]
            ConnectionAddr::Tcp(host, port) if tls.is_some() => Place::Tls {
                host,
                port,
                config: None,
            },
            ConnectionAddr::Tcp(host, port) => Place::Tcp { host, port },
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Place::Unix(path),
            _ => return Err(EngineError::new("the URL of redis is not supported")),
        };
        Ok(Address { place, settings })
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn settings(&self) -> &RedisConnectionInfo {
        &self.settings
    }

    /// Sets the TLS configuration. It has no effect without TLS.
    #[cfg(feature = "redis-tls")]
    pub(super) fn set_tls(&mut self, new: std::sync::Arc<tokio_rustls::rustls::ClientConfig>) {
        if let Place::Tls { config, .. } = &mut self.place {
            *config = Some(new);
        }
    }
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { host, port } => write!(f, "redis at {host}:{port}"),
            #[cfg(feature = "redis-tls")]
            Place::Tls { host, port, .. } => write!(f, "redis at {host}:{port} (TLS)"),
            #[cfg(unix)]
            Place::Unix(path) => write!(f, "redis at {}", path.display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
