//! The endpoint: sockets, handshake, connections.

mod capability;
mod connection;
mod limit;
mod listener;
mod peer;

pub(crate) use capability::{Capability, CapabilitySockets};
pub(crate) use connection::serve;
pub(crate) use listener::{Listening, bind};
pub(crate) use peer::Peer;
