//! Sockets that do not get what they have sent themselves, over an engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use super::*;
use crate::hub::backplane::{Backplane, Inbound, Publish, Read, Relay, Stopped};
use crate::socket::tests::peer::{Peer, serve};
use crate::testing::{Engine, Link};
use crate::{Config, WebSocket};

/// An engine whose first call to publish is overtaken by the second, if that comes while the first
/// is under way.
struct Overtaken {
    link: Link,
    calls: AtomicUsize,
    begun: mpsc::SyncSender<()>,
    overtakes: mpsc::SyncSender<()>,
    overtaken: Mutex<mpsc::Receiver<()>>,
}

impl Backplane for Overtaken {
    fn start(&self, inbound: Inbound) {
        self.link.start(inbound);
    }

    fn follow(&self, room: &Arc<str>) {
        self.link.follow(room);
    }

    fn unfollow(&self, room: &Arc<str>) {
        self.link.unfollow(room);
    }

    fn publish(&self, request: Publish) {
        if self.calls.fetch_add(1, Ordering::Relaxed) == 0 {
            self.begun.send(()).unwrap();
            let overtaken = self.overtaken.lock().unwrap();
            let _ = overtaken.recv_timeout(Duration::from_millis(300));
            self.link.publish(request);
        } else {
            self.link.publish(request);
            self.overtakes.send(()).unwrap();
        }
    }

    fn relay(&self, request: Relay) {
        self.link.relay(request);
    }

    fn read(&self, request: Read) {
        self.link.read(request);
    }

    fn stop(&self, stopped: Stopped) {
        self.link.stop(stopped);
    }
}

async fn texts(peer: &mut Peer) -> Vec<String> {
    let mut texts = vec![];
    while let Ok(message) = timeout(Duration::from_millis(500), peer.message()).await {
        texts.push(message.as_text().unwrap().to_owned());
    }
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sockets_that_send_to_others_at_the_same_time_do_not_get_their_own() {
    let (begun, has_begun) = mpsc::sync_channel(1);
    let (overtakes, overtaken) = mpsc::sync_channel(1);
    let engine = Engine::new();
    let hub = Hub::new().history(History::last(10)).backplane(Overtaken {
        link: engine.link(),
        calls: AtomicUsize::new(0),
        begun,
        overtakes,
        overtaken: Mutex::new(overtaken),
    });
    let room = hub.room("lobby");
    let (give, mut given) = unbounded_channel();
    let member = async |give: tokio::sync::mpsc::UnboundedSender<WebSocket>| {
        let room = room.clone();
        serve(Config::new(), move |socket: WebSocket| async move {
            room.join(&socket);
            let _ = give.send(socket);
        })
    };
    let (mut ann, _ann_task) = member(give.clone()).await;
    let of_ann = given.recv().await.unwrap();
    let (mut bob, _bob_task) = member(give).await;
    let of_bob = given.recv().await.unwrap();
    room.position().await.unwrap();
    let sending = room.clone();
    let first = std::thread::spawn(move || {
        sending.send_to_others(&of_ann, "from ann");
        of_ann
    });
    has_begun.recv().unwrap();
    room.send_to_others(&of_bob, "from bob");
    let _of_ann = first.join().unwrap();
    assert_eq!(texts(&mut ann).await, ["from bob"]);
    assert_eq!(texts(&mut bob).await, ["from ann"]);
}
