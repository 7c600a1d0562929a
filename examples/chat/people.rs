//! The people of the rooms: a name belongs to one page of a room, on all servers.

use std::iter;

use hyper_ws::hub::{Change, EnterError, HubError, Person, Room, Seat};
use hyper_ws::{CloseCode, Message, WebSocket};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::talk::{End, Event, json};

/// The place of a page in a room.
pub(crate) struct Place {
    pub(crate) name: String,
    /// Dropping it leaves the room, however the conversation ended.
    pub(crate) seat: Seat,
}

/// What servers know of a person.
#[derive(Serialize, Deserialize)]
struct Info {
    name: String,
    /// By what the page is known when it comes back; see [`mark`].
    mark: Option<String>,
}

/// Gives a page a name that no other page in the room has.
pub(crate) async fn enter(
    socket: &WebSocket,
    room: &Room,
    wish: &str,
    secret: Option<&str>,
) -> Result<Place, End> {
    let mark = secret.map(|secret| mark(secret, wish));
    let mut name = wish.to_owned();
    for _ in 0..MAX_ATTEMPTS {
        let info = Info {
            name: name.clone(),
            mark: mark.clone(),
        };
        let info = serde_json::to_vec(&info).expect("it has a JSON form");
        match room.enter(socket, &key(&name), info).await {
            Ok(seat) => return Ok(Place { name, seat }),
            Err(EnterError::Taken) => {}
            Err(error) => return Err(error.into()),
        }
        let people = room.people().await?;
        // The page has come back before its server noticed that the old connection is dead, or
        // the other servers that its server is: its name is taken by itself.
        let itself = |person: &&Person| mark.is_some() && info_of(person).mark == mark;
        if let Some(person) = people.iter().find(itself) {
            let name = info_of(person).name;
            let seat = room.take_over(socket, &person.key, person.info.clone());
            return Ok(Place {
                name,
                seat: seat.await?,
            });
        }
        name = iter::once(wish.to_owned())
            .chain((2..).map(|number| format!("{wish} ({number})")))
            .find(|name| people.iter().all(|person| *person.key != *key(name)))
            .expect("there are fewer people than numbers");
    }
    Err(End(
        CloseCode::TRY_AGAIN_LATER,
        "too many pages want this name at once",
    ))
}

/// Returns the names of everybody in the room.
pub(crate) async fn names(room: &Room) -> Result<Vec<String>, HubError> {
    let people = room.people().await?;
    let mut names: Vec<_> = people.iter().map(|person| info_of(person).name).collect();
    names.sort_unstable();
    Ok(names)
}

/// Returns the message that tells members who has entered or left the room.
pub(crate) fn tell(_room: &str, change: &Change) -> Option<Message> {
    let event = match change {
        Change::Entered(person) => json(&Event::Joined {
            name: &info_of(person).name,
        }),
        Change::Left(person) => json(&Event::Left {
            name: &info_of(person).name,
        }),
    };
    Some(event.into())
}

/// The name by itself in lower case: "ann" must not be confused with "Ann".
fn key(name: &str) -> String {
    name.to_lowercase()
}

/// The engine keeps this instead of the secret, and it holds for one name only.
fn mark(secret: &str, wish: &str) -> String {
    let digest = Sha256::digest(format!("{wish}\n{secret}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn info_of(person: &Person) -> Info {
    // What a later version has written, perhaps.
    serde_json::from_slice(&person.info).unwrap_or_else(|_| Info {
        name: person.key.to_string(),
        mark: None,
    })
}

/// How often a page tries to get a name while other pages take those that were free.
const MAX_ATTEMPTS: usize = 16;
