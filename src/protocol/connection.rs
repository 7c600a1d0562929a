//! Both halves for one thread of control.

use super::event::Event;
use super::outbox::Outbox;
use super::pong::Pongs;
use super::prepared::Prepared;
use super::read::Reader;
use super::role::Role;
use super::write::{Closed, Writer};
use crate::error::Violation;
use crate::extension::Extension;
use crate::{CloseCode, Config, Message};

/// One side of a conversation: a [`Reader`] and a [`Writer`] for those who have
/// one thread of control. See the [module documentation](super).
#[derive(Debug)]
pub struct Connection {
    reader: Reader,
    writer: Writer,
    outbox: Outbox,
    /// Pings that have not been answered.
    pongs: Pongs,
}

impl Connection {
    /// A conversation whose opening handshake is done.
    pub fn new(role: Role, config: &Config) -> Self {
        Connection {
            reader: Reader::new(role, config),
            writer: Writer::new(role),
            outbox: Outbox::default(),
            pongs: Pongs::default(),
        }
    }

    /// With the extension that both sides have agreed on, if they have; before
    /// anything is sent or received.
    ///
    /// ```
    /// # #[cfg(all(feature = "deflate", feature = "handshake"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http::Request;
    /// use hyper_ws::Config;
    /// use hyper_ws::config::Compression;
    /// use hyper_ws::handshake::Head;
    /// use hyper_ws::protocol::{Connection, Role};
    ///
    /// let request = Request::get("/ws")
    ///     .header("Host", "a")
    ///     .header("Connection", "Upgrade")
    ///     .header("Upgrade", "websocket")
    ///     .header("Sec-WebSocket-Version", "13")
    ///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    ///     .header("Sec-WebSocket-Extensions", "permessage-deflate")
    ///     .body(())?;
    /// let config = Config::new().compression(Compression::shared());
    ///
    /// let agreement = Head::from(&request).validate()?.agree(&config, None);
    /// let extension = agreement.extension();
    /// assert_eq!(extension.as_ref().unwrap().name(), "permessage-deflate");
    /// let connection = Connection::new(Role::Server, &config).with_extension(extension);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(all(feature = "deflate", feature = "handshake")))]
    /// # fn main() {}
    /// ```
    pub fn with_extension(mut self, extension: Option<Extension>) -> Self {
        let codec = extension.map(|Extension(agreed)| agreed.codec());
        self.reader = self.reader.with_extension(codec);
        self
    }

    /// Takes bytes off the beginning of `input`: returns how many, and the event
    /// that they complete. Without an event, all of `input` has been taken.
    ///
    /// Pings and close frames are answered by the way. Of more than sixteen pings
    /// that arrive before [`transmit`](Self::transmit) is called, the first
    /// fifteen and the newest are answered (RFC 6455, section 5.5.3).
    ///
    /// # Errors
    ///
    /// The first violation. The close frame that answers it is queued already;
    /// all that still arrives is discarded.
    pub fn receive(&mut self, input: &mut [u8]) -> Result<(usize, Option<Event>), Violation> {
        let (taken, event) = self.reader.read(input).inspect_err(|&violation| {
            self.pongs.clear();
            self.writer.fail(violation, &mut self.outbox);
        })?;
        match &event {
            Some(Event::Ping(payload)) => self.pongs.push(payload.clone()),
            Some(Event::Close(frame)) => {
                self.flush_pongs();
                self.writer.received_close(frame.as_ref(), &mut self.outbox);
            }
            _ => {}
        }
        Ok((taken, event))
    }

    /// Pings that have not been answered never will be.
    #[cfg(feature = "testing")]
    pub(crate) fn forget_pings(&mut self) {
        self.pongs.clear();
    }

    /// Nothing more will arrive.
    pub fn receive_end(&mut self) {
        self.writer.received_end();
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`Closed`] after a close frame.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Closed> {
        let mark = self.outbox.mark();
        self.writer.message(&message.into(), &mut self.outbox)?;
        if let Some(codec) = self.reader.codec() {
            self.outbox.encode(mark, codec);
        }
        Ok(())
    }

    /// Queues a message that was encoded before.
    ///
    /// # Errors
    ///
    /// [`Closed`] after a close frame.
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<(), Closed> {
        let mark = self.outbox.mark();
        match self.reader.codec() {
            None => self.writer.prepared(prepared, &mut self.outbox),
            Some(codec) => {
                self.writer
                    .prepared_for(codec.coding(), prepared, &mut self.outbox)?;
                self.outbox.encode(mark, codec);
                Ok(())
            }
        }
    }

    /// Queues a ping. A payload beyond 125 bytes is cut.
    ///
    /// # Errors
    ///
    /// [`Closed`] after a close frame.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Closed> {
        self.writer.ping(payload, &mut self.outbox)
    }

    /// Begins the closing handshake. A reason beyond 123 bytes is cut.
    ///
    /// # Errors
    ///
    /// [`Closed`] if it has begun before.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Closed> {
        self.flush_pongs();
        self.writer.close(code, reason, &mut self.outbox)
    }

    /// What is to be written: write its [`chunk`](Outbox::chunk)s,
    /// [`advance`](Outbox::advance) it, until it is empty.
    pub fn transmit(&mut self) -> &mut Outbox {
        self.flush_pongs();
        &mut self.outbox
    }

    /// Everything that is to be written, as one buffer.
    pub fn take_output(&mut self) -> Vec<u8> {
        let mut output = vec![];
        let outbox = self.transmit();
        while !outbox.is_empty() {
            let chunk = outbox.chunk();
            output.extend_from_slice(chunk);
            let count = chunk.len();
            outbox.advance(count);
        }
        output
    }

    /// Whether the conversation is over: write what is left and end the stream.
    /// After a violation, go on reading until the peer ends it too, within a
    /// deadline: a stream that is dropped with unread bytes is reset, and the
    /// peer may lose the close frame.
    pub fn is_finished(&self) -> bool {
        self.writer.is_done() || self.reader.is_ended()
    }

    fn flush_pongs(&mut self) {
        for payload in self.pongs.drain() {
            self.writer.pong(&payload, &mut self.outbox);
        }
    }
}
