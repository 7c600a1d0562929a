//! Several hubs on one engine.
