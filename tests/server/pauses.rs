//! A server that does not run for a while: its process is stopped, as a suspended laptop
//! or a debugger does it, or its only thread is blocked. Peers that did their part
//! meanwhile are not given up, whatever their deadline.
//!
//! The server is a process of its own: this program, started again.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, io, thread};

use hyper::service::service_fn;
use hyper_ws::{CloseCode, Config, WebSocket, WebSocketService};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::http2::{self, Connection};
use crate::support::{
    BINARY, Client, Frame, PING, PONG, TEXT, close_frame, echo, frame, listen, page, until,
};

/// The variable that tells the server its [`Case`].
const CASE: &str = "HYPER_WS_PAUSED_SERVER";

const PAUSE: Duration = Duration::from_millis(2500);
/// A peer that is silent for so long is pinged.
const INTERVAL: Duration = Duration::from_millis(100);
/// Passes while the server is paused.
const DEADLINE: Duration = Duration::from_secs(1);
/// The time in which a peer answers a ping.
const ANSWER: Duration = Duration::from_millis(310);
const PEERS: usize = 20;

/// How often the server is paused. (`PAUSES=5 cargo test --test server pauses`)
fn pauses() -> usize {
    env::var("PAUSES").map_or(2, |pauses| pauses.parse().unwrap())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// SIGSTOP, and SIGCONT after a while.
    Stopped,
    /// A handler sleeps without awaiting.
    Blocked,
}

/// The deadlines that the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadlines {
    Pings,
    /// Of messages, writing and closing.
    Others,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    version: Version,
    threads: usize,
    deadlines: Deadlines,
}

impl Case {
    fn config(self) -> Config {
        match self.deadlines {
            Deadlines::Pings => Config::new().keep_alive(INTERVAL, DEADLINE),
            Deadlines::Others => Config::new()
                .no_keep_alive()
                .message_timeout(DEADLINE)
                .write_timeout(DEADLINE)
                .close_timeout(DEADLINE),
        }
    }

    fn encode(self) -> String {
        let http2 = self.version == Version::Http2;
        let pings = self.deadlines == Deadlines::Pings;
        format!("{http2} {} {pings}", self.threads)
    }

    fn decode(text: &str) -> Self {
        let [http2, threads, pings] = text.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        Case {
            version: match http2 {
                "true" => Version::Http2,
                _ => Version::Http1,
            },
            threads: threads.parse().unwrap(),
            deadlines: match pings {
                "true" => Deadlines::Pings,
                _ => Deadlines::Others,
            },
        }
    }
}

/// The server. It ends with the process that started it, which holds its standard input.
#[test]
#[ignore = "the process that the other tests pause"]
fn server() {
    let Ok(case) = env::var(CASE) else { return };
    let case = Case::decode(&case);
    let mut builder = match case.threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(case.threads).enable_all().build();
    thread::spawn(move || {
        runtime.unwrap().block_on(async {
            println!("listens on {}", serve(case).await);
            std::future::pending::<()>().await;
        })
    });
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

async fn serve(case: Case) -> SocketAddr {
    let service = WebSocketService::new(service_fn(page))
        .route("/echo", echo)
        .route("/block", async |mut socket: WebSocket| {
            while let Ok(Some(_)) = socket.recv().await {
                thread::sleep(PAUSE);
            }
        })
        .route("/talk", async |mut socket: WebSocket| {
            while socket.send(vec![b'.'; 1000]).await.is_ok() {}
        })
        .route("/close", async |mut socket: WebSocket| {
            let _ = socket.recv().await;
            socket.close(CloseCode::NORMAL, "").await;
        })
        .config(case.config());
    match case.version {
        Version::Http1 => listen(service).await,
        Version::Http2 => http2::serve(http2::server(), service).await,
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}
type Peer = Client<Box<dyn Io>>;

/// The server's process, and how peers reach it.
struct Server {
    process: Child,
    address: SocketAddr,
    case: Case,
    /// All streams of HTTP/2 share a connection.
    http2: Option<Connection>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    async fn start(case: Case) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["pauses::server", "--exact", "--ignored", "--nocapture"])
            .env(CASE, case.encode())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let address = output
            .lines()
            .find_map(|line| Some(line.unwrap().split_once("listens on ")?.1.parse()));
        let address = address.expect("the server listens").unwrap();
        let http2 = match case.version {
            Version::Http1 => None,
            Version::Http2 => Some(Connection::open(address).await),
        };
        Server {
            process,
            address,
            case,
            http2,
        }
    }

    async fn peer(&mut self, path: &str) -> Peer {
        match &mut self.http2 {
            Some(connection) => {
                let socket = connection.socket(path).await;
                Client::over(Box::new(socket.io))
            }
            None => {
                let client = Client::connect(self.address).await;
                let mut peer: Peer = Client::over(Box::new(client.io));
                peer.upgrade(path).await;
                peer
            }
        }
    }

    fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Stops the process; what `meanwhile` does happens while it does not run.
    async fn stop(&mut self, meanwhile: impl Future<Output = ()>) {
        self.signal("-STOP");
        tokio::join!(meanwhile, sleep(PAUSE));
        self.signal("-CONT");
    }

    /// Has a handler block the thread. Returns the peer of this handler, which answers
    /// a ping meanwhile.
    async fn block(&mut self, meanwhile: impl Future<Output = ()>) -> Peer {
        let mut peer = self.peer("/block").await;
        let pong = match self.case.deadlines {
            Deadlines::Others => Vec::new(),
            Deadlines::Pings => {
                let ping = peer.frame().await.expect("a ping");
                assert_eq!(ping.first, PING);
                frame(PONG, &ping.payload)
            }
        };
        peer.send(frame(TEXT, b"")).await;
        let blocked = async {
            sleep(Duration::from_millis(100)).await;
            peer.send(pong).await;
            meanwhile.await;
        };
        tokio::join!(blocked, sleep(PAUSE));
        peer
    }
}

