//! Worktrees and claims (iMi).
//!
//! Git is the truth about which worktrees exist; the store holds what git does not know: who holds a claim, what a
//! worktree is for, what was removed and can come back. A row appears when git has made the worktree; on the way
//! there, and on the way to the trash, an intent in a table of its own says what a next daemon has to finish or
//! take back ([`Worktrees::recover`]).
//!
//! A claim is one conditional `UPDATE` that takes the next number of the sequence `fence`. Git's worktree lock
//! mirrors it, so that `git worktree remove` by hand is refused as well.

mod claim;
mod counts;
mod create;
mod error;
mod fetching;
mod filling;
mod gates;
mod guard;
mod health;
mod layout;
mod merging;
mod observe;
mod paths;
mod project;
mod provide;
mod radar;
mod reconcile;
mod recover;
mod removal;
mod repos;
mod review;
mod rows;
mod running;
mod seen;
mod select;
mod service;
mod settings;
mod spares;
mod switch;
mod sync;
mod trunk;
mod upkeep;
mod view;

pub use claim::{Delivered, Delivery, WorkPlace, Worker};
pub use project::CloneFollower;
pub use provide::{HookOutput, HookRan};
pub use removal::{Step, Workers};
pub use review::{Forge, ForgeError, ForgeQuery, PullRequest, ReviewComment};
pub use seen::{Seen, What};
pub use select::{Lies, Resolved};
pub use service::Worktrees;
pub use settings::{AgentCaller, Caller, Clock, SessionAlive, Settings, StopAfter};
pub use sync::SyncWatch;
