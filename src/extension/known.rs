//! The extensions that there are.

use super::agreed::Agreed;
#[cfg(feature = "deflate")]
use super::deflate;
use super::parameters::Parameters;
use crate::Config;

/// Every extension, the favourite first.
pub(crate) const KNOWN: &[Known] = &[
    #[cfg(feature = "deflate")]
    Known {
        name: deflate::NAME,
        accept: |config, parameters| {
            let agreed = deflate::accept(config.compression.as_ref()?, parameters)?;
            Some(Agreed::Deflate(agreed))
        },
        offer: |config| config.compression.as_ref().map(deflate::offer),
        conclude: |config, parameters| {
            let agreed = deflate::conclude(config.compression.as_ref()?, parameters)?;
            Some(Agreed::Deflate(agreed))
        },
    },
];

/// How an extension is negotiated (RFC 6455, section 9.1).
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// The server's side: whether the configuration has it, and an offer of it
    /// with these parameters can be accepted.
    pub(crate) accept: fn(&Config, &mut Parameters<'_>) -> Option<Agreed>,
    /// The client's side: what to offer, if the configuration has it.
    pub(crate) offer: fn(&Config) -> Option<String>,
    /// The client's side: whether the answer is one to that offer.
    pub(crate) conclude: fn(&Config, &mut Parameters<'_>) -> Option<Agreed>,
}
