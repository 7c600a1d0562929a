//! The conversation with one page. The messages are described at the top of `main.rs`.

use std::time::SystemTime;

use hyper_ws::hub::{EnterError, Hub, HubError, Joined, Position, PublishError, Recent, Room};
use hyper_ws::{CloseCode, Error, Message, WebSocket};
use serde::{Deserialize, Serialize};

use crate::people::{self, Place};

/// A message of a page.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Request {
    Join {
        room: String,
        name: String,
        after: Option<String>,
        secret: Option<String>,
    },
    Say {
        id: String,
        text: String,
    },
}

/// A message of the server to a page. Two more are made of these texts: `said` by [`stamp`], and
/// `recent` by [`recent`].
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    Welcome { you: &'a str },
    People { people: &'a [String] },
    Joined { name: &'a str },
    Left { name: &'a str },
    Accepted { id: &'a str },
    Declined { id: &'a str, reason: &'a str },
}

/// A text as it is in the log of its room.
#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    from: &'a str,
    /// Milliseconds since 1970.
    at: u128,
    text: &'a str,
}

/// Makes the message `said` of an [`Entry`] and the position that it has got.
pub(crate) fn stamp(_room: &str, position: Position, entry: Message) -> Message {
    let fields = entry.as_text().and_then(|entry| entry.strip_prefix('{'));
    let fields = fields.unwrap_or("}");
    format!(r#"{{"type":"said","position":"{position}",{fields}"#).into()
}

/// Makes the message `recent`, of messages that are JSON already.
fn recent(recent: &Recent) -> String {
    let messages: Vec<_> = recent
        .messages
        .iter()
        .filter_map(Message::as_text)
        .collect();
    let (position, messages) = (recent.position, messages.join(","));
    format!(r#"{{"type":"recent","position":"{position}","messages":[{messages}]}}"#)
}

/// The stay of one page in a room.
struct Visit {
    room: Room,
    place: Place,
    /// Where the page became a member: it gets everything after that.
    joined: Position,
}

/// Why the conversation ends: what the page is told when it is closed.
pub(crate) struct End(pub(crate) CloseCode, pub(crate) &'static str);

impl From<Error> for End {
    /// The connection has ended already: it can only be cleared away.
    fn from(_: Error) -> Self {
        End(CloseCode::GOING_AWAY, "")
    }
}

impl From<HubError> for End {
    fn from(error: HubError) -> Self {
        tracing::debug!(%error, "a page could not join");
        End(
            CloseCode::TRY_AGAIN_LATER,
            "the room cannot be reached at the moment",
        )
    }
}

impl From<EnterError> for End {
    fn from(error: EnterError) -> Self {
        tracing::debug!(%error, "a page could not enter");
        End(
            CloseCode::TRY_AGAIN_LATER,
            "the room cannot be reached at the moment",
        )
    }
}

pub(crate) async fn converse(mut socket: WebSocket, hub: Hub) -> Result<(), Error> {
    let mut visit = None;
    loop {
        let message = tokio::select! {
            biased;
            message = socket.recv() => message?,
            () = name_lost(&visit) => {
                visit = None;
                let reason = "the name belongs to another connection";
                socket.close(CloseCode::SERVICE_RESTART, reason).await;
                continue;
            }
        };
        let Some(message) = message else {
            return Ok(());
        };
        let outcome = match (parse(&message), &visit) {
            (
                Some(Request::Join {
                    room,
                    name,
                    after,
                    secret,
                }),
                None,
            ) => join(&mut socket, &hub, &room, name.trim(), after, secret)
                .await
                .map(|begun| visit = Some(begun)),
            (Some(Request::Say { id, text }), Some(visit)) => {
                visit.say(&mut socket, &id, &text).await
            }
            _ => Err(refused("join a room first, and once; then say something")),
        };
        if let Err(End(code, reason)) = outcome {
            socket.close(code, reason).await;
        }
    }
}

/// Waits until the name of the page belongs to another connection: that of the same page, which
/// has come back, or that of another, after this server had been cut off from the others.
async fn name_lost(visit: &Option<Visit>) {
    match visit {
        Some(visit) => visit.place.seat.ended().await,
        None => std::future::pending().await,
    }
}

fn parse(message: &Message) -> Option<Request> {
    serde_json::from_str(message.as_text()?).ok()
}

fn refused(reason: &'static str) -> End {
    End(CloseCode::POLICY_VIOLATION, reason)
}

async fn join(
    socket: &mut WebSocket,
    hub: &Hub,
    room: &str,
    name: &str,
    after: Option<String>,
    secret: Option<String>,
) -> Result<Visit, End> {
    if !is_room(room) {
        return Err(refused(
            "a room is named by 1 to 32 letters, digits, - or _",
        ));
    }
    if !is_name(name) {
        return Err(refused(
            "a name has 1 to 32 characters, and all can be seen",
        ));
    }
    let room = hub.room(room);
    let place = people::enter(socket, &room, name, secret.as_deref()).await?;
    socket
        .send(json(&Event::Welcome { you: &place.name }))
        .await?;
    // A text that is no position is one that was missed: the page gets the last messages.
    let after = after.and_then(|after| after.parse().ok());
    let joined = catch_up(socket, &room, after).await?;
    // A person who enters or leaves while the list is being sent makes it wrong: the page is told of
    // the change before it has the list. So the list is compared afterwards, and sent again.
    let mut told = vec![];
    for _ in 0..MAX_ROUNDS {
        let people = people::names(&room).await?;
        if people == told {
            break;
        }
        socket
            .send(json(&Event::People { people: &people }))
            .await?;
        told = people;
    }
    Ok(Visit {
        room,
        place,
        joined,
    })
}

/// Sends a page what it has missed, or the last messages, and makes it a member.
async fn catch_up(
    socket: &mut WebSocket,
    room: &Room,
    mut after: Option<Position>,
) -> Result<Position, End> {
    // While a slow page reads the last messages, so much may be said that it has missed its place
    // again. It does not get the last messages for ever.
    for _ in 0..MAX_ROUNDS {
        if let Joined::Resumed { position, .. } = room.join_from(socket, after).await? {
            return Ok(position);
        }
        let last = room.history(SHOWN).await?;
        socket.send(recent(&last)).await?;
        after = Some(last.position);
    }
    Err(End(
        CloseCode::TRY_AGAIN_LATER,
        "the page reads more slowly than the room talks",
    ))
}

impl Visit {
    async fn say(&self, socket: &mut WebSocket, id: &str, text: &str) -> Result<(), End> {
        if !(1..=MAX_ID).contains(&id.len()) {
            return Err(refused("an id has 1 to 64 bytes"));
        }
        if text.len() > MAX_TEXT {
            return Err(refused("a text has at most 64 KiB"));
        }
        let entry = Entry {
            id,
            from: &self.place.name,
            at: SystemTime::UNIX_EPOCH
                .elapsed()
                .unwrap_or_default()
                .as_millis(),
            text,
        };
        let entry = serde_json::to_string(&entry).expect("every text has a JSON form");
        match self.room.publish_once(id, entry).await {
            // As a member, the page gets it, or has got it.
            Ok(said) if said.position.number() > self.joined.number() => Ok(()),
            // It was said in an earlier connection. If it was too old to be replayed, nothing else
            // tells the page that it was accepted, and it would say it again for ever.
            Ok(_) => Ok(socket.send(json(&Event::Accepted { id })).await?),
            // The engine is away, and the page stays connected: if the server closed all pages, they
            // would all come back at once.
            Err(error) => {
                tracing::debug!(%error, "a text was declined");
                // The error itself names hosts, which are no page's business.
                let reason = match error {
                    PublishError::Unknown(_) => "it is not known whether the text was accepted",
                    _ => "the text was not accepted: the other servers cannot be reached",
                };
                Ok(socket.send(json(&Event::Declined { id, reason })).await?)
            }
        }
    }
}

fn is_room(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(allowed)
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.chars().count()) && name.chars().all(is_visible)
}

/// Whether the character is visible: "Ann" with an invisible one must not be confused with "Ann".
fn is_visible(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{ad}' | '\u{3164}' | '\u{feff}')
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

pub(crate) fn json(event: &Event<'_>) -> String {
    serde_json::to_string(event).expect("every event has a JSON form")
}

// ---- Limits. The page checks the same ones before it sends.

/// Characters of a name, a room's too.
const MAX_NAME: usize = 32;
/// Bytes of a text in UTF-8, and of a message's identity.
const MAX_TEXT: usize = 64 * 1024;
const MAX_ID: usize = 64;
/// Bytes of JSON, in which one byte of text may become six: `\u0001`.
pub(crate) const MAX_REQUEST: usize = 6 * MAX_TEXT + 1024;
/// Bytes that may wait for a page that does not read. A slower page is closed, and connects again.
pub(crate) const MAX_WAITING: usize = 1024 * 1024;
/// Bytes of the texts of one room that are kept.
pub(crate) const MAX_KEPT_BYTES: usize = 1024 * 1024;
/// The last texts that a page gets which comes for the first time, or has missed too much.
const SHOWN: usize = 50;
/// How often a page that has missed its place is sent the last texts, or the people.
const MAX_ROUNDS: usize = 3;
