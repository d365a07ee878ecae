//! Pull requests and merge requests in worktrees of their own (seed 000, diagram 6).
//!
//! The commits always come by `git fetch` of the reference that the host keeps for the request; who wrote it and what
//! became of it is asked of the host where somebody can ([`Forge`]), and is never needed. A worktree `review-N` is on a
//! branch of that name, which tracks nothing.

mod forge;
mod open;
mod push;
mod remote;
mod rows;
mod suggestions;

pub use forge::{Forge, ForgeError, ForgeQuery, PullRequest, ReviewComment};
