//! What would be lost, by a fresh look.

use podium_git::{Oid, Repo, Untracked};
use podium_protocol::WireError;

use crate::claim::{is_foreign, lock_reason, locked_outside};
use crate::error::Result;
use crate::rows::WorktreeRow;
use crate::service::RepoHandle;
use crate::trunk;
use crate::view::{location, progress, some};

/// The state that a removal starts from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) head: Option<Oid>,
    /// Checked out now; the row may be older.
    pub(crate) branch: Option<String>,
    /// Known elsewhere: tips of trunk.
    pub(crate) known: Vec<Oid>,
    /// Commits that only this worktree or its branch has.
    pub(crate) own_commits: usize,
    pub(crate) has_staged: bool,
}

/// Looks, and refuses what would be lost unless forced. `elsewhere` is a commit that a code host keeps (the head of a
/// pull request): what it reaches is not lost, but an undo needs it here all the same.
pub(crate) fn inspect(
    handle: &RepoHandle,
    repo: &Repo,
    row: &WorktreeRow,
    force: bool,
    keep_branch: bool,
    elsewhere: Option<&Oid>,
) -> Result<Found> {
    let trunk_name = trunk::name(handle);
    if row.is_main {
        let error = WireError::conflict(format!("`{}` is the main worktree", row.name));
        return Err(error.hint("the main worktree is never removed").into());
    }
    if let Some(reason) = lock_reason(row)?
        && is_foreign(Some(&reason))
    {
        return Err(locked_outside(row, &reason).into());
    }
    let at = location(row);
    let head = repo.head(&at).ok();
    let mut found = Found {
        head: head.as_ref().and_then(|head| head.id()).cloned(),
        branch: head.as_ref().and_then(|head| head.branch()).map(str::to_owned),
        known: trunk::find(handle).map(|trunk| trunk.tips()).unwrap_or_default(),
        ..Found::default()
    };
    if found.branch.as_deref() == Some(trunk_name.as_str()) {
        let error = WireError::conflict(format!("`{}` is the worktree of trunk (`{trunk_name}`)", row.name));
        return Err(error.hint("the worktree of trunk is never removed").into());
    }
    if row.path.is_dir() {
        let status = repo.status(&at, Untracked::Folded)?;
        found.has_staged = status.staged > 0;
        if !force {
            refuse_dirty(row, &status)?;
        }
    } else {
        // Nobody can look any more; what was staged is kept in any case.
        found.has_staged = row.admin_dir.join("index").is_file();
    }
    found.own_commits = own_commits(repo, &found, None)?;
    let count = match elsewhere {
        Some(_) if found.own_commits > 0 => own_commits(repo, &found, elsewhere)?,
        _ => found.own_commits,
    };
    let lost = count > 0 && (!keep_branch || found.branch.is_none());
    if lost && !force {
        let error = WireError::conflict(format!(
            "worktree `{}` has {} found nowhere else",
            row.name,
            some(count, "commit")
        ));
        let error = if found.branch.is_some() {
            error.hint("push or merge them, or use --keep-branch")
        } else {
            error
        };
        return Err(error.hint("--force removes it all the same; `imi undo` brings it back").into());
    }
    Ok(found)
}

fn refuse_dirty(row: &WorktreeRow, status: &podium_git::Status) -> Result<()> {
    if let Some(what) = status.in_progress {
        let text = format!("worktree `{}` is in the middle of a {}", row.name, progress(what));
        return Err(WireError::conflict(text).hint("finish or abort it first").into());
    }
    if !status.entries.is_empty() {
        let count = status.entries.len();
        let what = some(count, "uncommitted change");
        let error = WireError::conflict(format!("worktree `{}` has {what}", row.name));
        let error = error.hint("commit or stash them");
        return Err(error.hint("--force removes it all the same; `imi undo` brings it back").into());
    }
    Ok(())
}

/// Commits that neither trunk, nor a remote, nor another branch has.
fn own_commits(repo: &Repo, found: &Found, elsewhere: Option<&Oid>) -> Result<usize> {
    let Some(head) = &found.head else { return Ok(0) };
    let mut known = found.known.clone();
    known.extend(elsewhere.cloned());
    for (name, id) in repo.branches()? {
        if found.branch.as_ref() != Some(&name) {
            known.push(id);
        }
    }
    known.sort();
    known.dedup();
    Ok(repo.unpushed(head, &known, 0)?.count)
}
