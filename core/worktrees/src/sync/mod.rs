//! Config sync (seed 000, diagram 5): files that every worktree of a repository sees through a relative link.
//!
//! The folder of shared files is the truth, git's index says what may not be touched, and the rows only remember
//! where a link was made, so that a file which replaced one is told from a file of the worktree's own. Whatever is at
//! the place of a link is first moved aside and looked at there: nothing that somebody wrote a moment ago is
//! overwritten.

mod adopt;
mod apply;
mod backups;
mod excludes;
mod plan;
mod report;
mod rows;
mod run;
mod sources;

pub(crate) use rows::LinkRow;
pub use run::SyncWatch;
pub(crate) use sources::Stamps;
