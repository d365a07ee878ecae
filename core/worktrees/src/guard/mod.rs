//! The wrong-tree guard: hooks that refuse commits in a claimed worktree by anybody who does not hold the claim.
//!
//! `core.hooksPath` of a guarded worktree names a folder of ours with a shim for every hook. The shim runs the hook
//! that was in force before, then decides from git's lock of the worktree, which mirrors the claim: no daemon, no
//! process but the shell. It stops mistakes, not attacks: whoever sets `core.hooksPath` on the command line passes.

mod install;
mod overrides;
mod report;
mod shims;
