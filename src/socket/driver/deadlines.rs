//! The deadlines of a connection, as arithmetic: no clock is read here.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::{Looked, Pace, Turned};
use super::time::Time;
use crate::config::KeepAlive;
use crate::error::{CloseCause, ErrorKind};
use crate::socket::shared::MESSAGES;
use crate::{CloseCode, Config};

/// The action that is due, now that a deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Ask the peer whether it is there.
    Ping,
    /// The peer did not answer the ping.
    PingTimeout,
    /// A message that had begun did not end.
    MessageTimeout,
    /// Output made no progress.
    WriteTimeout,
    /// The closing handshake took too long.
    CloseTimeout,
}

/// The way a connection ends when a deadline has passed.
pub(super) struct Timeout {
    pub(super) cause: CloseCause,
    pub(super) error: ErrorKind,
    /// The close frame.
    pub(super) close: (CloseCode, &'static str),
    /// Whether the peer may still answer the close frame.
    pub(super) is_peer_there: bool,
}

impl Action {
    /// Returns the timeout that this is; `None` for a ping.
    pub(super) fn timeout(self) -> Option<Timeout> {
        Some(match self {
            Action::Ping => return None,
            // A peer that sends too slowly is there.
            Action::MessageTimeout => Timeout {
                cause: CloseCause::MessageTimeout,
                error: ErrorKind::MessageTimeout,
                close: (
                    CloseCode::POLICY_VIOLATION,
                    "a message was not finished in time",
                ),
                is_peer_there: true,
            },
            Action::PingTimeout => Timeout {
                cause: CloseCause::PingTimeout,
                error: ErrorKind::PingTimeout,
                close: (CloseCode::INTERNAL_ERROR, "a ping was not answered in time"),
                is_peer_there: false,
            },
            // A closing handshake that takes too long has no cause of its own: the cause that began
            // the end stays. After a failed write, that write is the cause.
            Action::WriteTimeout | Action::CloseTimeout => Timeout {
                cause: CloseCause::WriteTimeout,
                error: ErrorKind::WriteTimeout,
                close: (CloseCode::POLICY_VIOLATION, ""),
                is_peer_there: false,
            },
        })
    }
}

/// When each thing began that has a deadline.
///
/// A frame that arrives only stores the time. The runtime's timer is not touched until it
/// fires, and is then armed for the deadline that is the next one by that time.
#[derive(Clone, Debug)]
pub(super) struct Deadlines {
    /// When the connection began: all other times count from here.
    start: Instant,
    /// When the last whole frame arrived. While that is [sampled](Pace), the time of the last
    /// sample.
    received: Time,
    pinged: Option<Time>,
    message: Option<Time>,
    blocked: Option<Time>,
    /// When the state `Closing` began. It stands flat: in the enum it would take eight bytes more.
    closing: Time,
    ending: Ending,
    /// Where in the tenth around the configured interval the next ping lies.
    jitter: u16,
    /// Nothing is read for want of room: a silent peer is not to blame.
    stalled: bool,
    /// A deadline may have come nearer since the last look.
    nearer: bool,
    pace: Pace,
    /// What was done about the timeout that is due.
    look: Look,
}

/// A timeout that is due is acted on when what had arrived has been looked at once more.
///
/// ```text
///   NotYet ── due, and late ──► Forgiven
///    │ ▲                           │ due
///    │ └── that timeout restarts   ▼
///    └────── due ──────────────► Again ── still due ──► the connection ends
/// ```
///
/// A timer that fires late shows that this process did not run: it was stopped, its machine
/// was suspended, its thread was blocked. What the peer sent meanwhile has not been looked
/// at, and may still be in a queue of the runtime or, with HTTP/2, of another task. So the
/// peer gets its time anew, once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Look {
    #[default]
    NotYet,
    Forgiven,
    /// For this timeout.
    Again(Action),
}

/// How late the timer of a process that runs may fire. tokio's timers have a resolution of
/// one millisecond.
const LATE: Duration = Duration::from_millis(10);

