//! A run: the last frames of a room, one behind the other, for all its members.
//!
//! The room appends each frame once. A member that has nothing else to write holds a part of the
//! run. When another frame follows, only the end of that part moves, and the driver copies the
//! part at once.
//!
//! ```text
//!   run       │ frame │ frame │ frame │ frame │      (at most 8 KiB)
//!   member A          └───────────────────────┘
//!   member B                          └───────┘
//! ```
//!
//! The members own the run, and the room only knows where it is ([`LastRun`]). So an idle room
//! keeps none: a run goes with the last part of it. A member holds a part of one run at most. If
//! the next frame stands elsewhere, the part is copied into a buffer of the member's own
//! (`Queued` in `queue.rs`).

use std::sync::{Arc, PoisonError, Weak};
#[cfg(not(feature = "interleavings"))]
use std::sync::{RwLock, RwLockReadGuard};

#[cfg(feature = "interleavings")]
use loom::sync::{RwLock, RwLockReadGuard};

use crate::protocol::{Outbox, Prepared};

/// The most bytes of a run. A slow member keeps a whole run alive, however little of it is left to
/// write.
const LENGTH: usize = 8 * 1024;

/// Frames of a room. Bytes are appended and never change, so a part stays what it is.
pub(super) struct Run(RwLock<Vec<u8>>);

impl Run {
    /// Makes a run of one frame. Its buffer has no room for another: most rooms send one message
    /// at a time.
    fn new(frame: &[u8]) -> Self {
        Run(RwLock::new(frame.to_vec()))
    }

    /// Appends a frame, and returns where it stands; `None` if the run is full. The buffer takes
    /// at most twice what is in it.
    fn append(&self, frame: &[u8]) -> Option<Span> {
        let mut frames = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let start = frames.len();
        let end = start + frame.len();
        if end > LENGTH {
            return None;
        }
        if frames.capacity() < end {
            let capacity = (2 * start).clamp(end, LENGTH);
            frames.reserve_exact(capacity - start);
        }
        frames.extend_from_slice(frame);
        Some(Span::new(start, end))
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<u8>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the frames of a part. Drivers of many members do so at the same time.
    #[inline]
    pub(super) fn copy_to(&self, span: Span, out: &mut Outbox) {
        out.push_frames(&self.read()[span.start.into()..span.end.into()]);
    }
}

/// The place of a part in its run. Beside the pointer to the run, and not in one struct with it:
/// so a send queue with a part is no larger than one without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: u16,
    end: u16,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        debug_assert!(start < end && end <= LENGTH);
        // A run is shorter than that.
        let [start, end] = [start, end].map(|at| at as u16);
        Span { start, end }
    }

    #[inline]
    pub(super) fn len(self) -> usize {
        usize::from(self.end - self.start)
    }
}

/// A frame in a run, to be queued for the members of a room.
pub(crate) struct InRun {
    run: Arc<Run>,
    span: Span,
}

impl InRun {
    /// The part that begins with this frame.
    #[inline]
    pub(super) fn begin(&self) -> (Arc<Run>, Span) {
        (self.run.clone(), self.span)
    }

    /// Returns the part of `run` that ends with this frame, if the part `before` ends where this
    /// frame begins.
    #[inline]
    pub(super) fn extend(&self, run: &Arc<Run>, before: Span) -> Option<Span> {
        let follows = Arc::ptr_eq(run, &self.run) && before.end == self.span.start;
        follows.then_some(Span {
            start: before.start,
            end: self.span.end,
        })
    }
}

/// The run to which a room has appended last, as long as a member holds a part of it.
#[derive(Default)]
pub(crate) struct LastRun(Weak<Run>);

