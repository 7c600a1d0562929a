//! What a run may leave out.

/// A rule of the design that is switched off, by the number of the hole that it closes
/// (`src/design.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    Nothing,
    /// 1: a publish that is repeated gets another tag.
    FreshTags,
    /// 2: the members of a broken room are taken out at once.
    EndOfMembership,
    /// 3: a position that is not in the ring is looked up again after the *room* has read.
    RoomReadsFirst,
    /// 5: what waits is merged by its predecessor.
    Predecessors,
    /// 6: a read that failed is repeated.
    Retries,
    /// 7: answers from before an interruption are ignored.
    ReadNumbers,
    /// 8: an answer comes behind the messages that it contains.
    Barrier,
    /// 9: where a replay stands is a position.
    CursorPositions,
    /// Positions have tags.
    Tags,
}
