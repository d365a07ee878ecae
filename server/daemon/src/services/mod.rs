//! One file for each group of methods. A handler checks who asks, calls one core service and answers.

pub(crate) mod artifacts;
pub(crate) mod claims;
pub(crate) mod config;
pub(crate) mod conflicts;
pub(crate) mod events;
pub(crate) mod inbox;
pub(crate) mod models;
pub(crate) mod pit;
pub(crate) mod provide;
pub(crate) mod repos;
pub(crate) mod reviews;
pub(crate) mod rewinds;
pub(crate) mod runs;
mod scope;
pub(crate) mod search;
pub(crate) mod sessions;
pub(crate) mod sync;
pub(crate) mod system;
pub(crate) mod tasks;
pub(crate) mod upkeep;
pub(crate) mod worktrees;
