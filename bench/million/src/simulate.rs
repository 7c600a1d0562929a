//! Many connections in one process, each behind a [`Peer`].

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_ws::hub::{Hub, Room};
use hyper_ws::tracker::Tracker;
use hyper_ws::{CloseCode, Message, WebSocket, WebSocketService};
use tokio::task::yield_now;
use tokio::time::{resume, sleep};

use crate::app::{app, echo, serve};
use crate::json::Object;
use crate::peer::{CLOSED, DELIVERED, DROPPED, ECHOED, PONGS, PUBLISHED, Peer};
use crate::usage::{Usage, cpu_time};

/// How long a silent peer is left alone: the crate's default.
const INTERVAL: Duration = Duration::from_secs(25);

/// The number of batches in which connections are made, over one interval of the
/// stopped clock, so that their pings are spread over it too.
const BATCHES: u32 = 2_500;

/// Connections before the first that counts.
const WARM_UP: usize = 100;

/// The time for a drain, which spreads its closes over half of it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(40);

/// The number of published messages; the first finds no queue allocated.
const PUBLICATIONS: usize = 3;

/// The bytes for each of `sockets` with README's echo handler, and the CPU time of a
/// round of keep-alive.
pub(crate) fn idle(sockets: usize) -> Object {
    in_runtime(async {
        let service = WebSocketService::new(service_fn(app)).route("/ws", echo);
        let mut report = Object::new("idle", sockets);
        connect(|| serve(Peer::new(), service.clone()), sockets, &mut report).await;

        // One round in which all connections get into step, then the one that counts.
        sleep(INTERVAL + INTERVAL / 5).await;
        let (before, pongs) = (Usage::now(), PONGS.load(Ordering::Relaxed));
        sleep(INTERVAL).await;
        let (after, pongs) = (Usage::now(), PONGS.load(Ordering::Relaxed) - pongs);
        let cpu = (after.cpu - before.cpu).as_secs_f64();
        report.number("pings in an interval", pongs as f64);
        report.number("CPU ns a ping", cpu / pongs as f64 * 1e9);
        let of_a_core = cpu / pongs as f64 * sockets as f64 / INTERVAL.as_secs_f64();
        report.number("share of a core for keep-alive", of_a_core);
        report.each(
            "bytes allocated a socket by keep-alive",
            after.live - before.live,
            sockets,
        );
        assert_eq!(DROPPED.load(Ordering::Relaxed), 0, "a connection was lost");
        report
    })
}

/// The same for sockets that are in one room and counted by a tracker; then
/// publishing to all, and draining.
pub(crate) fn room(sockets: usize) -> Object {
    in_runtime(async {
        let room = Hub::new().room("all");
        let tracker = Tracker::new();
        let handler = {
            let room = room.clone();
            move |socket: WebSocket| {
                room.join(&socket);
                echo(socket)
            }
        };
        let service = WebSocketService::new(service_fn(app))
            .route("/ws", handler)
            .tracker(&tracker);
        let begin = Usage::now();
        let mut report = Object::new("room", sockets);
        connect(|| serve(Peer::new(), service.clone()), sockets, &mut report).await;
        assert_eq!((room.len(), tracker.len()), (sockets, sockets));

        // From here on the real clock is measured.
        resume();
        publish(&room, sockets, &mut report).await;
        drain(&tracker, sockets, &mut report).await;
        assert!(room.is_empty());
        let left = Usage::now().live - begin.live;
        report.number(
            "bytes allocated while room and tracker are left",
            left as f64,
        );
        drop((room, tracker, service));
        let left = Usage::now().live - begin.live;
        report.number("bytes allocated that are left of all", left as f64);
        report
    })
}

