//! Worktrees as they were: files, staged state and HEAD, to compare with and to go back to.
//!
//! Snapshots lie in a bare repository of Podium's own beside the user's: references `refs/podium/...` in it name them, and
//! its objects are what the user's repository does not surely keep; the rest is borrowed. So no push publishes them, no
//! garbage collection there takes them away, and nothing of the user's repository is written, locked or cleaned up when
//! one is made. Files go through filters and line endings as in `git add` and come back as in `git checkout`.

mod compare;
mod index;
mod look;
mod place;
mod put;
mod revert;
mod take;

use std::path::{Path, PathBuf};

use crate::bytes::path_bytes;
use crate::command::GitCommand;
use crate::error::{GitError, Result};
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::repo::Repo;

pub use compare::{Hunk, HunkLine, TreeChange, hunks};
pub use put::Restored;
pub use revert::{FileContents, Reverted, Standing};
pub use take::SnapshotLimits;

/// Names of snapshots begin with this.
const PREFIX: &str = "refs/podium/";

/// What one path of a tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// As git writes it: `100644`, `100755`, `120000`, `160000`.
    pub mode: String,
    pub id: Oid,
}

impl TreeEntry {
    /// A repository inside of the worktree; only its HEAD is recorded.
    pub fn is_repository(&self) -> bool {
        self.mode == "160000"
    }

    pub fn is_link(&self) -> bool {
        self.mode == "120000"
    }
}

/// A worktree as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeSnapshot {
    /// Holds `files`; what was staged and HEAD are reached from it.
    pub commit: Oid,
    /// Tree of all files, untracked ones included, ignored ones not.
    pub files: Oid,
    /// Tree of what was staged, without paths in conflict.
    pub staged: Oid,
    pub head: Option<Oid>,
    pub branch: Option<String>,
    /// Paths in conflict with their stages, as `git update-index -z --index-info` reads them.
    pub conflicts: Vec<u8>,
    /// Nothing was uncommitted.
    pub clean: bool,
    /// Files too large to be kept, unreadable ones, and repositories that are untracked. They stay as they are.
    pub left_out: Vec<PathBuf>,
    /// There were more of them than are named.
    pub more_left_out: bool,
}

/// Snapshots of one session, in a folder of their own.
#[derive(Debug, Clone)]
pub struct SnapshotStore {
    repo: Repo,
    folder: PathBuf,
}