impl LastRun {
    /// Appends the frame of a message; `None` if it is too long for a run. To be called under the
    /// lock of the room, under which the frame is queued for the members too: their parts grow by
    /// the frames in the order of the run.
    #[cfg_attr(
        not(feature = "hub"),
        allow(dead_code, reason = "only rooms have runs")
    )]
    pub(crate) fn append(&mut self, message: &Prepared) -> Option<InRun> {
        let frame = message.plain().as_whole()?;
        if let Some(run) = self.0.upgrade()
            && let Some(span) = run.append(frame)
        {
            return Some(InRun { run, span });
        }
        if frame.len() > LENGTH {
            return None;
        }
        let run = Arc::new(Run::new(frame));
        self.0 = Arc::downgrade(&run);
        let span = Span::new(0, frame.len());
        Some(InRun { run, span })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The frame of a text.
    fn frame(text: &str) -> Vec<u8> {
        let mut out = Outbox::default();
        out.push_encoded(Prepared::new(text).plain());
        out.chunk().to_vec()
    }

    fn append(last: &mut LastRun, text: &str) -> InRun {
        last.append(&Prepared::new(text)).unwrap()
    }

    fn bytes((run, span): &(Arc<Run>, Span)) -> Vec<u8> {
        let mut out = Outbox::default();
        run.copy_to(*span, &mut out);
        assert_eq!(out.len(), span.len());
        out.chunk().to_vec()
    }

    #[test]
    fn a_part_grows_by_the_frame_that_follows_it_and_by_no_other() {
        let mut last = LastRun::default();
        let first = append(&mut last, "first");
        let (run, mut span) = first.begin();
        let second = append(&mut last, "second");
        let third = append(&mut last, "third");
        assert_eq!(third.extend(&run, span), None, "the second is between");
        assert_eq!(first.extend(&run, span), None, "it has that one");
        let mut other = LastRun::default();
        let (_alive, other_span) = append(&mut other, "first").begin();
        let elsewhere = append(&mut other, "second");
        assert_eq!((other_span, elsewhere.span), (span, second.span));
        assert_eq!(elsewhere.extend(&run, span), None, "another run");

        span = second.extend(&run, span).unwrap();
        span = third.extend(&run, span).unwrap();
        let part = (run, span);
        let all = [frame("first"), frame("second"), frame("third")].concat();
        assert_eq!(bytes(&part), all);
        assert_eq!(bytes(&second.begin()), frame("second"));
        // What is appended later changes nothing.
        append(&mut last, "fourth");
        assert_eq!(bytes(&part), all);
    }

    #[test]
    fn a_run_goes_with_its_last_part_and_a_full_one_is_followed_by_another() {
        let mut last = LastRun::default();
        let first = append(&mut last, "a");
        assert_eq!(last.0.strong_count(), 1);
        drop(first);
        assert_eq!(last.0.strong_count(), 0, "the room does not keep it");
        assert_eq!(append(&mut last, "b").span, Span { start: 0, end: 3 });

        let text = "x".repeat(LENGTH / 2 - 4);
        let half = append(&mut last, &text);
        let whole = append(&mut last, &text);
        assert!(Arc::ptr_eq(&half.run, &whole.run));
        assert_eq!(usize::from(whole.span.end), LENGTH, "it fits to the byte");
        let next = append(&mut last, "c");
        assert!(!Arc::ptr_eq(&whole.run, &next.run));
        assert_eq!(next.span, Span { start: 0, end: 3 });
    }

    #[test]
    fn a_frame_that_is_longer_than_a_run_stands_in_none() {
        let mut last = LastRun::default();
        let fits = last.append(&Prepared::new(vec![0; LENGTH - 4])).unwrap();
        assert_eq!(fits.span.len(), LENGTH);
        for length in [LENGTH - 3, LENGTH, 20_000, 100_000] {
            assert!(last.append(&Prepared::new(vec![0; length])).is_none());
        }
        assert!(Arc::ptr_eq(&last.0.upgrade().unwrap(), &fits.run));
    }

    #[test]
    fn the_buffer_of_a_run_takes_at_most_twice_its_content_and_never_more_than_a_whole_run() {
        for length in [1, 100, 1000, 3000] {
            let mut last = LastRun::default();
            let text = "x".repeat(length);
            let first = append(&mut last, &text);
            assert_eq!(first.run.read().capacity(), first.span.len());
            let mut capacities = BTreeSet::new();
            loop {
                let next = append(&mut last, &text);
                if !Arc::ptr_eq(&next.run, &first.run) {
                    break;
                }
                let (len, capacity) = (first.run.read().len(), first.run.read().capacity());
                assert!(capacity <= (2 * len).min(LENGTH), "{len} {capacity}");
                capacities.insert(capacity);
            }
            // It doubles, and does not grow by each frame.
            assert!(capacities.len() <= LENGTH.ilog2() as usize);
        }
    }
}
