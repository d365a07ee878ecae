//! Branches into trunk, and out again.
//!
//! The merge is made in memory first, so a conflict changes nothing. Trunk then moves by compare-and-swap, or, where it
//! is checked out, by `git merge --ff-only` of the finished commit there. The intent is recorded before, with the
//! commit: whether trunk has moved tells a next daemon what happened. An undo needs no reference: trunk's old commit
//! is an ancestor of the new one, and a branch that goes is kept by its removal. A git that was killed in between leaves
//! locks and files of both commits: `settle.rs` finishes its work, unless somebody has changed one of these files since.

mod check;
mod close;
mod merge;
mod record;
mod settle;
mod undo;

pub(crate) use check::is_merged;
pub(crate) use record::Merge;
