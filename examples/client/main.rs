//! A WebSocket client for the command line: lines in, messages out.
//!
//!     cargo run --release --example client -- ws://127.0.0.1:9001
//!     echo hello | cargo run --release --example client -- ws://127.0.0.1:9001
//!
//! A copy of it needs the features `client`, `rustls-ring`, `deflate`.
//!
//! Only messages go to standard output, so it works in pipes. At the end of the
//! input it waits for answers as long as they keep coming (see `--wait`), and
//! closes. Exit status: 0 after a close with 1000 or 1001, 1 after any other end, 2
//! for a wrong command line, 3 if the server did not accept.

mod proxy;
mod show;
mod tls;

use std::error::Error;
use std::io::BufRead;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hyper_ws::client::Connect;
use hyper_ws::config::Compression;
use hyper_ws::error::{BoxError, CloseCause};
use hyper_ws::handshake::{IntoRequest, Target};
use hyper_ws::{CloseCode, Config, Message, Sender, WebSocket, connect};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, sleep_until};

use show::Show;

#[derive(Parser)]
#[command(about = "A WebSocket client: lines in, messages out")]
struct Options {
    /// ws://HOST[:PORT]/PATH or wss://...; user:password@ becomes `Authorization`.
    url: String,
    /// A field for the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// A subprotocol to offer; may be given several times.
    #[arg(short, long = "protocol", value_name = "NAME")]
    protocols: Vec<String>,
    /// The page to pretend to be: sets `Origin`.
    #[arg(short, long)]
    origin: Option<String>,
    /// Offer compression; `dedicated` keeps the context between messages.
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "shared")]
    deflate: Option<Deflate>,
    /// Send lines as binary messages, and write those that come as they are.
    #[arg(short, long)]
    binary: bool,
    /// Show messages that are JSON over several lines.
    #[arg(short, long)]
    json: bool,
    /// Ask every SECONDS whether the server is there, and say how fast it answers.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = seconds)]
    ping: Option<Duration>,
    /// After the end of the input, close when nothing has come for so long.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    wait: Duration,
    /// Close when N messages have come.
    #[arg(short, long, value_name = "N")]
    count: Option<u64>,
    /// Do not read the input: receive until the server closes.
    #[arg(short, long)]
    no_input: bool,
    /// http://[USER:PASSWORD@]HOST:PORT or socks5://...
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Trust the certificates in this PEM file, instead of those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Trust any certificate: anybody may be listening.
    #[arg(short = 'k', long, conflicts_with = "ca")]
    insecure: bool,
    /// The largest message to accept.
    #[arg(long, value_name = "BYTES", default_value_t = 64 * 1024 * 1024)]
    max_message: usize,
    /// How long connecting and the handshake may take, each.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Show the server's response.
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Deflate {
    Shared,
    Dedicated,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let show = Show::new(options.binary, options.json);
    let (socket, response) = match open(&options).await {
        Ok(opened) => opened,
        Err(error) => {
            show.error(&*error);
            return ExitCode::from(3);
        }
    };
    if options.verbose {
        show.response(&response);
    }
    show.notice(&match socket.protocol() {
        Some(protocol) => format!("connected, subprotocol {protocol}"),
        None => "connected".to_owned(),
    });
    match converse(socket, &options, &show).await {
        Ok(cause) => show.end(cause),
        Err(error) => {
            show.error(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn open(options: &Options) -> Result<(WebSocket, http::Response<()>), BoxError> {
    let mut connect = connect(&options.url)
        .config(config(options))
        .protocols(&options.protocols)
        .connect_timeout(options.timeout)
        .handshake_timeout(options.timeout);
    for header in &options.headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| format!("`{header}` is not of the form NAME: VALUE"))?;
        connect = connect.header(name.trim(), value.trim());
    }
    if let Some(origin) = &options.origin {
        connect = connect.header("origin", origin);
    }
    connect = trust(connect, options)?;
    if let Some(proxy) = &options.proxy {
        let request = options.url.as_str().into_request()?;
        let target = Target::of(request.uri())?;
        let stream = tokio::time::timeout(options.timeout, proxy::through(proxy, &target))
            .await
            .map_err(|_| format!("the proxy does not answer within {:?}", options.timeout))??;
        connect = connect.via(stream);
    }
    Ok(connect.with_response().await?)
}

fn config(options: &Options) -> Config {
    let mut config = Config::new().max_message_size(options.max_message);
    if let Some(interval) = options.ping {
        config = config.keep_alive(interval, Duration::from_secs(20));
    }
    if let Some(mode) = options.deflate {
        config = config.compression(match mode {
            Deflate::Shared => Compression::shared(),
            Deflate::Dedicated => Compression::dedicated(),
        });
    }
    config
}

fn trust(connect: Connect, options: &Options) -> Result<Connect, BoxError> {
    Ok(match &options.ca {
        Some(file) => connect.tls(tls::trusting(file)?),
        None if options.insecure => connect.tls(tls::trusting_anybody()),
        None => connect,
    })
}

/// Sends the input and shows the received messages, until one side ends the
/// conversation.
async fn converse(
    mut socket: WebSocket,
    options: &Options,
    show: &Show,
) -> Result<CloseCause, BoxError> {
    // Sending and receiving run side by side: if each side waited for the other to
    // read, neither would.
    let mut typing = pin!(send_lines(socket.sender(), lines(options), options.binary));
    let mut is_typing = true;
    let mut quiet = pin!(sleep_until(Instant::now()));
    // Made once: a Ctrl-C between two turns of the loop counts too.
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut is_interrupted = false;
    let mut ask = interval(options.ping.unwrap_or(Duration::from_secs(3600)));
    let mut latency = None;
    let mut count = 0;
    loop {
        tokio::select! {
            message = socket.recv() => match message? {
                Some(message) => {
                    let shown = show.message(&message);
                    count += 1;
                    // The reader of the output may have gone.
                    if shown.is_err() || options.count == Some(count) {
                        socket.close(CloseCode::NORMAL, "").await;
                    }
                    quiet.as_mut().reset(Instant::now() + options.wait);
                }
                None => break,
            },
            () = &mut typing, if is_typing => {
                is_typing = false;
                quiet.as_mut().reset(Instant::now() + options.wait);
            }
            () = &mut quiet, if !is_typing => { socket.close(CloseCode::NORMAL, "").await; }
            _ = &mut interrupt, if !is_interrupted => {
                is_interrupted = true;
                socket.close(CloseCode::NORMAL, "").await;
            }
            _ = ask.tick(), if options.ping.is_some() => {
                if socket.latency() != latency
                    && let Some(answered) = socket.latency()
                {
                    latency = Some(answered);
                    show.notice(&format!("the server answers a ping within {answered:.1?}"));
                }
            }
        }
    }
    Ok(socket.close_cause().unwrap_or(CloseCause::Lost))
}

async fn send_lines(sender: Sender, mut lines: mpsc::Receiver<Vec<u8>>, binary: bool) {
    while let Some(line) = lines.recv().await {
        let message = if binary {
            Message::from(line)
        } else {
            Message::from(String::from_utf8_lossy(&line).into_owned())
        };
        // The receiving side reports why sending has failed.
        if sender.send(message).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The lines of the input, from a thread of their own: reading blocks, and the
/// program must be able to end meanwhile.
fn lines(options: &Options) -> mpsc::Receiver<Vec<u8>> {
    let (sender, lines) = mpsc::channel(16);
    let no_input = options.no_input;
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut line = Vec::new();
        while !no_input
            && input
                .read_until(b'\n', &mut line)
                .is_ok_and(|count| count > 0)
        {
            let end = line.strip_suffix(b"\n").unwrap_or(&line);
            let end = end.strip_suffix(b"\r").unwrap_or(end).len();
            line.truncate(end);
            if sender.blocking_send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
        if no_input {
            // The channel must stay open.
            std::mem::forget(sender);
        }
    });
    lines
}

/// An error and its sources, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
