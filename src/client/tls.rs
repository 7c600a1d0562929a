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

/// Encrypts a stream to the target, whose certificate must be valid for its name.
pub(super) async fn encrypt<T>(
    stream: T,
    target: &Target,
    config: &ClientConfig,
    deadline: Instant,
) -> Result<TlsStream<T>, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(target.server_name().to_owned())
        .map_err(|error| ConnectError::tls(target, error))?;
    timeout_at(
        deadline,
        TlsConnector::from(for_http1(config)).connect(name, stream),
    )
    .await
    .map_err(|_| ConnectError::tls_timeout(target))?
    .map_err(|error| ConnectError::tls(target, error))
}

/// Replaces the ALPN protocols by `http/1.1`. Otherwise the server may select HTTP/2,
/// if the configuration names it for other uses.
fn for_http1(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}
