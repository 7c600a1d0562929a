//! Servers as they are with other crates and with this one. The files of the
//! modules are quoted in `src/migrating.md` of the crate.

pub mod axum {
    pub mod after;
    pub mod before;
}

pub mod fastwebsockets {
    pub mod after;
    pub mod before;
}

pub mod hyper_tungstenite {
    pub mod after;
    pub mod before;
}
