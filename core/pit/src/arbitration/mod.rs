//! Who gets memory, processors, tokens, money and paths, and why.
//!
//! A node asks once for all it needs and gets all of it or waits without holding anything, so nothing deadlocks; what
//! is short is looked for in one fixed order (memory, processors, tokens, cost, paths). [`Arbiter`] is the async shell
//! around [`book`], which decides and does nothing else:
//!
//! * Among users, whoever has the smallest dominant share goes first (dominant resource fairness: Ghodsi et al., 2011);
//!   what a user took of the tokens fades within a minute.
//! * Within one user, runs share by weight (weighted fair queueing: Demers et al., 1989).
//! * Who has waited longer than [`Settings::patience`] goes before all others, the oldest first, and nobody is given
//!   what would delay it: so every wait is bounded by what is held at that time.
//! * Two grants never hold paths of which one contains the other.

mod accounts;
mod arbiter;
mod book;
mod bucket;
mod decision;
mod paths;
mod request;
#[cfg(test)]
mod simulated;

pub use self::arbiter::{Arbiter, Grant};
pub use self::book::Settings;
pub use self::decision::{Decision, DecisionSink, Reason, Refusal, Verdict};
pub use self::paths::{PathError, WritePath};
pub use self::request::{Capacity, Needs, Request, Spent};
