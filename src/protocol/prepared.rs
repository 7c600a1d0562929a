//! One message for many sockets, encoded once.

use std::sync::Arc;

use bytes::Bytes;

use super::outbox::{LARGE, Outbox};
use super::{Role, Writer};
use crate::Message;

/// A message whose frame is encoded once and then shared by every socket that
/// it is sent to. Cloning is cheap.
///
/// The bytes are a copy of their own, so a prepared message pins no other
/// buffer (payloads of 16 KiB and more are shared with the message).
#[derive(Clone, Debug)]
pub struct Prepared(Arc<Frame>);

#[derive(Debug)]
struct Frame {
    message: Message,
    /// The header, and the payload unless it is large.
    encoded: Bytes,
    /// The payload, if it is large.
    payload: Option<Bytes>,
}

impl Prepared {
    /// Encodes the frame.
    pub fn new(message: impl Into<Message>) -> Self {
        let message = message.into();
        let mut outbox = Outbox::default();
        Writer::new(Role::Server)
            .message(&message, &mut outbox)
            .expect("a new writer is open");
        let payload = (message.len() >= LARGE).then(|| message.clone().into_bytes());
        Prepared(Arc::new(Frame {
            message,
            encoded: outbox.bytes.into(),
            payload,
        }))
    }

    /// The message.
    pub fn message(&self) -> &Message {
        &self.0.message
    }

    /// The frame as a server sends it: what is in one piece, and the large
    /// payload that follows it.
    pub(crate) fn frame(&self) -> (&[u8], Option<&Bytes>) {
        (&self.0.encoded, self.0.payload.as_ref())
    }
}

impl<M: Into<Message>> From<M> for Prepared {
    fn from(message: M) -> Self {
        Prepared::new(message)
    }
}
