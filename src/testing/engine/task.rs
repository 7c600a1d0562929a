//! The task of a link: it carries out what the server asks for, and hands the server what
//! arrives.

use std::sync::Arc;

use tokio::task::yield_now;
use tokio::time::timeout_at;

use super::state::{Next, Passed, Request, Shared};
use crate::hub::backplane::{EngineError, Inbound};
use crate::hub::{EngineState, EnterError, PublishError};

/// Other tasks get their turn after so many steps.
const TURN: usize = 64;

pub(super) async fn run(shared: Arc<Shared>, link: usize, inbound: Inbound) {
    let _running = Running {
        shared: shared.clone(),
        link,
    };
    if shared.lock().is_connected(link) {
        inbound.state(EngineState::Up);
    }
    for step in 1_usize.. {
        if inbound.is_closed() {
            return;
        }
        let next = shared.lock().next(link);
        match next {
            Next::Receive(passed) => receive(&inbound, passed),
            Next::Refuse(request) => refuse(request),
            Next::Wait(until, wake) => {
                // Either way the state says what is to be done.
                let _ = timeout_at(until, wake.notified()).await;
            }
            Next::Stop(stopped) => {
                drop(stopped);
                return;
            }
        }
        if step % TURN == 0 {
            yield_now().await;
        }
    }
}

/// Refuses what is asked of the link once its task has ended: because the hub is gone, or
/// because the runtime ended while the hub lives on.
struct Running {
    shared: Arc<Shared>,
    link: usize,
}

impl Drop for Running {
    fn drop(&mut self) {
        let unanswered = self.shared.lock().gone(self.link);
        drop(unanswered);
    }
}

fn receive(inbound: &Inbound, passed: Passed) {
    match passed {
        Passed::State(state) => inbound.state(state),
        Passed::Interrupted => inbound.interrupted(),
        Passed::Following(room) => inbound.following(&room),
        Passed::Arrived(room, arrival) => inbound.arrived(&room, arrival),
        Passed::Relayed(room, envelope) => inbound.relayed(&room, envelope),
        Passed::Presence(room, change) => inbound.presence(&room, change),
        Passed::LeaseLost => inbound.lease_lost(),
        Passed::HasEntries(room) => inbound.has_entries(&room),
        Passed::Published(publish, _, published) => {
            let trimmed = "the message was appended, and the log does not keep it any more";
            let trimmed = || PublishError::Unknown(EngineError::new(trimmed));
            publish.done(published.ok_or_else(trimmed));
        }
        Passed::Past(read, past) => read.done(Ok(past)),
        Passed::Entered(enter, outcome) => enter.done(outcome),
        Passed::People(request, people) => request.done(Ok(people)),
    }
}

/// Answers a request that cannot be carried out: the link was cut for too long, or has ended.
pub(super) fn refuse(request: Request) {
    let reason = EngineError::new("the link to the engine is cut");
    match request {
        Request::Publish(publish, attempts) => publish.done(Err(if attempts.tags.is_empty() {
            PublishError::Unavailable(reason)
        } else {
            PublishError::Unknown(reason)
        })),
        Request::Read(read) => read.done(Err(reason)),
        Request::Enter(enter) => enter.done(Err(EnterError::Unavailable(reason))),
        Request::People(people) => people.done(Err(reason)),
        // Nobody waits for them. An entry that was to leave does so with the lease.
        Request::Relay(_) | Request::Leave(..) => {}
    }
}
