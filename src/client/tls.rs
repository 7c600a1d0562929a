//! TLS, by rustls.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
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
    config: Option<Arc<ClientConfig>>,
    deadline: Instant,
) -> Result<TlsStream<T>, ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let config = match config {
        Some(config) => for_http1(&config),
        None => platform().map_err(|error| ConnectError::tls(target, error))?,
    };
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

/// Returns the configuration that trusts what this system trusts.
///
/// It is made once: the certificates are many, and sessions are resumed only with
/// the same configuration.
fn platform() -> Result<Arc<ClientConfig>, rustls::Error> {
    static PLATFORM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = PLATFORM.get() {
        return Ok(config.clone());
    }
    let provider = CryptoProvider::get_default().cloned();
    let config = ClientConfig::builder_with_provider(
        // A provider that the program has installed comes first.
        provider.unwrap_or_else(|| Arc::new(ring::default_provider())),
    )
    .with_safe_default_protocol_versions()?
    .with_platform_verifier()?
    .with_no_client_auth();
    Ok(PLATFORM.get_or_init(|| for_http1(&config)).clone())
}
