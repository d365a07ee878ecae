//! What a merge needs to know, by a fresh look.

use podium_git::{MergedTree, Oid, Repo, RepoWriter, Untracked, WorktreeLocation};
use podium_protocol::{MergeMode, WireError, WorktreeMergeParams, count};

use crate::error::Result;
use crate::rows::WorktreeRow;
use crate::service::RepoHandle;
use crate::trunk;
use crate::view::{location, progress, some};

/// Paths named in one message.
const NAMED: usize = 20;
/// Commits listed in the message of a squashed one.
const LISTED: usize = 50;

/// A merge that is ready to be made.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) branch: String,
    pub(super) head: Oid,
    pub(super) trunk: String,
    pub(super) old: Oid,
    pub(super) new: Oid,
    pub(super) mode: MergeMode,
    pub(super) commits: usize,
    /// Where trunk is checked out.
    pub(super) checkout: Option<WorktreeLocation>,
    pub(super) notes: Vec<String>,
}

/// Looks, refuses, and makes the commit that trunk is to have. Nothing refers to it yet.
pub(super) fn prepare(
    handle: &RepoHandle,
    repo: &Repo,
    row: &WorktreeRow,
    params: &WorktreeMergeParams,
) -> Result<Prepared> {
    let found = trunk::find(handle)?;
    let at = location(row);
    let head = repo.head(&at)?;
    let (Some(branch), Some(head)) = (head.branch().map(str::to_owned), head.id().cloned()) else {
        let error = WireError::user(format!("`{}` is on no branch with a commit", row.name));
        return Err(error.hint("git switch -c NAME").into());
    };
    if branch == found.name {
        return Err(WireError::user(format!("`{}` is trunk itself", row.name)).into());
    }
    refuse_dirty(repo, &at, &row.name)?;
    let Some(old) = found.local.clone() else {
        let error = WireError::user(format!("there is no branch `{}` here to merge into", found.name));
        return Err(error.hint(format!("git branch {0} origin/{0}", found.name)).into());
    };
    let counts = repo.ahead_behind(&head, &old)?;
    if counts.ahead == 0 {
        let text = format!("`{branch}` has no commit that `{}` lacks", found.name);
        return Err(WireError::user(text).hint(format!("imi close {}", row.name)).into());
    }
    let checkout = trunk_checkout(repo, &found.name)?;
    if let Some(place) = &checkout {
        refuse_dirty(repo, place, &place.path.to_string_lossy())?;
    }
    let mut notes = Vec::new();
    if let Some((name, remote)) = &found.remote {
        let missing = repo.ahead_behind(remote, &old)?.ahead;
        if missing > 0 {
            notes.push(format!("{} has {} that {} lacks", short(name), some(missing, "commit"), found.name));
        }
    }
    let writer = repo.write(handle.patience())?;
    let mode = match (params.squash, params.no_ff || counts.behind > 0) {
        (true, _) => MergeMode::Squash,
        (false, true) => MergeMode::Merge,
        (false, false) => MergeMode::FastForward,
    };
    let new = match mode {
        MergeMode::FastForward => head.clone(),
        _ => commit(&writer, &at, (&old, &head), (&branch, &found.name), mode, params.message.as_deref())?,
    };
    let (trunk, commits) = (found.name, counts.ahead);
    Ok(Prepared { branch, head, trunk, old, new, mode, commits, checkout, notes })
}

fn short(refname: &str) -> &str {
    refname.strip_prefix("refs/remotes/").unwrap_or(refname)
}

