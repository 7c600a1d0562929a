//! What a `WebSocket` carries inside besides its messages: the driver of a bare socket, which
//! moves while a method of the socket is awaited or has a task of its own, and the flush of its
//! `Sink`.

use std::future::{Future, Ready, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::Handle;

use super::spawned::{BoxedDriver, BoxedIo, Spawned};
use super::turn::Turn;
use super::{Driver, ROUNDS};
use crate::socket::shared::Flush;

/// The driver of a bare socket, until the connection is closed, and the flush that the `Sink`
/// has begun. A socket that was managed from the beginning and does not flush at the moment has
/// neither: one null pointer.
///
/// The mutex is locked by [`spawn`](Inline::spawn) alone. It also makes the socket `Sync`, so
/// that futures that borrow the socket are `Send`.
#[derive(Default)]
pub(in crate::socket) struct Inline(Option<Box<Mutex<Parts>>>);

#[derive(Default)]
struct Parts {
    place: Place,
    flush: Flush,
}

/// Where the driver is.
///
/// ```text
/// Inline -- spawn --> Spawned
///    |
///    +-- closed, or taken to run in another future --> Elsewhere
/// ```
#[derive(Default)]
enum Place {
    /// The socket is managed, or its connection is closed.
    #[default]
    Elsewhere,
    /// Here: it moves while a method of the socket is awaited.
    Inline(InlineDriver),
    /// In a task of its own. The socket has become a managed one.
    Spawned(Arc<Spawned>),
}

struct InlineDriver {
    driver: BoxedDriver,
    /// That in which the socket was made, for a caller of `spawn` outside of any.
    runtime: Option<Handle>,
    tasks: Arc<Tasks>,
    /// Wakes all of `tasks`.
    waker: Waker,
}

impl Inline {
    pub(in crate::socket) fn new(driver: Driver<BoxedIo, Ready<()>>) -> Self {
        let tasks = Arc::new(Tasks::default());
        Inline(Some(Box::new(Mutex::new(Parts {
            place: Place::Inline(InlineDriver {
                driver: Box::pin(driver),
                runtime: Handle::try_current().ok(),
                waker: tasks.clone().into(),
                tasks,
            }),
            flush: Flush::default(),
        }))))
    }

    /// Whether there is neither a driver of a bare socket nor a flush.
    #[inline]
    pub(in crate::socket) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the socket is bare, and its connection not closed.
    #[inline]
    pub(in crate::socket) fn has_driver(&mut self) -> bool {
        self.parts()
            .is_some_and(|parts| matches!(parts.place, Place::Inline(_)))
    }

    /// Polls the driver, if the socket is bare.
    #[inline]
    pub(in crate::socket) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.is_empty() {
            self.drive_slow(cx);
        }
    }

    #[inline(never)]
    fn drive_slow(&mut self, cx: &mut Context<'_>) {
        if let Some(parts) = self.parts()
            && let Place::Inline(driver) = &mut parts.place
            && driver.poll(cx).is_ready()
        {
            parts.place = Place::Elsewhere;
            self.drop_empty();
        }
    }

    /// The socket was dropped: writes what is queued and a close frame, as far as the transport
    /// takes them at once.
    pub(in crate::socket) fn write_the_last(&mut self) {
        // A panic within the drop that a panic has caused would abort the process.
        if std::thread::panicking() {
            return;
        }
        // A stream of the user's may need a runtime to write, and there may be none.
        let write = |driver: &mut BoxedDriver| {
            let _ = catch_unwind(AssertUnwindSafe(|| write_the_last(driver)));
        };
        match self.parts().map(|parts| &mut parts.place) {
            Some(Place::Inline(inline)) => write(&mut inline.driver),
            Some(Place::Spawned(spawned)) => spawned.end(write),
            Some(Place::Elsewhere) | None => {}
        }
    }

    /// Gives the driver of a bare socket a task of its own: handles of other tasks are going to
    /// send, and the task that has the socket may await something else meanwhile. Without a
    /// runtime the socket stays bare.
    pub(in crate::socket) fn spawn(&self) {
        let Some(parts) = &self.0 else { return };
        let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
        let Place::Inline(inline) = &parts.place else {
            return;
        };
        let runtime = Handle::try_current()
            .ok()
            .or_else(|| inline.runtime.clone());
        if let Some(runtime) = runtime
            && let Place::Inline(inline) = std::mem::take(&mut parts.place)
        {
            parts.place = Place::Spawned(Spawned::new(inline.driver, &runtime));
        }
    }

    /// Takes the driver of a bare socket out, to be polled as a task.
    pub(in crate::socket) fn take_driver(&mut self) -> Option<BoxedDriver> {
        let place = &mut self.parts()?.place;
        if !matches!(place, Place::Inline(_)) {
            return None;
        }
        let Place::Inline(inline) = std::mem::take(place) else {
            return None;
        };
        self.drop_empty();
        Some(inline.driver)
    }

    /// The flush that has begun and is not complete.
    pub(in crate::socket) fn flush(&mut self) -> Flush {
        self.parts().map_or(Flush::Begin, |parts| parts.flush)
    }

    /// Remembers a flush that goes on; `Flush::Begin` forgets it.
    pub(in crate::socket) fn set_flush(&mut self, flush: Flush) {
        if flush == Flush::Begin && self.is_empty() {
            return;
        }
        let parts = self.0.get_or_insert_default().get_mut();
        parts.unwrap_or_else(PoisonError::into_inner).flush = flush;
        self.drop_empty();
    }

    fn parts(&mut self) -> Option<&mut Parts> {
        let parts = self.0.as_mut()?.get_mut();
        Some(parts.unwrap_or_else(PoisonError::into_inner))
    }

    fn drop_empty(&mut self) {
        if let Some(parts) = self.parts()
            && matches!(parts.place, Place::Elsewhere)
            && parts.flush == Flush::Begin
        {
            self.0 = None;
        }
    }
}

