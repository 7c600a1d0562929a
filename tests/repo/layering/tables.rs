//! The rules of the house, as tables. Paths are below `src/`. `rules.rs` says how
//! each table is read, and `planted` shows each rule to fail.

use super::rules::{Exception, Floors, Foreign, Home, Layer};

/// The modules by layer, lowest first (the table in `CONTRIBUTING.md`): the
/// layer's number, its modules, what they may use. The modules of a row do not use each
/// other. `lib.rs` is in no row: it names all of them.
#[rustfmt::skip]
pub(super) const LAYERS: &[Layer] = &[
    Layer(0, "message config", ""),
    Layer(0, "close", "message"),
    Layer(0, "error", "message close"),
    // Helpers of several modules: when a timeout ends, how often a line is logged, and hash tables that
    // shrink.
    Layer(0, "deadline rate shrink", ""),
    // The TLS configuration of the client and of Redis.
    Layer(0, "tls", ""),
    // Byte streams, which know nothing of WebSockets.
    Layer(1, "transport", ""),
    Layer(1, "frame", "message close error config"),
    Layer(2, "extension", "message close error config frame"),
    Layer(3, "protocol", "message close error config frame extension"),
    Layer(3, "handshake", "message close error config rate extension"),
    // What a connection's driver and its handles share. The tracker stands above it.
    Layer(4, "socket::shared", "message close error config protocol"),
    Layer(4, "tracker", "message close error config shrink deadline socket::shared"),
    Layer(4, "socket", "message close error config rate transport protocol socket::shared tracker"),
    // Not each other: a server has no use for the client, nor a client for the server.
    Layer(5, "upgrade client",
        "message close error config deadline tls transport protocol handshake socket tracker"),
    Layer(6, "middleware axum",
        "message close error config frame extension protocol handshake socket tracker upgrade client"),
    // Rooms know sockets and encoded messages, but no HTTP.
    Layer(6, "hub", "message close error config shrink tls protocol::prepared socket tracker"),
    // A client of whatever a server consists of, and an engine for several of them.
    Layer(7, "testing",
        "message close error config transport protocol handshake socket client middleware hub"),
];

/// The files and folders of a folder by floor, lowest first. Those of one floor do
/// not use each other. A `mod.rs` without a floor is a facade: it holds docs, `mod`
/// and `use` only, and names what it likes.
#[rustfmt::skip]
pub(super) const FLOORS: &[Floors] = &[
    Floors("protocol", &[
        "assembly check close event outbox pong role whole",
        "encode prepared state",
        "read",
        "write",
        "connection",
    ]),
    Floors("handshake", &[
        "agreement body headers quote target",
        "accept extensions rejection",
        "client origin",
        "server",
    ]),
    Floors("socket", &[
        "shared",
        "driver sender",
        "interleaved websocket",
        "recv send message_reader message_writer",
        "byte_stream start",
    ]),
    // Plain parts below, what takes the lock above. Its `mod.rs` is where the lock is.
    Floors("socket/shared", &[
        "driver_task life pool retention run tally waiters",
        "arrived hints inbox queue",
        "chunks cork demand",
        "desk",
        "mod",
        "push",
        "end member park receive send wait",
    ]),
    Floors("socket/driver", &[
        "buffers coop pace received span time",
        "deadlines",
        "conn handler timer turn",
        "backlog transmit usual",
        "end",
        "mod",
        "spawned",
        "inline",
    ]),
    Floors("tracker", &["stats", "registry", "handle"]),
    Floors("upgrade", &["handover trace transport", "pending", "accepted conversation", "builder", "request"]),
    Floors("client", &[
        "error header_case",
        "connector dial http1 random tls",
        "backoff http2",
        "handshake",
        "connect",
    ]),
    Floors("middleware", &["handler rest", "route", "service"]),
    Floors("hub", &[
        "counters keeper lag position user_code",
        "ring",
        "history",
        "backplane",
        "envelope follow people",
        "log seats settings",
        // The only part that locks.
        "shared",
        "room",
        "handle",
        "redis",
    ]),
    Floors("hub/backplane", &[
        "budget error log published reply",
        "inbound request",
        "engine",
    ]),
    // Plain parts below, the tasks above.
    Floors("hub/redis", &[
        "address call fault health interest tls wire",
        "names panics",
        "queue scripts shared",
        "connect lease",
        "line publisher",
        "engine",
    ]),
    Floors("hub/shared", &["mod", "answer members", "interest join logged publish", "presence", "receive roster subscribe"]),
    Floors("testing", &["client engine", "server", "connect"]),
    Floors("testing/engine", &["log", "store", "state", "task", "link", "handle"]),
];

/// Types whose inherent methods stand in more than the file that defines them, and
/// what the paths of those files begin with.
pub(super) const HOMES: &[Home] = &[
    // The lock, and what is under it.
    Home("socket::shared::Shared", "socket/shared"),
    Home("socket::shared::State", "socket/shared"),
    Home("socket::shared::Locked", "socket/shared"),
    // A room and the hub, which take the lock.
    Home("hub::shared::RoomShared", "hub/shared"),
    Home("hub::shared::Registry", "hub/shared"),
    Home("hub::shared::State", "hub/shared"),
    // Their larger verbs have files.
    Home("socket::websocket::WebSocket", "socket/"),
    Home("socket::sender::Sender", "socket/"),
    // From requests; below it the answers.
    Home("upgrade::builder::Upgrade", "upgrade/"),
];

/// Parts of other crates, and the only modules that may name them.
pub(super) const FOREIGN: &[Foreign] = &[
    // Everything else works on any stream of bytes.
    Foreign("hyper::upgrade", "upgrade client"),
    // No type of it is public, so its next major version is not ours.
    Foreign("redis", "hub::redis"),
];

/// Lines of a file before its unit tests.
pub(super) const MAX_LINES: usize = 500;

/// What does not hold yet: the rule, what the paths of all files of the violation
/// begin with, and why. One that excuses nothing fails.
#[rustfmt::skip]
pub(super) const EXCEPTIONS: &[Exception] = &[
];
