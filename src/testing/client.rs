//! A client that is as polite as its test wants it.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};

use crate::close::CloseFrame;
use crate::error::{Error, ErrorKind};
use crate::handshake::Agreement;
use crate::protocol::{Connection, Event, Role};
use crate::transport::Rewind;
use crate::{CloseCode, Config, Message};

/// The other end of a conversation.
///
/// It does nothing by itself: it reads, and answers pings, while one of its methods
/// is awaited, and has no deadlines.
pub struct Client {
    io: Rewind<DuplexStream>,
    connection: Connection,
    /// What was read and not looked at.
    input: Vec<u8>,
    pings: Pings,
    end: End,
    protocol: Option<String>,
    response: Response<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pings {
    Answered,
    Ignored,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The server's close frame has arrived.
    Closed(Option<CloseFrame>),
    /// Nothing more will arrive, and no close frame has.
    Lost,
}

impl Client {
    pub(super) fn new(
        io: Rewind<DuplexStream>,
        config: &Config,
        agreement: &Agreement,
        response: Response<()>,
    ) -> Self {
        let role = Role::Client {
            // Nobody guesses what never leaves the process.
            masking_key: || [0x2a, 0x91, 0x5e, 0xc7],
        };
        Client {
            io,
            connection: Connection::new(role, config).with_extension(agreement.extension()),
            input: Vec::new(),
            pings: Pings::Answered,
            end: End::Open,
            protocol: agreement.protocol().map(str::to_owned),
            response,
        }
    }

    /// Sends a message: waits until the pipe has taken it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] after a close frame of either side, [`ErrorKind::Io`]
    /// if the server is gone.
    ///
    /// # Cancel safety
    ///
    /// What a dropped future has not written is written by the next method.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let sent = self.connection.send(message);
        sent.map_err(|_| Error::from(ErrorKind::Closed))?;
        self.transmit().await
    }

    /// The next message; `Ok(None)` at the end, whatever that is. Pings are answered
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// If the server breaks the protocol.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        loop {
            match self.event().await? {
                Some(Event::Message(message)) => return Ok(Some(message)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next thing that the server says, pings, pongs and close frames included;
    /// `Ok(None)` at the end.
    ///
    /// # Errors
    ///
    /// If the server breaks the protocol.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn event(&mut self) -> Result<Option<Event>, Error> {
        while self.end != End::Lost {
            let received = self.connection.receive(&mut self.input);
            let (taken, event) = received.inspect_err(|_| self.input.clear())?;
            self.input.drain(..taken);
            if self.pings == Pings::Ignored {
                self.connection.forget_pings();
            }
            if let Some(Event::Close(frame)) = &event {
                self.end = End::Closed(frame.clone());
            }
            // As far as it goes: what has arrived is not lost for what cannot leave.
            poll_fn(|cx| Poll::Ready(self.poll_transmit(cx).is_ready())).await;
            if event.is_some() {
                return Ok(event);
            }
            if !self.read().await {
                // Says to a server that has closed first that we have got it.
                let _ = self.io.shutdown().await;
                if self.end == End::Open {
                    self.end = End::Lost;
                }
                break;
            }
        }
        Ok(None)
    }

    /// Whether something came.
    async fn read(&mut self) -> bool {
        poll_fn(|cx| {
            // A part of what is to be sent may still wait for room.
            let _ = self.poll_transmit(cx);
            let mut buffer = [0; 4096];
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            self.input.extend_from_slice(buffer.filled());
            Poll::Ready(read.is_ok() && !buffer.filled().is_empty())
        })
        .await
    }

    /// Waits for the end, and says with which code the server closed; `None` if it
    /// did so without one. Messages that still arrive are thrown away.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only those messages.
    pub async fn closed(&mut self) -> Option<CloseCode> {
        while let Ok(Some(_)) = self.event().await {}
        self.close_frame().map(|frame| frame.code)
    }

    /// The server's close frame, if it has arrived and is not empty.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        match &self.end {
            End::Closed(frame) => frame.as_ref(),
            End::Open | End::Lost => None,
        }
    }

    /// Says goodbye, and waits for the answer: the server's code.
    ///
    /// # Cancel safety
    ///
    /// The close frame goes out with the next method, if it has not.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Option<CloseCode> {
        // Where one has gone out already, only the end is left to wait for.
        let _ = self.connection.close(code, reason);
        let _ = self.transmit().await;
        self.closed().await
    }

    /// Sends a ping. Its pong is an [`event`](Self::event).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        let sent = self.connection.ping(payload);
        sent.map_err(|_| Error::from(ErrorKind::Closed))?;
        self.transmit().await
    }

    /// From now on pings are not answered, as if the network lost the answers. (They
    /// are events all the same.)
    pub fn ignore_pings(&mut self) {
        self.pings = Pings::Ignored;
    }

    /// Sends bytes as they are, whether they are a frame or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the server is gone.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.transmit().await?;
        Ok(self.io.write_all(bytes).await?)
    }

    /// Reads bytes as they are, at least one; none at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if that fails.
    pub async fn recv_raw(&mut self) -> Result<Vec<u8>, Error> {
        if self.input.is_empty() {
            self.io.read_buf(&mut self.input).await?;
        }
        Ok(std::mem::take(&mut self.input))
    }

    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The server's answer to the handshake.
    pub fn response(&self) -> &Response<()> {
        &self.response
    }

    async fn transmit(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_transmit(cx)).await
    }

    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let outbox = self.connection.transmit();
        while !outbox.is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, outbox.chunk()))?;
            outbox.advance(count);
        }
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("protocol", &self.protocol)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