/// What there is to do, now that the timer has fired.
pub(super) enum Due {
    /// Nothing yet: the deadline has moved.
    Nothing,
    Ping,
    /// To look at the input once more, after the runtime has.
    LookAgain,
    Timeout(Timeout),
}

/// How near the end is, and which deadlines count.
///
/// ```text
///   Open ── the end begins ──► Flushing ── all is written ──► Closing
///    │
///    └── a write fails ──► ReceiveOnly
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Open,
    /// Nothing can be written, so the peer cannot be asked whether it is there. It is given up
    /// if it sends nothing for as long as it may take to answer a close frame.
    ReceiveOnly,
    /// The close frame stands behind output that a slow peer may take its time to read. The
    /// write deadline says whether it does.
    Flushing,
    /// The peer may answer the close frame.
    Closing,
}

impl Deadlines {
    pub(super) fn new(now: Instant) -> Self {
        Deadlines {
            start: now,
            received: Time::ZERO,
            pinged: None,
            message: None,
            blocked: None,
            closing: Time::ZERO,
            ending: Ending::Open,
            jitter: random(),
            stalled: false,
            nearer: true,
            pace: Pace::default(),
            look: Look::NotYet,
        }
    }

    /// Returns the time from the last frame to a ping: ten percent more or less than
    /// configured, so that connections that were made together do not go on pinging together.
    fn interval(&self, keep_alive: KeepAlive) -> Duration {
        let tenth = keep_alive.interval / 10;
        let jitter = tenth / (1 << 15) * u32::from(self.jitter);
        (keep_alive.interval - tenth).saturating_add(jitter)
    }

    fn time(&self, now: Instant) -> Time {
        Time::between(self.start, now)
    }

    /// The timeout `action` begins again. A look for another one stands: a peer that begins
    /// messages for ever would outrun the deadline for writing.
    fn restarted(&mut self, action: Action) {
        if matches!(self.look, Look::Forgiven) || self.look == Look::Again(action) {
            self.look = Look::NotYet;
        }
    }

    /// A whole frame arrived: the peer is there.
    pub(super) fn frame_received(&mut self, now: Instant) {
        self.received = self.time(now);
        // Not with every frame: a peer that never stops sending would outrun the deadline of
        // the closing handshake.
        if self.pinged.take().is_some() {
            self.restarted(Action::PingTimeout);
            // The next ping may be due before the answer to this one was.
            self.nearer = true;
        }
    }

    /// Whole messages arrived in a turn that needs the clock for nothing else, while the
    /// deadlines [are quiet](Self::is_quiet).
    #[inline]
    pub(super) fn messages_received(&mut self, now: impl FnOnce() -> Instant) {
        match self.pace.count_turn() {
            Turned::Timed => self.frame_received(now()),
            Turned::Sampled => {}
            Turned::SampledFromNow => {
                self.frame_received(now());
                // The first sample comes before the next ping.
                self.nearer = true;
            }
        }
    }

    /// Takes a sample, if it is time for one.
    fn sample(&mut self, now: Time, config: &Config) {
        match self.pace.look() {
            Looked::Timed => {}
            Looked::Sampled => self.received = now,
            Looked::TimedFromNow { had_messages } => {
                let last = if had_messages { now } else { self.received };
                let until_sample = config.keep_alive.map(|it| self.until_sample(it));
                self.received = last.before(until_sample.unwrap_or_default());
            }
        }
    }

    /// The time from one sample to the next.
    fn until_sample(&self, keep_alive: KeepAlive) -> Duration {
        (self.interval(keep_alive) / 8).max(Duration::from_millis(1))
    }

    /// A ping is sent; returns its payload.
    pub(super) fn pinged(&mut self, now: Instant) -> [u8; 8] {
        let time = self.time(now);
        self.pinged = Some(time);
        self.restarted(Action::PingTimeout);
        self.nearer = true;
        self.jitter = random();
        time.payload()
    }

    /// The payload of the ping that has not been answered, and when it was sent.
    pub(super) fn ping(&self) -> Option<([u8; 8], Instant)> {
        self.pinged.map(|it| (it.payload(), it.instant(self.start)))
    }

