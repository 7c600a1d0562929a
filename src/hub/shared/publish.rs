//! Publishing: the way of a message into the log of a room.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::{MemberId, Registry, RoomShared, Sent};
use crate::config::Overflow;
use crate::hub::backplane::{EngineError, Permit, Publish, PublishError, Published, Relay, Reply};
use crate::hub::counters::Counts;
use crate::hub::envelope::{self, Origin};
use crate::protocol::Prepared;
use crate::socket::shared::Shared;

/// The longest key of a message, in bytes.
const MAX_KEY: usize = 256;

/// What a request takes beside its bytes.
const OVERHEAD: usize = 256;

impl RoomShared {
    /// Sends a message to all members, on this server and on others.
    pub(in crate::hub) fn send(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        message: Prepared,
        except: Option<&Arc<Shared>>,
        overflow: Overflow,
    ) -> Sent {
        match (&hub.settings.history, &hub.settings.engine) {
            // The lock is held until all members have the message queued: without that, two
            // messages of two tasks could reach two members in different orders. Nothing here
            // waits.
            (None, None) => {
                let except = except.map(MemberId::of);
                self.hand_out(hub, &mut self.lock(), &message, except, overflow)
            }
            (None, Some(_)) => {
                let is_relayed = self.relay(hub, &message);
                let except = except.map(MemberId::of);
                let mut sent = self.hand_out(hub, &mut self.lock(), &message, except, overflow);
                sent.passed_on = is_relayed;
                sent
            }
            (Some(_), None) => self.append(hub, message, except.map(MemberId::of), None).1,
            (Some(_), Some(_)) => {
                let passed_on = self.pass_on(hub, &message, except, None, None).is_ok();
                Sent {
                    passed_on,
                    ..Sent::default()
                }
            }
        }
    }

    /// Puts a message into the log, and waits until it is there.
    pub(in crate::hub) async fn publish(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        message: Prepared,
        once: Option<&str>,
    ) -> Result<Published, PublishError> {
        if hub.settings.history.is_none() {
            return Err(PublishError::NoHistory);
        }
        if once.is_some_and(|key| key.len() > MAX_KEY) {
            return Err(PublishError::TooLarge);
        }
        if hub.settings.engine.is_none() {
            let (published, _) = self.append(hub, message, None, once);
            let deferred = "it follows when the closure of the hub that published it has returned";
            return published.ok_or(PublishError::Unknown(EngineError::new(deferred)));
        }
        let (to, answer) = oneshot::channel();
        self.pass_on(hub, &message, None, once, Some(to))?;
        answer.await.unwrap_or_else(|_| Err(lost()))
    }

    /// Hands a message to the engine, which appends it to the log.
    fn pass_on(
        self: &Arc<Self>,
        hub: &Arc<Registry>,
        message: &Prepared,
        except: Option<&Arc<Shared>>,
        once: Option<&str>,
        to: Option<oneshot::Sender<Result<Published, PublishError>>>,
    ) -> Result<(), PublishError> {
        let (Some((engine, _)), Some(history)) = (hub.engine(), hub.settings.history) else {
            return Err(PublishError::NoHistory);
        };
        let origin = except.map(|_| Origin {
            server: hub.id,
            socket: hub.tags.next(),
        });
        let envelope = envelope::seal(message, origin);
        let permit = hub.permit(envelope.len() + once.map_or(0, str::len))?;
        let weak = Arc::downgrade(hub);
        let reply = Reply::new(
            || Err(lost()),
            move |outcome: Result<Published, PublishError>| {
                if outcome.is_err()
                    && let Some(hub) = weak.upgrade()
                {
                    Counts::add(&hub.counts.dropped);
                }
                if let Some(to) = to {
                    // It fails if the call has been dropped.
                    let _ = to.send(outcome);
                }
            },
        );
        // The lock is held until the engine has the message: the log has the messages of two tasks in
        // the order in which their exceptions are known.
        let mut state = None;
        if let (Some(origin), Some(socket)) = (origin, except) {
            let state = state.insert(self.lock());
            if let Some(log) = state.log.as_deref_mut() {
                log.except(origin.socket, Arc::downgrade(socket));
            }
        }
        engine.publish(Publish {
            room: self.name.clone(),
            envelope,
            history,
            once: once.map(Into::into),
            permit: Some(permit),
            reply,
        });
        drop(state);
        Ok(())
    }

    /// Passes a message on to other servers, without a log.
    fn relay(&self, hub: &Arc<Registry>, message: &Prepared) -> bool {
        let Some((engine, _)) = hub.engine() else {
            return false;
        };
        let envelope = envelope::seal(message, None);
        let Ok(permit) = hub.permit(envelope.len()) else {
            return false;
        };
        engine.relay(Relay {
            room: self.name.clone(),
            envelope,
            _permit: permit,
        });
        true
    }
}

/// The outcome of a request that an engine has dropped.
fn lost() -> PublishError {
    PublishError::Unknown(EngineError::new("the engine gave no answer"))
}

impl Registry {
    /// Takes the right to keep a message waiting for the engine.
    fn permit(&self, bytes: usize) -> Result<Permit, PublishError> {
        let permit = self.outgoing.take(bytes + OVERHEAD);
        if permit.is_none() {
            Counts::add(&self.counts.dropped);
        }
        // Logged when it begins, and not for each message.
        if self.is_full.load(Ordering::Relaxed) != permit.is_none() {
            let was_full = self.is_full.swap(permit.is_none(), Ordering::Relaxed);
            #[cfg(feature = "tracing")]
            if !was_full && permit.is_none() {
                tracing::warn!(
                    limit = self.settings.outgoing_limit,
                    "messages to rooms are dropped: too many bytes wait for the engine"
                );
            }
            #[cfg(not(feature = "tracing"))]
            let _ = was_full;
        }
        permit.ok_or(PublishError::Full)
    }
}
