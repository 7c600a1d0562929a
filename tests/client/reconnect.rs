//! The example `reconnect`, as a process: its servers go away and come back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_ws::error::BoxError;
use hyper_ws::hub::{History, Hub};
use hyper_ws::tracker::Tracker;
use hyper_ws::{Sender, WebSocket, WebSocketService};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::page;

const PATIENCE: Duration = Duration::from_secs(120);

/// cargo builds the examples before it runs the tests.
fn example(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    assert!(
        path.exists(),
        "{} is not built (cargo build --examples)",
        path.display()
    );
    path
}

/// The program, whose input and output the test has.
struct Program {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(address: SocketAddr) -> Self {
        let mut process = Command::new(example("reconnect"))
            .arg(format!("ws://{address}/ws"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Program {
            process,
            input,
            output,
        }
    }

    async fn say(&mut self, lines: std::ops::Range<u32>) {
        let input = self.input.as_mut().unwrap();
        for number in lines {
            input
                .write_all(format!("line {number}\n").as_bytes())
                .await
                .unwrap();
        }
    }

    async fn shows(&mut self, lines: std::ops::Range<u32>) {
        for number in lines {
            assert_eq!(
                self.next().await.as_deref(),
                Some(&*format!("line {number}"))
            );
        }
    }

    async fn next(&mut self) -> Option<String> {
        timeout(PATIENCE, self.output.next_line())
            .await
            .unwrap()
            .unwrap()
    }

    /// Ends the input. The program ends when the room has all.
    async fn ends(mut self) {
        self.input = None;
        assert_eq!(self.next().await, None);
        let status = timeout(PATIENCE, self.process.wait())
            .await
            .unwrap()
            .unwrap();
        assert!(status.success(), "{status}");
    }
}

/// A server whose hub outlives it, as with an engine. It speaks as the example `rooms`.
struct Server {
    accepting: JoinHandle<()>,
    sockets: mpsc::UnboundedReceiver<Sender>,
    tracker: Tracker,
}

impl Server {
    async fn start(address: SocketAddr, hub: Hub) -> (Self, SocketAddr) {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, sockets) = mpsc::unbounded_channel();
        let tracker = Tracker::new();
        let service = WebSocketService::new(service_fn(page))
            .route("/ws", move |socket: WebSocket| {
                tell.send(socket.sender()).unwrap();
                converse(socket, hub.clone())
            })
            .tracker(&tracker);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(connection.with_upgrades());
            }
        });
        let server = Server {
            accepting,
            sockets,
            tracker,
        };
        (server, address)
    }

    /// Without a word to anybody.
    async fn kill(mut self) {
        self.accepting.abort();
        let _ = self.accepting.await;
        while let Ok(sender) = self.sockets.try_recv() {
            sender.abort();
            sender.closed().await;
        }
        assert_eq!(self.tracker.stats().open, 0);
    }
}

async fn converse(mut socket: WebSocket, hub: Hub) -> Result<(), BoxError> {
    let room = hub.room("lobby");
    let first = socket.recv().await?;
    let from = first.and_then(|after| after.as_text()?.parse().ok());
    let begin = |start| format!("clear {start}");
    room.join_recent(&socket, from, 0, begin).await?;
    while let Some(message) = socket.recv().await? {
        room.send(message);
    }
    Ok(())
}

fn hub() -> Hub {
    Hub::new()
        .history(History::last(1000))
        .stamp(|_, at, message| format!("{at} {}", message.as_text().unwrap_or_default()))
}

#[tokio::test]
async fn a_client_whose_server_is_killed_three_times_shows_each_line_once_and_in_order() {
    let hub = hub();
    let (mut server, address) = Server::start(([127, 0, 0, 1], 0).into(), hub.clone()).await;
    let mut program = Program::start(address);
    program.say(0..10).await;
    program.shows(0..10).await;
    for round in 1..4 {
        let first = round * 10;
        server.kill().await;
        // While there is no server.
        program.say(first..first + 5).await;
        (server, _) = Server::start(address, hub.clone()).await;
        program.say(first + 5..first + 10).await;
        program.shows(first..first + 10).await;
    }
    program.ends().await;
    // In the room too, each at least once, those of one program in order.
    let mut last = HashMap::new();
    for message in hub.room("lobby").history(1000).await.unwrap().messages {
        let text = message.as_text().unwrap().to_owned();
        let number: u32 = text.rsplit(' ').next().unwrap().parse().unwrap();
        last.entry(number).or_insert(());
    }
    assert_eq!(last.len(), 40);
}

#[tokio::test]
async fn a_client_of_the_example_rooms_says_what_is_missing_when_the_room_is_lost() {
    // A port that is free, and stays so long enough.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let rooms = || {
        Command::new(example("rooms"))
            .arg(address.to_string())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let mut server = rooms();
    let mut program = Program::start(address);
    program.say(0..3).await;
    program.shows(0..3).await;
    server.kill().await.unwrap();
    program.say(3..6).await;
    let mut server = rooms();
    // Its memory went with the process.
    assert_eq!(
        program.next().await.as_deref(),
        Some("(some lines are missing)")
    );
    program.shows(3..6).await;
    program.ends().await;
    server.kill().await.unwrap();
}
