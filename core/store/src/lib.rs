//! The one SQLite file: writer thread, read pool, migrations, and the event log.
//!
//! A state change and its event commit in one transaction: [`Store::write`] gives a [`Tx`], on which [`Tx::emit`]
//! appends to the log. Requests that wait at the same time share one transaction (group commit without a timer),
//! each in a savepoint of its own, and are answered after the commit; those that are to survive the loss of power
//! once the disk has it, which keeps no other request waiting. Subscribers are woken by
//! [`Store::watch_head`] and read the log from the sequence number they last saw.

mod checkpoint;
mod error;
mod events;
mod migrate;
mod pool;
mod store;
mod sync;
mod writer;

pub use error::{StoreError, StoreErrorKind};
pub use events::{EventKey, EventPage, NewEvent, count_types, find_event, purge_events, read_events};
pub use rusqlite;
pub use store::{Options, Store};
pub use writer::{Durability, Tx};

/// Milliseconds since 1970 UTC.
#[must_use]
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The time as it goes over the wire: RFC 3339, UTC, milliseconds.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}
