//! What forbids that a repository is moved.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_git::{Repo, WorktreeLocation};
use podium_protocol::{Alive, WireError};
use podium_store::rusqlite::Connection;

use crate::error::Result;
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::view::location;

/// Levels of submodules within submodules that are looked at.
const DEPTH: usize = 8;

impl Worktrees {
    /// Refuses while somebody works in the repository, or where links would break that cannot be mended.
    ///
    /// # Errors
    /// `Conflict` with what is in the way; `Busy` for what ends by itself; `User` for what cannot be moved at all.
    pub(super) async fn refuse_unmovable(&self, handle: &Arc<RepoHandle>, caller: &Caller) -> Result<()> {
        let repo = handle.row.id.clone();
        let (rows, busy) = self
            .inner
            .store
            .read(move |conn| -> Result<_> {
                Ok((WorktreeRow::of_repo(conn, &repo)?, refuse_busy(conn, &repo)))
            })
            .await?;
        busy?;
        for row in &rows {
            let Some(claim) = &row.claim else { continue };
            if self.alive(claim) != Alive::No {
                let error = WireError::conflict(format!("worktree `{}` is claimed", row.name));
                return Err(error.owned_by(self.info(claim).owner()).hint("release it first").into());
            }
        }
        let (asked, homes) = (handle.clone(), self.homes(caller));
        self.with_repo(handle, caller, move |repo| refuse_fixed(repo, &asked, &rows, &homes)).await
    }

    /// Folders that may not move: what is open in them is nobody's to judge.
    fn homes(&self, caller: &Caller) -> Vec<PathBuf> {
        let home = caller.env.get("HOME").or_else(|| self.inner.settings.env.get("HOME"));
        let all = home.map(PathBuf::from).into_iter().chain([self.inner.settings.home.clone()]);
        all.filter_map(|path| path.canonicalize().ok()).collect()
    }
}

/// What other requests are in the middle of. Asked again in the transaction that records the change.
pub(super) fn refuse_busy(conn: &Connection, repo: &str) -> Result<()> {
    let asked: [(&str, &str); 4] = [
        ("SELECT count(*) FROM creations WHERE repo = ?1", "a worktree is being made"),
        (
            "SELECT count(*) FROM removals WHERE repo = ?1 AND state IN ('intent', 'restoring')",
            "a worktree is being removed or brought back",
        ),
        (
            "SELECT count(*) FROM tree_copies WHERE worktree IN (SELECT id FROM worktrees WHERE repo = ?1)",
            "files are being copied into a worktree",
        ),
        (
            "SELECT count(*) FROM sessions WHERE status = 'in_progress'
                AND worktree IN (SELECT id FROM worktrees WHERE repo = ?1)",
            "a session runs in a worktree",
        ),
    ];
    for (sql, what) in asked {
        let count: u32 = conn.query_row(sql, [repo], |row| row.get(0))?;
        if count > 0 {
            return Err(WireError::busy(format!("the repository cannot be moved while {what}"))
                .hint("try again when that has ended")
                .into());
        }
    }
    Ok(())
}

fn refuse_fixed(repo: &Repo, handle: &RepoHandle, rows: &[WorktreeRow], homes: &[PathBuf]) -> Result<()> {
    let (root, common) = (&handle.row.root, &handle.row.common_dir);
    let cannot = |why: String| WireError::user(format!("{} cannot be moved: {why}", root.display()));
    if let Some(home) = homes.iter().find(|home| home.starts_with(root)) {
        return Err(cannot(format!("{} lies in it", home.display())).into());
    }
    if !is_of_one_disk(root) {
        return Err(cannot("something is mounted there".to_owned()).into());
    }
    if repo.config("core.worktree")?.is_some() {
        return Err(cannot("core.worktree names its place".to_owned()).into());
    }
    for row in rows {
        refuse_locked(&location(row))?;
        if !row.is_main && has_entries(&row.admin_dir.join("modules")) {
            let text = format!("worktree `{}` has submodules checked out, whose links would break", row.name);
            let hint = format!("`git submodule deinit --all` there, or `imi remove {}`, first", row.name);
            return Err(WireError::conflict(text).hint(hint).into());
        }
    }
    if let Some(module) = fixed_module(&common.join("modules"), 0) {
        let text = format!("the submodule at {} is linked by an absolute path", module.display());
        return Err(cannot(text).hint("`git submodule absorbgitdirs` of a newer git mends that").into());
    }
    let borrowed = std::fs::read_to_string(common.join("objects/info/alternates")).unwrap_or_default();
    if borrowed.lines().any(|line| !line.is_empty() && !line.starts_with(['/', '#'])) {
        let text = "it borrows objects from another repository by a relative path".to_owned();
        return Err(cannot(text).hint("make the path in objects/info/alternates absolute").into());
    }
    for remote in repo.remotes()? {
        let key = format!("remote.{remote}.url");
        if let Some(url) = repo.config(&key)?.filter(|url| is_relative(url)) {
            let there = root.join(&url).canonicalize().map_or(url.clone(), |path| path.display().to_string());
            let text = format!("the address of remote `{remote}` is relative ({url})");
            return Err(cannot(text).hint(format!("git remote set-url {remote} {there}")).into());
        }
    }
    Ok(())
}

/// A git at work, or what one left.
fn refuse_locked(at: &WorktreeLocation) -> Result<()> {
    let lock = at.git_dir.join("index.lock");
    if lock.exists() {
        let text = format!("git is at work in {}", at.path.display());
        let hint = format!("wait for it; if none runs, delete {}", lock.display());
        return Err(WireError::busy(text).hint(hint).into());
    }
    Ok(())
}

/// Neither a URL nor `host:path` nor an absolute path.
fn is_relative(url: &str) -> bool {
    let scheme = url.split('/').next().is_some_and(|first| first.contains(':'));
    !scheme && !url.starts_with(['/', '~']) && !url.is_empty()
}

/// The first submodule whose repository names its work tree by an absolute path, as old versions of git wrote it.
fn fixed_module(folder: &Path, depth: usize) -> Option<PathBuf> {
    let config = std::fs::read_to_string(folder.join("config")).unwrap_or_default();
    let absolute = |line: &str| {
        line.trim()
            .strip_prefix("worktree")
            .and_then(|rest| rest.trim_start().strip_prefix('='))
            .is_some_and(|value| value.trim_start().trim_start_matches('"').starts_with('/'))
    };
    if config.lines().any(absolute) {
        return Some(folder.to_owned());
    }
    if depth > DEPTH {
        return None;
    }
    let inner = folder.read_dir().ok()?.flatten();
    let folders = inner.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let skipped = ["objects", "refs", "logs", "hooks", "info"];
    let mut folders = folders.filter(|entry| !skipped.iter().any(|name| entry.file_name() == *name));
    folders.find_map(|entry| fixed_module(&entry.path(), depth + 1))
}

fn has_entries(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(unix)]
fn is_of_one_disk(root: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let above = root.parent().and_then(|above| above.metadata().ok());
    above.zip(root.metadata().ok()).is_some_and(|(above, root)| above.dev() == root.dev())
}

#[cfg(not(unix))]
fn is_of_one_disk(root: &Path) -> bool {
    root.parent().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_depend_on_the_folder_are_told() {
        for relative in ["../origin.git", "./x", "origin.git", "up/stream"] {
            assert!(is_relative(relative), "{relative}");
        }
        for fixed in ["https://h/x", "git@h:x/y.git", "h:x", "/srv/x.git", "file:///x", "~/x", ""] {
            assert!(!is_relative(fixed), "{fixed}");
        }
    }
}
