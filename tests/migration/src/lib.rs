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
