//! Members that lag: their output queues were full when the room sent. A plain structure: it knows
//! no lock, no task and no socket.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a message takes beside its bytes, roughly: its frame and its place here.
const OVERHEAD: usize = 256;

/// A room keeps at most half of what is left of the total. So rooms in which members stand
/// still cannot take all of it from those in which members are fast.
const SHARE: usize = 2;

/// The members of a room that lag, and the messages that some of them have not been sent yet.
/// Each message is kept once for all of them.
///
/// ```text
///   next of A        next of B and C
///      │ m7   m8   m9   │ m10   m11 │ end: a member that gets here lags no more
///    first
/// ```
///
/// A member waits for the first message, always: it is dropped when the last of them has been
/// sent it. `K` names members, `S` is what is kept of each, `M` a message.
#[derive(Debug)]
pub(super) struct Lag<K, S, M> {
    members: HashMap<K, Lagging<S>>,
    messages: VecDeque<Kept<K, M>>,
    /// The number of the first message. The next one follows it, and so on.
    first: u64,
    bytes: usize,
    /// The bytes in all rooms of the hub.
    total: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Lagging<S> {
    socket: S,
    /// The number of the message that it is sent next.
    next: u64,
}

#[derive(Debug)]
struct Kept<K, M> {
    message: M,
    bytes: usize,
    /// The member that does not get it.
    except: Option<K>,
    /// The number of members that are sent this one next.
    waiting: usize,
}

/// How much may be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The bytes of this room.
    pub(super) room: usize,
    /// The bytes of all rooms.
    pub(super) total: usize,
    /// The number of messages that the room keeps anyway. As many never exceed the limits, and the
    /// newest message does not either.
    pub(super) free: usize,
}

impl<K: Copy + Eq + Hash, S, M> Lag<K, S, M> {
    /// Makes the state in which no member lags. `total`: the bytes that are kept in all rooms.
    pub(super) fn new(total: Arc<AtomicUsize>) -> Self {
        Lag {
            members: HashMap::new(),
            messages: VecDeque::new(),
            first: 0,
            bytes: 0,
            total,
        }
    }

    /// The number of members that lag.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The members that lag, and what is kept of them.
    pub(super) fn members(&self) -> impl Iterator<Item = (&K, &S)> {
        self.members.iter().map(|(id, member)| (id, &member.socket))
    }

    pub(super) fn contains(&self, id: K) -> bool {
        self.members.contains_key(&id)
    }

    /// Keeps a message for all members that lag, and for those that begin to with this message.
    /// Returns the members that lag no more, because what they need is beyond the limits.
    pub(super) fn keep(
        &mut self,
        (message, bytes): (M, usize),
        except: Option<K>,
        begin: Vec<(K, S)>,
        limits: Limits,
    ) -> Vec<(K, S)> {
        let next = self.end();
        let bytes = bytes + OVERHEAD;
        self.messages.push_back(Kept {
            message,
            bytes,
            except,
            waiting: begin.len(),
        });
        for (id, socket) in begin {
            let known = self.members.insert(id, Lagging { socket, next });
            debug_assert!(known.is_none(), "it is sent what is kept, and nothing else");
        }
        self.bytes += bytes;
        self.total.fetch_add(bytes, Ordering::Relaxed);
        let lost = self.drop_beyond(limits);
        self.check();
        lost
    }

    /// The messages that a member is to be sent, each with the place after it; `None` if it does
    /// not lag.
    pub(super) fn messages(&self, id: K) -> Option<impl Iterator<Item = (u64, &M)>> {
        let next = self.members.get(&id)?.next;
        let kept = self.messages.range(self.index(next)..);
        Some(
            (next + 1..)
                .zip(kept)
                .filter(move |(_, kept)| kept.except != Some(id))
                .map(|(after, kept)| (after, &kept.message)),
        )
    }

    /// A member has been sent what is before this place. It still lags.
    pub(super) fn advance(&mut self, id: K, to: u64) {
        let (end, first) = (self.end(), self.first);
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        debug_assert!((member.next..end).contains(&to), "at the end it is removed");
        let from = std::mem::replace(&mut member.next, to);
        self.messages[(from - first) as usize].waiting -= 1;
        self.messages[(to - first) as usize].waiting += 1;
        self.drop_sent();
        self.check();
    }

    /// A member lags no more.
    pub(super) fn remove(&mut self, id: K) -> Option<S> {
        let Lagging { socket, next } = self.members.remove(&id)?;
        let index = self.index(next);
        self.messages[index].waiting -= 1;
        self.drop_sent();
        self.check();
        Some(socket)
    }

    /// No member lags any more.
    pub(super) fn into_members(mut self) -> Vec<(K, S)> {
        let members = self.members.drain();
        members.map(|(id, member)| (id, member.socket)).collect()
    }

    fn end(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    fn index(&self, number: u64) -> usize {
        (number - self.first) as usize
    }

    /// Drops the oldest messages until the limits hold. Returns the members that needed them.
    fn drop_beyond(&mut self, limits: Limits) -> Vec<(K, S)> {
        let mut needed = 0;
        // What is free is so while all rooms together keep no more than they may: otherwise each
        // of many rooms could keep one large message for a member that reads a byte at a time.
        while self.is_over(limits) && self.messages.len() > self.floor(limits) {
            needed += self.drop_first();
        }
        if needed == 0 {
            return vec![];
        }
        let first = self.first;
        let lost = self.members.extract_if(|_, member| member.next < first);
        let lost: Vec<_> = lost.map(|(id, member)| (id, member.socket)).collect();
        debug_assert_eq!(lost.len(), needed);
        self.drop_sent();
        lost
    }

    /// Returns how many messages are kept whatever they take.
    fn floor(&self, limits: Limits) -> usize {
        match self.total.load(Ordering::Relaxed) <= limits.total {
            true => limits.free.max(1),
            false => 0,
        }
    }

    fn is_over(&self, limits: Limits) -> bool {
        let left = limits
            .total
            .saturating_sub(self.total.load(Ordering::Relaxed));
        self.bytes > limits.room.min(left / SHARE)
    }

    /// Drops the messages that all have been sent.
    fn drop_sent(&mut self) {
        while let Some(kept) = self.messages.front()
            && kept.waiting == 0
        {
            self.drop_first();
        }
    }

    /// Drops the first message; returns how many members needed it.
    fn drop_first(&mut self) -> usize {
        let Some(kept) = self.messages.pop_front() else {
            return 0;
        };
        self.first += 1;
        self.bytes -= kept.bytes;
        self.total.fetch_sub(kept.bytes, Ordering::Relaxed);
        kept.waiting
    }

    fn check(&self) {
        debug_assert_eq!(
            self.messages.iter().map(|kept| kept.waiting).sum::<usize>(),
            self.members.len(),
            "each member waits for one message"
        );
        debug_assert!(self.messages.front().is_none_or(|kept| kept.waiting > 0));
    }
}

impl<K, S, M> Drop for Lag<K, S, M> {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
