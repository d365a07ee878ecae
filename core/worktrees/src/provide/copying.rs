//! `worktree.copy`: ignored folders of the main worktree that a new one starts with.
//!
//! Copied in the background under another name and renamed when whole, so that no program ever finds half of a folder.
//! What a killed daemon left is noted in `tree_copies` and begun anew.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use podium_git::WorktreeLocation;
use podium_store::rusqlite::params;
use podium_store::{Durability, NewEvent, Tx};
use serde_json::{Value, json};

use super::copies::{Copied, copy};
use crate::error::{Error, Result, blocking};
use crate::paths;
use crate::removal::trash;
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};

/// Beginning of the names of folders that are not whole yet.
const PARTIAL: &str = ".podium-copy.";
const PATTERN: &[u8] = b".podium-copy.*";
/// Folders that one list of patterns may name.
const MATCHES: usize = 1_000;
/// Between two events of progress.
const TOLD: Duration = Duration::from_secs(1);

impl Worktrees {
    /// Begins the copies that the settings name. They go on after the answer.
    pub(crate) fn copy_later(&self, handle: &Arc<RepoHandle>, row: &WorktreeRow) {
        if handle.config().list("worktree.copy").is_empty() || handle.repo.is_bare() {
            return;
        }
        let (this, handle, row) = (self.clone(), handle.clone(), row.clone());
        tokio::spawn(async move {
            if let Err(error) = this.copy_all(&handle, &row).await {
                tracing::warn!(%error, worktree = row.name, "ignored folders were not copied");
            }
        });
    }

    async fn copy_all(&self, handle: &Arc<RepoHandle>, row: &WorktreeRow) -> Result<()> {
        let (asked, to) = (handle.clone(), row.path.clone());
        let found = blocking(move || {
            let patterns = asked.config();
            let found = wanted(&asked.row.root, &to, &patterns.list("worktree.copy"));
            let found: Vec<PathBuf> = found.into_iter().filter(|path| is_ignored(&asked, path)).collect();
            if !found.is_empty() {
                asked.repo.write(asked.patience())?.add_excludes(&[PATTERN.to_vec()])?;
            }
            Ok(found)
        });
        let found = found.await?;
        let (id, noted) = (row.id.clone(), found.clone());
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let sql = "INSERT OR IGNORE INTO tree_copies (worktree, path, started_at) VALUES (?1, ?2, ?3)";
            for path in &noted {
                tx.execute(sql, params![id, paths::to_bytes(path), tx.now])?;
            }
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        for path in found {
            self.copy_one(handle, row, path).await?;
        }
        Ok(())
    }

    /// Goes on with what a killed daemon left.
    pub(crate) async fn recover_copies(&self, handle: &Arc<RepoHandle>) -> Result<()> {
        let repo = handle.row.id.clone();
        let left = self.inner.store.read(move |conn| -> Result<Vec<(WorktreeRow, PathBuf)>> {
            let sql = "SELECT path FROM tree_copies WHERE worktree = ?1";
            let mut left = Vec::new();
            for row in WorktreeRow::of_repo(conn, &repo)? {
                let mut statement = conn.prepare_cached(sql)?;
                let paths = statement.query_map([&row.id], |found| crate::rows::path(found, 0))?;
                for path in paths {
                    left.push((row.clone(), path?));
                }
            }
            Ok(left)
        });
        let left = left.await?;
        if left.is_empty() {
            return Ok(());
        }
        let (this, handle) = (self.clone(), handle.clone());
        tokio::spawn(async move {
            for (row, path) in left {
                if let Err(error) = this.copy_one(&handle, &row, path).await {
                    tracing::warn!(%error, worktree = row.name, "an ignored folder was not copied");
                }
            }
        });
        Ok(())
    }

    async fn copy_one(&self, handle: &Arc<RepoHandle>, row: &WorktreeRow, path: PathBuf) -> Result<()> {
        let started = Instant::now();
        let (from, to) = (handle.row.root.join(&path), row.path.join(&path));
        let (this, told_row, told_path) = (self.clone(), row.clone(), path.clone());
        let runtime = tokio::runtime::Handle::current();
        let copied = blocking(move || {
            let mut last = Instant::now();
            put(&from, &to, &mut |so_far| {
                if last.elapsed() >= TOLD {
                    last = Instant::now();
                    let (this, row) = (this.clone(), told_row.clone());
                    let data = told(&row, &told_path, so_far);
                    runtime.spawn(async move { this.tell(&row, "worktree.copying", data, None).await });
                }
            })
        });
        let (kind, mut data) = match copied.await {
            Ok(copied) => ("worktree.copied", told(row, &path, &copied)),
            Err(error) => {
                let mut data = told(row, &path, &Copied::default());
                data["error"] = json!(error.to_string());
                ("worktree.copy_failed", data)
            }
        };
        data["ms"] = json!(started.elapsed().as_millis());
        self.tell(row, kind, data, Some(path)).await;
        Ok(())
    }

