//! WebSocket connections: the handles that users hold, and the driver behind them.
//!
//! # Managed or bare
//!
//! A *managed* socket runs together with its handler, in one task. While the handler awaits
//! something else, pings are answered, deadlines are kept, and messages of other tasks and
//! of rooms are delivered. Wherever you pass a handler (routes, `on_upgrade`, [`serve`],
//! [`WebSocket::run`]), it gets such a socket.
//!
//! A *bare* socket is handed out by `accept`, `connect` and [`WebSocket::from_stream`]. It contains
//! its driver, and makes progress only while one of its methods is awaited. When its `send`
//! returns, the transport has the message. When it has reported the end, or is dropped, a task
//! completes the closing handshake in the background. The runtime may end before that task runs, so
//! the drop itself writes the queued messages and the close frame.
//!
//! A bare socket becomes a managed one:
//!
//! | by | then the connection is run by |
//! |---|---|
//! | [`WebSocket::run`], with a handler | the future that it returns, together with the handler |
//! | [`WebSocket::into_managed`] | a task of its own |
//! | the first [`WebSocket::sender`], or by joining a room | the same: messages of other tasks must not wait for the socket |
//!
//! # Over any stream
//!
//! [`serve`] and [`WebSocket::from_stream`] take a stream of bytes on which the opening
//! handshake is done: a Unix socket, a pipe in memory, the upgraded stream of another
//! framework. [`Negotiated`] holds the outcome of the handshake.
//!
//! # Large messages
//!
//! [`recv_stream`](WebSocket::recv_stream), [`send_stream`](WebSocket::send_stream) and
//! [`into_byte_stream`](WebSocket::into_byte_stream): see also the guide to
//! [large messages and byte streams](crate::guide::streaming).
//!
//! # Guarantees
//!
//! - **Auto-cork.** All messages that a handler sends within one poll leave in one write, as
//!   soon as the handler waits for anything. No timer holds a message back.
//! - **A socket can be moved.** A handler may move its `WebSocket` into another task
//!   and return. The connection lives until the `WebSocket` is dropped or closed, whichever
//!   task it is in.
//! - **Every connection ends once, with one [cause](crate::error::CloseCause).**
//! - **An idle connection holds no buffers.**
//! - **Read-ahead is bounded**: 1,024 messages or 80 KiB. Up to this limit, pings are answered, and
//!   the end is noticed behind messages that wait. Then reading stops, and backpressure reaches the
//!   peer. The library still sends pings, so it notices a peer that is gone. A handler that does
//!   not receive should call [`WebSocket::discard_incoming`] or [`WebSocket::closed`].
//!
//! # Inside
//!
//! The code has three floors, each of which uses the ones below it: the handles that users hold
//! (the files of this folder), `driver/`, the task that owns the IO, and `shared/`, what both
//! share under one lock.
//!
//! A connection has four parts. `Reader` and `Writer` are the two halves of the protocol, `Life`
//! is the connection's progress towards its end, and `Conn` is the IO. A `Conn` that *lingers*
//! discards what arrives until the peer ends the stream. What each event does to the parts:
//!
//! | event | `Reader` | `Writer` | `Life` | `Conn` |
//! |---|---|---|---|---|
//! | the peer's close frame | ends | replies if it has not closed; done | closing (`Remote`) | lingers once all is written |
//! | a violation | ends | close frame with its code; failed | closing (`Violation`) | lingers once all is written |
//! | `close`, `WebSocket` dropped, handler failed, overflow, drain, message left unfinished | | close frame | closing (`Local` and others) | reads for the reply only |
//! | end of input, read failure | | done | closing (`Lost`, `Io`) | over |
//! | a write fails | | done; drops what is queued | receive-only | reads on, writes nothing |
//! | the same once the end has begun | | done | | over |
//! | receive-only: the peer's close frame, a violation | ends | | closing (`Remote`, `Violation`) | over |
//! | receive-only: any other end | | | closing (`Lost`, `Io`, by the failed write) | over |
//! | message timeout | | close frame | closing (`MessageTimeout`) | reads for the reply only |
//! | ping, write and close timeout | | close frame | closing (`PingTimeout`, `WriteTimeout`) | one last write, over |
//! | `abort` | | | aborting | over in the next turn |
//! | the IO is dropped | | done | closed, or discarded after an abort | gone |

mod byte_stream;
mod driver;
#[cfg(feature = "interleavings")]
#[doc(hidden)]
pub mod interleaved;
mod message_reader;
mod message_writer;
mod recv;
mod send;
mod sender;
pub(crate) mod shared;
mod start;
#[cfg(test)]
pub(crate) mod tests;
mod websocket;

pub use byte_stream::ByteStream;
pub(crate) use driver::Driver;
pub use driver::HandlerOutput;
#[cfg(feature = "tracing")]
pub(crate) use driver::connection_span;
pub use message_reader::MessageReader;
pub use message_writer::MessageWriter;
pub use sender::{Permit, Sender, SocketId, TrySendError};
pub use shared::Pushed;
pub use start::{Negotiated, serve};
pub(crate) use start::{bare, managed};
pub use websocket::WebSocket;
