//! A Redis of the test's own: a process on a free port, with its files in a temporary folder.
#![allow(dead_code, reason = "each program uses its own part")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A process of `redis-server`, ended when this is dropped.
pub(crate) struct RedisServer {
    child: Option<Child>,
    port: u16,
    folder: PathBuf,
    options: Vec<String>,
}

/// An answer of Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Text(Vec<u8>),
    Number(i64),
    Nothing,
    Many(Vec<Answer>),
    Error(String),
}

impl RedisServer {
    /// Starts one without persistence. `None` if `redis-server` is not installed, after saying so;
    /// where it must be (`CI` is set), this fails.
    pub(crate) fn start() -> Option<Self> {
        Self::with(&["--save", "", "--appendonly", "no"])
    }

    /// Starts one with options of the command line.
    pub(crate) fn with(options: &[&str]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
        {
            let hint = "`redis-server` is not installed (sudo apt-get install redis-server)";
            assert!(std::env::var_os("CI").is_none(), "{hint}");
            eprintln!("\n*** NOT RUN: {hint} ***\n");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hyper-ws-redis-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        let mut server = RedisServer {
            child: None,
            port: 0,
            folder,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        // The port is free, and may be taken by another before Redis has it.
        for _ in 0..10 {
            server.port = free_port();
            if server.launch() {
                return Some(server);
            }
        }
        panic!(
            "redis-server does not start; see {}",
            server.folder.display()
        );
    }

    fn launch(&mut self) -> bool {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("the temporary folder is writable");
        let mut child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args([
                "--enable-debug-command",
                "yes",
                "--repl-diskless-sync-delay",
                "0",
            ])
            .arg("--dir")
            .arg(&self.folder)
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return false;
            }
            if let Ok(answer) = self.try_command(&[b"PING"])
                && !matches!(&answer, Answer::Error(reason) if reason.starts_with("LOADING"))
            {
                self.child = Some(child);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends the process at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the process again, on the same port and with the same files.
    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs");
        assert!(self.launch(), "redis-server does not start again");
    }

    /// Sends a signal to the process: `STOP`, `CONT`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id();
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(id.to_string())
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "kill -{name} {id}"
        );
    }

    /// Runs a command.
    pub(crate) fn command(&self, words: &[&str]) -> Answer {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.try_command(&words).expect("redis answers")
    }

    /// Runs a command whose words are any bytes.
    pub(crate) fn raw_command(&self, words: &[&[u8]]) -> Answer {
        self.try_command(words).expect("redis answers")
    }

    /// Runs a command of one line without quotes.
    pub(crate) fn say(&self, line: &str) -> Answer {
        self.command(&line.split(' ').collect::<Vec<_>>())
    }

    /// Sends a command, and waits for no answer.
    pub(crate) fn begin(&self, line: &str) -> TcpStream {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.send(&words).expect("redis accepts connections")
    }

    fn try_command(&self, words: &[&[u8]]) -> std::io::Result<Answer> {
        answer(&mut BufReader::new(self.send(words)?))
    }

    fn send(&self, words: &[&[u8]]) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend(format!("${}\r\n", word.len()).into_bytes());
            request.extend(*word);
            request.extend(b"\r\n");
        }
        stream.write_all(&request)?;
        Ok(stream)
    }

    /// A value of the answer to `INFO`.
    pub(crate) fn info(&self, section: &str, name: &str) -> String {
        let Answer::Text(text) = self.command(&["INFO", section]) else {
            panic!("INFO has no text");
        };
        let text = String::from_utf8(text).expect("INFO is ASCII");
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().to_owned()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Answer {
    pub(crate) fn text(&self) -> &[u8] {
        match self {
            Answer::Text(text) => text,
            other => panic!("not a text: {other:?}"),
        }
    }

    pub(crate) fn number(&self) -> i64 {
        match self {
            Answer::Number(number) => *number,
            other => panic!("not a number: {other:?}"),
        }
    }
}

fn answer(stream: &mut impl BufRead) -> std::io::Result<Answer> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let closed = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (kind, rest) = line.trim_end().split_at_checked(1).ok_or_else(closed)?;
    let number = || rest.parse::<i64>().expect("redis sends numbers");
    Ok(match kind {
        "+" => Answer::Text(rest.into()),
        "-" => Answer::Error(rest.to_owned()),
        ":" => Answer::Number(number()),
        "$" => match usize::try_from(number()) {
            Ok(length) => {
                let mut text = vec![0; length + 2];
                stream.read_exact(&mut text)?;
                text.truncate(length);
                Answer::Text(text)
            }
            Err(_) => Answer::Nothing,
        },
        "*" => match usize::try_from(number()) {
            Ok(length) => Answer::Many(
                (0..length)
                    .map(|_| answer(stream))
                    .collect::<std::io::Result<_>>()?,
            ),
            Err(_) => Answer::Nothing,
        },
        other => panic!("not an answer of redis: {other}{rest}"),
    })
}

/// A port that nothing listens on, for now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
