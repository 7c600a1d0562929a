//! The keeper: a task of a hub with an engine. It does what must not be done within a call of
//! the engine, and what is to be done later.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};

type Action = Box<dyn FnOnce() + Send>;

/// Hands work to the keeper. The keeper ends when this is dropped.
///
/// The queue has no limit, since what is in it has: one answer for each room, one pause for
/// each room, one look for each room that its members have left.
pub(super) struct Keeper(UnboundedSender<Job>);

struct Job {
    due: Instant,
    action: Action,
}

impl Keeper {
    /// Spawns the task. To be called within a runtime.
    pub(super) fn spawn() -> Self {
        let (sender, receiver) = unbounded_channel();
        tokio::spawn(keep(receiver));
        Keeper(sender)
    }

    /// Does something at once, in the keeper's task.
    pub(super) fn run(&self, action: impl FnOnce() + Send + 'static) {
        self.after(Duration::ZERO, action);
    }

    /// Does something after a while, in the keeper's task.
    pub(super) fn after(&self, delay: Duration, action: impl FnOnce() + Send + 'static) {
        let job = Job {
            due: Instant::now() + delay,
            action: Box::new(action),
        };
        // It fails while the runtime shuts down: nothing is to be done any more.
        let _ = self.0.send(job);
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

async fn keep(mut jobs: UnboundedReceiver<Job>) {
    let mut later: BinaryHeap<Later> = BinaryHeap::new();
    let mut count = 0_u64;
    loop {
        let job = match later.peek() {
            None => jobs.recv().await,
            Some(next) => match timeout_at(next.job.due, jobs.recv()).await {
                Ok(job) => job,
                Err(_) => {
                    if let Some(next) = later.pop() {
                        (next.job.action)();
                    }
                    continue;
                }
            },
        };
        let Some(job) = job else {
            return;
        };
        if job.due <= Instant::now() {
            (job.action)();
        } else {
            count += 1;
            later.push(Later { count, job });
        }
    }
}

/// A job that waits. The largest is the one that is due first.
struct Later {
    /// The order of those that are due at the same time.
    count: u64,
    job: Job,
}

impl Later {
    fn key(&self) -> (Instant, u64) {
        (self.job.due, self.count)
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Later {}