impl SnapshotStore {
    /// Opens the store in a folder, which is made if need be. It borrows from `repo`, wherever that lies now.
    ///
    /// # Errors
    /// `Failed`, `Io`.
    pub fn open(repo: &Repo, folder: &Path) -> Result<Self> {
        let store = Self { repo: repo.clone(), folder: folder.to_owned() };
        if !folder.join("HEAD").exists() {
            store.make()?;
        }
        store.borrow_objects()?;
        Ok(store)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn name(&self, commit: &Oid) -> Result<()> {
        let mut update = self.own();
        update.args(["update-ref", "--", &format!("{PREFIX}{commit}"), commit.as_str()]);
        update.output().map(drop)
    }

    /// Commits of all snapshots.
    ///
    /// # Errors
    /// `Failed`.
    pub fn list(&self) -> Result<Vec<Oid>> {
        let mut list = self.own();
        list.args(["for-each-ref", "--format=%(objectname) %(refname)", PREFIX]);
        let refs = crate::parse::refs(&list.output()?).map_err(|error| list.unexpected(error.0))?;
        Ok(refs.into_iter().map(|(_, id)| id).collect())
    }

    /// Lets go of snapshots, by their commits, and of what only they hold.
    ///
    /// # Errors
    /// `Failed`, `Io`.
    pub fn forget(&self, commits: &[Oid]) -> Result<()> {
        let mut update = self.own();
        let lines: String = commits.iter().map(|id| format!("delete {PREFIX}{id}\n")).collect();
        update.args(["update-ref", "--stdin"]).stdin(lines).output()?;
        self.pack_anew()
    }

    /// Copies all snapshots into a new store; large files are shared.
    ///
    /// # Errors
    /// `Io`, `Failed`.
    pub fn copy_to(&self, folder: &Path) -> Result<Self> {
        let copy = Self::open(&self.repo, folder)?;
        let (from, to) = (self.packs(), copy.packs());
        std::fs::create_dir_all(&to).map_err(|error| GitError::io(&to, error))?;
        for pack in packs_in(&from)? {
            let target = to.join(pack.file_name().unwrap_or_default());
            if target.exists() || std::fs::hard_link(&pack, &target).is_ok() {
                continue;
            }
            std::fs::copy(&pack, &target).map_err(|error| GitError::io(&target, error))?;
        }
        let lines: String = self.list()?.iter().map(|id| format!("update {PREFIX}{id} {id}\n")).collect();
        let mut update = copy.own();
        update.args(["update-ref", "--stdin"]).stdin(lines).output()?;
        Ok(copy)
    }

    fn make(&self) -> Result<()> {
        let parent = self.folder.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(parent).map_err(|error| GitError::io(parent, error))?;
        let mut init = self.repo.git().change();
        init.args(["init", "--quiet", "--bare", "--template="]);
        init.arg(format!("--object-format={}", self.repo.object_format().as_str()));
        init.arg("--").arg(&self.folder).output().map(drop)
    }

    /// The repository may have been moved since.
    fn borrow_objects(&self) -> Result<()> {
        let info = self.folder.join("objects/info");
        let file = info.join("alternates");
        let mut line = crate::bundle::quoted(path_bytes(&self.repo.common_dir().join("objects")));
        line.push(b'\n');
        if std::fs::read(&file).is_ok_and(|found| found == line) {
            return Ok(());
        }
        let write = || {
            std::fs::create_dir_all(&info)?;
            std::fs::write(&file, &line)?;
            // A shallow repository lacks the parents of some commits; git must know that it may.
            match std::fs::copy(self.repo.common_dir().join("shallow"), self.folder.join("shallow")) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        write().map_err(|error| GitError::io(&file, error))
    }

    /// What the remaining snapshots need becomes one pack, and the others go.
    fn pack_anew(&self) -> Result<()> {
        let old = packs_in(&self.packs())?;
        let named = self.list()?;
        let kept = if named.is_empty() { None } else { Some(self.pack(&self.own(), &named, None)?) };
        for pack in old {
            let is_kept = kept.as_ref().is_some_and(|kept| pack.to_string_lossy().contains(kept.as_str()));
            if !is_kept {
                std::fs::remove_file(&pack).map_err(|error| GitError::io(&pack, error))?;
            }
        }
        Ok(())
    }

    /// Writes a pack of what these commits need and the user's repository may lose; its name.
    fn pack(&self, base: &GitCommand, commits: &[Oid], known: Option<&Oid>) -> Result<Oid> {
        std::fs::create_dir_all(self.packs()).map_err(|error| GitError::io(&self.packs(), error))?;
        let mut lines: String = commits.iter().map(|id| format!("{id}\n")).collect();
        for id in self.lasting()?.iter().chain(known) {
            lines += &format!("^{id}\n");
        }
        let mut pack = base.clone();
        pack.args(["pack-objects", "-q", "--revs", "--delta-base-offset", "--missing=allow-any"]);
        pack.arg(self.packs().join("pack")).stdin(lines);
        let output = pack.output()?;
        crate::parse::oid(output.trim_ascii()).map_err(|error| pack.unexpected(error.0))
    }

    /// Commits that the user's repository keeps: those of trunk and of the remotes.
    fn lasting(&self) -> Result<Vec<Oid>> {
        let remotes = self.repo.reader().refs_under("refs/remotes/")?;
        let mut ids: Vec<Oid> = remotes.into_iter().map(|(_, id)| id).collect();
        if let Ok(trunk) = self.repo.trunk(None) {
            ids.extend(trunk.tips());
        }
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    fn objects(&self) -> PathBuf {
        self.folder.join("objects")
    }

    fn packs(&self) -> PathBuf {
        self.objects().join("pack")
    }

    /// A command in this store's own repository.
    fn own(&self) -> GitCommand {
        let mut command = self.repo.git().change();
        command.git_dir(&self.folder).without_hooks().env("GIT_NO_LAZY_FETCH", "1");
        command
    }

    /// A command in the worktree that sees the store's objects and writes to `objects`.
    fn command(&self, at: &WorktreeLocation, objects: &Path) -> GitCommand {
        let mut command = self.repo.place().change_in(at);
        command.without_hooks().config("core.splitIndex=false").env("GIT_NO_LAZY_FETCH", "1");
        command.env("GIT_OBJECT_DIRECTORY", objects);
        let mut borrowed = Vec::new();
        for folder in [self.objects(), self.repo.common_dir().join("objects")] {
            if folder != objects {
                if !borrowed.is_empty() {
                    borrowed.push(b':');
                }
                borrowed.extend(crate::bundle::quoted(path_bytes(&folder)));
            }
        }
        command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", crate::bytes::path_from_bytes(&borrowed));
        command
    }
}

/// Packs and their indexes.
fn packs_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |error| GitError::io(folder, error);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(wrong)?,
    };
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|e| e.path())).collect();
    let is_pack =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pack-"));
    Ok(paths.map_err(wrong)?.into_iter().filter(is_pack).collect())
}