/// A turn that ends without waiting: the task that is to complete the closing handshake may
/// never be polled, if the program ends. What has arrived is read, since TCP answers unread
/// bytes with a reset, which may take what was written with it. No timer is armed:
/// this may be outside of the runtime.
fn write_the_last(driver: &mut BoxedDriver) {
    let mut driver = driver.as_mut();
    let rounds = poll_fn(|cx| {
        let mut turn = Turn::default();
        driver.as_mut().begin_turn(&mut turn, cx);
        for _ in 0..ROUNDS {
            let received = driver.as_mut().receive(&mut turn, cx);
            // There is no handler; this begins the closing handshake.
            driver.as_mut().poll_handler(cx);
            let transmitted = driver.as_mut().transmit(&mut turn, cx);
            if driver.is_over() || !received && !transmitted || turn.is_long() {
                break;
            }
        }
        Poll::Ready(())
    });
    // The task may have used its budget up.
    let rounds = pin!(tokio::task::unconstrained(rounds));
    let _ = rounds.poll(&mut Context::from_waker(Waker::noop()));
}

impl InlineDriver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.tasks.remember(cx.waker());
        self.driver
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker))
    }
}

/// The tasks that poll the driver in turn, as the halves of a split `Stream` and `Sink` do.
/// The IO and the timer remember one waker, the last, so it must wake all tasks.
#[derive(Default)]
struct Tasks(Mutex<Vec<Waker>>);

/// If there are more tasks than this, the earlier ones are woken to ask again, instead of
/// being remembered.
const REMEMBERED: usize = 8;

impl Tasks {
    fn remember(&self, waker: &Waker) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.iter().any(|known| known.will_wake(waker)) {
            return;
        }
        let forgotten = match tasks.len() {
            REMEMBERED.. => std::mem::take(&mut *tasks),
            _ => Vec::new(),
        };
        tasks.push(waker.clone());
        drop(tasks);
        forgotten.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Tasks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let woken = std::mem::take(&mut *tasks);
        drop(tasks);
        woken.into_iter().for_each(Waker::wake);
    }
}
