//! The usual turn is a shortcut of the rounds, and nothing else: random scripts of peers,
//! handlers and senders are run with it and without it, and everything that shows is compared.

mod flush;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;
use tokio::io::ReadBuf;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::peer::start;
use super::*;
use crate::config::Overflow;
use crate::protocol::Prepared;
use crate::socket::driver::USUAL_TURNS;

/// Something that happens to a connection from outside, while its task waits.
#[derive(Clone, Debug)]
enum Event {
    /// The peer sends these frames: first byte, length, and what the payload consists of. They
    /// arrive in one read, or in several.
    Frames(Vec<(u8, usize, u8)>, Vec<prop::sample::Index>),
    /// The stream takes so many bytes more, and no others.
    Takes(usize),
    TakesAll,
    InputEnds,
    InputFails,
    /// The handler is woken, if it waits for that.
    Woken,
    /// Another task sends, by a sender or like a room.
    Sends(usize),
    Delivers(usize),
    Closes,
    Aborts,
    Passes(u64),
}

/// What the handler does next.
#[derive(Clone, Copy, Debug)]
enum Act {
    Receive,
    Echo,
    /// Receives, or is woken by something else.
    ReceiveOrWoken,
    Send(usize),
    Woken,
    Stream,
    Flush,
    Counts,
    Discard,
    Close,
    Drop,
    Fail,
}

/// What a peer sends at once.
fn frames(lengths: impl Strategy<Value = usize>, most: usize) -> impl Strategy<Value = Event> {
    let data = (prop::sample::select(vec![0x81, 0x82]), lengths, Just(b'a'));
    let other = (
        prop::sample::select(vec![0x01, 0x80, 0x89, 0x8a]),
        0..20_usize,
        Just(b'b'),
    );
    // A close frame; text that is not UTF-8; a continuation of nothing.
    let last = prop::sample::select(vec![(0x88, 0, 0), (0x81, 1, 0xff), (0x80, 0, 0)]);
    let frames = prop::collection::vec(prop_oneof![30 => data, 1 => other], 1..most);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..2);
    (frames, prop::option::weighted(0.05, last), cuts).prop_map(|(mut frames, last, cuts)| {
        frames.extend(last);
        Event::Frames(frames, cuts)
    })
}

fn other_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::TakesAll),
        1 => Just(Event::InputEnds),
        1 => Just(Event::InputFails),
        6 => Just(Event::Woken),
        6 => (0..300_usize).prop_map(Event::Sends),
        6 => (0..300_usize).prop_map(Event::Delivers),
        1 => Just(Event::Closes),
        1 => Just(Event::Aborts),
        3 => prop::sample::select(vec![1, 40, 60]).prop_map(Event::Passes),
    ]
}

fn act_that_receives() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => Just(Act::Receive),
        20 => Just(Act::Echo),
        4 => Just(Act::ReceiveOrWoken),
        2 => Just(Act::Stream),
        2 => Just(Act::Counts),
        1 => prop::sample::select(vec![Act::Discard, Act::Close, Act::Drop, Act::Fail]),
    ]
}

fn act_that_waits() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..300_usize).prop_map(Act::Send),
        3 => Just(Act::Woken),
        2 => Just(Act::Flush),
    ]
}

#[derive(Clone, Debug)]
struct Script {
    output_limit: usize,
    events: Vec<Event>,
    acts: Vec<Act>,
}

fn script() -> impl Strategy<Value = Script> {
    // As much as an inbox takes and more, for a handler that does nothing but receive.
    let lengths = prop_oneof![
        20 => 0..130_usize,
        4 => 126..5000_usize,
        1 => 65_530..65_540_usize,
    ];
    let frames_and_many = prop_oneof![3 => frames(lengths, 6), 1 => frames(0..40_usize, 140)];
    let receives = (
        prop::collection::vec(prop_oneof![3 => frames_and_many, 2 => other_event()], 1..30),
        prop::collection::vec(act_that_receives(), 0..20),
    );
    let receives = receives.prop_map(|(events, acts)| Script {
        output_limit: 1 << 20,
        events,
        acts,
    });
    // Less than an inbox takes, for a handler that also waits for something else. (What waits in
    // the inbox after a usual turn is in the socket's own batch after a round, so the driver
    // stops to read a little sooner or later.)
    let takes = (0..300_usize).prop_map(Event::Takes);
    let event = prop_oneof![6 => frames(0..1000_usize, 5), 5 => other_event(), 1 => takes];
    let waits = (
        prop::collection::vec(event, 1..15),
        prop::collection::vec(
            prop_oneof![2 => act_that_receives(), 1 => act_that_waits()],
            0..20,
        ),
        prop::sample::select(vec![200, 64 * 1024]),
    );
    let waits = waits.prop_map(|(events, acts, output_limit)| Script {
        output_limit,
        events,
        acts,
    });
    prop_oneof![receives, waits]
}