    /// An event, and with `done` the end of what was noted.
    async fn tell(&self, row: &WorktreeRow, kind: &'static str, data: Value, done: Option<PathBuf>) {
        let (id, subject) = (row.id.clone(), row.subject());
        let write = move |tx: &Tx<'_>| -> Result<()> {
            if let Some(path) = done {
                let sql = "DELETE FROM tree_copies WHERE worktree = ?1 AND path = ?2";
                tx.execute(sql, params![id, paths::to_bytes(&path)])?;
            }
            tx.emit(&NewEvent::new(kind, subject, data))?;
            Ok(())
        };
        let written: Result<()> = self.inner.store.write(Durability::Process, write).await;
        if let Err(error) = written {
            tracing::warn!(%error, "the progress of a copy was not recorded");
        }
    }
}

fn told(row: &WorktreeRow, path: &Path, copied: &Copied) -> Value {
    json!({
        "worktree": row.id,
        "name": row.name,
        "path": path.to_string_lossy(),
        "files": copied.files,
        "bytes": copied.bytes,
        "shared": copied.shared,
    })
}

/// Under another name until it is whole. What is there already stays.
fn put(from: &Path, to: &Path, progress: &mut dyn FnMut(&Copied)) -> Result<Copied> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let partial = to.with_file_name(format!("{PARTIAL}{name}"));
    trash::delete(&partial).or_else(|error| std::fs::remove_file(&partial).map_err(|_| error))?;
    let copied = copy(from, &partial, progress);
    let copied = copied.and_then(|copied| {
        if trash::exists(to) {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(&partial, to).map(|()| copied)
    });
    copied.map_err(|error| {
        let _ = trash::delete(&partial);
        Error::io("copied", from, error)
    })
}

/// Paths below the main worktree that a pattern names and the new worktree has not. `*` stands for any part of a name.
fn wanted(root: &Path, to: &Path, patterns: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in patterns {
        let pattern = Path::new(pattern.trim_end_matches('/'));
        let inside = pattern.components().all(|part| matches!(part, Component::Normal(_)));
        let git = pattern.components().any(|part| part.as_os_str() == ".git");
        if !inside || git || pattern.as_os_str().is_empty() {
            tracing::warn!(pattern = %pattern.display(), "`worktree.copy` names paths below the worktree only");
            continue;
        }
        let mut paths = vec![PathBuf::new()];
        for part in pattern.components() {
            let part = part.as_os_str().to_string_lossy();
            paths = paths.into_iter().flat_map(|path| matching(root, &path, &part)).take(MATCHES).collect();
        }
        found.extend(paths);
    }
    found.sort();
    found.dedup();
    // A part of something that is copied as a whole would come twice.
    let all = found.clone();
    let nested = |path: &PathBuf| all.iter().any(|other| other != path && path.starts_with(other));
    found.retain(|path| !nested(path) && !trash::exists(&to.join(path)) && has_real_folder(to, path));
    found.truncate(MATCHES);
    found
}

fn matching(root: &Path, below: &Path, part: &str) -> Vec<PathBuf> {
    if !part.contains('*') {
        let path = below.join(part);
        return if trash::exists(&root.join(&path)) { vec![path] } else { Vec::new() };
    }
    let names = root.join(below).read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
    let fits = names.filter(|name| name != ".git" && fits(part, &name.to_string_lossy()));
    fits.map(|name| below.join(name)).collect()
}

/// Whether a name is what the pattern says.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The folder it goes to exists in the new worktree, and no link on the way leads out of it.
fn has_real_folder(to: &Path, path: &Path) -> bool {
    let mut folder = to.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        if !folder.symlink_metadata().is_ok_and(|data| data.is_dir()) {
            return false;
        }
    }
    true
}

/// Anything else would make the new worktree dirty.
fn is_ignored(handle: &RepoHandle, path: &Path) -> bool {
    let main = WorktreeLocation { git_dir: handle.row.common_dir.clone(), path: handle.row.root.clone() };
    let mut command = handle.repo.read_command(&main);
    command.args(["check-ignore", "--quiet", "--"]).arg(path);
    let ignored = command.attempt().is_ok_and(|outcome| outcome.code == Some(0));
    if !ignored {
        tracing::warn!(path = %path.display(), "git does not ignore this; it is not copied into worktrees");
    }
    ignored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_what_is_below_and_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (root, to) = (dir.path().join("main"), dir.path().join("new"));
        for folder in ["a/node_modules/x", "b/node_modules", "target/debug", ".git/objects"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::create_dir_all(to.join("a")).unwrap();
        let find = |patterns: &[&str]| wanted(&root, &to, patterns);
        assert_eq!(find(&["*/node_modules"]), [PathBuf::from("a/node_modules")], "b is not in the new one");
        assert_eq!(find(&["target/debug", "target/", "t*t"]), [PathBuf::from("target")]);
        assert_eq!(find(&["../main/target", "/etc", ".git/objects", "", "missing"]), [] as [PathBuf; 0]);
    }

    #[test]
    fn stars_stand_for_any_part_of_a_name() {
        for (pattern, name, yes) in [
            ("*", "x", true),
            ("a*", "ab", true),
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("*.log", "x.log", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, name), yes, "{pattern} {name}");
        }
    }
}
