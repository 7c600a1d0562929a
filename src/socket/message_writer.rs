//! A message that is sent in chunks, before its length is known.

use std::fmt;
use std::future::poll_fn;

use super::driver::Inline;
use super::sender::Sender;
use super::shared::{Flush, Shared, WaitFor, WaiterGuard};
use super::websocket::WebSocket;
use crate::error::{Error, ErrorKind};
use crate::message::Kind;
use crate::protocol::{Part, Validator};
use crate::{CloseCode, Message};

impl WebSocket {
    /// Sends a message in chunks. Its length need not be known. The message begins with the
    /// first [`write`](MessageWriter::write) and ends with
    /// [`finish`](MessageWriter::finish).
    ///
    /// ```
    /// # use hyper_ws::{Error, WebSocket};
    /// use hyper_ws::message::Kind;
    ///
    /// async fn numbers(mut socket: WebSocket) -> Result<(), Error> {
    ///     let mut message = socket.send_stream(Kind::Text);
    ///     for number in 0..1_000_000 {
    ///         message.write(format!("{number}\n")).await?;
    ///     }
    ///     message.finish().await
    /// }
    /// ```
    ///
    /// To receive at the same time, send with a [`Sender`].
    pub fn send_stream(&mut self, kind: Kind) -> MessageWriter<'_> {
        self.begin_to_send();
        MessageWriter::new(&self.shared, Some(&mut self.driver), kind)
    }
}

impl Sender {
    /// Sends a message in chunks: see [`WebSocket::send_stream`].
    pub fn send_stream(&self, kind: Kind) -> MessageWriter<'_> {
        MessageWriter::new(self.shared(), None, kind)
    }
}

/// A message that is sent in chunks.
///
/// No other message may be sent between its first and its last chunk (RFC 6455, section
/// 5.4). So the messages of other senders and of rooms wait until the writer has finished, in
/// a queue with the same limit and [policies](crate::config::Overflow). Another message in chunks
/// waits for its turn. Pings, pongs and close frames go in between.
///
/// **Dropping it before it is finished closes the connection** (1011, cause
/// [`CloseCause::Unfinished`](crate::error::CloseCause::Unfinished)): what was sent cannot be
/// taken back, and must not pass for the whole message. Before the first chunk is written,
/// dropping it has no effect.
///
/// Its chunks are not compressed.
#[must_use = "a message that is not finished closes the connection"]
pub struct MessageWriter<'a> {
    shared: &'a Shared,
    /// The driver of a bare socket, if the socket itself sends.
    driver: Option<&'a mut Inline>,
    kind: Kind,
    /// Checks a text across its chunks, which may end within a character.
    text: Validator,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was queued.
    None,
    Begun,
    Finished,
}

impl<'a> MessageWriter<'a> {
    fn new(shared: &'a Shared, driver: Option<&'a mut Inline>, kind: Kind) -> Self {
        MessageWriter {
            shared,
            driver,
            kind,
            text: Validator::default(),
            progress: Progress::None,
        }
    }

    /// Returns whether a chunk has been queued, so that the message must be finished.
    pub fn has_begun(&self) -> bool {
        self.progress != Progress::None
    }

    /// Queues a chunk as one fragment. Waits for room while
    /// [`Config::output_limit`](crate::Config::output_limit) is reached, whatever the
    /// overflow policy. All that is written within one poll leaves in one write. An empty
    /// chunk sends nothing.
    ///
    /// A chunk may be text or binary, whatever the message is. A character may be split
    /// between two chunks of a text message; together the chunks must be valid UTF-8.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection has ended or is closing.
    /// [`ErrorKind::NotText`] if the text would not be valid UTF-8; nothing of that chunk is
    /// sent, and the message may go on with another one.
    ///
    /// # Cancel safety
    ///
    /// After dropping the future you cannot know whether the chunk was queued. Drop the
    /// writer too.
    pub async fn write(&mut self, chunk: impl Into<Message>) -> Result<(), Error> {
        let chunk = chunk.into();
        if chunk.is_empty() {
            return Ok(());
        }
        // A copy: an error, or a future that is dropped, leaves the state as it was.
        let mut text = self.text.clone();
        if self.kind == Kind::Text && (chunk.kind() != Kind::Text || text.unfinished() > 0) {
            text.push(chunk.as_bytes())
                .map_err(|_| Error::from_kind(ErrorKind::NotText))?;
        }
        self.push(&chunk, Part::More).await?;
        self.text = text;
        Ok(())
    }

    /// Ends the message. On a bare socket, waits until it has been handed to the transport.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the connection has ended or is closing.
    /// [`ErrorKind::NotText`] if a text ends within a character.
    ///
    /// # Cancel safety
    ///
    /// The first poll finishes the message, if a chunk was written.
    pub async fn finish(mut self) -> Result<(), Error> {
        if self.text.unfinished() > 0 {
            return Err(Error::from_kind(ErrorKind::NotText));
        }
        self.push(&Message::from(&[][..]), Part::Last).await?;
        let shared = self.shared;
        let Some(driver) = &mut self.driver else {
            return Ok(());
        };
        if !driver.has_driver() {
            return Ok(());
        }
        let mut waiter = WaiterGuard::new(shared);
        let mut flush = Flush::default();
        poll_fn(|cx| {
            driver.drive(cx);
            waiter.poll(|id| flush.poll(shared, id, cx))
        })
        .await
    }

    async fn push(&mut self, chunk: &Message, part: Part) -> Result<(), Error> {
        let MessageWriter {
            shared,
            driver,
            kind,
            progress,
            ..
        } = self;
        let mut waiter = WaiterGuard::new(shared);
        poll_fn(|cx| {
            if let Some(driver) = driver {
                driver.drive(cx);
            }
            let wait_for = match progress {
                Progress::None => WaitFor::OwnMessage,
                Progress::Begun | Progress::Finished => WaitFor::Chunk,
            };
            waiter.poll(|id| shared.poll_push_chunk((*kind, chunk, part), wait_for, id, cx))
        })
        .await?;
        *progress = match part {
            Part::More => Progress::Begun,
            Part::Last => Progress::Finished,
        };
        Ok(())
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        if self.progress == Progress::Begun {
            let code = CloseCode::INTERNAL_ERROR;
            let reason = "a message was not sent to its end";
            self.shared.close_unfinished(code, reason);
        }
    }
}

impl fmt::Debug for MessageWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageWriter")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
