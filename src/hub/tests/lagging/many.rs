//! Sockets in many rooms, and rooms with many threads.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_socket_in_many_rooms_lags_in_each_and_gets_all_of_them() {
    let hub = Hub::new();
    let rooms: Vec<Room> = (0..5).map(|room| hub.room(&room.to_string())).collect();
    let joined = rooms.clone();
    let (mut peer, _task) = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            for room in &joined {
                room.join(&socket);
            }
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        },
    );
    until(|| rooms[4].len() == 1).await;
    for number in 0..200 {
        for (index, room) in rooms.iter().enumerate() {
            room.send(format!("{index} {number} {}", "x".repeat(1000)));
        }
    }
    let mut next = [0; 5];
    for _ in 0..1000 {
        let message = peer.message().await;
        let mut words = message.as_text().unwrap().split(' ');
        let mut word = || words.next().unwrap().parse::<usize>().unwrap();
        let (room, number) = (word(), word());
        assert_eq!(number, next[room]);
        next[room] += 1;
    }
    assert_eq!(hub.counters().lagged, 5);
    until(|| hub.counters().lag_bytes == 0).await;
}

/// No wake is lost between a room that keeps messages and drivers that take them: each member gets
/// everything though nothing else ever happens on its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_that_lag_are_sent_everything_while_many_threads_send() {
    const SENT: usize = 2000;
    let hub = Hub::new();
    let room = hub.room("lobby");
    let mut readers = vec![];
    for index in 0..20 {
        let config = Config::new().output_limit(1000 + 500 * index);
        let (mut peer, task) = member(&room, config).await;
        readers.push(tokio::spawn(async move {
            let mut last = [None::<usize>; 4];
            let mut order = vec![];
            for _ in 0..4 * SENT {
                let message = timeout(Duration::from_secs(100), peer.message()).await;
                let number = number(&message.expect("it is not left behind"));
                let (sender, number) = (number % 4, number / 4);
                assert_eq!(number, last[sender].map_or(0, |last| last + 1));
                last[sender] = Some(number);
                order.push((sender, number));
            }
            drop(task);
            order
        }));
    }
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let room = room.clone();
            std::thread::spawn(move || {
                for number in 0..SENT {
                    room.send(format!("{:0>100}", 4 * number + sender));
                    if number % 100 == 99 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    let mut orders = vec![];
    for reader in readers {
        orders.push(reader.await.unwrap());
    }
    assert!(orders.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(hub.counters().lagged > 0, "{:?}", hub.counters());
    assert_eq!(hub.counters().too_slow, 0);
}

#[tokio::test(start_paused = true)]
async fn rooms_that_share_a_socket_take_turns() {
    let hub = Hub::new();
    let (busy, quiet) = (hub.room("busy"), hub.room("quiet"));
    let rooms = [busy.clone(), quiet.clone()];
    let (mut peer, _task) = serve_with(
        4096,
        Config::new(),
        move |mut socket: WebSocket| async move {
            rooms.iter().for_each(|room| room.join(&socket));
            while socket.recv().await?.is_some() {}
            Ok::<_, Error>(())
        },
    );
    until(|| quiet.len() == 1).await;
    for _ in 0..BURST {
        busy.send(text(0));
    }
    quiet.send(text(1));
    // Whatever the peer reads, the busy room has more.
    for read in 0.. {
        if number(&peer.message().await) == 1 {
            break;
        }
        busy.send(text(0));
        assert!(read < BURST / 2, "the busy room takes every turn");
    }
}
