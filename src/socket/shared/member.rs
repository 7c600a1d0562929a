//! A message of a room on the short way into a member's send queue, as a part of the room's run.

use super::Shared;
use super::driver_task::DriverTask;
use super::retention::Retention;
use super::run::InRun;
use crate::config::Overflow;

impl Shared {
    /// Queues a frame of a room, whose payload has so many bytes, if the member has nothing else to
    /// write than what stands before it in the same run; returns whether it did. If not, the
    /// caller delivers the message in the usual way.
    ///
    /// What is in the cork goes before all that is queued, so it need not be looked at: its bytes
    /// are among those that are unsent.
    #[inline]
    #[cfg_attr(
        not(feature = "hub"),
        allow(dead_code, reason = "only rooms have runs")
    )]
    pub(crate) fn push_in_run(&self, frame: &InRun, payload: usize, overflow: Overflow) -> bool {
        if self.coding().is_some() {
            return false;
        }
        let retention = Retention::of(overflow);
        let mut state = self.lock_quietly();
        let (unsent, limit) = (self.hints.unsent_bytes(), self.config.output_limit);
        if !state.life.is_open() {
            return false;
        }
        if state.queue.extend_run(frame, retention, unsent, limit) {
            // The queue was not empty before. So the hints have said so since, and the driver
            // looks at the queue before it parks, unless it waits for the IO to take what goes out
            // before. Nothing is to be published, and nobody to be woken.
            state.sent.add(1, payload);
            return true;
        }
        if !state.queue.begin_run(frame, retention, unsent, limit) {
            return false;
        }
        state.sent.add(1, payload);
        // From here on the guard publishes. Without that, a driver that is about to park would
        // find nothing queued (`a_part_of_a_run_is_seen_without_the_lock`).
        let state = self.publish_after(state);
        if state.driver_task == DriverTask::Idle {
            self.wake(state);
        }
        true
    }

    /// Copies what is queued out of the run of a room that goes on without this connection.
    #[cfg_attr(
        not(feature = "hub"),
        allow(dead_code, reason = "only rooms have runs")
    )]
    pub(crate) fn leave_run(&self) {
        self.lock_quietly().queue.leave_run();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::super::run::LastRun;
    use super::*;
    use crate::error::CloseCause;
    use crate::protocol::{Part, Prepared, Role};
    use crate::{CloseCode, Config};

    fn shared(role: Role, config: Config) -> Arc<Shared> {
        Shared::new(role, Arc::new(config), None, None)
    }

    fn push(shared: &Shared, room: &mut LastRun, text: &str) -> bool {
        let message = Prepared::new(text);
        let frame = room.append(&message).unwrap();
        shared.push_in_run(&frame, text.len(), Overflow::Close)
    }

    /// A push that begins a part changes what can be seen without the lock, one that extends it
    /// does not.
    #[test]
    fn a_part_of_a_run_is_seen_without_the_lock() {
        let shared = shared(Role::Server, Config::new());
        let mut room = LastRun::default();
        assert!(shared.is_plain() && !shared.has_output());
        for sent in 1..=3 {
            assert!(push(&shared, &mut room, "four"));
            assert!(!shared.is_plain() && shared.has_output());
            let (_, traffic) = shared.traffic();
            assert_eq!((traffic.messages, traffic.bytes), (sent, 4 * sent));
        }
    }

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_driver_that_is_parked_is_woken_by_the_first_message_and_not_by_those_that_follow() {
        let shared = shared(Role::Server, Config::new());
        let mut room = LastRun::default();
        let woken = Arc::<Counter>::default();
        let mut state = shared.lock();
        state.driver = Some(Waker::from(woken.clone()));
        state.driver_task.park();
        drop(state);
        for _ in 0..3 {
            assert!(push(&shared, &mut room, "x"));
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        // It waits for the IO, and knows that something is queued.
        shared.lock().driver_task.park();
        assert!(push(&shared, &mut room, "x"));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_member_that_leaves_keeps_nothing_of_the_run() {
        let shared = shared(Role::Server, Config::new());
        let frame = LastRun::default().append(&Prepared::new("x")).unwrap();
        assert!(shared.push_in_run(&frame, 1, Overflow::Close));
        let (run, _) = frame.begin();
        drop(frame);
        assert_eq!(Arc::strong_count(&run), 2);
        shared.leave_run();
        assert_eq!(Arc::strong_count(&run), 1);
        assert!(shared.has_output(), "a copy is still sent");
    }

    #[test]
    fn whatever_is_out_of_the_ordinary_goes_the_usual_way() {
        let mut room = LastRun::default();
        let masking_key = || [1, 2, 3, 4];
        let client = shared(Role::Client { masking_key }, Config::new());
        assert!(!push(&client, &mut room, "it would not be masked"));

        let closing = shared(Role::Server, Config::new());
        assert!(push(&closing, &mut room, "before"));
        closing.close(CloseCause::Aborted, CloseCode::NORMAL, "");
        assert!(!push(&closing, &mut room, "after the close frame"));

        let aborting = shared(Role::Server, Config::new());
        assert!(push(&aborting, &mut room, "before"));
        aborting.lock().life.abort(CloseCause::Aborted);
        assert!(!push(&aborting, &mut room, "after"));

        let full = shared(Role::Server, Config::new().output_limit(10));
        assert!(push(&full, &mut room, "more than ten bytes"));
        assert!(!push(&full, &mut room, "too much"));

        let blocked = shared(Role::Server, Config::new().output_limit(10));
        blocked.hints.set_in_flight(10);
        assert!(!push(&blocked, &mut room, "behind what is being written"));

        let chunked = shared(Role::Server, Config::new());
        let kind = crate::message::Kind::Text;
        let chunk = chunked
            .lock()
            .queue
            .push_chunk(kind, &"a".into(), Part::More);
        assert!(chunk.is_ok());
        assert!(!push(&chunked, &mut room, "between two fragments"));
    }
}