    /// A message or frame has begun to arrive and is not complete.
    pub(super) fn message_began(&mut self, now: Instant) {
        self.message = Some(self.time(now));
        self.restarted(Action::MessageTimeout);
        self.nearer = true;
    }

    pub(super) fn message_continues(&mut self, now: Instant) {
        if self.message.is_none() {
            self.message_began(now);
        }
        // A payload in the way of a pong may have ended.
        self.nearer = true;
    }

    /// Bytes of a message arrived that is handed over in chunks. The whole of it has no
    /// deadline, so these bytes show that the peer is there.
    pub(super) fn part_received(&mut self, now: Instant) {
        self.frame_received(now);
        self.message_ended();
        // A payload that was in the way of a pong is not any more.
        self.nearer = true;
    }

    /// No message is half received.
    pub(super) fn message_ended(&mut self) {
        self.message = None;
    }

    /// Output waits for the peer to read. Call it again with every byte of progress.
    pub(super) fn write_blocked(&mut self, now: Instant) {
        self.blocked = Some(self.time(now));
        self.nearer = true;
        self.restarted(Action::WriteTimeout);
    }

    pub(super) fn write_still_blocked(&mut self, now: Instant) {
        if self.blocked.is_none() {
            self.write_blocked(now);
        }
    }

    /// No output waits any more. A ping that stood behind it has left only now.
    pub(super) fn written(&mut self, now: impl FnOnce() -> Instant) {
        if self.blocked.take().is_some() {
            self.nearer = true;
            if self.pinged.is_some() {
                self.pinged = Some(self.time(now()));
            }
        }
    }

    /// The end has begun. The closing handshake begins when all has been written, with the
    /// close frame behind it.
    pub(super) fn end_began(&mut self, is_written: bool, now: impl FnOnce() -> Instant) {
        self.ending = match (self.ending, is_written) {
            (Ending::ReceiveOnly | Ending::Closing, _) | (Ending::Flushing, false) => return,
            (_, true) => {
                self.closing = self.time(now());
                Ending::Closing
            }
            (_, false) => Ending::Flushing,
        };
        self.restarted(Action::CloseTimeout);
        self.nearer = true;
    }

    /// Nothing can be written any more.
    pub(super) fn writing_failed(&mut self, now: Instant) {
        self.ending = Ending::ReceiveOnly;
        self.received = self.time(now);
        self.pinged = None;
        self.blocked = None;
        self.look = Look::NotYet;
        self.nearer = true;
    }

    /// Reading stops: what the peer sends cannot be seen.
    pub(super) fn stall(&mut self) {
        self.stalled = true;
    }

    /// Reading goes on. All deadlines for the peer begin again.
    pub(super) fn resume(&mut self, now: impl FnOnce() -> Instant) {
        if self.stalled {
            self.stalled = false;
            self.begin_anew(now());
        }
    }

    /// Gives the peer all its time anew.
    fn begin_anew(&mut self, now: Instant) {
        let now = self.time(now);
        self.nearer = true;
        self.pinged = self.pinged.map(|_| now);
        self.message = self.message.map(|_| now);
        self.received = now;
    }

    /// Whether there is nothing to wait for but a frame within the interval of the pings, and
    /// the timer is armed for that.
    #[inline(always)]
    pub(super) fn is_quiet(&self) -> bool {
        !self.nearer
            && !self.stalled
            && self.ending == Ending::Open
            && self.pinged.is_none()
            && self.message.is_none()
            && self.blocked.is_none()
            && !matches!(self.look, Look::Again(_))
    }

    /// Whether the next deadline may be earlier than at the last look.
    #[inline]
    pub(super) fn is_nearer(&self) -> bool {
        self.nearer
    }

    /// Whether the next deadline may be earlier than at the last call.
    pub(super) fn take_nearer(&mut self) -> bool {
        std::mem::take(&mut self.nearer)
    }

