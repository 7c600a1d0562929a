//! Wakers of tasks that no longer wait: another one takes their place, or they are forgotten. If a
//! waker was the last handle of its task, the task is dropped, with its handles of the connection.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Wake, Waker};
use std::thread;

use tokio::io::DuplexStream;

use super::*;
use crate::Sender;

/// A task that is kept by its waker only, and uses the connection when it is dropped.
struct Left {
    sender: Sender,
    is_dropped: mpsc::Sender<()>,
}

impl Wake for Left {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Left {
    fn drop(&mut self) {
        // Takes the lock of the connection.
        self.sender.push("the last of this task");
        self.is_dropped.send(()).unwrap();
    }
}

/// Makes such wakers.
struct Wakers {
    made: Cell<usize>,
    is_dropped: mpsc::Sender<()>,
    dropped: mpsc::Receiver<()>,
}

impl Wakers {
    fn make(&self, sender: &Sender) -> Waker {
        self.made.set(self.made.get() + 1);
        let (sender, is_dropped) = (sender.clone(), self.is_dropped.clone());
        Waker::from(Arc::new(Left { sender, is_dropped }))
    }

    /// While the connection still lives.
    fn assert_all_dropped(&self) {
        assert_eq!(self.dropped.try_iter().count(), self.made.take());
    }
}

/// Runs a case on a thread of its own: one that takes a lock twice would stand still.
fn check(case: impl FnOnce(&Wakers) + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let (is_dropped, dropped) = mpsc::channel();
        let made = Cell::new(0);
        case(&Wakers {
            made,
            is_dropped,
            dropped,
        });
        done.send(()).unwrap();
    });
    let waited = is_done.recv_timeout(Duration::from_secs(20));
    waited.expect("the case failed, or a lock was taken twice");
}

/// Polls a future, which is not ready, with a waker that is dropped then.
fn poll_once<F: Future>(future: Pin<&mut F>, waker: Waker) {
    assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
}

/// A socket that its handler gave away, its driver, and its peer's end.
fn given_away() -> (WebSocket, impl Future<Output = ()>, DuplexStream) {
    let (give, mut taken) = tokio::sync::oneshot::channel();
    let (ours, theirs) = tokio::io::duplex(4096);
    let mut driver = Box::pin(managed(ours, start(Config::new()), |socket| async move {
        give.send(socket).ok();
    }));
    poll_once(driver.as_mut(), Waker::noop().clone());
    (taken.try_recv().unwrap(), driver, theirs)
}

#[test]
fn a_task_that_another_one_replaces_as_the_receiver() {
    check(|wakers| {
        let (mut socket, _driver, _peer) = given_away();
        let sender = socket.sender();
        for _ in 0..2 {
            let mut receiving = pin!(socket.recv());
            poll_once(receiving.as_mut(), wakers.make(&sender));
            poll_once(receiving.as_mut(), wakers.make(&sender));
            poll_once(receiving.as_mut(), Waker::noop().clone());
        }
        let mut receiving = pin!(socket.recv_stream());
        poll_once(receiving.as_mut(), wakers.make(&sender));
        poll_once(receiving.as_mut(), Waker::noop().clone());
        wakers.assert_all_dropped();
    });
}

#[test]
fn a_receiver_that_is_dropped_with_its_socket() {
    check(|wakers| {
        let (mut socket, _driver, _peer) = given_away();
        let sender = socket.sender();
        poll_once(pin!(socket.recv()), wakers.make(&sender));
        drop(socket);
        wakers.assert_all_dropped();
    });
}

#[test]
fn a_task_that_another_one_replaces_as_the_one_that_polls_the_driver() {
    check(|wakers| {
        let (socket, driver, _peer) = given_away();
        let mut driver = pin!(driver);
        let sender = socket.sender();
        poll_once(driver.as_mut(), wakers.make(&sender));
        poll_once(driver.as_mut(), wakers.make(&sender));
        poll_once(driver.as_mut(), Waker::noop().clone());
        wakers.assert_all_dropped();
    });
}

#[test]
fn a_task_that_another_one_replaces_as_the_one_that_polls_the_handler() {
    check(|wakers| {
        let (give, mut taken) = tokio::sync::oneshot::channel();
        let (ours, peer) = tokio::io::duplex(4096);
        let mut driver = pin!(managed(ours, start(Config::new()), |socket| async move {
            give.send(socket.sender()).ok();
            std::future::pending::<()>().await;
        }));
        poll_once(driver.as_mut(), Waker::noop().clone());
        let sender = taken.try_recv().unwrap();
        drop(peer);
        poll_once(driver.as_mut(), Waker::noop().clone());
        assert!(sender.close_cause().is_some());
        poll_once(driver.as_mut(), wakers.make(&sender));
        poll_once(driver.as_mut(), Waker::noop().clone());
        wakers.assert_all_dropped();
    });
}

#[test]
fn a_task_that_another_one_replaces_as_the_one_that_waits_for_something_else() {
    check(|wakers| {
        let (socket, _driver, _peer) = given_away();
        let sender = socket.sender();
        let mut closing = pin!(sender.closed());
        poll_once(closing.as_mut(), wakers.make(&sender));
        poll_once(closing.as_mut(), Waker::noop().clone());
        wakers.assert_all_dropped();
    });
}

#[test]
fn a_task_whose_future_is_dropped() {
    check(|wakers| {
        let (socket, _driver, _peer) = given_away();
        let sender = socket.sender();
        poll_once(pin!(sender.closed()), wakers.make(&sender));
        wakers.assert_all_dropped();
    });
}
