//! A driver that a bare socket contains: it makes progress while a method of the socket is
//! awaited.

use std::future::{Future, Ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::Driver;
use crate::transport::Io;

pub(in crate::socket) type BoxedIo = Box<dyn Io>;

/// A driver without a handler: the task that awaits the socket takes its part.
type BoxedDriver = Pin<Box<Driver<BoxedIo, Ready<()>>>>;

/// The driver of a bare socket, until the connection is closed; `None` in a managed one.
///
/// The mutex is never locked: it makes the socket `Sync`, so that futures that borrow the
/// socket are `Send`.
#[derive(Default)]
pub(in crate::socket) struct Inline(Option<Box<Mutex<InlineDriver>>>);

struct InlineDriver {
    driver: BoxedDriver,
    tasks: Arc<Tasks>,
    /// Wakes all of `tasks`.
    waker: Waker,
}

impl Inline {
    pub(in crate::socket) fn new(driver: Driver<BoxedIo, Ready<()>>) -> Self {
        let tasks = Arc::new(Tasks::default());
        Inline(Some(Box::new(Mutex::new(InlineDriver {
            driver: Box::pin(driver),
            waker: tasks.clone().into(),
            tasks,
        }))))
    }

    /// Whether the socket is bare, and its connection not closed.
    #[inline]
    pub(in crate::socket) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Polls the driver, if there is one.
    #[inline]
    pub(in crate::socket) fn drive(&mut self, cx: &mut Context<'_>) {
        if self.is_some() {
            self.drive_slow(cx);
        }
    }

    #[inline(never)]
    fn drive_slow(&mut self, cx: &mut Context<'_>) {
        if let Some(inline) = &mut self.0 {
            let inline = inline.get_mut().unwrap_or_else(PoisonError::into_inner);
            if inline.poll(cx).is_ready() {
                self.0 = None;
            }
        }
    }

    /// Takes the driver out, to be polled as a task.
    pub(in crate::socket) fn take(&mut self) -> Option<BoxedDriver> {
        let inline = self.0.take()?.into_inner();
        Some(inline.unwrap_or_else(PoisonError::into_inner).driver)
    }
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