    /// Every deadline that counts, with what is due then. `within_payload`: the payload of a
    /// frame is arriving, so the answer to a ping cannot.
    fn deadlines(
        &self,
        config: &Config,
        within_payload: bool,
    ) -> impl Iterator<Item = (Time, Action)> {
        let is_open = self.ending == Ending::Open;
        let close_timeout = config.close_timeout;
        let end = match self.ending {
            Ending::Open | Ending::Flushing => None,
            // The handler has as long for each message that it may have in hand.
            Ending::ReceiveOnly if self.stalled => {
                Some(self.received.after(close_timeout.saturating_mul(MESSAGES)))
            }
            Ending::ReceiveOnly => Some(self.received.after(close_timeout)),
            Ending::Closing => Some(self.closing.after(close_timeout)),
        };
        let end = end.map(|at| (at, Action::CloseTimeout));
        let write_timeout = match self.ending {
            Ending::Flushing => Some(config.write_timeout.unwrap_or(close_timeout)),
            Ending::Open => config.write_timeout,
            Ending::ReceiveOnly | Ending::Closing => None,
        };
        let message = self
            .message
            .zip(config.message_timeout)
            .filter(|_| !self.stalled && (is_open || self.ending == Ending::ReceiveOnly))
            .map(|(since, timeout)| (since.after(timeout), Action::MessageTimeout));
        let write = self
            .blocked
            .zip(write_timeout)
            .map(|(since, timeout)| (since.after(timeout), Action::WriteTimeout));
        let keep_alive = config
            .keep_alive
            // A ping would stand behind output that waits. The write deadline says whether the
            // peer reads that.
            .filter(|_| is_open)
            .filter(|_| self.blocked.is_none() || config.write_timeout.is_none())
            .and_then(|it| match self.pinged {
                None => Some((self.received.after(self.interval(it)), Action::Ping)),
                // The answer cannot be seen. But a peer that is gone makes the write fail.
                Some(pinged) if self.stalled => {
                    Some((pinged.after(self.interval(it)), Action::Ping))
                }
                // The deadline of the message covers this payload.
                Some(_) if within_payload && self.message.is_some() => None,
                Some(pinged) => Some((pinged.after(it.timeout), Action::PingTimeout)),
            });
        [end, message, write, keep_alive].into_iter().flatten()
    }

    /// Returns when to look at the deadlines again, at the latest.
    pub(super) fn next(&self, config: &Config, within_payload: bool) -> Option<Instant> {
        let is_sampled = self.pace.is_sampled() && self.ending == Ending::Open;
        let sample = config
            .keep_alive
            .filter(|_| is_sampled)
            .map(|it| self.received.after(self.until_sample(it)));
        self.deadlines(config, within_payload)
            .map(|(at, _)| at)
            .chain(sample)
            .min()
            .map(|time| time.instant(self.start))
    }

    /// The earliest deadline that has passed by `now`.
    fn earliest(&self, now: Time, config: &Config, within_payload: bool) -> Option<(Time, Action)> {
        self.deadlines(config, within_payload)
            .filter(|(at, _)| *at <= now)
            .min_by_key(|(at, _)| *at)
    }

    /// What there is to do at `now`: about the earliest deadline, if several have passed.
    pub(super) fn due(&mut self, now: Instant, config: &Config, within_payload: bool) -> Due {
        let time = self.time(now);
        self.sample(time, config);
        let Some((at, action)) = self.earliest(time, config, within_payload) else {
            return Due::Nothing;
        };
        let Some(timeout) = action.timeout() else {
            return Due::Ping;
        };
        match self.look {
            Look::Again(looked) if looked == action => Due::Timeout(timeout),
            Look::NotYet if at.after(LATE) < time => {
                self.look = Look::Forgiven;
                self.begin_anew(now);
                self.blocked = self.blocked.map(|_| time);
                self.closing = time;
                Due::Nothing
            }
            Look::NotYet | Look::Forgiven | Look::Again(_) => {
                self.look = Look::Again(action);
                Due::LookAgain
            }
        }
    }
}

/// Unpredictable enough to spread pings: the hash keys of the standard library come from the
/// system. (Masking keys come from elsewhere.)
fn random() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) as u16
}

