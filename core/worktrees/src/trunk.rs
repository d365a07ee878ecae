//! The branch that worktrees start from and are compared with.

use podium_git::{GitError, Oid, Trunk, WorktreeLocation};

use crate::service::RepoHandle;

/// The trunk by the project's settings.
pub(crate) fn find(handle: &RepoHandle) -> Result<Trunk, GitError> {
    let config = handle.config();
    let configured = config.text("worktrees.trunk");
    handle.repo.trunk((!configured.is_empty()).then_some(configured))
}

/// Its name; of a repository without a commit, the branch that the first commit will make.
pub(crate) fn name(handle: &RepoHandle) -> String {
    if let Ok(trunk) = find(handle) {
        return trunk.name;
    }
    let at = WorktreeLocation { git_dir: handle.row.common_dir.clone(), path: handle.row.root.clone() };
    let head = handle.repo.head(&at).ok();
    head.and_then(|head| head.branch().map(str::to_owned)).unwrap_or_else(|| "main".to_owned())
}

/// The commit to compare with, where there is one.
pub(crate) fn tip(handle: &RepoHandle) -> Option<Oid> {
    let trunk = find(handle).ok()?;
    handle.repo.trunk_tip(&trunk).ok()
}
