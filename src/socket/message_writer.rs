//! A message that is sent in chunks, before its length is known.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use super::WebSocket;
use super::bare;
use crate::error::{CloseCause, Error, ErrorKind};
use crate::message::Kind;
use crate::protocol::{Part, Validator};
use crate::socket::driver::inline::Inline;
use crate::socket::sender::Sender;
use crate::socket::shared::Shared;
use crate::socket::shared::driver_task::DriverTask;
use crate::socket::shared::wait::{WaitFor, Waiter};
use crate::{CloseCode, Message};

impl WebSocket {
    /// Sends a message in chunks, whose length need not be known. It begins with
    /// the first [`write`](MessageWriter::write) and ends with
    /// [`finish`](MessageWriter::finish).
    ///
    /// ```
    /// # use hyper_ws::{Error, WebSocket};
    /// use hyper_ws::message::Kind;
    ///
    /// async fn numbers(mut socket: WebSocket) -> Result<(), Error> {
    ///     let mut outgoing = socket.send_stream(Kind::Text);
    ///     for number in 0..1_000_000 {
    ///         outgoing.write(format!("{number}\n")).await?;
    ///     }
    ///     outgoing.finish().await
    /// }
    /// ```
    ///
    /// To receive at the same time, send with a [`Sender`].
    pub fn send_stream(&mut self, kind: Kind) -> MessageWriter<'_> {
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
/// Between its first chunk and its last nothing of another message may be sent
/// (RFC 6455, section 5.4), so the messages of other senders and of rooms wait
/// until it is finished, in a queue with the same limit and
/// [policies](crate::config::Overflow) as any; another message in chunks waits for its
/// turn. Pings, pongs and close frames go in between.
///
/// **Dropping it before it is finished closes the connection** (1011, cause
/// [`CloseCause::Unfinished`]): what was sent cannot be taken back, and the peer
/// must not take it for the whole. As long as nothing was written, dropping has
/// no effect.
///
/// Its chunks are not compressed.
#[must_use = "a message that is not finished closes the connection"]
pub struct MessageWriter<'a> {
    shared: &'a Shared,
    /// The driver of a bare socket.
    driver: Option<&'a mut Inline>,
    kind: Kind,
    /// Where the last chunk of a text ended within a character.
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

    /// Whether a chunk has been queued, so that the message must be finished.
    pub fn has_begun(&self) -> bool {
        self.progress != Progress::None
    }

    /// Queues a chunk, as one fragment; waits for room as long as
    /// [`Config::output_limit`](crate::Config::output_limit) is reached, whatever
    /// the overflow policy. All that is written within one poll leaves in one
    /// write. An empty chunk is none.
    ///
    /// A chunk may be text or binary, whatever the message is. The chunks of a
    /// text may be cut within a character; together they must be UTF-8.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the conversation has ended or is ending,
    /// [`ErrorKind::NotText`] if the text would not be one; of that chunk nothing
    /// is sent.
    ///
    /// # Cancel safety
    ///
    /// A dropped future has queued the whole chunk or nothing of it, and does not
    /// tell which: do not go on with the message, but drop it.
    pub async fn write(&mut self, chunk: impl Into<Message>) -> Result<(), Error> {
        let chunk = chunk.into();
        if chunk.is_empty() {
            return Ok(());
        }
        let mut text = self.text.clone();
        if self.kind == Kind::Text && (chunk.kind() != Kind::Text || text.unfinished() > 0) {
            text.push(chunk.as_bytes())
                .map_err(|_| ErrorKind::NotText)?;
        }
        self.push(&chunk, Part::More).await?;
        self.text = text;
        Ok(())
    }

    /// Ends the message. Of a bare socket: waits until it has been written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] if the conversation has ended or is ending,
    /// [`ErrorKind::NotText`] if a text ends within a character.
    ///
    /// # Cancel safety
    ///
    /// A message of which something was written is finished when the future was
    /// polled once.
    pub async fn finish(mut self) -> Result<(), Error> {
        if self.text.unfinished() > 0 {
            return Err(ErrorKind::NotText.into());
        }
        self.push(&Message::from(&[][..]), Part::Last).await?;
        let Some(driver) = &mut self.driver else {
            return Ok(());
        };
        if driver.is_none() {
            return Ok(());
        }
        let mut waiter = Waiter::new(self.shared);
        let target = poll_fn(|cx| {
            bare::drive(driver, cx);
            waiter.poll(|place| self.shared.poll_flush_target(place, cx))
        })
        .await?;
        poll_fn(|cx| {
            bare::drive(driver, cx);
            waiter.poll(|place| self.shared.poll_flushed(target, place, cx))
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
        let mut waiter = Waiter::new(shared);
        poll_fn(|cx| {
            if let Some(driver) = driver {
                bare::drive(driver, cx);
            }
            let wanted = match progress {
                Progress::None => WaitFor::OwnMessage,
                Progress::Begun | Progress::Finished => WaitFor::Chunk,
            };
            waiter.poll(|place| {
                let chunk = (*kind, chunk, part);
                shared.poll_push_part(chunk, wanted, place, cx)
            })
        })
        .await?;
        *progress = match part {
            Part::More => Progress::Begun,
            Part::Last => Progress::Finished,
        };
        Ok(())
    }
}

impl Shared {
    /// Queues a part of a message, when `wanted` is there: the message's turn, or
    /// room for the part.
    fn poll_push_part(
        &self,
        (kind, chunk, part): (Kind, &Message, Part),
        wanted: WaitFor,
        place: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        let mut state = self.lock();
        if state.is_closing() {
            return Poll::Ready(Err(ErrorKind::Closed.into()));
        }
        // The end of a message is not worth waiting for.
        let is_end = wanted == WaitFor::Chunk && part == Part::Last;
        if !is_end && !state.has(wanted, self) {
            self.wait(&mut state, wanted, place, cx.waker());
            return Poll::Pending;
        }
        let (writer, outbox) = state.output();
        let pushed = writer.part(kind, chunk, part, outbox);
        debug_assert!(pushed.is_ok(), "the writer was open");
        let messages = usize::from(part == Part::Last);
        state.sent.add(messages, chunk.len());
        match part {
            Part::More => _ = state.streams().behind.get_or_insert_default(),
            Part::Last => state.let_through(),
        }
        self.look(&state);
        if state.sleep == DriverTask::Idle {
            self.wake(state);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        if self.progress == Progress::Begun {
            let code = CloseCode::INTERNAL_ERROR;
            let reason = "a message was sent in part only";
            self.shared.close(CloseCause::Unfinished, code, reason);
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
