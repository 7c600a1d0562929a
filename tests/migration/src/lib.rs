//! Servers and clients with other crates, and the same with this one.
//! `src/migrating.md` of the crate quotes the files of these modules.

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

pub mod proxy;

pub mod tokio_tungstenite {
    pub mod after;
    pub mod before;
}

pub mod chat {
    pub mod after;
    pub mod before;
}

/// Servers whose streams are not hyper's on TCP.
pub mod other_streams {
    pub mod poem;
    #[cfg(unix)]
    pub mod unix;
}
