//! Closures of the user that send to the room that calls them, and what else of the user runs there.

use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt;

use super::*;
use crate::Message;

/// Runs it on a thread of its own, since it may stand still for ever.
fn within_seconds<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> R {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _guard = runtime.enter();
        let _ = tell.send(run());
    });
    let seconds = Duration::from_secs(5);
    told.recv_timeout(seconds).expect("it stands still")
}

fn kept(room: &Room) -> Vec<Message> {
    let recent = room.history(10).now_or_never().unwrap();
    recent.unwrap().messages
}

/// A room whose stamp calls `then` with it and each message.
fn stamping(then: impl Fn(&Room, &Message) + Send + Sync + 'static) -> Room {
    let place = Arc::new(Mutex::new(None::<Room>));
    let found = place.clone();
    let hub = Hub::new()
        .history(History::last(10))
        .stamp(move |_, _, message| {
            let room = found.lock().unwrap().clone();
            then(&room.unwrap(), &message);
            message
        });
    let room = hub.room("lobby");
    *place.lock().unwrap() = Some(room.clone());
    room
}

#[test]
fn a_message_that_a_stamp_has_sent_may_make_it_send_another() {
    let messages = within_seconds(|| {
        let room = stamping(|room, message| match message.as_text() {
            Some("a") => _ = room.send("b"),
            Some("b") => _ = room.send("c"),
            _ => {}
        });
        room.send("a");
        kept(&room)
    });
    assert_eq!(messages, ["a", "b", "c"].map(Message::from));
}

#[test]
fn a_message_with_a_key_that_a_closure_publishes_is_appended_once() {
    let (messages, again) = within_seconds(|| {
        let room = stamping(|room, message| {
            if message.as_text() == Some("a") {
                for _ in 0..2 {
                    let _ = room.publish_once("key", "b").now_or_never();
                }
            }
        });
        room.send("a");
        let again = room.publish_once("key", "b").now_or_never().unwrap();
        (kept(&room), again.unwrap())
    });
    assert_eq!(messages, ["a", "b"].map(Message::from));
    assert!(again.repeated);
}

/// What is logged goes to a room.
#[cfg(feature = "tracing")]
struct RoomLog(Room);

#[cfg(feature = "tracing")]
impl std::io::Write for RoomLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.send(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "tracing")]
#[test]
fn the_panic_of_a_closure_may_be_logged_to_its_room() {
    let messages = within_seconds(|| {
        let room = stamping(|_, message| {
            assert_ne!(message.as_text(), Some("bad"), "a bug");
        });
        let logged = room.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || RoomLog(logged.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, || room.send("bad"));
        kept(&room)
    });
    assert_eq!(messages[0], Message::from("bad"));
    assert!(messages[1].as_text().unwrap().contains("panicked"));
}

/// A task sends within a closure, while another has the turn of the room, and then sends once more.
#[test]
fn what_a_closure_has_sent_comes_before_what_its_task_sends_next() {
    use crate::hub::settings::Settings;
    use crate::hub::shared::{Deferred, Registry, lock};
    use crate::protocol::Prepared;

    let messages = within_seconds(|| {
        let hub = Arc::new(Registry::new(Settings {
            history: Some(History::last(10)),
            ..Settings::default()
        }));
        let room = hub.room("lobby");
        lock(&room.order().deferred).push(Deferred {
            message: Prepared::new("first"),
            except: None,
            once: None,
        });
        room.append(&hub, Prepared::new("second"), None, None);
        let state = room.lock();
        let entries = state.log.as_deref().unwrap().ring.from(0);
        let messages = entries.map(|entry| entry.message.message().clone());
        messages.collect::<Vec<_>>()
    });
    assert_eq!(messages, ["first", "second"].map(Message::from));
}
