//! What every server here has in common, so that only the WebSocket part differs.
#![cfg(feature = "server")]

use std::future::Future;
use std::io;

use tokio::net::{TcpListener, TcpStream};

/// Whether one of the command line's words is `--name`.
pub fn has_flag(name: &str) -> bool {
    std::env::args().any(|argument| argument.strip_prefix("--") == Some(name))
}

/// Accepts connections on a port of the system's choice, on one thread, and
/// spawns `serve` for each. Prints the address for the load generator.
pub fn run<F, Fut>(serve: F) -> io::Result<()>
where
    F: Fn(TcpStream) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            println!("listening on http://{}", listener.local_addr()?);
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                tokio::spawn(serve(stream));
            }
        })
}
