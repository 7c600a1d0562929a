//! The driver of a bare socket, once it has a task of its own.

use std::future::{Future, Ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::Driver;
use crate::transport::Io;

pub(in crate::socket) type BoxedIo = Box<dyn Io>;

/// A driver without a handler: the task that awaits the socket takes its part.
pub(super) type BoxedDriver = Pin<Box<Driver<BoxedIo, Ready<()>>>>;

/// The driver, which its task polls. The socket reaches it once more: when it is dropped, it
/// writes what is queued, since the runtime may end before the task is polled again.
pub(super) struct Spawned {
    seat: Mutex<Seat>,
    /// Whether its runtime runs though nothing awaits in it.
    has_threads: bool,
}

struct Seat {
    /// `None` once the connection is closed, or the task was dropped with its runtime.
    driver: Option<BoxedDriver>,
    /// Wakes the task.
    task: Waker,
}

/// How often the drop of a socket looks whether a turn of the driver's is over.
const LOOKS: u32 = 200;

impl Spawned {
    /// Gives the driver a task.
    pub(super) fn new(driver: BoxedDriver, runtime: &Handle) -> Arc<Self> {
        let spawned = Arc::new(Spawned {
            seat: Mutex::new(Seat {
                driver: Some(driver),
                task: Waker::noop().clone(),
            }),
            has_threads: runtime.runtime_flavor() != RuntimeFlavor::CurrentThread,
        });
        runtime.spawn(Polled(spawned.clone()));
        spawned
    }

    /// The socket was dropped: calls `write` with the driver, if there is one, and wakes the
    /// task, whose wakers `write` may have replaced.
    ///
    /// Outside of a runtime the task may never be polled again. Then the driver is dropped, so
    /// that the peer sees the end of the stream, as with a bare socket.
    ///
    /// It never blocks: the driver's turn may call the program's own code, such as
    /// `Tracker::on_end`, and that may wait for a lock which is held where the socket is
    /// dropped. It may even be that code which drops the socket.
    pub(super) fn end(&self, write: impl FnOnce(&mut BoxedDriver)) {
        for _ in 0..LOOKS {
            let mut seat = match self.seat.try_lock() {
                Ok(seat) => seat,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    std::thread::yield_now();
                    continue;
                }
            };
            if let Some(driver) = &mut seat.driver {
                write(driver);
            }
            let goes_on = self.has_threads || Handle::try_current().is_ok();
            let abandoned = if goes_on { None } else { seat.driver.take() };
            let task = std::mem::replace(&mut seat.task, Waker::noop().clone());
            drop(seat);
            drop(abandoned);
            return task.wake();
        }
    }
}

/// The future of the task.
struct Polled(Arc<Spawned>);

impl Future for Polled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut seat = self.0.seat.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(driver) = &mut seat.driver else {
            return Poll::Ready(());
        };
        if driver.as_mut().poll(cx).is_ready() {
            // It must not be polled again, by `end`.
            let over = seat.driver.take();
            drop(seat);
            drop(over);
            return Poll::Ready(());
        }
        if !seat.task.will_wake(cx.waker()) {
            seat.task = cx.waker().clone();
        }
        Poll::Pending
    }
}

/// Also when the driver panics, and when the runtime ends: the drop of the driver tells the
/// socket that there is no connection any more.
impl Drop for Polled {
    fn drop(&mut self) {
        let mut seat = self.0.seat.lock().unwrap_or_else(PoisonError::into_inner);
        let driver = seat.driver.take();
        drop(seat);
        drop(driver);
    }
}