fn frame(&(first, length, byte): &(u8, usize, u8)) -> Vec<u8> {
    const KEY: [u8; 4] = [7, 1, 9, 3];
    let mut frame = vec![first];
    match length {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ ..0x1_0000 => {
            frame.push(0xfe);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0xff);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(KEY.iter().cycle().take(length).map(|key| key ^ byte));
    frame
}

/// The stream of the connection, and what has happened.
#[derive(Default)]
struct World {
    /// One entry for each read. An error is the last; nothing is the end.
    input: VecDeque<io::Result<Vec<u8>>>,
    reader: Option<Waker>,
    /// The bytes that the stream takes; `None`: all.
    takes: Option<usize>,
    writer: Option<Waker>,
    /// Called within each write.
    on_write: Option<Box<dyn FnMut() + Send>>,
    log: String,
}

#[derive(Clone, Default)]
struct Stream(Arc<Mutex<World>>);

impl Stream {
    fn note(&self, text: impl std::fmt::Display) {
        let log = &mut self.0.lock().unwrap().log;
        writeln!(log, "{text}").unwrap();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut world = self.0.lock().unwrap();
        let Some(next) = world.input.pop_front() else {
            world.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(next.map(|mut bytes| {
            let rest = bytes.split_off(bytes.len().min(buffer.remaining()));
            buffer.put_slice(&bytes);
            if bytes.is_empty() || !rest.is_empty() {
                world.input.push_front(Ok(rest));
            }
        }))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut world = self.0.lock().unwrap();
        if let Some(on_write) = &mut world.on_write {
            on_write();
        }
        let count = bytes.len().min(world.takes.unwrap_or(usize::MAX));
        if count == 0 {
            world.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        world.takes = world.takes.map(|takes| takes - count);
        let shown = bytes[..count].iter().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add((*byte).into())
        });
        let head = &bytes[..count.min(8)];
        writeln!(world.log, "written {count}: {head:x?}.. {shown:x}").unwrap();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note("shutdown");
        Poll::Ready(Ok(()))
    }
}

/// Does what the script says, then echoes.
async fn handle(
    mut socket: WebSocket,
    acts: Vec<Act>,
    mut woken: UnboundedReceiver<()>,
    stream: Stream,
) -> Result<(), Error> {
    let note = |received: &Result<Option<Message>, Error>| stream.note(format!("{received:?}"));
    let mut acts = acts.into_iter();
    loop {
        match acts.next().unwrap_or(Act::Echo) {
            Act::Receive => note(&socket.recv().await),
            Act::Echo => {
                let received = socket.recv().await;
                note(&received);
                match received? {
                    Some(message) => stream.note(format!("{:?}", socket.send(message).await)),
                    None => return Ok(()),
                }
            }
            Act::ReceiveOrWoken => tokio::select! {
                biased;
                received = socket.recv() => note(&received),
                _ = woken.recv() => stream.note("woken"),
            },
            Act::Send(length) => {
                let sent = socket.send(vec![1; length]).await;
                stream.note(format!("{sent:?}"));
            }
            Act::Woken => {
                woken.recv().await;
                stream.note("woken");
            }
            Act::Stream => match socket.recv_stream().await {
                Ok(Some(mut reader)) => {
                    let chunk = reader.chunk().await;
                    stream.note(format!("in chunks {chunk:?}"));
                }
                end => stream.note(format!("{:?}", end.map(|_| ()))),
            },
            Act::Flush => stream.note(format!("{:?}", socket.flush().await)),
            Act::Counts => stream.note(format!("sent {:?}", socket.shared.traffic().1)),
            Act::Discard => socket.discard_incoming(),
            Act::Close => stream.note(format!("{:?}", socket.close(CloseCode::NORMAL, "").await)),
            Act::Drop => {
                drop(socket);
                woken.recv().await;
                return Ok(());
            }
            Act::Fail => return Err(Error::from_kind(crate::error::ErrorKind::Unfinished)),
        }
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs the script; returns all that has shown.
async fn run(script: &Script, with_usual_turns: bool) -> String {
    let config = Config::new()
        .output_limit(script.output_limit)
        .max_message_size(65_535);
    USUAL_TURNS.set((with_usual_turns, 0));
    let stream = Stream::default();
    let (wake, woken) = unbounded_channel();
    let mut sender = None;
    let task = managed(stream.clone(), start(config), |socket| {
        sender = Some(socket.sender());
        handle(socket, script.acts.clone(), woken, stream.clone())
    });
    let sender = sender.expect("the handler was called");
    let mut task = std::pin::pin!(task);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut is_over = false;
    for event in std::iter::once(&Event::TakesAll).chain(&script.events) {
        let mut wake_up = None;
        match event {
            Event::Frames(frames, cuts) => {
                let mut rest = frames.iter().map(frame).collect::<Vec<_>>().concat();
                let mut world = stream.0.lock().unwrap();
                for cut in cuts {
                    let behind = rest.split_off(cut.index(rest.len()));
                    world
                        .input
                        .push_back(Ok(std::mem::replace(&mut rest, behind)));
                }
                world.input.push_back(Ok(rest));
                world
                    .input
                    .retain(|read| read.as_ref().is_ok_and(|read| !read.is_empty()));
                wake_up = world.reader.take();
            }
            Event::Takes(count) => stream.0.lock().unwrap().takes = Some(*count),
            Event::TakesAll => stream.0.lock().unwrap().takes = None,
            Event::InputEnds | Event::InputFails => {
                let mut world = stream.0.lock().unwrap();
                world.input.push_back(match event {
                    Event::InputEnds => Ok(vec![]),
                    _ => Err(io::ErrorKind::PermissionDenied.into()),
                });
                wake_up = world.reader.take();
            }
            Event::Woken => _ = wake.send(()),
            Event::Sends(length) => {
                let sent = sender.try_send(vec![2; *length]);
                stream.note(format!("{:?}", sent.is_ok()));
            }
            Event::Delivers(length) => {
                let message = Prepared::new(vec![3; *length]);
                let item = Item::Prepared(&message);
                let pushed = sender.shared().deliver(item, Overflow::DropOldest);
                stream.note(format!("{pushed:?}"));
            }
            Event::Closes => sender.close(CloseCode::GOING_AWAY, ""),
            Event::Aborts => sender.abort(),
            Event::Passes(seconds) => tokio::time::advance(Duration::from_secs(*seconds)).await,
        }
        if matches!(event, Event::Takes(1..) | Event::TakesAll) {
            wake_up = stream.0.lock().unwrap().writer.take();
        }
        wake_up.into_iter().for_each(Waker::wake);
        tokio::task::yield_now().await;
        let name = format!("{event:?}");
        let name = name.split('(').next().unwrap_or_default();
        stream.note(format!("{name}: {} wakes", wakes.0.load(Ordering::Relaxed)));
        // The first poll is due without a wake.
        let mut is_due = stream.0.lock().unwrap().log.lines().count() == 1;
        for _ in 0..1000 {
            is_due |= wakes.0.swap(0, Ordering::Relaxed) > 0;
            if !std::mem::take(&mut is_due) || is_over {
                break;
            }
            is_over = task
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready();
            // What the driver yields to.
            tokio::task::yield_now().await;
        }
    }
    let shared = sender.shared();
    let (received, sent) = shared.traffic();
    stream.note(format!(
        "{is_over} {received:?} {sent:?} {:?}",
        shared.close_cause()
    ));
    std::mem::take(&mut stream.0.lock().unwrap().log)
}

fn with_paused_clock<R>(future: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_tells_a_usual_turn_from_the_rounds(script in script()) {
        let [usual, rounds] = [true, false].map(|with_usual_turns| {
            with_paused_clock(run(&script, with_usual_turns))
        });
        USUAL_TURNS.set((true, 0));
        if usual != rounds {
            let lines = usual.lines().zip(rounds.lines());
            let same = lines.take_while(|(usual, rounds)| usual == rounds).count();
            let rest = |log: &str| log.lines().skip(same).map(str::to_owned).collect::<Vec<_>>();
            let before = usual.lines().take(same).map(str::to_owned).collect::<Vec<_>>();
            let differs = (before, rest(&usual), rest(&rounds));
            prop_assert!(false, "before, with usual turns, without: {:#?}", differs);
        }
    }
}

#[test]
fn echoes_and_deliveries_are_usual_turns() {
    let message = || Event::Frames(vec![(0x82, 20, 0)], vec![]);
    let script = Script {
        output_limit: 1000,
        events: vec![message(), Event::Delivers(20), message(), message()],
        acts: vec![],
    };
    with_paused_clock(run(&script, true));
    assert_eq!(USUAL_TURNS.get().1, 4);
}
