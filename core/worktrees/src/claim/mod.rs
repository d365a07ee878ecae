//! Exclusive, fenced claims.

mod acquire;
mod deliver;
mod mirror;
mod owner;
mod queue;
mod release;
mod standing;
mod verify;
mod watch;

pub use deliver::{Delivered, Delivery};
pub(crate) use mirror::{is_foreign, lock_reason, locked_outside};
pub(crate) use owner::may_force;
pub(crate) use queue::Queues;
pub use standing::{WorkPlace, Worker};
pub(crate) use watch::Watches;
