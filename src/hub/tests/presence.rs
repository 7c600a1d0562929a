//! Who is present, in one process.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::*;
use crate::socket::tests::peer::{Peer, serve};
use crate::{Config, Error, WebSocket};

/// A member that enters under this key, holds the seat until it receives "leave", and says how
/// entering went.
fn visitor(room: &Room, key: &str, info: &'static str) -> (Peer, oneshot::Receiver<Entered>) {
    visitor_with(room, key, info, false)
}

type Entered = Result<(), EnterError>;

fn visitor_with(
    room: &Room,
    key: &str,
    info: &'static str,
    takes_over: bool,
) -> (Peer, oneshot::Receiver<Entered>) {
    let (tell, entered) = oneshot::channel();
    let (room, key) = (room.clone(), key.to_owned());
    let visit = move |mut socket: WebSocket| async move {
        room.join(&socket);
        let seat = match takes_over {
            true => room.take_over(&socket, &key, info).await,
            false => room.enter(&socket, &key, info).await,
        };
        let _ = tell.send(seat.as_ref().map(|_| ()).map_err(Clone::clone));
        if let Ok(seat) = &seat {
            tokio::select! {
                _ = socket.recv() => {}
                () = seat.ended() => socket.send("seat lost").await?,
            }
        }
        drop(seat);
        while socket.recv().await?.is_some() {}
        Ok::<_, Error>(())
    };
    (serve(Config::new(), visit).0, entered)
}

async fn keys(room: &Room) -> Vec<String> {
    let mut keys: Vec<_> = room
        .people()
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.key.into())
        .collect();
    keys.sort();
    keys
}

fn told() -> Hub {
    Hub::new().on_presence(|room, change| {
        let text = match change {
            Change::Entered(person) => format!("{room}+{}", person.key),
            Change::Left(person) => format!("{room}-{}", person.key),
        };
        Some(text.into())
    })
}

