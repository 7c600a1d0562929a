//! Whole hubs on a Redis.

use tokio::time::sleep;

use super::redis_server::Answer;
use super::*;
use crate::hub::{Hub, Room};
use crate::socket::tests::peer::{Peer, serve};
use crate::{Config, Error, WebSocket};

fn hub(url: &str) -> Hub {
    Hub::new()
        .on_presence(|_, change| Some(format!("{change:?}").into()))
        .backplane(Redis::new(url).unwrap())
}

/// Sockets that are in the room under the keys 0, 1, ..
async fn visitors(room: &Room, count: usize) -> Vec<Peer> {
    let (tell, mut entered) = tokio::sync::mpsc::unbounded_channel();
    let visitors = (0..count).map(|number| {
        let (room, tell) = (room.clone(), tell.clone());
        let visit = move |mut socket: WebSocket| async move {
            room.join(&socket);
            let seat = room.enter(&socket, &number.to_string(), "").await;
            let _ = tell.send(seat.as_ref().map(|_| ()).map_err(Clone::clone));
            while socket.recv().await?.is_some() {}
            drop(seat);
            Ok::<_, Error>(())
        };
        serve(Config::new(), visit).0
    });
    let visitors: Vec<_> = visitors.collect();
    for _ in 0..count {
        within(entered.recv()).await.unwrap().unwrap();
    }
    visitors
}

/// A room among so many that the hub, which looks at all of them within five minutes, seldom looks at
/// this one in the next seconds.
fn room_among_many(redis: &RedisServer) -> (Room, Vec<Room>) {
    let hub = hub(&redis.url());
    let others = (0..500).map(|number| hub.room(&number.to_string()));
    (hub.room("lobby"), others.collect())
}

/// How often a roster was read.
fn reads(redis: &RedisServer) -> usize {
    let calls = redis.info("commandstats", "cmdstat_hgetall");
    let calls = calls
        .strip_prefix("calls=")
        .and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_roster_is_not_read_for_each_who_enters() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let room = hub(&redis.url()).room("lobby");
    let _visitors = visitors(&room, 500).await;
    let reads = reads(&redis);
    assert!(reads < 20, "{reads} reads");
}

#[tokio::test]
async fn a_roster_is_read_once_if_many_cannot_enter_again() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let room = hub(&redis.url()).room("lobby");
    let _visitors = visitors(&room, 100).await;
    sleep(Duration::from_secs(1)).await;
    redis.say("ACL SETUSER default -hset");
    redis.say("DEL hws1:{lobby}:w");
    redis.say("CLIENT KILL TYPE pubsub");
    let before = reads(&redis);
    sleep(Duration::from_secs(5)).await;
    let more = reads(&redis) - before;
    redis.say("ACL SETUSER default +hset");
    assert!(more < 15, "{more} reads");
    sleep(Duration::from_secs(3)).await;
    assert_eq!(room.people().await.unwrap().len(), 100);
}

/// Waits until so many people are in the lobby, as Redis has it.
async fn are_present(redis: &RedisServer, count: i64) {
    let is_so = async {
        while redis.say("HLEN hws1:{lobby}:w") != Answer::Number(count) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    within(is_so).await;
}

/// The snapshot still has a person who has left, and that person's server does not follow the room any
/// more.
#[tokio::test]
async fn nobody_is_present_again_because_redis_went_back_to_a_snapshot() {
    let Some(mut redis) = RedisServer::with(&["--save", "", "--appendonly", "no"]) else {
        return;
    };
    let (a, b) = (hub(&redis.url()), hub(&redis.url()));
    let (on_a, on_b) = (a.room("lobby"), b.room("lobby"));
    let left = visitors(&on_a, 1).await;
    redis.say("SAVE");
    are_present(&redis, 1).await;
    drop(left);
    are_present(&redis, 0).await;
    // The room is followed for five to six seconds more.
    sleep(Duration::from_secs(8)).await;
    redis.kill();
    redis.restart();
    are_present(&redis, 0).await;
    assert_eq!(on_b.people().await.unwrap(), []);
}

/// The connection that hears has led to the right server all the time: no room is followed again.
#[tokio::test]
async fn nobody_is_present_again_because_the_publisher_led_to_another_server() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (room, _others) = room_among_many(&redis);
    let _visitors = visitors(&room, 1).await;
    // The roster has been read.
    assert_eq!(room.people().await.unwrap().len(), 1);
    let Answer::Text(entry) = redis.say("HGET hws1:{lobby}:w 0") else {
        panic!("the visitor has entered");
    };
    let server = String::from_utf8(entry[..16].to_vec()).unwrap();
    redis.say(&format!(
        "HSET hws1:{{lobby}}:w left {server}00000000000000ff"
    ));
    are_present(&redis, 2).await;
    redis.say("CLIENT KILL TYPE normal");
    let is_gone = timeout(Duration::from_secs(15), are_present(&redis, 1)).await;
    is_gone.expect("the roster is compared at once");
    assert_eq!(room.people().await.unwrap().len(), 1);
}

/// A member that has not entered.
async fn member(room: &Room) -> Peer {
    let (tell, joined) = oneshot::channel();
    let visited = room.clone();
    let visit = move |mut socket: WebSocket| async move {
        visited.join(&socket);
        let _ = tell.send(());
        while socket.recv().await?.is_some() {}
        Ok::<_, Error>(())
    };
    let peer = serve(Config::new(), visit).0;
    within(joined).await.unwrap();
    peer
}

