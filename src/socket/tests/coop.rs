//! A connection with much to do lets other connections of its thread have their turn.

use std::future::poll_fn;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A peer that floods: there are always pings to be read, and it takes some time.
/// Counts the reads, and the polls of its driver.
#[derive(Clone, Default)]
struct Flood(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    reads: usize,
    polls: usize,
}

impl AsyncRead for Flood {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.0.lock().unwrap().reads += 1;
        std::thread::sleep(Duration::from_millis(2));
        buffer.put_slice(&[0x89, 0x80, 1, 2, 3, 4]);
        Poll::Ready(Ok(()))
    }
}

impl Flood {
    /// The future of a socket that is flooded, which counts its polls.
    fn serve(&self) -> impl Future<Output = ()> + use<> {
        let io = tokio::io::join(self.clone(), tokio::io::sink());
        let mut driver = Box::pin(managed(io, start(Config::new()), echo));
        let flood = self.clone();
        poll_fn(move |cx| {
            flood.0.lock().unwrap().polls += 1;
            driver.as_mut().poll(cx)
        })
    }
}

// The clock of these is the real one; it is not asked how long something takes.

#[tokio::test]
async fn a_flood_does_not_keep_the_thread() {
    let flood = Flood::default();
    let task = tokio::spawn(flood.serve());
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    task.abort();
    let counts = flood.0.lock().unwrap();
    assert!(counts.polls >= 20, "{} polls", counts.polls);
    assert!(
        counts.reads <= 2 * counts.polls,
        "{} reads in {} polls",
        counts.reads,
        counts.polls
    );
}

#[tokio::test]
async fn what_the_runtime_has_to_wake_comes_before_a_flood_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let one = TcpStream::connect(address).await.unwrap();
    let (other, _) = listener.accept().await.unwrap();
    let [(mut from, mut back), (mut read, mut write)] = [one, other].map(TcpStream::into_split);
    // The next to answer is never woken but by the runtime's IO.
    tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
    let flood = Flood::default();
    let task = tokio::spawn(flood.serve());
    for _ in 0..10 {
        back.write_all(b"x").await.unwrap();
        from.read_exact(&mut [0]).await.unwrap();
    }
    task.abort();
    // Sixty for each wake-up, if it woke itself.
    let polls = flood.0.lock().unwrap().polls;
    assert!(polls < 100, "{polls} polls");
}
