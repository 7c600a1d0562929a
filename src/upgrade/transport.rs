//! What a conversation runs on.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(feature = "http2")]
use crate::transport::Http2Stream;
use crate::transport::Rewind;

/// What was handed over.
pub(super) enum Transport {
    /// The server's own TCP stream, without the layers hyper had around it.
    Tcp { io: Rewind<TcpStream> },
    /// One of the streams of an HTTP/2 connection.
    #[cfg(feature = "http2")]
    Stream { io: Http2Stream<TokioIo<Upgraded>> },
    /// TLS, or anything else.
    Upgraded { io: TokioIo<Upgraded> },
}

impl Transport {
    pub(super) fn new(upgraded: Upgraded, version: Version) -> Self {
        match version {
            #[cfg(feature = "http2")]
            Version::HTTP_2 => Transport::Stream {
                io: Http2Stream::new(TokioIo::new(upgraded)),
            },
            _ => Transport::connection(upgraded),
        }
    }

    fn connection(upgraded: Upgraded) -> Self {
        match tcp(upgraded) {
            Ok((stream, leftover)) => {
                // Messages are written whole, so waiting for more to send
                // (Nagle) costs a round trip and wins nothing. A socket that
                // cannot be set is one whose peer has left: reading tells.
                let _ = stream.set_nodelay(true);
                Transport::Tcp {
                    io: Rewind::new(stream, leftover),
                }
            }
            Err(upgraded) => Transport::Upgraded {
                io: TokioIo::new(upgraded),
            },
        }
    }
}

/// The server's stream, if it is one of TCP, and what has been read from it.
fn tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    // Which version it is, hyper-util finds out by reading; it keeps what it
    // read in a layer of its own around the stream.
    #[cfg(feature = "http2")]
    let upgraded =
        match hyper_util::server::conn::auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
            Err(upgraded) => upgraded,
        };
    Err(upgraded)
}

impl AsyncRead for Transport {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_read(cx, buffer),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_read(cx, buffer),
            Transport::Upgraded { io } => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_write(cx, bytes),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_write(cx, bytes),
            Transport::Upgraded { io } => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_write_vectored(cx, slices),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_write_vectored(cx, slices),
            Transport::Upgraded { io } => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Transport::Tcp { io } => io.is_write_vectored(),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => io.is_write_vectored(),
            Transport::Upgraded { io } => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_flush(cx),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_flush(cx),
            Transport::Upgraded { io } => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Tcp { io } => Pin::new(io).poll_shutdown(cx),
            #[cfg(feature = "http2")]
            Transport::Stream { io } => Pin::new(io).poll_shutdown(cx),
            Transport::Upgraded { io } => Pin::new(io).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::{Service, service_fn};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, server) = tokio::join!(client, listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    /// A service that takes its connections over, and what they are taken over as.
    fn taking_over() -> (
        impl Service<Request<Incoming>, Response = Response<String>, Error = http::Error, Future: Send>
        + Send,
        mpsc::UnboundedReceiver<Transport>,
    ) {
        let (sender, transports) = mpsc::unbounded_channel();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let on_upgrade = hyper::upgrade::on(&mut request);
            let sender = sender.clone();
            tokio::spawn(async move {
                let _ = sender.send(Transport::new(on_upgrade.await.unwrap(), Version::HTTP_11));
            });
            let response = Response::builder().status(101).header("upgrade", "x");
            std::future::ready(response.body(String::new()))
        });
        (service, transports)
    }

    const REQUEST: &[u8] =
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nrest";

    async fn is_a_stream_that_does_not_delay(transport: Transport) {
        let Transport::Tcp { mut io } = transport else {
            panic!("it is a TCP stream");
        };
        assert!(io.get_ref().nodelay().unwrap());
        let mut leftover = [0; 4];
        io.read_exact(&mut leftover).await.unwrap();
        assert_eq!(&leftover, b"rest");
    }

    #[tokio::test]
    async fn a_tcp_stream_is_taken_out_of_hypers_layers_and_does_not_delay() {
        let (mut client, stream) = pair().await;
        let (service, mut transports) = taking_over();
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection.with_upgrades());
        client.write_all(REQUEST).await.unwrap();
        is_a_stream_that_does_not_delay(transports.recv().await.unwrap()).await;
    }

    #[cfg(feature = "http2")]
    #[tokio::test]
    async fn a_tcp_stream_is_taken_out_of_the_layers_of_auto_too() {
        use hyper_util::rt::TokioExecutor;
        use hyper_util::server::conn::auto;

        let (mut client, stream) = pair().await;
        let (service, mut transports) = taking_over();
        tokio::spawn(async move {
            let server = auto::Builder::new(TokioExecutor::new());
            let io = TokioIo::new(stream);
            let connection = server.serve_connection_with_upgrades(io, service);
            connection.await.map_err(|error| error.to_string())
        });
        client.write_all(REQUEST).await.unwrap();
        is_a_stream_that_does_not_delay(transports.recv().await.unwrap()).await;
    }

    #[tokio::test]
    async fn a_tcp_stream_is_written_to_in_one_call_for_many_slices() {
        let (_client, stream) = pair().await;
        let io = Rewind::new(stream, Bytes::new());
        assert!(Transport::Tcp { io }.is_write_vectored());
    }
}