fn commit(
    writer: &RepoWriter,
    at: &WorktreeLocation,
    (old, head): (&Oid, &Oid),
    (branch, trunk): (&str, &str),
    mode: MergeMode,
    message: Option<&str>,
) -> Result<Oid> {
    let tree = match writer.merge_tree(old, head)? {
        MergedTree::Clean(tree) => tree,
        MergedTree::Conflicts(paths) => return Err(conflicts(branch, trunk, &paths).into()),
    };
    let (parents, usual) = match mode {
        MergeMode::Squash => (vec![old.clone()], summary(writer.repo(), old, head, branch)?),
        _ => (vec![old.clone(), head.clone()], format!("Merge branch '{branch}' into {trunk}")),
    };
    Ok(writer.commit_tree(at, &tree, &parents, message.unwrap_or(&usual))?)
}

fn conflicts(branch: &str, trunk: &str, paths: &[std::path::PathBuf]) -> WireError {
    let mut names: Vec<String> =
        paths.iter().take(NAMED).map(|path| path.to_string_lossy().into_owned()).collect();
    if paths.len() > NAMED {
        names.push(format!("{} more", paths.len() - NAMED));
    }
    let text = format!("`{branch}` and `{trunk}` change the same lines of {}", names.join(", "));
    WireError::conflict(text)
        .hint(format!("merge `{trunk}` in the worktree and resolve it there, then again"))
}

/// The only commit's message, or a list of all of them.
fn summary(repo: &Repo, old: &Oid, head: &Oid, branch: &str) -> Result<String> {
    let at = WorktreeLocation { git_dir: repo.common_dir().to_owned(), path: repo.root().to_owned() };
    let mut command = repo.read_command(&at);
    command.args(["log", "--reverse", "--no-merges", "--format=%s", "--max-count=200"]);
    let subjects = command.arg(format!("{old}..{head}")).text()?;
    let subjects: Vec<&str> = subjects.lines().collect();
    Ok(match subjects.as_slice() {
        [only] => (*only).to_owned(),
        all => {
            let listed: String = all.iter().take(LISTED).map(|subject| format!("* {subject}\n")).collect();
            format!("{branch}: {}\n\n{listed}", count(all.len() as u64, "commit"))
        }
    })
}

/// # Errors
/// `Conflict` for anything that no commit has, and in the middle of a merge or rebase.
pub(super) fn refuse_dirty(repo: &Repo, at: &WorktreeLocation, name: &str) -> Result<()> {
    let status = repo.status(at, Untracked::Folded)?;
    if let Some(what) = status.in_progress {
        let text = format!("`{name}` is in the middle of a {}", progress(what));
        return Err(WireError::conflict(text).hint("finish or abort it first").into());
    }
    if !status.entries.is_empty() {
        let text = format!("`{name}` has {}", some(status.entries.len(), "uncommitted change"));
        return Err(WireError::conflict(text).hint("commit or stash them first").into());
    }
    Ok(())
}

/// The worktree that has trunk checked out.
pub(super) fn trunk_checkout(repo: &Repo, trunk: &str) -> Result<Option<WorktreeLocation>> {
    let all = repo.worktrees()?.into_iter();
    let mut on_trunk =
        all.filter(|tree| tree.head.as_ref().and_then(|head| head.branch()) == Some(trunk) && !tree.bare);
    Ok(on_trunk.next().map(|tree| tree.location).filter(|at| at.path.is_dir()))
}

/// Whether trunk has everything that `head` brings: its commits, or their content by another way (squashed, rebased).
pub(crate) fn is_merged(repo: &Repo, writer: Option<&RepoWriter>, tips: &[Oid], head: &Oid) -> Result<bool> {
    for tip in tips {
        if repo.ahead_behind(head, tip)?.ahead == 0 {
            return Ok(true);
        }
        let Some(writer) = writer else { continue };
        // Histories without a common commit have no merge.
        if let Ok(MergedTree::Clean(tree)) = writer.merge_tree(tip, head) {
            let at = WorktreeLocation { git_dir: repo.common_dir().to_owned(), path: repo.root().to_owned() };
            let mut command = repo.read_command(&at);
            let trunk =
                command.args(["rev-parse", "--verify", "--quiet"]).arg(format!("{tip}^{{tree}}")).text()?;
            if trunk == tree.as_str() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
