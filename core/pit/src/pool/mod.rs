//! What nodes run on: models, provider connections and agent processes, loaded once and shared (seed 003, diagram 7).
//!
//! [`Pool`] keeps each named thing in a slot. Whoever finds it ready holds it by one compare-and-swap; the first who
//! does not loads it, the others wait for that load. [`Loader`] says how things come into being. Memory is bounded:
//! only what nobody holds is unloaded, the farthest next use first. What live runs tell by [`Pool::look_ahead`] is
//! loaded before it is asked for.
//!
//! [`slot`] is all of the lock-free part, and `loomed` runs it through loom; everything else is behind [`ledger`]'s lock.

mod ahead;
mod arrivals;
mod guard;
mod ledger;
mod loader;
mod loading;
#[cfg(feature = "local-models")]
mod local;
#[cfg(test)]
mod loomed;
mod manager;
mod metrics;
mod slot;
mod slots;
mod sync;
mod unloading;
mod view;
mod warming;
mod word;

pub use self::ahead::Upcoming;
pub use self::guard::{Guard, Lease};
pub use self::loader::{Footprint, LoadError, Loaded, Loader};
#[cfg(feature = "local-models")]
pub use self::local::LocalModels;
pub use self::manager::{Pool, PoolError, Settings};
pub use self::metrics::PoolMetrics;
pub use self::view::{ModelState, ModelView, PoolView};
pub use self::warming::LookAhead;

/// A model's number within one pool; see [`Pool::intern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(pub(crate) u32);
