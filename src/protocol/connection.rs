//! Both halves of the protocol in one object.

use super::encode::encode_queued;
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

/// One side of a WebSocket connection, without IO. See the
/// [module documentation](super).
#[derive(Debug)]
pub struct Connection {
    reader: Reader,
    writer: Writer,
    outbox: Outbox,
    /// Pings that are yet to be answered.
    pongs: Pongs,
}

impl Connection {
    /// Makes a connection whose opening handshake is done.
    pub fn new(role: Role, config: &Config) -> Self {
        Connection {
            reader: Reader::new(role, config),
            writer: Writer::new(role),
            outbox: Outbox::default(),
            pongs: Pongs::default(),
        }
    }

    /// Sets the negotiated extension, if there is one. Call it before anything
    /// is sent or received.
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
    /// let offer = Head::from(&request).validate().expect("it is valid");
    /// let agreement = offer.agree(&config, None);
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

    /// Takes bytes from the beginning of `input`. Returns how many, and the event
    /// that they complete. If there is no event, all of `input` was taken.
    ///
    /// Queues the replies to pings and close frames. If more than sixteen pings
    /// arrive before [`transmit`](Self::transmit) is called, the first fifteen and
    /// the newest are answered (RFC 6455, section 5.5.3).
    ///
    /// # Errors
    ///
    /// The first violation. The close frame that answers it is already queued, and
    /// all further input is discarded.
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

    /// Drops the pings that are yet to be answered.
    #[cfg(feature = "testing")]
    pub(crate) fn forget_pings(&mut self) {
        self.pongs.clear();
    }

    /// Tells the connection that the peer has ended the stream.
    pub fn receive_end(&mut self) {
        self.writer.received_end();
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the connection has ended or is closing.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), Closed> {
        let mark = self.outbox.mark();
        self.writer.message(&message.into(), &mut self.outbox)?;
        if let Some(codec) = self.reader.codec() {
            encode_queued(&mut self.outbox, mark, codec);
        }
        Ok(())
    }

    /// Queues a [prepared](Prepared) message.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the connection has ended or is closing.
    pub fn send_prepared(&mut self, prepared: &Prepared) -> Result<(), Closed> {
        let mark = self.outbox.mark();
        match self.reader.codec() {
            None => self.writer.prepared(prepared, &mut self.outbox),
            Some(codec) => {
                self.writer
                    .prepared_for(codec.coding(), prepared, &mut self.outbox)?;
                encode_queued(&mut self.outbox, mark, codec);
                Ok(())
            }
        }
    }

    /// Queues a ping. A payload of more than 125 bytes is truncated.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the connection has ended or is closing.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Closed> {
        self.writer.ping(payload, &mut self.outbox)
    }

    /// Begins the closing handshake. A reason of more than 123 bytes is truncated,
    /// between two characters.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the connection has ended or is closing already.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Closed> {
        self.flush_pongs();
        self.writer.close(code, reason, &mut self.outbox)
    }

    /// Returns the bytes that are to be written. Write a [`chunk`](Outbox::chunk), call
    /// [`advance`](Outbox::advance) with how many bytes were written, and repeat until the
    /// outbox is empty.
    pub fn transmit(&mut self) -> &mut Outbox {
        self.flush_pongs();
        &mut self.outbox
    }

    /// Takes all that is to be written, as one buffer.
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

    /// Returns whether the connection is over: write what is left, then end the
    /// stream.
    ///
    /// After a violation, go on reading until the peer ends the stream too, within a
    /// deadline. TCP resets a connection that is dropped with unread bytes, and the
    /// peer may then lose the close frame.
    pub fn is_finished(&self) -> bool {
        self.writer.is_done() || self.reader.is_ended()
    }

    fn flush_pongs(&mut self) {
        for payload in self.pongs.drain() {
            self.writer.pong(&payload, &mut self.outbox);
        }
    }
}
