//! TLS, by rustls.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};

use super::error::ConnectError;
use crate::handshake::Target;
use crate::tls::platform;

/// Encrypts a stream to the target, whose certificate must be valid for its name.
pub(super) async fn encrypt<T>(
    stream: T,
    target: &Target,
    config: Option<Arc<ClientConfig>>,
    deadline: Instant,
) -> Result<TlsStream<T>, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let config = match config {
        Some(config) => config,
        None => platform().map_err(|error| ConnectError::no_platform(target, error))?,
    };
    let config = for_http1(&config);
    let name = ServerName::try_from(target.server_name().to_owned())
        .map_err(|error| ConnectError::tls(target, error))?;
    timeout_at(deadline, TlsConnector::from(config).connect(name, stream))
        .await
        .map_err(|_| {
            ConnectError::timeout(format!(
                "timed out during the TLS handshake with `{target}`"
            ))
        })?
        .map_err(|error| ConnectError::tls(target, error))
}

/// Replaces the ALPN protocols by `http/1.1`. Otherwise the server may select HTTP/2,
/// if the configuration names it for other uses.
fn for_http1(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
