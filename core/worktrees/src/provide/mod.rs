//! What a worktree is given beside its files: ports and a database name of its own, copies of ignored folders, the
//! project's hooks, and on demand its submodules and large files.

mod copies;
mod copying;
mod hooks;
mod leases;
mod submodules;

pub(crate) use copies::can_share;

pub(crate) use hooks::Hook;
pub use hooks::{HookOutput, HookRan};
pub(crate) use leases::{lease_again, lease_new};
