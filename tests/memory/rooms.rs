//! What rooms and members hold of messages that are not read: members share them, and what one
//! member keeps alive of its room is bounded, whenever it stands still.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_ws::config::Overflow;
use hyper_ws::hub::{Hub, Room};
use hyper_ws::protocol::Role;
use hyper_ws::socket::{self, Negotiated};
use hyper_ws::{Config, Error, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::{Clock, alone, live};

const KIB: usize = 1024;

/// The most bytes of frames that a member keeps alive of a room (`socket/shared/run.rs`).
const RUN: usize = 8 * KIB;

/// With their frame they are 104 bytes.
const MESSAGE: [u8; 102] = [b'm'; 102];

/// A peer that sends nothing.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Reads,
    StandsStill,
}

impl AsyncRead for Peer {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match *self {
            Peer::Reads => Poll::Ready(Ok(bytes.len())),
            Peer::StandsStill => Poll::Pending,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What the handler of a member is told to do next.
#[derive(Default)]
struct Orders {
    join: Notify,
    /// To send so many messages to the others.
    talk: Notify,
    leave: Notify,
}

/// Makes a connection that joins the room when it is told to.
fn member(peer: Peer, config: Config, room: &Room) -> Arc<Orders> {
    let (room, orders) = (room.clone(), Arc::<Orders>::default());
    let told = orders.clone();
    let negotiated = Negotiated::new(Role::Server).config(config);
    let driver = socket::serve(peer, negotiated, move |mut socket: WebSocket| async move {
        told.join.notified().await;
        room.join(&socket);
        tokio::select! {
            () = told.leave.notified() => room.leave(&socket),
            () = told.talk.notified() => {
                for _ in 0..200 {
                    room.send_to_others(&socket, &MESSAGE[..]);
                    yield_now().await;
                }
            }
        }
        while socket.recv().await?.is_some() {}
        Ok::<(), Error>(())
    });
    tokio::spawn(driver);
    orders
}

/// Time stands still, so no deadline passes.
fn config() -> Config {
    Config::new()
}

/// Lets a thousand tasks take their turns. (This task is polled again after 61 others.)
async fn turns() {
    for _ in 0..40 {
        yield_now().await;
    }
}

fn send(room: &Room) -> usize {
    room.send(&MESSAGE[..]).queued
}

#[test]
fn a_thousand_members_that_do_not_read_share_what_is_queued_for_them() {
    alone(Clock::Paused, || async {
        let room = Hub::new().room("room");
        for _ in 0..1_000 {
            member(Peer::StandsStill, config(), &room).join.notify_one();
        }
        turns().await;
        // It is being written, by each for itself.
        assert_eq!(send(&room), 1_000);
        turns().await;
        let before = live();
        for _ in 0..60 {
            assert_eq!(send(&room), 1_000);
            turns().await;
        }
        let grown = live().saturating_sub(before);
        assert!(grown >= 60 * MESSAGE.len(), "nothing was written: {grown}");
        assert!(grown <= RUN + KIB, "{grown}");
    });
}

#[test]
fn members_that_stand_still_at_different_times_keep_nothing_of_a_room_that_goes_on_without_them() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Way {
        Leaves,
        IsFull,
    }
    const MEMBERS: usize = 200;
    for way in [Way::Leaves, Way::IsFull] {
        alone(Clock::Paused, move || async move {
            let hub = Hub::new().overflow(Overflow::DropNewest);
            let room = hub.room("room");
            member(Peer::Reads, config(), &room).join.notify_one();
            let config = match way {
                Way::Leaves => config(),
                Way::IsFull => config().output_limit(150),
            };
            let members: Vec<_> = (0..MEMBERS)
                .map(|_| member(Peer::StandsStill, config.clone(), &room))
                .collect();
            turns().await;
            let before = live();
            for member in &members {
                member.join.notify_one();
                turns().await;
                // The first is being written, the second is a part of the room's run.
                for _ in 0..2 {
                    assert_eq!(send(&room), 2);
                    turns().await;
                }
                if way == Way::Leaves {
                    member.leave.notify_one();
                    turns().await;
                }
                // More than the rest of that run.
                for _ in 0..90 {
                    assert_eq!(send(&room), 1);
                    turns().await;
                }
            }
            let each = live().saturating_sub(before) / MEMBERS;
            println!("{way:?}: {each} bytes for each member");
            assert!(each < 2 * KIB, "{way:?}: {each}");
        });
    }
}

#[test]
fn a_member_that_stands_still_keeps_at_most_one_run_alive() {
    const ROOMS: usize = 200;
    alone(Clock::Paused, || async {
        let hub = Hub::new();
        let mut rooms = vec![];
        for at in 0..ROOMS {
            let room = hub.room(&at.to_string());
            member(Peer::Reads, config(), &room).join.notify_one();
            let slow = member(Peer::StandsStill, config(), &room);
            slow.join.notify_one();
            rooms.push((room, slow));
        }
        turns().await;
        let before = live();
        for (room, slow) in &rooms {
            for _ in 0..2 {
                assert_eq!(send(room), 2);
                turns().await;
            }
            // The room goes on, and this member alone is not sent what it says itself. So its part
            // of the run stays as it is, and the run fills up behind it.
            slow.talk.notify_one();
        }
        for _ in 0..40 {
            turns().await;
        }
        let each = live().saturating_sub(before) / ROOMS;
        println!("{each} bytes for each room");
        assert!(each > RUN, "no run is full: {each}");
        assert!(each < RUN + 2 * KIB, "{each}");
    });
}

#[test]
fn a_room_in_which_all_is_written_keeps_none_of_it() {
    const ROOMS: usize = 1_000;
    alone(Clock::Paused, || async {
        let hub = Hub::new();
        let mut rooms = vec![];
        for at in 0..ROOMS {
            let room = hub.room(&at.to_string());
            member(Peer::Reads, config(), &room).join.notify_one();
            rooms.push(room);
        }
        turns().await;
        // What the pools of this thread keep.
        let others = hub.room("others");
        for _ in 0..50 {
            member(Peer::Reads, config(), &others).join.notify_one();
        }
        turns().await;
        for _ in 0..16 {
            assert_eq!(send(&others), 50);
        }
        turns().await;
        let before = live();
        for room in &rooms {
            for _ in 0..16 {
                assert_eq!(send(room), 1);
            }
        }
        turns().await;
        let each = live().saturating_sub(before) / ROOMS;
        println!("{each} bytes for each room");
        assert!(each < 128, "{each}");
    });
}