#[cfg(test)]
mod tests {
    use super::super::pace::TURNS;
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    /// The action whose deadline has passed.
    fn passed(
        deadlines: &Deadlines,
        now: Instant,
        config: &Config,
        within_payload: bool,
    ) -> Option<Action> {
        let earliest = deadlines.earliest(deadlines.time(now), config, within_payload);
        earliest.map(|(_, action)| action)
    }

    fn setup() -> (Instant, Config, Deadlines) {
        let now = Instant::now();
        let config = Config::new();
        let deadlines = Deadlines::new(now);
        (now, config, deadlines)
    }

    #[test]
    fn a_silent_peer_is_pinged_and_then_given_up() {
        let (now, config, mut deadlines) = setup();
        assert_eq!(passed(&deadlines, now + seconds(20), &config, false), None);
        assert_eq!(
            passed(&deadlines, now + seconds(28), &config, false),
            Some(Action::Ping)
        );
        deadlines.pinged(now + seconds(28));
        assert_eq!(passed(&deadlines, now + seconds(47), &config, false), None);
        assert_eq!(
            passed(&deadlines, now + seconds(48), &config, false),
            Some(Action::PingTimeout)
        );
        deadlines.frame_received(now + seconds(40));
        assert_eq!(passed(&deadlines, now + seconds(60), &config, false), None);
    }

    #[test]
    fn the_next_ping_does_not_wait_until_the_last_would_have_been_given_up() {
        let (now, _, _) = setup();
        let config = Config::new().keep_alive(seconds(1), seconds(20));
        let mut deadlines = Deadlines::new(now);
        deadlines.pinged(now);
        assert!(deadlines.take_nearer());
        assert_eq!(deadlines.next(&config, false), Some(now + seconds(20)));
        deadlines.frame_received(now);
        assert!(deadlines.take_nearer());
        assert!(deadlines.next(&config, false) < Some(now + seconds(2)));
        deadlines.frame_received(now);
        assert!(!deadlines.take_nearer());
    }

    #[test]
    fn intervals_differ_by_ten_percent_at_most() {
        for _ in 0..100 {
            let (now, config, deadlines) = setup();
            let at = deadlines.next(&config, false).unwrap() - now;
            assert!(
                at >= seconds(25).mul_f64(0.9) && at <= seconds(25).mul_f64(1.1),
                "{at:?}"
            );
        }
    }

