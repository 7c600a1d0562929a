//! Members that lag, over sockets in memory: bursts, slow peers, large welcomes, and all ways in
//! which a member that lags may end.

mod bursts;
mod dropping;
mod ends;
mod many;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::*;
use crate::close::CloseFrame;
use crate::config::Overflow;
use crate::protocol::Event;
use crate::socket::tests::peer::{Peer, Task, serve, serve_with};
use crate::testing::Engine;
use crate::{CloseCode, Config, Error, Message, WebSocket};

/// More than a socket and its pipe hold, and less than a room keeps.
const BURST: usize = 1000;

fn text(number: usize) -> Message {
    format!("{number:0>1024}").into()
}

fn number(message: &Message) -> usize {
    message.as_text().unwrap().parse().unwrap()
}

/// A member whose peer reads when it is told to.
async fn member(room: &Room, config: Config) -> (Peer, Task) {
    let before = room.len();
    let talking = room.clone();
    let (peer, task) = serve_with(4096, config, move |mut socket: WebSocket| async move {
        talking.join(&socket);
        while let Some(message) = socket.recv().await? {
            talking.send_to_others(&socket, message);
        }
        Ok::<_, Error>(())
    });
    until(|| room.len() > before).await;
    (peer, task)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let looks = async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let minutes = Duration::from_secs(120);
    timeout(minutes, looks)
        .await
        .expect("it has not come to that");
}

/// The numbers that a peer receives from now on, until it has so many or is closed.
fn reading(mut peer: Peer, count: usize) -> JoinHandle<(Vec<usize>, Option<CloseFrame>, Peer)> {
    tokio::spawn(async move {
        let mut numbers = vec![];
        while numbers.len() < count {
            match peer.event().await {
                Some(Event::Message(message)) => numbers.push(number(&message)),
                Some(Event::Close(frame)) => return (numbers, frame, peer),
                Some(_) => {}
                None => panic!("the connection ended after {} messages", numbers.len()),
            }
        }
        (numbers, None, peer)
    })
}

fn all(count: usize) -> Vec<usize> {
    (0..count).collect()
}

fn histories() -> [Hub; 2] {
    [Hub::new(), Hub::new().history(History::last(10))]
}
