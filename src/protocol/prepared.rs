//! One message for many sockets, encoded once.

use std::sync::{Arc, OnceLock};

use super::outbox::{Encoded, LARGE};
use crate::Message;
use crate::extension::Terms;
use crate::frame::Rsv;

/// The largest number of compressed variants of a message. Sockets whose terms are not
/// among them send it uncompressed.
const MAX_VARIANTS: usize = 8;

/// A message whose frame is encoded once, for any number of sockets.
///
/// All sockets share the frame. Sockets with equal parameters of compression also share
/// the compressed frame, which is made when the first of them sends the message.
/// Cloning is cheap.
///
/// A frame contains a copy of the payload. So a queued frame does not keep the buffer of
/// the message alive. Only payloads of 16 KiB and more are shared with the message.
///
/// ```
/// use hyper_ws::Prepared;
///
/// let prepared = Prepared::new("to all");
/// assert_eq!(prepared.message().as_text(), Some("to all"));
/// ```
#[derive(Clone, Debug)]
pub struct Prepared(Arc<PreparedMessage>);

#[derive(Debug)]
struct PreparedMessage {
    message: Message,
    /// Its frame, as a server sends it.
    plain: Arc<Encoded>,
    /// Whether extensions may encode it.
    encoding: Encoding,
    /// Its compressed frames: usually none or one. A list that only grows, so that
    /// it is read without a lock.
    variants: OnceLock<Box<Variant>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Allowed,
    #[cfg(feature = "deflate")]
    AsIs,
}

/// The frame as an extension encodes it on certain terms, and the next variant.
#[derive(Debug)]
struct Variant {
    terms: Terms,
    /// `None` if encoding does not make the message smaller.
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

    /// Encodes the frame of a message that no socket compresses. Use it for a message
    /// that holds a secret together with data that an attacker can choose.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn uncompressed(message: impl Into<Message>) -> Self {
        let Prepared(mut prepared) = Prepared::new(message);
        if let Some(prepared) = Arc::get_mut(&mut prepared) {
            prepared.encoding = Encoding::AsIs;
        }
        Prepared(prepared)
    }

    /// Returns the message.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// Returns the frame as a server sends it.
    pub(crate) fn plain(&self) -> &Arc<Encoded> {
        &self.0.plain
    }

    /// Returns the frame as a server sends it on these terms; `None` if the message
    /// is to be sent as it is. The first caller encodes it, later ones share it.
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

    /// Returns whether no extension may encode it.
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