    /// Lets messages arrive at these intervals, with a timer that fires in time. Returns the
    /// number of times that the clock was read for them, and how long after the last one the
    /// peer was pinged.
    fn ping_after(every: Duration, count: u32, config: &Config) -> (u32, Duration) {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start);
        let mut timer = deadlines.next(config, false).expect("there is a next ping");
        let mut reads = 0;
        let mut last = start;
        for message in 1.. {
            let now = start + every * message;
            while timer <= now {
                match deadlines.due(timer, config, false) {
                    Due::Nothing => {}
                    Due::Ping => return (reads, timer - last),
                    _ => panic!("a peer that is not pinged does not time out"),
                }
                timer = deadlines.next(config, false).expect("there is a next ping");
            }
            if message <= count {
                last = now;
                deadlines.messages_received(|| {
                    reads += 1;
                    now
                });
                if deadlines.take_nearer() {
                    timer = timer.min(deadlines.next(config, false).expect("the same"));
                }
            }
        }
        unreachable!("it is pinged")
    }

    #[test]
    fn where_messages_are_rare_the_ping_comes_after_the_interval_to_the_nanosecond() {
        let config = Config::new().keep_alive(seconds(25), seconds(20));
        for count in [1, 20, 100] {
            let (reads, after) = ping_after(seconds(1), count, &config);
            assert_eq!(reads, count);
            let jitter = seconds(25).mul_f64(0.9)..=seconds(25).mul_f64(1.1);
            assert!(jitter.contains(&after), "{after:?}");
        }
    }

    #[test]
    fn where_messages_are_frequent_it_comes_an_eighth_early_at_most_and_the_clock_is_left_alone() {
        let config = Config::new().keep_alive(seconds(25), seconds(20));
        for every in [1, 7, 50, 80] {
            for count in [40, 41, 70, 100, 1000, 1234, 5000] {
                let (reads, after) = ping_after(Duration::from_millis(every), count, &config);
                let range = seconds(25).mul_f64(0.9 * 0.875)..=seconds(25).mul_f64(1.1);
                assert!(
                    range.contains(&after),
                    "{after:?} with {count} each {every} ms"
                );
                assert!(
                    reads <= u32::from(TURNS) + 1,
                    "{reads} with {count} each {every} ms"
                );
            }
        }
    }

    #[test]
    fn a_pong_is_not_missed_while_a_payload_is_in_its_way() {
        let (now, config, mut deadlines) = setup();
        deadlines.message_began(now);
        deadlines.pinged(now);
        assert_eq!(passed(&deadlines, now + seconds(21), &config, true), None);
        assert_eq!(
            passed(&deadlines, now + seconds(21), &config, false),
            Some(Action::PingTimeout)
        );
        assert_eq!(
            passed(&deadlines, now + seconds(60), &config, true),
            Some(Action::MessageTimeout)
        );
    }

    #[test]
    fn a_peer_that_is_not_listened_to_is_not_blamed() {
        let (now, config, mut deadlines) = setup();
        deadlines.message_began(now);
        deadlines.pinged(now);
        deadlines.stall();
        // It is still asked, since the question shows whether the connection stands.
        assert_eq!(
            passed(&deadlines, now + seconds(1000), &config, false),
            Some(Action::Ping)
        );
        deadlines.pinged(now + seconds(999));
        assert_eq!(
            passed(&deadlines, now + seconds(1000), &config, false),
            None
        );
        deadlines.resume(|| now + seconds(1000));
        assert_eq!(
            passed(&deadlines, now + seconds(1019), &config, false),
            None
        );
        assert_eq!(
            passed(&deadlines, now + seconds(1020), &config, false),
            Some(Action::PingTimeout)
        );
    }

    #[test]
    fn output_must_make_progress() {
        let (now, config, mut deadlines) = setup();
        deadlines.frame_received(now + seconds(20));
        deadlines.write_blocked(now);
        deadlines.write_blocked(now + seconds(10));
        deadlines.write_still_blocked(now + seconds(20));
        assert_eq!(passed(&deadlines, now + seconds(39), &config, false), None);
        assert_eq!(
            passed(&deadlines, now + seconds(40), &config, false),
            Some(Action::WriteTimeout)
        );
    }

    #[test]
    fn once_the_end_has_begun_only_its_deadline_counts() {
        let (now, config, mut deadlines) = setup();
        deadlines.pinged(now);
        deadlines.end_began(true, || now + seconds(15));
        deadlines.end_began(true, || now + seconds(20));
        assert_eq!(passed(&deadlines, now + seconds(24), &config, false), None);
        assert_eq!(
            passed(&deadlines, now + seconds(25), &config, false),
            Some(Action::CloseTimeout)
        );
    }

    #[test]
    fn a_timeout_is_acted_on_when_the_input_has_been_looked_at_once_more() {
        let (now, config, mut deadlines) = setup();
        deadlines.pinged(now);
        let at = now + seconds(20);
        assert!(matches!(deadlines.due(at, &config, false), Due::LookAgain));
        assert!(matches!(deadlines.due(at, &config, false), Due::Timeout(_)));
        // What is seen then may change it.
        deadlines.frame_received(at);
        assert!(matches!(deadlines.due(at, &config, false), Due::Nothing));
        deadlines.pinged(at);
        let at = at + seconds(20);
        assert!(matches!(deadlines.due(at, &config, false), Due::LookAgain));
    }

    #[test]
    fn a_peer_that_begins_messages_for_ever_does_not_outrun_the_deadline_for_writing() {
        let (now, config, mut deadlines) = setup();
        deadlines.write_blocked(now);
        let at = now + seconds(30);
        assert!(matches!(deadlines.due(at, &config, false), Due::LookAgain));
        deadlines.frame_received(at);
        deadlines.message_began(at);
        assert!(matches!(deadlines.due(at, &config, false), Due::Timeout(_)));
        // Progress of the writing itself is another matter.
        deadlines.write_blocked(at);
        assert!(matches!(deadlines.due(at, &config, false), Due::Nothing));
        let at = at + seconds(30);
        assert!(matches!(deadlines.due(at, &config, false), Due::LookAgain));
    }

    #[test]
    fn a_ping_is_sent_at_once() {
        let (now, config, mut deadlines) = setup();
        let due = deadlines.due(now + seconds(1000), &config, false);
        assert!(matches!(due, Due::Ping));
    }

    #[test]
    fn after_a_pause_of_this_process_the_peer_gets_its_time_anew_once() {
        type Begin = fn(&mut Deadlines, Instant);
        let begins: [Begin; 4] = [
            |deadlines, now| _ = deadlines.pinged(now),
            |deadlines, now| deadlines.message_began(now),
            |deadlines, now| deadlines.write_blocked(now),
            |deadlines, now| deadlines.end_began(true, || now),
        ];
        for begin in begins {
            let (now, config, mut deadlines) = setup();
            begin(&mut deadlines, now);
            let woken = now + seconds(1000);
            if let Due::Ping = deadlines.due(woken, &config, false) {
                deadlines.frame_received(woken);
            }
            let _ = deadlines.due(woken, &config, false);
            assert!(passed(&deadlines, woken, &config, false).is_none());
            let next = deadlines.next(&config, false).unwrap();
            assert!(next > woken);
        }

        let (now, config, mut deadlines) = setup();
        deadlines.pinged(now);
        let woken = now + seconds(1000);
        assert!(matches!(deadlines.due(woken, &config, false), Due::Nothing));
        // A second pause is not forgiven if the peer has not shown itself.
        let again = woken + seconds(1000);
        assert!(matches!(
            deadlines.due(again, &config, false),
            Due::LookAgain
        ));
        assert!(matches!(
            deadlines.due(again, &config, false),
            Due::Timeout(_)
        ));
    }

    #[test]
    fn until_the_close_frame_is_written_only_the_progress_of_writing_counts() {
        for (config, timeout) in [(Config::new(), 30), (Config::new().write_timeout(None), 10)] {
            let now = Instant::now();
            let mut deadlines = Deadlines::new(now);
            deadlines.message_began(now);
            deadlines.pinged(now);
            deadlines.end_began(false, || now);
            assert_eq!(
                passed(&deadlines, now + seconds(1000), &config, false),
                None
            );
            deadlines.write_blocked(now + seconds(1000));
            deadlines.end_began(false, || now + seconds(1001));
            let at = now + seconds(1000 + timeout);
            assert_eq!(deadlines.next(&config, false), Some(at));
            assert_eq!(
                passed(&deadlines, at, &config, false),
                Some(Action::WriteTimeout)
            );
            deadlines.written(|| at);
            deadlines.end_began(true, || at);
            assert_eq!(deadlines.next(&config, false), Some(at + seconds(10)));
        }
    }

    #[test]
    fn after_a_failed_write_a_silent_peer_and_an_idle_handler_have_deadlines() {
        let (now, config, mut deadlines) = setup();
        deadlines.write_blocked(now);
        deadlines.pinged(now);
        let at = now + seconds(5);
        deadlines.writing_failed(at);
        assert_eq!(deadlines.next(&config, false), Some(at + seconds(10)));
        deadlines.frame_received(at + seconds(9));
        assert_eq!(deadlines.next(&config, false), Some(at + seconds(19)));
        deadlines.stall();
        assert_eq!(deadlines.next(&config, false), Some(at + seconds(9 + 640)));
        deadlines.resume(|| at + seconds(100));
        let at = at + seconds(110);
        assert_eq!(
            passed(&deadlines, at, &config, false),
            Some(Action::CloseTimeout)
        );
    }
}
