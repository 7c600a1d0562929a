//! The table of extensions.

use super::agreed::Agreed;
#[cfg(feature = "deflate")]
use super::deflate;
use super::parameters::Parameters;
use crate::Config;

/// All extensions, in order of preference.
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
    /// Accepts an offer with these parameters, for a server. `None` if the configuration
    /// has the extension turned off, or the offer cannot be accepted.
    pub(crate) accept: fn(&Config, &mut Parameters<'_>) -> Option<Agreed>,
    /// Returns what a client offers. `None` if the configuration has the extension turned
    /// off.
    pub(crate) offer: fn(&Config) -> Option<String>,
    /// Checks a server's answer, for a client. `None` if it is not an answer to that
    /// offer.
    pub(crate) conclude: fn(&Config, &mut Parameters<'_>) -> Option<Agreed>,
}