async fn connect(serve: impl Fn(), sockets: usize, report: &mut Object) {
    // The first few fill the pools, which are not part of their cost.
    for _ in 0..WARM_UP {
        serve();
    }
    sleep(INTERVAL / BATCHES).await;
    let before = Usage::now();
    let measured = sockets - WARM_UP;
    let mut made = 0;
    for batch in 1..=BATCHES {
        let until = (measured as u64 * u64::from(batch) / u64::from(BATCHES)) as usize;
        while made < until {
            serve();
            made += 1;
        }
        // A stopped clock moves on when no task has anything left to do.
        sleep(INTERVAL / BATCHES).await;
    }
    let after = Usage::now();
    assert_eq!(ECHOED.load(Ordering::Relaxed), sockets);
    report.each(
        "bytes allocated a socket",
        after.live - before.live,
        measured,
    );
    report.each(
        "bytes resident a socket",
        after.resident - before.resident,
        measured,
    );
    report.number("bytes of these for the IO", size_of::<Peer>() as f64);
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    report.number("CPU us a handshake and echo", cpu / measured as f64 * 1e6);
}

async fn publish(room: &Room, sockets: usize, report: &mut Object) {
    let (mut queued, mut delivered, mut cpu) = (vec![], vec![], vec![]);
    let mut queues = 0;
    let expected = DELIVERED.load(Ordering::Relaxed);
    for round in 1..=PUBLICATIONS {
        let before = Usage::now();
        let sent = room.send(Message::from(PUBLISHED.to_vec()));
        let after = Usage::now();
        assert_eq!((sent.queued, sent.missed), (sockets, 0));
        queued.push((after.at - before.at).as_secs_f64());
        queues = queues.max(after.live - before.live);
        wait_for(&DELIVERED, expected + round * sockets).await;
        let all = Usage::now();
        delivered.push((all.at - before.at).as_secs_f64());
        cpu.push((all.cpu - before.cpu).as_secs_f64());
    }
    report.number("publish: seconds in the first send", queued[0]);
    report.number("publish: seconds in send", least(queued));
    report.number("publish: seconds until delivered to all", least(delivered));
    report.number(
        "publish: CPU ns a member",
        least(cpu) / sockets as f64 * 1e9,
    );
    report.each(
        "publish: bytes allocated a member at the peak",
        queues,
        sockets,
    );
}

async fn drain(tracker: &Tracker, sockets: usize, report: &mut Object) {
    let before = Usage::now();
    // The longest delay of other tasks: another task wants a turn every millisecond,
    // and notes the thread's CPU time before it gets one.
    let late = tokio::spawn(async move {
        let mut most = Duration::ZERO;
        while DROPPED.load(Ordering::Relaxed) < sockets {
            let asked = cpu_time();
            sleep(Duration::from_millis(1)).await;
            most = most.max(cpu_time() - asked);
        }
        most
    });
    let drained = tracker.drain(CloseCode::GOING_AWAY, DRAIN_TIMEOUT).await;
    let after = Usage::now();
    assert_eq!(drained.closed + drained.aborted, sockets);
    assert!(CLOSED.load(Ordering::Relaxed) >= drained.closed);
    report.number("drain: cut off", drained.aborted as f64);
    report.number("drain: seconds", (after.at - before.at).as_secs_f64());
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    report.number("drain: CPU us a socket", cpu / sockets as f64 * 1e6);
    let late = late.await.expect("it does not panic");
    report.number(
        "drain: ms that another task waited at most",
        late.as_secs_f64() * 1e3,
    );
}

async fn wait_for(counter: &AtomicUsize, goal: usize) {
    while counter.load(Ordering::Relaxed) < goal {
        yield_now().await;
    }
}

/// The quickest: other programs can only add to a time.
fn least(of: Vec<f64>) -> f64 {
    of.into_iter().fold(f64::INFINITY, f64::min)
}

/// One thread, and a clock that stands still while there is something to do.
fn in_runtime<R>(run: impl Future<Output = R>) -> R {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    runtime
        .expect("the system has what a runtime needs")
        .block_on(run)
}