#[tokio::test(start_paused = true)]
async fn a_key_is_held_by_one_seat_and_free_when_that_has_left() {
    let room = Hub::new().room("lobby");
    let (mut ann, entered) = visitor(&room, "ann", "1");
    assert_eq!(entered.await.unwrap(), Ok(()));
    let (_other, entered) = visitor(&room, "ann", "2");
    assert_eq!(entered.await.unwrap(), Err(EnterError::Taken));
    let (bob, entered) = visitor(&room, "bob", "");
    assert_eq!(entered.await.unwrap(), Ok(()));
    assert_eq!(keys(&room).await, ["ann", "bob"]);
    let people = room.people().await.unwrap();
    assert!(
        people
            .iter()
            .any(|it| &*it.key == "ann" && &it.info[..] == b"1")
    );
    // By dropping the seat, and by the end of the socket.
    ann.send("leave").await;
    drop(bob);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(keys(&room).await, [""; 0]);
    let (_again, entered) = visitor(&room, "ann", "3");
    assert_eq!(entered.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn members_are_told_of_each_change_once_and_in_order() {
    let hub = told();
    let room = hub.room("r");
    let mut watcher = serve(Config::new(), {
        let room = room.clone();
        move |mut socket: WebSocket| async move {
            room.join(&socket);
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        }
    })
    .0;
    sleep(Duration::from_millis(1)).await;
    let (ann, entered) = visitor(&room, "ann", "");
    entered.await.unwrap().unwrap();
    let (_taken, entered) = visitor(&room, "ann", "");
    assert_eq!(entered.await.unwrap(), Err(EnterError::Taken));
    room.send("between");
    drop(ann);
    sleep(Duration::from_millis(10)).await;
    for expected in ["r+ann", "between", "r-ann"] {
        assert_eq!(watcher.message().await, expected.into());
    }
    let more = timeout(Duration::from_secs(1), watcher.message()).await;
    assert!(more.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_is_taken_over_knows_it_and_takes_nobody_with_it() {
    let hub = told();
    let room = hub.room("r");
    let (mut old, entered) = visitor(&room, "ann", "same");
    entered.await.unwrap().unwrap();
    let (mut new, entered) = visitor_with(&room, "ann", "same", true);
    entered.await.unwrap().unwrap();
    assert_eq!(old.message().await, "r+ann".into());
    assert_eq!(
        old.message().await,
        "seat lost".into(),
        "and no change is told"
    );
    drop(old);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(
        keys(&room).await,
        ["ann"],
        "the old seat does not take the key with it"
    );
    new.send("leave").await;
    sleep(Duration::from_millis(10)).await;
    assert_eq!(keys(&room).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_is_closing_does_not_enter_and_sizes_are_bounded() {
    let room = Hub::new().room("lobby");
    let (tell, mut told) = mpsc::unbounded_channel();
    let _peer = serve(Config::new(), {
        let room = room.clone();
        move |socket: WebSocket| async move {
            let long = "k".repeat(257);
            let _ = tell.send(room.enter(&socket, &long, "").await.map(drop));
            let _ = tell.send(room.enter(&socket, "a", vec![0; 1025]).await.map(drop));
            let _ = tell.send(
                room.enter(&socket, &long[1..], vec![0; 1024])
                    .await
                    .map(drop),
            );
            socket.sender().close(crate::CloseCode::NORMAL, "");
            let _ = tell.send(room.enter(&socket, "b", "").await.map(drop));
        }
    });
    assert_eq!(told.recv().await, Some(Err(EnterError::TooLarge)));
    assert_eq!(told.recv().await, Some(Err(EnterError::TooLarge)));
    assert_eq!(told.recv().await, Some(Ok(())));
    assert_eq!(told.recv().await, Some(Err(EnterError::Closed)));
    assert_eq!(keys(&room).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_closure_may_send_and_drop_seats_and_may_panic() {
    let (rooms, seats) = (Arc::new(Mutex::new(vec![])), Arc::new(Mutex::new(vec![])));
    let closure = (rooms.clone(), seats.clone());
    let hub = Hub::new()
        .history(History::last(10))
        .on_presence(move |_, change| {
            let (rooms, seats) = &closure;
            if let Change::Entered(person) = change {
                let rooms: Vec<Room> = rooms.lock().unwrap().clone();
                for room in rooms {
                    room.send(format!("{} is here", person.key));
                }
                if &*person.key == "last" {
                    // Dropped within the closure of their own room.
                    let seats: Vec<Seat> = std::mem::take(&mut *seats.lock().unwrap());
                    drop(seats);
                    panic!("a bug in the closure");
                }
            }
            None
        });
    let room = hub.room("r");
    rooms.lock().unwrap().push(room.clone());
    let (done, is_done) = oneshot::channel();
    let _peer = serve(Config::new(), {
        let room = room.clone();
        move |mut socket: WebSocket| async move {
            for key in ["a", "b"] {
                let seat = room.enter(&socket, key, "").await.unwrap();
                seats.lock().unwrap().push(seat);
            }
            let last = room.enter(&socket, "last", "").await.unwrap();
            let _ = done.send(());
            while socket.recv().await?.is_some() {}
            drop(last);
            Ok::<_, Error>(())
        }
    });
    is_done.await.unwrap();
    assert_eq!(keys(&room).await, ["last"]);
    assert_eq!(room.history(9).await.unwrap().messages.len(), 3);
    rooms.lock().unwrap().clear();
}

/// A socket that ends on another thread while it enters leaves no ghost behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_free_whenever_its_socket_ends() {
    let room = Hub::new().room("lobby");
    for number in 0..300_u32 {
        let (tell, given) = oneshot::channel();
        let peer = serve(Config::new(), move |socket: WebSocket| async move {
            let _ = tell.send(socket);
        })
        .0;
        let socket = given.await.unwrap();
        let room = room.clone();
        let entering = tokio::spawn(async move {
            let seat = room.enter(&socket, "ann", "").await;
            let _ = socket.sender().closed().await;
            drop(seat);
        });
        for _ in 0..number % 20 {
            tokio::task::yield_now().await;
        }
        drop(peer);
        timeout(Duration::from_secs(10), entering)
            .await
            .unwrap()
            .unwrap();
    }
    // The thread on which the last socket has ended may still be about to leave.
    let is_free = async {
        while !keys(&room).await.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), is_free).await.unwrap();
}

/// A message that a person has entered does not close a member that reads slowly.
#[tokio::test(start_paused = true)]
async fn a_room_that_drops_messages_closes_no_member_because_somebody_enters() {
    use crate::config::Overflow::{DropNewest, DropOldest};

    for policy in [DropNewest, DropOldest] {
        let hub = Hub::new()
            .lag_limit(64 * 1024)
            .overflow(policy)
            .on_presence(|_, _| Some("somebody came or went".into()));
        let room = hub.room("lobby");
        let config = Config::new().output_limit(4096);
        let (_peer, member) = runs::member(256, config, &[&room]).await;
        let burst = async |count: usize| {
            for number in 0..count {
                room.send(format!("{number:0>1000}"));
                tokio::task::yield_now().await;
            }
        };
        burst(10).await;
        let (_ann, entered) = visitor(&room, "ann", "");
        entered.await.unwrap().unwrap();
        burst(200).await;
        assert_eq!(member.close_cause(), None, "{policy:?}");
    }
}