/// Waits until a room is followed.
async fn is_followed(redis: &RedisServer, name: &str) {
    let is_so = async {
        let channels = format!("PUBSUB CHANNELS hws1:{{{name}}}");
        while redis.say(&channels) == Answer::Many(vec![]) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    within(is_so).await;
    sleep(Duration::from_millis(200)).await;
}

/// Writes an entry for which the server has no seat, and waits until it is gone after the publisher
/// has connected anew.
async fn somebody_without_a_seat_leaves(redis: &RedisServer, server: &str, others: i64) {
    redis.say(&format!(
        "HSET hws1:{{lobby}}:w left {server}00000000000000ff"
    ));
    redis.say(&format!("HINCRBY hws1:server:{server} lobby 1"));
    are_present(redis, others + 1).await;
    redis.say("CLIENT KILL TYPE normal");
    let is_gone = timeout(Duration::from_secs(10), are_present(redis, others)).await;
    is_gone.expect("the roster is compared at once");
}

/// The name of a server whose visitor 0 is in a room.
fn server_of(redis: &RedisServer, name: &str) -> String {
    let Answer::Text(entry) = redis.say(&format!("HGET hws1:{{{name}}}:w 0")) else {
        panic!("the visitor has entered");
    };
    String::from_utf8(entry[..16].to_vec()).unwrap()
}

/// The hub has never read the roster, and has no seat in it.
#[tokio::test]
async fn nobody_is_present_again_in_a_room_that_has_members_only() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let hub = Hub::new().backplane(Redis::new(&redis.url()).unwrap());
    let _visitors = visitors(&hub.room("other"), 1).await;
    let server = server_of(&redis, "other");
    // All rooms are looked at within five minutes, so of so many seldom this one in the next seconds.
    let _others: Vec<_> = (0..500)
        .map(|number| hub.room(&number.to_string()))
        .collect();
    let _member = member(&hub.room("lobby")).await;
    is_followed(&redis, "lobby").await;
    somebody_without_a_seat_leaves(&redis, &server, 0).await;
}

/// The hub has a seat in the roster, and has never read it.
#[tokio::test]
async fn nobody_is_present_again_in_a_room_whose_roster_was_never_read() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let hub = Hub::new().backplane(Redis::new(&redis.url()).unwrap());
    let room = hub.room("lobby");
    let _others: Vec<_> = (0..500)
        .map(|number| hub.room(&number.to_string()))
        .collect();
    let _member = member(&room).await;
    is_followed(&redis, "lobby").await;
    let _visitors = visitors(&room, 1).await;
    let server = server_of(&redis, "lobby");
    somebody_without_a_seat_leaves(&redis, &server, 1).await;
}

/// The connection that hears cannot be replaced: there are too many connections, say.
#[tokio::test]
async fn people_are_read_anew_while_no_change_can_be_heard() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    redis.say("ACL SETUSER deaf on nopass ~* +@all resetchannels");
    let url = redis.url().replace("redis://", "redis://deaf:x@");
    let room = hub(&url).room("lobby");
    let other = Server::start(&redis.url());
    // Between two attempts there is some time.
    room.people().await.unwrap();
    sleep(Duration::from_secs(4)).await;
    for number in 0..100 {
        other
            .enter("lobby", &number.to_string(), number)
            .await
            .unwrap();
        let people = room.people().await.unwrap();
        assert_eq!(people.len() as u64, number + 1);
    }
}

/// The connections stay, so that no room is followed again.
#[tokio::test]
async fn nobody_stays_who_has_left_while_redis_had_lost_the_roster() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (room, _others) = room_among_many(&redis);
    let mut visitors = visitors(&room, 2).await;
    assert_eq!(room.people().await.unwrap().len(), 2);
    redis.say("FLUSHALL");
    visitors.truncate(1);
    let is_so = async {
        while room.people().await.unwrap().len() != 1 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let is_so = timeout(Duration::from_secs(20), is_so).await;
    is_so.expect("the roster is compared");
    are_present(&redis, 1).await;
}

/// What is logged.
#[cfg(feature = "tracing")]
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

#[cfg(feature = "tracing")]
impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "tracing")]
impl Log {
    /// Logs what this thread does until the guard is dropped.
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn messages_of_a_newer_release_are_not_logged_one_by_one() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let (log, _guard) = Log::begin();
    let hub = hub(&redis.url());
    let room = hub.room("lobby");
    let _visitors = visitors(&room, 1).await;
    // A flag that a reader must understand.
    let message = b"r10000000000000001\x10text".map(char::from);
    let message = String::from_iter(message);
    for _ in 0..100 {
        redis.command(&["PUBLISH", "hws1:{lobby}", &message]);
    }
    while hub.counters().unreadable < 100 {
        sleep(Duration::from_millis(5)).await;
    }
    let text = log.text();
    assert_eq!(text.matches("cannot be read").count(), 1, "{text}");
}

#[cfg(feature = "tracing")]
#[tokio::test]
async fn the_reason_why_redis_cannot_be_reached_at_first_is_logged_once() {
    let (log, _guard) = Log::begin();
    // Nothing listens there.
    let hub = hub("redis://127.0.0.1:1");
    let _room = hub.room("lobby");
    sleep(Duration::from_secs(1)).await;
    let text = log.text();
    assert_eq!(text.matches("cannot connect").count(), 1, "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
