//! One message for many sockets, encoded once.

use std::sync::{Arc, OnceLock};

use super::outbox::{Encoded, LARGE};
use crate::Message;
use crate::extension::Terms;
use crate::frame::Rsv;

/// On how many different terms a message is encoded for many. Those who have
/// agreed on yet others get it as it is.
const MAX_VARIANTS: usize = 8;

/// A message whose frame is encoded once and then shared by every socket that
/// it is sent to, and compressed at most once for all sockets that compress
/// alike, when the first of them gets it. Cloning is cheap.
///
/// The bytes are a copy of their own, so a prepared message pins no other
/// buffer (payloads of 16 KiB and more are shared with the message).
#[derive(Clone, Debug)]
pub struct Prepared(Arc<PreparedMessage>);

#[derive(Debug)]
struct PreparedMessage {
    message: Message,
    /// As a server sends it.
    plain: Arc<Encoded>,
    /// Whether extensions may encode it.
    encoding: Encoding,
    /// What they made of it: mostly none or one.
    variants: OnceLock<Box<Variant>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Allowed,
    #[cfg(feature = "deflate")]
    AsIs,
}

/// The frame in a form that an extension gave it, and those on other terms.
#[derive(Debug)]
struct Variant {
    terms: Terms,
    /// `None` if the message is better sent as it is.
    frame: Option<Arc<Encoded>>,
    next: OnceLock<Box<Variant>>,
}

impl Prepared {
    /// Encodes the frame.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        let plain = if message.len() < LARGE {
            Encoded::new(message.kind(), Rsv::NONE, message.as_bytes())
        } else {
            Encoded::large(message.kind(), message.clone().into_bytes())
        };
        Prepared(Arc::new(PreparedMessage {
            message,
            plain: Arc::new(plain),
            encoding: Encoding::Allowed,
            variants: OnceLock::new(),
        }))
    }

    /// Encodes the frame of a message that is not to be compressed, on no
    /// socket: one that holds a secret beside something that others choose.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn uncompressed(message: impl Into<Message>) -> Self {
        let Prepared(mut prepared) = Prepared::new(message);
        if let Some(prepared) = Arc::get_mut(&mut prepared) {
            prepared.encoding = Encoding::AsIs;
        }
        Prepared(prepared)
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// The frame as a server sends it.
    pub(crate) fn plain(&self) -> &Arc<Encoded> {
        &self.0.plain
    }

    /// The frame as a server sends it on these terms; `None` if the message is
    /// better sent as it is. Encoded once, by whoever comes first.
    pub(crate) fn encoded(&self, terms: Terms) -> Option<&Arc<Encoded>> {
        if self.is_as_is() {
            return None;
        }
        let mut place = &self.0.variants;
        for _ in 0..MAX_VARIANTS {
            let variant = place.get_or_init(|| Box::new(Variant::new(&self.0.message, terms)));
            if variant.terms == terms {
                return variant.frame.as_ref();
            }
            place = &variant.next;
        }
        None
    }

    /// Whether no extension may encode it.
    pub(crate) fn is_as_is(&self) -> bool {
        self.0.encoding != Encoding::Allowed
    }
}

impl Variant {
    fn new(message: &Message, terms: Terms) -> Self {
        let mut payload = Vec::new();
        let frame = terms
            .encode(message.as_bytes(), &mut payload)
            .map(|rsv| Arc::new(Encoded::new(message.kind(), rsv, &payload)));
        Variant {
            terms,
            frame,
            next: OnceLock::new(),
        }
    }
}

impl<M: Into<Message>> From<M> for Prepared {
    fn from(message: M) -> Self {
        Prepared::new(message)
    }
}
