//! Several servers against an engine that loses, forks and goes back: each server has the real
//! [`Follower`](crate::hub::follow::Follower) and the real [`Ring`](crate::hub::ring::Ring).
//!
//! What must hold:
//!
//! - What a client receives is a contiguous part of one branch of the log, from its position on.
//!   Nothing comes twice, and all clients agree.
//! - A client is told that it missed something only if the engine lost it or the log was trimmed.
//! - When the faults stop, everybody is up to date within a bounded number of steps.
//!
//! Each rule of the design is then switched off in the model, which has to notice. A run is a
//! script, and a script that fails is shortened before it is printed.

mod client;
mod counts;
mod engine;
mod following;
mod publishing;
mod resuming;
mod script;
mod server;
mod without;
mod world;

use counts::Counts;
use script::{Faults, Step, script};
use without::Without;
use world::World;

const STEPS: usize = 500;

fn run(script: &[Step], without: Without) -> Result<Counts, String> {
    let mut world = World::new(without);
    for step in script {
        world.step(*step)?;
    }
    world.settle()?;
    Ok(world.counts)
}

/// Runs a script that a fuzzer has written.
///
/// # Panics
///
/// If something does not hold.
#[cfg(fuzzing)]
pub fn fuzz(bytes: &[u8]) {
    let (script, faults) = script::decoded(bytes);
    if let Err(violation) = run(&script, Without::Nothing) {
        panic!("{faults:?}: {violation}\n{script:?}");
    }
}

/// The shortest script that can be found by leaving steps out.
fn shorten(mut script: Vec<Step>, without: Without) -> Vec<Step> {
    let mut part = script.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < script.len() {
            let mut shorter = script.clone();
            shorter.drain(at..script.len().min(at + part));
            if run(&shorter, without).is_err() {
                script = shorter;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    script
}

/// How many runs, or what the environment says.
fn runs(default: u64) -> u64 {
    let runs = std::env::var("HYPER_WS_MODEL_RUNS").ok();
    runs.map_or(default, |runs| runs.parse().expect("a number of runs"))
}

fn assert_holds(seeds: u64, faults: Faults, without: Without) -> Counts {
    let mut total = Counts::default();
    for seed in 0..seeds {
        let script = script(seed, STEPS, faults);
        match run(&script, without) {
            Ok(counts) => total.add(counts),
            Err(_) => {
                let script = shorten(script, without);
                let violation = run(&script, without).unwrap_err();
                panic!("seed {seed}, {faults:?}: {violation}\n{script:?}");
            }
        }
    }
    println!("{seeds} runs, {faults:?}: {total:?}");
    total
}

/// Returns the shortest script, and what it violates.
fn assert_found(without: Without) -> (Vec<Step>, String) {
    for seed in 0..2_000 {
        let script = script(seed, STEPS, Faults::Engine);
        if run(&script, without).is_err() {
            let script = shorten(script, without);
            let violation = run(&script, without).unwrap_err();
            assert!(run(&script, Without::Nothing).is_ok(), "it holds otherwise");
            println!("{without:?}, seed {seed}: {violation}\n{script:?}");
            return (script, violation);
        }
    }
    panic!("the model does not notice what {without:?} is for");
}

#[test]
fn nothing_is_missed_when_connections_fail() {
    let total = assert_holds(runs(500), Faults::Connections, Without::Nothing);
    assert!(total.is_worth_something());
}

/// A script may end with any number of messages that are not published yet.
#[test]
fn a_backlog_of_publishes_is_worked_off() {
    let mut script = vec![Step::Publish(0); 300];
    script.extend([Step::Publish(1); 200]);
    run(&script, Without::Nothing).unwrap();
}

#[test]
fn nothing_is_missed_silently_when_the_engine_fails() {
    let total = assert_holds(runs(1_500), Faults::Engine, Without::Nothing);
    assert!(total.is_worth_something());
    assert!(total.broken > 100 && total.missed > 100);
}

/// Answers that overtake the messages that they contain are against the contract, as with
/// connections that lead to different servers of an engine. Nothing is lost then, but late
/// messages look like gaps, each of which is read.
#[test]
fn a_broken_barrier_costs_reads_and_no_messages() {
    let with = assert_holds(200, Faults::Connections, Without::Nothing);
    let without = assert_holds(200, Faults::Connections, Without::Barrier);
    assert!(
        without.reads > with.reads,
        "{} {}",
        without.reads,
        with.reads
    );
    assert_holds(200, Faults::Engine, Without::Barrier);
}

#[test]
fn a_repeat_needs_another_tag() {
    assert_found(Without::FreshTags);
}

#[test]
fn members_of_a_broken_room_need_to_be_taken_out_at_once() {
    assert_found(Without::EndOfMembership);
}

#[test]
fn the_room_needs_to_read_before_a_client_that_is_ahead_becomes_a_member() {
    assert_found(Without::RoomReadsFirst);
}

#[test]
fn what_waits_needs_to_be_merged_by_its_predecessor() {
    assert_found(Without::Predecessors);
}

#[test]
fn a_failed_read_needs_to_be_repeated() {
    let (_, violation) = assert_found(Without::Retries);
    assert!(violation.contains("not live"), "{violation}");
}

#[test]
fn answers_from_before_an_interruption_need_to_be_ignored() {
    assert_found(Without::ReadNumbers);
}

#[test]
fn where_a_replay_stands_needs_to_be_a_position() {
    assert_found(Without::CursorPositions);
}

/// What everybody else does: a number is taken for a place in the log.
#[test]
fn positions_need_tags() {
    let (_, violation) = assert_found(Without::Tags);
    assert!(violation.starts_with("delivered"), "{violation}");
}
