//! The typed client of the daemon: finds or starts it, shakes hands, calls, subscribes, and comes back by itself
//! when the daemon was killed, replaced or restarted.
//!
//! A [`Client`] is a cheap handle. Streams ([`SessionStream`], [`EventStream`], [`QueueStream`]) survive the daemon: after a
//! reconnect they go on behind the last thing they gave, so that nobody sees a gap or a repeat.

mod awake;
mod client;
mod connection;
mod launch;
mod options;
mod run_stream;
mod streams;

pub use client::{Client, ConnectionState};
pub use options::{ConnectOptions, EnvSource, StartPolicy, relevant_env};
pub use run_stream::RunStream;
pub use streams::{EventStream, QueueStream, SessionStream};