/// A peer that answers pings.
struct Answering {
    answered: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Answering {
    fn new(mut peer: Peer) -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let count = answered.clone();
        let task = tokio::spawn(async move {
            while let Some(Frame { first, payload }) = peer.frame().await
                && first == PING
            {
                sleep(ANSWER).await;
                peer.send(frame(PONG, &payload)).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Answering { answered, task }
    }

    fn is_given_up(&self) -> bool {
        self.task.is_finished()
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

/// Waits until each of these peers has answered more pings, or is given up.
async fn pings_go_on(peers: &[Answering]) {
    let before: Vec<_> = peers.iter().map(Answering::answered).collect();
    let goes_on = || {
        let mut peers = peers.iter().zip(&before);
        peers.all(|(peer, before)| peer.is_given_up() || peer.answered() >= before + 2)
    };
    until("pings go on", goes_on).await;
}

/// Asserts that no peer is given up that answers pings.
async fn keeps_peers_that_answer(version: Version, threads: usize, pause: Pause) {
    let mut server = Server::start(Case {
        version,
        threads,
        deadlines: Deadlines::Pings,
    })
    .await;
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        peers.push(Answering::new(server.peer("/echo").await));
    }
    for _ in 0..pauses() {
        pings_go_on(&peers).await;
        // The next pings are sent, and most are not answered yet.
        sleep(INTERVAL + ANSWER / 2).await;
        match pause {
            Pause::Stopped => server.stop(async {}).await,
            Pause::Blocked => peers.push(Answering::new(server.block(async {}).await)),
        }
        pings_go_on(&peers).await;
    }
    let lost = peers.iter().filter(|peer| peer.is_given_up()).count();
    for peer in &peers {
        peer.task.abort();
    }
    let count = peers.len();
    println!("{version:?}, {threads} threads, {pause:?}: {lost} of {count} given up");
    assert_eq!(lost, 0, "of {count}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_peer_is_given_up_that_answered_while_the_process_was_stopped() {
    tokio::join!(
        keeps_peers_that_answer(Version::Http1, 1, Pause::Stopped),
        keeps_peers_that_answer(Version::Http1, 2, Pause::Stopped),
        keeps_peers_that_answer(Version::Http2, 1, Pause::Stopped),
        keeps_peers_that_answer(Version::Http2, 2, Pause::Stopped),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_peer_is_given_up_that_answered_while_a_handler_blocked_the_thread() {
    tokio::join!(
        keeps_peers_that_answer(Version::Http1, 1, Pause::Blocked),
        keeps_peers_that_answer(Version::Http2, 1, Pause::Blocked),
    );
}

/// Reads more than all buffers hold between the server and this peer.
async fn read(mut peer: Peer) -> Peer {
    for _ in 0..15_000 {
        let frame = peer.frame().await.expect("the server writes on");
        assert_eq!(frame.first, BINARY, "{frame:?}");
    }
    peer
}

/// Asserts that a peer meets the deadlines of messages, writing and closing if it does its
/// part during a pause.
async fn keeps_other_deadlines(version: Version, pause: Pause) {
    let mut server = Server::start(Case {
        version,
        threads: 1,
        deadlines: Deadlines::Others,
    })
    .await;
    let mut sender = server.peer("/echo").await;
    let mut reader = server.peer("/talk").await;
    for _ in 0..pauses() {
        let mut closer = server.peer("/close").await;
        closer.send(frame(TEXT, b"")).await;
        closer.expect_close(1000).await;
        // The rest of it comes during the pause.
        let message = frame(TEXT, b"hello");
        let (begin, rest) = message.split_at(8);
        sender.send(begin).await;
        // Until nothing more fits between the server and this reader.
        sleep(DEADLINE / 4).await;
        let mut reading = None;
        let meanwhile = async {
            sender.send(rest).await;
            closer.send(close_frame(1000, b"")).await;
            reading = Some(tokio::spawn(read(reader)));
        };
        match pause {
            Pause::Stopped => server.stop(meanwhile).await,
            Pause::Blocked => _ = server.block(meanwhile).await,
        }
        sender.expect(TEXT, "hello").await;
        closer.end().await;
        reader = reading.expect("it has begun").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_output_and_closes_have_their_time_after_a_pause() {
    tokio::join!(
        keeps_other_deadlines(Version::Http1, Pause::Stopped),
        keeps_other_deadlines(Version::Http2, Pause::Stopped),
        keeps_other_deadlines(Version::Http1, Pause::Blocked),
    );
}
