//! Scripts: what happens, step by step. They are random, but a seed always makes the same one.

/// What a step does. Servers and clients are numbers, which are taken modulo how many there are.
/// A step that is not possible has no effect, so each part of a script is a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A server has a message to publish.
    Publish(u8),
    /// A server sends its oldest message that is not under way; `true` if a new connection leads to
    /// the demoted master.
    Send(u8, bool),
    /// The engine carries out a server's oldest request.
    Carry(u8),
    /// The engine carries out what came over a connection that the server has given up.
    CarryLate(u8),
    /// A server receives the outcome of its oldest publish.
    Outcome(u8),
    /// A server receives one of the answers to its reads.
    Answer(u8, u8),
    /// A pause is over.
    Retry(u8),
    /// A server connects its line, or subscribes; `true` as for `Send`.
    Subscribe(u8, bool),
    /// The next of what is under way on a line is received.
    Receive(u8),
    /// The same of a line that was given up.
    ReceiveLate(u8),
    /// A message on a line is lost.
    Lose(u8, u8),
    /// A message on a line arrives twice.
    Repeat(u8, u8),
    /// A line passes on no messages any more, and does not say so.
    Deafen(u8),
    /// A line is cut.
    CutLine(u8),
    /// The connection for requests is cut; what is under way may still be carried out.
    CutRequests(u8, bool),
    /// The replica catches up with the master.
    Replicate,
    /// The replica is promoted. Connections stay where they are.
    Promote,
    /// The demoted master ends its connections.
    Heal,
    /// The master's data is saved.
    Save,
    /// The master goes back to the saved data; `true` if it restarts, which ends its connections.
    Restore(bool),
    /// The master loses everything; its connections stay.
    Flush,
    /// The master loses the messages and keeps the position.
    LoseMessages,
    /// The master keeps so many messages.
    Trim(u8),
    /// A server looks whether its room is still the same.
    Sweep(u8),
    /// A server drops what its ring holds.
    Clear(u8),
    /// A server without members gives up its room.
    Unfollow(u8),
    /// A server's process is killed, and another one begins.
    Kill(u8),
    /// A client connects to a server, with the position that it has.
    Join(u8, u8),
    /// A client's socket takes some messages of a replay.
    Feed(u8),
    /// A client's connection ends.
    Leave(u8),
}

/// What a script may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Faults {
    /// Connections break and lose messages. The engine loses nothing.
    Connections,
    /// The engine loses what it had, too.
    Engine,
}

pub(super) fn script(seed: u64, steps: usize, faults: Faults) -> Vec<Step> {
    let mut random = Random(seed);
    // Some runs have few faults, so that the others are not hidden by what follows them.
    let calm = random.below(4) * 300;
    (0..steps)
        .map(|_| step(&mut random, calm, faults))
        .collect()
}

fn step(random: &mut Random, calm: u64, faults: Faults) -> Step {
    let server = random.below(16) as u8;
    let which = random.below(16) as u8;
    let rarely = random.below(6) == 0;
    let engine = match faults {
        Faults::Connections => 0,
        Faults::Engine => 40,
    };
    match random.below(700 + engine + calm) {
        0..=79 => Step::Publish(server),
        80..=159 => Step::Send(server, rarely && faults == Faults::Engine),
        160..=259 => Step::Carry(server),
        260..=309 => Step::Outcome(server),
        310..=379 => Step::Answer(server, which),
        380..=399 => Step::Retry(server),
        400..=419 => Step::Subscribe(server, rarely && faults == Faults::Engine),
        420..=539 => Step::Receive(server),
        540..=579 => Step::Join(which, server),
        580..=634 => Step::Feed(which),
        635..=644 => Step::Leave(which),
        645..=650 => Step::CutLine(server),
        651..=656 => Step::CutRequests(server, random.below(2) == 0),
        657..=662 => Step::Lose(server, which),
        663..=667 => Step::Repeat(server, which),
        668..=669 => Step::Deafen(server),
        670..=674 => Step::CarryLate(server),
        675..=679 => Step::ReceiveLate(server),
        680..=684 => Step::Sweep(server),
        685..=688 => Step::Unfollow(server),
        689..=691 => Step::Kill(server),
        692..=695 => Step::Clear(server),
        696..=699 => Step::Replicate,
        700..=705 if engine > 0 => Step::Replicate,
        706..=715 if engine > 0 => Step::Promote,
        716..=721 if engine > 0 => Step::Heal,
        722..=725 if engine > 0 => Step::Save,
        726..=731 if engine > 0 => Step::Restore(which < 8),
        732..=734 if engine > 0 => Step::Flush,
        735..=736 if engine > 0 => Step::LoseMessages,
        737..=739 if engine > 0 => Step::Trim(which),
        // The ordinary way of things.
        rest => match rest % 6 {
            0 => Step::Send(server, false),
            1 => Step::Carry(server),
            2 => Step::Outcome(server),
            3 => Step::Answer(server, 0),
            4 => Step::Feed(which),
            _ => Step::Receive(server),
        },
    }
}

/// Reads a script from the bytes of a fuzzer: one that says which faults there may be, then two or
/// three for each step.
#[cfg(fuzzing)]
pub(super) fn decoded(bytes: &[u8]) -> (Vec<Step>, Faults) {
    const STEPS: usize = 1_000;
    let mut bytes = bytes.iter().copied();
    let faults = match bytes.next().unwrap_or(0) % 2 {
        0 => Faults::Connections,
        _ => Faults::Engine,
    };
    let script = std::iter::from_fn(|| step_of(&mut bytes, faults));
    (script.take(STEPS).collect(), faults)
}

#[cfg(fuzzing)]
fn step_of(bytes: &mut impl Iterator<Item = u8>, faults: Faults) -> Option<Step> {
    let (kind, server) = (bytes.next()?, bytes.next()?);
    let which = server >> 4;
    let server = server & 0x0f;
    let engine = faults == Faults::Engine;
    Some(match kind % 48 {
        0 | 1 => Step::Publish(server),
        2 | 3 => Step::Send(server, false),
        4..=6 => Step::Carry(server),
        7 | 8 => Step::Outcome(server),
        9 | 10 => Step::Answer(server, which),
        11 => Step::Retry(server),
        12 => Step::Subscribe(server, false),
        13..=16 => Step::Receive(server),
        17 | 18 => Step::Join(which, server),
        19 | 20 => Step::Feed(which),
        21 => Step::Leave(which),
        22 => Step::CutLine(server),
        23 => Step::CutRequests(server, which < 8),
        24 => Step::Lose(server, which),
        25 => Step::Repeat(server, which),
        26 => Step::Deafen(server),
        27 => Step::CarryLate(server),
        28 => Step::ReceiveLate(server),
        29 => Step::Sweep(server),
        30 => Step::Unfollow(server),
        31 => Step::Kill(server),
        32 => Step::Clear(server),
        33 => Step::Replicate,
        34 if engine => Step::Send(server, true),
        35 if engine => Step::Subscribe(server, true),
        36 if engine => Step::Promote,
        37 if engine => Step::Heal,
        38 if engine => Step::Save,
        39 if engine => Step::Restore(which < 8),
        40 if engine => Step::Flush,
        41 if engine => Step::LoseMessages,
        42 if engine => Step::Trim(which),
        other => match other % 4 {
            0 => Step::Carry(server),
            1 => Step::Receive(server),
            2 => Step::Feed(which),
            _ => Step::Send(server, false),
        },
    })
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
