//! The TLS configuration that trusts whom the system trusts: for `wss`, and for Redis.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_rustls::rustls;

/// Returns the configuration that trusts what this system trusts. It offers no ALPN protocol.
///
/// It is made once: the certificates are many, and sessions are resumed only with
/// the same configuration.
pub(crate) fn platform() -> Result<Arc<ClientConfig>, NoPlatform> {
    static PLATFORM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = PLATFORM.get() {
        return Ok(config.clone());
    }
    let config = ClientConfig::builder_with_provider(provider()?)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(NoPlatform::Rustls)?
        .with_no_client_auth();
    Ok(PLATFORM.get_or_init(|| Arc::new(config)).clone())
}

/// Returns the crypto provider that the program has installed, else the one that a feature
/// of this crate names.
///
/// The latter is not installed for the process. That is the program's right: a second call of
/// `install_default` fails, and programs unwrap its result. `ClientConfig::builder` is not
/// called for the same reason: it installs a provider, or panics if rustls was built with
/// none or with two.
fn provider() -> Result<Arc<CryptoProvider>, NoPlatform> {
    CryptoProvider::get_default()
        .cloned()
        .or_else(named_by_a_feature)
        .ok_or(NoPlatform::NoProvider)
}

/// With both features, the one that is rustls's own default.
fn named_by_a_feature() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "rustls-aws-lc-rs")]
    {
        Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
    }
    #[cfg(all(feature = "rustls-ring", not(feature = "rustls-aws-lc-rs")))]
    {
        Some(Arc::new(rustls::crypto::ring::default_provider()))
    }
    #[cfg(not(any(feature = "rustls-ring", feature = "rustls-aws-lc-rs")))]
    {
        None
    }
}

/// The reason why there is no such configuration.
#[derive(Debug)]
pub(crate) enum NoPlatform {
    /// Neither the program nor a feature names a crypto provider.
    NoProvider,
    /// The provider has no usable protocol version, or the system no certificates.
    Rustls(rustls::Error),
}

impl fmt::Display for NoPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPlatform::NoProvider => f.write_str(
                "no crypto provider for TLS: the program has installed none (turn on the feature \
                 `rustls-ring` or `rustls-aws-lc-rs` of hyper-ws, or call \
                 `CryptoProvider::install_default` when the program starts, or pass a TLS \
                 configuration)",
            ),
            NoPlatform::Rustls(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NoPlatform {}
