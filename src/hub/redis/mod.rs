//! The engine that connects hubs by Redis.

mod address;
mod call;
mod connect;
mod engine;
mod fault;
mod health;
mod interest;
mod lease;
mod line;
mod names;
mod panics;
mod publisher;
mod queue;
mod scripts;
mod shared;
#[cfg(test)]
mod tests;
#[cfg(feature = "redis-tls")]
mod tls;
mod wire;

#[cfg(test)]
use engine::ACL;
pub use engine::Redis;
