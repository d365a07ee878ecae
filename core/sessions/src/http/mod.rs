//! What providers on the network share: a client that knows the caller's proxy, a stream of server-sent events, and when
//! to try again.

mod answer;
mod client;
mod events;
mod retry;

pub(crate) use answer::{Dialect, Step, answer};
pub(crate) use client::Clients;
pub(crate) use events::{Event, Request};
pub(crate) use retry::{Refusal, is_too_long};
