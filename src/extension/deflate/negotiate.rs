//! Negotiation of the parameters (RFC 7692, section 7.1).

use std::sync::Arc;

use super::codec::DeflateCodec;
use super::compress::Compressor;
use super::history::Context;
use super::inflate::Decompressor;
use super::zlib::Settings;
use crate::config::{Compression, Slot};
use crate::extension::{Codec, Parameters};

/// The registered name (section 5).
pub(crate) const NAME: &str = "permessage-deflate";

/// The largest window, which holds if none is named.
const MAX_WINDOW_BITS: u8 = 15;

/// The negotiated parameters.
#[derive(Clone, Debug)]
pub(crate) struct DeflateAgreement {
    /// How this side compresses, and how the peer does.
    ours: Direction,
    theirs: Direction,
    settings: Settings,
    /// The parameters of the answer.
    answer: String,
    /// Held as long as one of the directions has a context.
    slot: Option<Arc<Slot>>,
}

/// How messages of one direction are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Direction {
    context: Context,
    /// The binary logarithm of the window, from 8 to 15.
    window_bits: u8,
}

impl PartialEq for DeflateAgreement {
    fn eq(&self, other: &Self) -> bool {
        (self.ours, self.theirs, self.settings) == (other.ours, other.theirs, other.settings)
    }
}

impl Eq for DeflateAgreement {}

impl DeflateAgreement {
    pub(crate) fn answer(&self) -> String {
        format!("{}{}", NAME, self.answer)
    }

    pub(crate) fn codec(self) -> Box<dyn Codec> {
        let settings = self.settings.within(self.ours.window_bits);
        Box::new(DeflateCodec {
            compressor: Compressor::new(self.ours.context, settings),
            decompressor: Decompressor::new(self.theirs.context, self.theirs.window_bits),
            _slot: self.slot,
        })
    }
}

/// Accepts or declines an offer.
///
/// Section 7.1: "A server MUST decline an extension negotiation offer for this
/// extension if any of the following conditions are met": an unknown parameter, an
/// invalid value, or a parameter that occurs twice.
///
/// A server may always decline contexts (7.1.1.1, 7.1.1.2), asked to or not. It may set
/// window bits for the client only if the client offered that (7.1.2.2; Firefox does
/// not, and fails the connection).
pub(crate) fn accept(
    compression: &Compression,
    parameters: &mut Parameters<'_>,
) -> Option<DeflateAgreement> {
    let offered = Named::read(parameters)?;
    // The server's maximum must have a value, the client's need not.
    let server_bits = match offered.server_bits {
        Some(None) => return None,
        bits => bits.flatten(),
    };
    let own = !(offered.server_without_context && offered.client_without_context);
    let slot = compression
        .contexts
        .as_ref()
        .filter(|_| own)
        .and_then(|contexts| contexts.take());
    let context = |declined: bool| match slot {
        Some(_) if !declined => Context::TakenOver,
        _ => Context::None,
    };
    let ours = Direction {
        context: context(offered.server_without_context),
        window_bits: compression
            .window_bits
            .min(server_bits.unwrap_or(MAX_WINDOW_BITS)),
    };
    let context = context(offered.client_without_context);
    let theirs = Direction {
        context,
        window_bits: match (context, offered.client_bits) {
            // The decompressors of the thread take any window.
            (Context::None, _) | (_, None) => MAX_WINDOW_BITS,
            (_, Some(bits)) => compression.window_bits.min(bits.unwrap_or(MAX_WINDOW_BITS)),
        },
    };
    let mut answer = String::new();
    if ours.context == Context::None {
        answer += "; server_no_context_takeover";
    }
    if theirs.context == Context::None {
        answer += "; client_no_context_takeover";
    }
    if server_bits.is_some() {
        answer += &format!("; server_max_window_bits={}", ours.window_bits);
    }
    if offered.client_bits.is_some() && theirs.window_bits < MAX_WINDOW_BITS {
        answer += &format!("; client_max_window_bits={}", theirs.window_bits);
    }
    Some(DeflateAgreement {
        ours,
        theirs,
        settings: Settings::of(compression),
        answer,
        slot: slot.map(Arc::new),
    })
}

/// Returns what a client offers. It can always keep to a smaller window, so it offers
/// that too.
pub(crate) fn offer(compression: &Compression) -> String {
    let contexts = match compression.contexts {
        Some(_) => "",
        None => "; server_no_context_takeover; client_no_context_takeover",
    };
    format!("{}{contexts}; client_max_window_bits", NAME)
}

/// Checks a server's answer to [`offer`]. `None` if the client must fail the connection
/// (sections 7.1.1 and 7.1.2).
pub(crate) fn conclude(
    compression: &Compression,
    parameters: &mut Parameters<'_>,
) -> Option<DeflateAgreement> {
    let answered = Named::read(parameters)?;
    let bits = |bits: Option<Option<u8>>| match bits {
        None => Some(MAX_WINDOW_BITS),
        // In an answer, both must have values.
        Some(bits) => bits,
    };
    let (server_bits, client_bits) = (bits(answered.server_bits)?, bits(answered.client_bits)?);
    if compression.contexts.is_none() && !answered.server_without_context {
        return None;
    }
    let slot = compression
        .contexts
        .as_ref()
        .and_then(|contexts| contexts.take());
    let context = |declined: bool| {
        if declined {
            Context::None
        } else {
            Context::TakenOver
        }
    };
    Some(DeflateAgreement {
        // A client may always drop its own context, and without a slot it does. The
        // server's context was the server's decision.
        ours: Direction {
            context: context(answered.client_without_context || slot.is_none()),
            window_bits: compression.window_bits.min(client_bits),
        },
        theirs: Direction {
            context: context(answered.server_without_context),
            window_bits: server_bits,
        },
        settings: Settings::of(compression),
        answer: String::new(),
        slot: slot.map(Arc::new),
    })
}

/// The parameters by name. Each occurs at most once, with a valid value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Named {
    server_without_context: bool,
    client_without_context: bool,
    server_bits: Option<Option<u8>>,
    client_bits: Option<Option<u8>>,
}

impl Named {
    fn read(parameters: &mut Parameters<'_>) -> Option<Self> {
        let mut named = Named::default();
        for (name, value) in parameters {
            let value = value.as_deref();
            let is_new = match name {
                "server_no_context_takeover" if value.is_none() => {
                    !std::mem::replace(&mut named.server_without_context, true)
                }
                "client_no_context_takeover" if value.is_none() => {
                    !std::mem::replace(&mut named.client_without_context, true)
                }
                "server_max_window_bits" => {
                    named.server_bits.replace(window_bits(value)?).is_none()
                }
                "client_max_window_bits" => {
                    named.client_bits.replace(window_bits(value)?).is_none()
                }
                _ => return None,
            };
            if !is_new {
                return None;
            }
        }
        Some(named)
    }
}

/// Parses the value of a window parameter, which may be missing.
///
/// Sections 7.1.2.1 and 7.1.2.2: "a decimal integer value without leading zeroes
/// between 8 to 15, inclusive".
fn window_bits(value: Option<&str>) -> Option<Option<u8>> {
    Some(match value {
        None => None,
        Some("8") => Some(8),
        Some("9") => Some(9),
        Some("10") => Some(10),
        Some("11") => Some(11),
        Some("12") => Some(12),
        Some("13") => Some(13),
        Some("14") => Some(14),
        Some("15") => Some(15),
        Some(_) => return None,
    })
}
