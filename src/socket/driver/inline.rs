//! The driver of a socket that nobody runs: it moves while a method is awaited.

use std::future::{Future, Ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::socket::driver::Driver;

/// Whatever a bare socket runs on.
pub(in crate::socket) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(in crate::socket) type BareIo = Box<dyn Io>;

/// The handler is whoever awaits the socket.
type BoxedDriver = Pin<Box<Driver<BareIo, Ready<()>>>>;

/// A driver that several tasks may poll in turn, as the halves of a split
/// `Stream` and `Sink` do. The IO and the timer remember one waker, the last; so
/// all tasks are behind the one that they are given.
pub(in crate::socket) struct InlineDriver {
    driver: BoxedDriver,
    tasks: Arc<Tasks>,
    waker: Waker,
}

/// What a bare socket carries with it. The mutex is never locked: it makes the
/// socket `Sync`, so that futures that borrow it are `Send`.
pub(in crate::socket) type Inline = Option<Box<Mutex<InlineDriver>>>;

/// Moves a bare socket.
#[inline]
pub(in crate::socket) fn drive(carried: &mut Inline, cx: &mut Context<'_>) {
    if carried.is_some() {
        drive_slow(carried, cx);
    }
}

#[inline(never)]
fn drive_slow(carried: &mut Inline, cx: &mut Context<'_>) {
    if let Some(driver) = carried {
        let driver = driver.get_mut().unwrap_or_else(PoisonError::into_inner);
        if driver.poll(cx).is_ready() {
            *carried = None;
        }
    }
}

/// More tasks than this are woken to ask again, instead of being remembered.
const REMEMBERED: usize = 8;

#[derive(Default)]
struct Tasks(Mutex<Vec<Waker>>);

impl Tasks {
    fn remember(&self, waker: &Waker) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.iter().any(|it| it.will_wake(waker)) {
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

impl InlineDriver {
    pub(in crate::socket) fn new(driver: Driver<BareIo, Ready<()>>) -> Self {
        let tasks = Arc::new(Tasks::default());
        InlineDriver {
            driver: Box::pin(driver),
            waker: tasks.clone().into(),
            tasks,
        }
    }

    pub(in crate::socket) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.tasks.remember(cx.waker());
        self.driver
            .as_mut()
            .poll(&mut Context::from_waker(&self.waker))
    }

    pub(in crate::socket) fn into_driver(self) -> BoxedDriver {
        self.driver
    }
}
