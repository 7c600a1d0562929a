//! The client for tests, which does only what a test asks for.

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

/// A client for tests: the peer of a handler.
///
/// It does nothing by itself. It reads, and answers pings, only while one of its
/// methods is awaited, and it has no timeouts.
pub struct Client {
    io: Rewind<DuplexStream>,
    connection: Connection,
    /// Bytes that were read and not parsed yet.
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
    /// The input has ended without a close frame.
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
            // A constant will do: the bytes never leave the process.
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

    /// Sends a message, and waits until the pipe has taken it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Closed`] after a close frame of either side, [`ErrorKind::Io`]
    /// if the server is gone.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the next method writes what is left of the message.
    pub async fn send(&mut self, message: impl Into<Message>) -> Result<(), Error> {
        let sent = self.connection.send(message);
        sent.map_err(|_| Error::from_kind(ErrorKind::Closed))?;
        self.transmit().await
    }

    /// Receives the next message, and answers pings meanwhile. Returns `Ok(None)` when
    /// the connection has ended, with or without a close frame.
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

    /// Receives the next message or control frame. Returns `Ok(None)` when the
    /// connection has ended.
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
            let (taken, event) = received
                .inspect_err(|_| self.input.clear())
                .map_err(Error::from_violation)?;
            self.input.drain(..taken);
            if self.pings == Pings::Ignored {
                self.connection.forget_pings();
            }
            if let Some(Event::Close(frame)) = &event {
                self.end = End::Closed(frame.clone());
            }
            // Write what the pipe takes (pongs). Do not wait for more: that would
            // hold back what has arrived.
            poll_fn(|cx| Poll::Ready(self.poll_transmit(cx).is_ready())).await;
            if event.is_some() {
                return Ok(event);
            }
            if !self.read().await {
                // Tells a server that has closed first that its close has arrived.
                let _ = self.io.shutdown().await;
                if self.end == End::Open {
                    self.end = End::Lost;
                }
                break;
            }
        }
        Ok(None)
    }

    /// Reads once. Returns `false` at the end of the input.
    async fn read(&mut self) -> bool {
        poll_fn(|cx| {
            // Output that the pipe had no room for goes out meanwhile.
            let _ = self.poll_transmit(cx);
            let mut buffer = [0; 4096];
            let mut buffer = ReadBuf::new(&mut buffer);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer));
            self.input.extend_from_slice(buffer.filled());
            Poll::Ready(read.is_ok() && !buffer.filled().is_empty())
        })
        .await
    }

    /// Waits until the connection has ended, and returns the server's close code.
    /// Returns `None` if it ended without one. Messages that still arrive are discarded.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses only those messages.
    pub async fn closed(&mut self) -> Option<CloseCode> {
        while let Ok(Some(_)) = self.event().await {}
        self.close_frame().map(|frame| frame.code)
    }

    /// Returns the server's close frame, if it has arrived and is not empty.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        match &self.end {
            End::Closed(frame) => frame.as_ref(),
            End::Open | End::Lost => None,
        }
    }

    /// Sends a close frame, waits until the connection has ended, and returns the
    /// server's close code.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the next method writes what is left of the close frame.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Option<CloseCode> {
        // This fails if a close frame has been sent already: then only wait.
        let _ = self.connection.close(code, reason);
        let _ = self.transmit().await;
        self.closed().await
    }

    /// Sends a ping. Receive its pong with [`event`](Self::event).
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        let sent = self.connection.ping(payload);
        sent.map_err(|_| Error::from_kind(ErrorKind::Closed))?;
        self.transmit().await
    }

    /// Stops answering pings, as if the network lost the pongs.
    /// [`event`](Self::event) still returns the pings.
    pub fn ignore_pings(&mut self) {
        self.pings = Pings::Ignored;
    }

    /// Sends raw bytes, which need not be a frame.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the server is gone.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.transmit().await?;
        self.io.write_all(bytes).await.map_err(Error::from_io)
    }

    /// Reads raw bytes. Returns at least one byte, or none at the end of the input.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if reading fails.
    pub async fn recv_raw(&mut self) -> Result<Vec<u8>, Error> {
        if self.input.is_empty() {
            self.io
                .read_buf(&mut self.input)
                .await
                .map_err(Error::from_io)?;
        }
        Ok(std::mem::take(&mut self.input))
    }

    /// Returns the subprotocol that the server selected.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Returns the server's response to the handshake.
    pub fn response(&self) -> &Response<()> {
        &self.response
    }

    async fn transmit(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_transmit(cx)).await
    }

    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let outbox = self.connection.transmit();
        while !outbox.is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, outbox.chunk()))
                .map_err(Error::from_io)?;
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
