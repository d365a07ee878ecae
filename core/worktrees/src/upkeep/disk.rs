//! The disk that worktrees take.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_git::{Repo, WorktreeLocation};
use podium_protocol::{DiskUse, TreeUse, WireError, WorktreeDuParams};
use tokio::task::JoinSet;

use crate::error::{Error, Result, blocking};
use crate::removal::{Removal, trash};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::view::location;

const MB: u64 = 1_000_000;

/// Files that were counted, so that hard links count once.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) bytes: u64,
    linked: HashSet<(u64, u64)>,
}

impl Measured {
    /// Adds what lies below a path, without following links. What cannot be read is left out.
    pub(super) fn add(&mut self, path: &Path) {
        self.add_without(path, &HashSet::new());
    }

    fn add_without(&mut self, path: &Path, except: &HashSet<PathBuf>) {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            if except.contains(&path) {
                continue;
            }
            let Ok(metadata) = path.symlink_metadata() else { continue };
            self.count(&metadata);
            if metadata.is_dir() {
                let entries = path.read_dir().into_iter().flatten().flatten();
                open.extend(entries.map(|entry| entry.path()));
            }
        }
    }

    #[cfg(unix)]
    fn count(&mut self, metadata: &std::fs::Metadata) {
        use std::os::unix::fs::MetadataExt;
        let again = !metadata.is_dir()
            && metadata.nlink() > 1
            && !self.linked.insert((metadata.dev(), metadata.ino()));
        if !again {
            // Blocks are of 512 bytes whatever the file system's are.
            self.bytes += metadata.blocks() * 512;
        }
    }

    #[cfg(not(unix))]
    fn count(&mut self, metadata: &std::fs::Metadata) {
        self.bytes += metadata.len();
    }
}

/// Disk that a removal keeps in use.
pub(crate) fn bytes_of(removal: &Removal) -> u64 {
    let mut measured = Measured::default();
    measured.add(&removal.tree_trash);
    if removal.trash != removal.tree_trash {
        measured.add(&removal.trash);
    }
    measured.bytes
}

impl Worktrees {
    /// What each worktree, the trash, spares and git's own folder take on the disk. Worktrees are walked side by side;
    /// `on` is told of each that is done, by its name, with how many are and how many there are.
    ///
    /// # Errors
    /// When git cannot be read.
    pub async fn disk_use(
        &self,
        params: WorktreeDuParams,
        caller: &Caller,
        mut on: impl FnMut(&str, usize, usize) + Send,
    ) -> Result<DiskUse, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        self.reconcile(&handle).await?;
        let rows = self.all_rows(&handle).await?;
        let mut walks = JoinSet::new();
        for (place, row) in rows.iter().filter(|row| row.path.is_dir()).cloned().enumerate() {
            let (this, handle) = (self.clone(), handle.clone());
            walks.spawn(async move { (place, this.tree_use(&handle, row).await) });
        }
        let total = walks.len();
        let mut measured = Vec::new();
        on("", 0, total);
        while let Some(walk) = walks.join_next().await {
            let (place, tree) = walk.map_err(|_| Error::Unfinished)?;
            let tree = tree?;
            on(&tree.name, measured.len() + 1, total);
            measured.push((place, tree));
        }
        measured.sort_by_key(|(place, _)| *place);
        let worktrees = measured.into_iter().map(|(_, tree)| tree).collect();
        let mut answer = DiskUse { worktrees, ..DiskUse::default() };
        let (shared, known) = (handle.clone(), rows);
        let rest = blocking(move || rest_of(&shared, &known));
        let (trash, spares, objects) = rest.await?;
        answer.trash = trash;
        answer.spares = spares;
        answer.objects = objects;
        let trees: u64 = answer.worktrees.iter().map(|tree| tree.bytes).sum();
        answer.total = trees + trash + spares + objects;
        answer.free = free_space(&handle.row.common_dir);
        answer.notes = self.notes_on(&handle, &answer);
        Ok(answer)
    }

    async fn tree_use(&self, handle: &Arc<RepoHandle>, row: WorktreeRow) -> Result<TreeUse> {
        let _slot = self.inner.looks.acquire().await.map_err(|_| Error::Unfinished)?;
        let handle = handle.clone();
        blocking(move || {
            let ignored = ignored_paths(&handle.repo, &location(&row))?;
            let mut measured = Measured::default();
            ignored.iter().for_each(|path| measured.add(path));
            let of_ignored = measured.bytes;
            let mut except: HashSet<PathBuf> = ignored.into_iter().collect();
            if row.is_main {
                except.insert(handle.row.common_dir.clone());
            }
            measured.add_without(&row.path, &except);
            let path = row.path.to_string_lossy().into_owned();
            Ok(TreeUse { name: row.name, path, bytes: measured.bytes, ignored: of_ignored })
        })
        .await
    }

    fn notes_on(&self, handle: &RepoHandle, found: &DiskUse) -> Vec<String> {
        let config = self.inner.config.get();
        let mb = |key: &str| u64::try_from(config.integer(key)).unwrap_or_default();
        let mut notes = Vec::new();
        let warn = mb("worktrees.disk_warn_mb");
        if warn > 0 && found.total / MB > warn {
            notes.push(format!(
                "{} takes {} MB, more than {warn} MB: `imi prune` drops what is merged",
                handle.row.root.display(),
                found.total / MB
            ));
        }
        let quota = mb("worktrees.trash_quota_mb");
        if quota > 0 && found.trash / MB > quota {
            notes.push(format!("the trash is above its {quota} MB: the oldest removals go first"));
        }
        notes
    }
}

/// Trash, worktrees that git has and no row names (spares), and the rest of git's folder.
fn rest_of(handle: &RepoHandle, rows: &[WorktreeRow]) -> Result<(u64, u64, u64)> {
    let root = trash::root(&handle.row.common_dir);
    let mut trash = Measured::default();
    trash.add(&root);
    let mut spares = Measured::default();
    let mut beside: HashSet<PathBuf> = HashSet::new();
    for tree in handle.repo.worktrees()?.into_iter().filter(|tree| !tree.bare && !tree.main) {
        beside.extend(tree.location.path.parent().map(|parent| parent.join(".podium-trash")));
        if !rows.iter().any(|row| row.admin_dir == tree.location.git_dir) {
            spares.add(&tree.location.path);
        }
    }
    beside.iter().for_each(|folder| trash.add(folder));
    let mut objects = Measured::default();
    objects.add_without(&handle.row.common_dir, &HashSet::from([root]));
    Ok((trash.bytes, spares.bytes, objects.bytes))
}

/// Files and folders that git ignores; a folder that is ignored as a whole is one of them.
fn ignored_paths(repo: &Repo, at: &WorktreeLocation) -> Result<Vec<PathBuf>> {
    let mut command = repo.read_command(at);
    command.args(["ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory"]);
    let output = command.output()?;
    let names = output.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names
        .map(|name| {
            let name = name.strip_suffix(b"/").unwrap_or(name);
            at.path.join(crate::paths::from_bytes(name.to_vec()))
        })
        .collect())
}

#[cfg(unix)]
fn free_space(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |found| found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_space(_path: &Path) -> u64 {
    0
}
