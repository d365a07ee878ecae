//! Project folders: made by cloning, made of a plain clone in place, and made a plain clone again.
//!
//! A project folder holds `trunk-<branch>/` (the main worktree), the other worktrees and `sync/` beside each other. A
//! change first records its renames (`layouts`, `layout_moves`); everything is put together in a folder of its own
//! beside the project, which takes its place by one rename. What a killed daemon left is finished, or, where nothing
//! had moved yet, taken back ([`Worktrees::settle_layouts`](crate::Worktrees)).

mod carry;
mod checks;
mod clone;
mod init;
mod moves;
mod plan;
mod rows;

pub use clone::CloneFollower;
