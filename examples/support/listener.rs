//! A TCP listener that accepts until the program is asked to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) struct Listener {
    listener: TcpListener,
    interrupt: Signal,
    terminate: Signal,
}

impl Listener {
    /// Listens, and handles SIGINT and SIGTERM from now on.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Listener {
            listener: TcpListener::bind(address).await?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for a connection; `None` once the program is asked to stop.
    pub(crate) async fn accept(&mut self) -> Option<TcpStream> {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => return Some(stream),
                    // Out of file descriptors, for instance: other connections will close
                    // theirs.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                },
                _ = self.interrupt.recv() => return None,
                _ = self.terminate.recv() => return None,
            }
        }
    }
}
