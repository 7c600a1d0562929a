//! Runs the client cases of the Autobahn test suite, as its server demands. This is
//! a tool of the tests; it is built as an example for its dependencies.
//!
//!     cargo run --release --example autobahn_client -- ws://127.0.0.1:9001
//!
//! `tests/autobahn/check --client-cmd 'target/release/examples/autobahn_client {url}'`
//! starts the suite's server and runs this.

use std::time::Duration;

use clap::Parser;
use hyper_ws::config::Compression;
use hyper_ws::error::BoxError;
use hyper_ws::{Config, Message, WebSocket, connect};

#[derive(Parser)]
struct Options {
    /// Where the suite listens.
    url: String,
    /// The name of this client in the reports.
    #[arg(long, default_value = "hyper-ws")]
    agent: String,
    /// Compress; `dedicated` keeps a context for each connection.
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "shared")]
    deflate: Option<Deflate>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Deflate {
    Shared,
    Dedicated,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let base = options.url.trim_end_matches('/');
    let agent = &options.agent;
    let count = count_of_cases(base).await?;
    for case in 1..=count {
        let socket = connect(format!("{base}/runCase?case={case}&agent={agent}"))
            .config(config(&options))
            .await?;
        // `run` writes the answers to messages even if a violation follows right
        // behind them. In many cases the conversation is meant to end with an error.
        socket.run(echo).await;
    }
    // The server closes when the reports are written.
    let mut reports = connect(format!("{base}/updateReports?agent={agent}")).await?;
    while reports.recv().await?.is_some() {}
    println!("{count} cases run");
    Ok(())
}

async fn count_of_cases(base: &str) -> Result<u32, BoxError> {
    let mut socket = connect(format!("{base}/getCaseCount")).await?;
    match socket.recv().await? {
        Some(Message::Text(count)) => Ok(count.parse()?),
        other => Err(format!("{other:?} is not a count of cases").into()),
    }
}

fn config(options: &Options) -> Config {
    let config = Config::new()
        .max_message_size(64 * 1024 * 1024)
        .message_timeout(Duration::from_secs(600));
    match options.deflate {
        None => config,
        Some(Deflate::Shared) => config.compression(Compression::shared()),
        Some(Deflate::Dedicated) => config.compression(Compression::dedicated()),
    }
}

async fn echo(mut socket: WebSocket) -> Result<(), hyper_ws::Error> {
    while let Some(message) = socket.recv().await? {
        socket.send(message).await?;
    }
    Ok(())
}
