//! A repository and what can be asked of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::admin;
use crate::backend::{Backend, CliReader, Libgit2Reader, Place, Reader};
use crate::bytes::{path_from_bytes, without_newline};
use crate::command::{Git, GitCommand};
use crate::discover;
use crate::error::{GitError, Result};
use crate::model::{
    AheadBehind, Change, ChangedFile, CommitInfo, Head, Status, Touched, Unpushed, Untracked, Worktree,
    WorktreeLocation,
};
use crate::oid::{ObjectFormat, Oid};
use crate::queue::RepoLock;
use crate::version::GitVersion;
use crate::write::RepoWriter;

/// Paths given to one git process.
const PATHS_AT_ONCE: usize = 200;

/// How references are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefFormat {
    Files,
    Reftable,
}

/// One repository, whatever worktree it was found from. Cheap to clone; equal when the common folder is the same.
#[derive(Clone)]
pub struct Repo {
    place: Place,
    reader: Arc<dyn Reader>,
    backend: Backend,
    object_format: ObjectFormat,
    here: Option<WorktreeLocation>,
    superproject: Option<PathBuf>,
}

impl PartialEq for Repo {
    fn eq(&self, other: &Self) -> bool {
        self.place.common_dir == other.place.common_dir
    }
}

impl Eq for Repo {}

impl fmt::Debug for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repo")
            .field("common_dir", &self.place.common_dir)
            .field("main_worktree", &self.place.main_worktree)
            .field("backend", &self.backend)
            .field("object_format", &self.object_format)
            .field("reftable", &self.place.reftable)
            .finish_non_exhaustive()
    }
}

impl Repo {
    /// The repository around a file or folder.
    ///
    /// # Errors
    /// `NoSuchPath`, `NotARepository`, `DubiousOwnership`, `Corrupt`, `Unsupported`.
    pub fn discover(git: &Git, path: &Path) -> Result<Self> {
        let found = discover::find(git, path)?;
        let mut repo = Self::open_at(git, found.common_dir, found.here)?;
        repo.superproject = found.superproject;
        Ok(repo)
    }

    /// The repository with a stored common folder; no `.git` file is looked at.
    ///
    /// `main_worktree` is needed only where it does not follow from the common folder (`--separate-git-dir`).
    pub fn open(git: &Git, common_dir: &Path, main_worktree: Option<&Path>) -> Result<Self> {
        let common_dir =
            common_dir.canonicalize().map_err(|_| GitError::NoSuchPath { path: common_dir.to_owned() })?;
        let here = match main_worktree {
            Some(path) => {
                Some(WorktreeLocation { git_dir: common_dir.clone(), path: discover::canonical(path)? })
            }
            None => None,
        };
        Self::open_at(git, common_dir, here)
    }

    fn open_at(git: &Git, common_dir: PathBuf, here: Option<WorktreeLocation>) -> Result<Self> {
        let formats = read_formats(git, &common_dir)?;
        let main_worktree = match &here {
            _ if formats.bare => None,
            Some(here) if here.git_dir == common_dir => Some(here.path.clone()),
            _ => main_worktree(git, &common_dir)?,
        };
        let reftable = formats.refs == RefFormat::Reftable;
        let place = Place { git: git.clone(), common_dir, main_worktree, reftable };
        // Whatever libgit2 cannot open, the command line can, or says clearly why not.
        let (backend, reader): (_, Arc<dyn Reader>) = match Libgit2Reader::new(place.clone()) {
            Ok(reader) => (Backend::Libgit2, Arc::new(reader)),
            Err(_) => (Backend::CommandLine, Arc::new(CliReader::new(place.clone()))),
        };
        Ok(Self { place, reader, backend, object_format: formats.objects, here, superproject: None })
    }

    /// The same repository, read by a backend of the caller's choice.
    ///
    /// # Errors
    /// `Libgit2` when that cannot open it.
    pub fn with_backend(mut self, backend: Backend) -> Result<Self> {
        self.reader = match backend {
            Backend::CommandLine => Arc::new(CliReader::new(self.place.clone())),
            Backend::Libgit2 => {
                let reader = Libgit2Reader::new(self.place.clone());
                let path = self.place.common_dir.clone();
                Arc::new(reader.map_err(|source| GitError::Libgit2 { path, source })?)
            }
        };
        self.backend = backend;
        Ok(self)
    }

    /// The same repository, with the variables (keys, proxy, identity) of another client.
    pub fn with_git(&self, git: &Git) -> Result<Self> {
        let mut repo = self.clone();
        repo.place.git = git.clone();
        let place = repo.place.clone();
        repo.reader = match self.backend {
            Backend::CommandLine => Arc::new(CliReader::new(place)),
            // That it can be opened was found out before, by a look through the whole index.
            Backend::Libgit2 => Arc::new(Libgit2Reader::known(place)),
        };
        Ok(repo)
    }

    pub(crate) fn reader(&self) -> &dyn Reader {
        &*self.reader
    }

    pub fn git(&self) -> &Git {
        &self.place.git
    }

    /// What identifies the repository: canonical path of the folder with objects and references.
    pub fn common_dir(&self) -> &Path {
        &self.place.common_dir
    }

    /// The main worktree, or the repository folder itself when it is bare.
    pub fn root(&self) -> &Path {
        self.place.main_worktree.as_deref().unwrap_or(&self.place.common_dir)
    }

    pub fn is_bare(&self) -> bool {
        self.place.main_worktree.is_none()
    }

    /// # Errors
    /// `Bare`.
    pub fn main_worktree(&self) -> Result<WorktreeLocation> {
        match &self.place.main_worktree {
            Some(path) => Ok(WorktreeLocation { git_dir: self.place.common_dir.clone(), path: path.clone() }),
            None => Err(GitError::Bare { path: self.place.common_dir.clone() }),
        }
    }

    /// The worktree that the repository was found from.
    pub fn here(&self) -> Option<&WorktreeLocation> {
        self.here.as_ref()
    }

    /// The worktree of the repository around a submodule.
    pub fn superproject(&self) -> Option<&Path> {
        self.superproject.as_deref()
    }

    pub fn is_submodule(&self) -> bool {
        self.superproject.is_some()
    }

    pub fn object_format(&self) -> ObjectFormat {
        self.object_format
    }

    pub fn ref_format(&self) -> RefFormat {
        if self.place.reftable { RefFormat::Reftable } else { RefFormat::Files }
    }

    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Waits for the turn to change this repository.
    ///
    /// # Errors
    /// `QueueBusy`.
    pub fn write(&self, wait: Duration) -> Result<RepoWriter> {
        let turn = RepoLock::acquire(&self.place.common_dir, wait)?;
        Ok(RepoWriter::new(self.clone(), turn))
    }

    /// HEAD of one worktree.
    pub fn head(&self, at: &WorktreeLocation) -> Result<Head> {
        self.reader.head(&at.git_dir)
    }

    /// The commit a revision names, seen from a worktree.
    ///
    /// # Errors
    /// `NoSuchRevision`; `InvalidArgument` for what git could take for an option.
    pub fn resolve(&self, at: &WorktreeLocation, rev: &str) -> Result<Oid> {
        self.resolve_in(&at.git_dir, rev)
    }

    /// [`Repo::resolve`], seen from the repository as a whole.
    pub fn resolve_here(&self, rev: &str) -> Result<Oid> {
        self.resolve_in(&self.place.common_dir, rev)
    }

    fn resolve_in(&self, git_dir: &Path, rev: &str) -> Result<Oid> {
        if rev.is_empty() || rev.starts_with('-') || rev.contains(['\0', '\n']) {
            return Err(GitError::InvalidArgument(rev.to_owned()));
        }
        self.reader.resolve(git_dir, rev)?.ok_or_else(|| GitError::NoSuchRevision { rev: rev.to_owned() })
    }

    /// What a full reference name (`refs/...`) points at.
    pub fn find_ref(&self, refname: &str) -> Result<Option<Oid>> {
        if !is_full_refname(refname) {
            return Err(GitError::InvalidArgument(refname.to_owned()));
        }
        self.reader.find_ref(refname)
    }

    pub(crate) fn symbolic_target(&self, refname: &str) -> Result<Option<String>> {
        self.reader.symbolic_target(refname)
    }

    pub fn branch(&self, name: &str) -> Result<Option<Oid>> {
        self.find_ref(&format!("refs/heads/{name}"))
    }

    /// Local branches, sorted by name.
    pub fn branches(&self) -> Result<Vec<(String, Oid)>> {
        let refs = self.reader.refs_under("refs/heads/")?.into_iter();
        let short = |name: String| name.strip_prefix("refs/heads/").map(str::to_owned).unwrap_or(name);
        Ok(refs.map(|(name, id)| (short(name), id)).collect())
    }

    /// The existing branch that makes this name impossible: `feat-x` and `feat-x/y` exclude each other.
    pub fn ref_conflict(&self, name: &str) -> Result<Option<String>> {
        let below = format!("{name}/");
        let branches = self.branches()?.into_iter().map(|(branch, _)| branch);
        let conflicts = |branch: &String| {
            branch.starts_with(&below)
                || name.strip_prefix(branch.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        Ok(branches.into_iter().find(conflicts))
    }

    /// The main worktree first, then the linked ones in the order of their admin folders.
    pub fn worktrees(&self) -> Result<Vec<Worktree>> {
        self.reader.worktrees()
    }

    /// The worktree at this path.
    ///
    /// # Errors
    /// `NotAWorktree`.
    pub fn worktree_at(&self, path: &Path) -> Result<Worktree> {
        let wanted = admin::tidy(path);
        let mut all = self.worktrees()?.into_iter();
        all.find(|worktree| worktree.location.path == wanted)
            .ok_or_else(|| GitError::NotAWorktree { path: path.to_owned() })
    }

    /// Those of these paths (relative to the top of the worktree) that the index has.
    pub fn tracked(&self, at: &WorktreeLocation, paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for some in paths.chunks(PATHS_AT_ONCE) {
            let mut command = self.place.read_in(at);
            command.env("GIT_LITERAL_PATHSPECS", "1").args([
                "ls-files",
                "--cached",
                "--full-name",
                "-z",
                "--",
            ]);
            let output = command.args(some).output()?;
            // A path that is a folder lists what is below it.
            let listed = output.split(|byte| *byte == 0).map(path_from_bytes);
            found.extend(listed.filter(|path| some.contains(path)));
        }
        Ok(found)
    }

    /// # Errors
    /// `WorktreeMissing`, `Bare`.
    pub fn status(&self, at: &WorktreeLocation, untracked: Untracked) -> Result<Status> {
        if self.is_bare() && at.git_dir == self.place.common_dir {
            return Err(GitError::Bare { path: at.git_dir.clone() });
        }
        if !at.path.is_dir() {
            return Err(GitError::WorktreeMissing { path: at.path.clone() });
        }
        self.reader.status(at, untracked)
    }

    /// The paths (relative to the worktree) compared with the index, without a look at any other one. `None` where
    /// only [`Repo::status`] can tell: a path is untracked or conflicted, or filters and submodules are in use.
    pub fn touched(&self, at: &WorktreeLocation, paths: &[PathBuf]) -> Result<Option<Vec<Touched>>> {
        self.reader.touched(at, paths)
    }

    pub fn ahead_behind(&self, head: &Oid, base: &Oid) -> Result<AheadBehind> {
        self.reader.ahead_behind(head, base)
    }

    /// The best common ancestor; `None` for unrelated histories.
    pub fn merge_base(&self, a: &Oid, b: &Oid) -> Result<Option<Oid>> {
        self.reader.merge_base(a, b)
    }

    pub fn commit(&self, id: &Oid) -> Result<CommitInfo> {
        self.reader.commit(id)
    }

    /// Commits of `tip` that no remote-tracking reference reaches and none of `known` (the trunk).
    pub fn unpushed(&self, tip: &Oid, known: &[Oid], newest: usize) -> Result<Unpushed> {
        self.reader.unpushed(tip, known, newest)
    }

    /// Files that commits of `head` changed since it left `trunk`, in path order.
    pub fn changed_files(&self, trunk: &Oid, head: &Oid) -> Result<Vec<ChangedFile>> {
        let base = self.merge_base(trunk, head)?;
        self.reader.changed_files(base.as_ref().unwrap_or(trunk), head)
    }

    /// [`Repo::changed_files`] and what is not committed yet, untracked files included.
    pub fn changed_files_in(&self, at: &WorktreeLocation, trunk: &Oid) -> Result<Vec<ChangedFile>> {
        let mut files = match self.head(at)?.id() {
            Some(head) => self.changed_files(trunk, head)?,
            None => Vec::new(),
        };
        for entry in self.status(at, Untracked::All)?.entries {
            let exists = at.path.join(&entry.path).symlink_metadata().is_ok();
            let change = match (exists, entry.untracked) {
                (false, _) => Change::Deleted,
                (true, true) => Change::Added,
                (true, false) => Change::Modified,
            };
            let renamed = entry.renamed_from.map(|path| ChangedFile { path, change: Change::Deleted });
            for found in renamed.into_iter().chain([ChangedFile { path: entry.path, change }]) {
                if !files.iter().any(|known| known.path == found.path) {
                    files.push(found);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// Content of a blob of at most `limit` bytes.
    pub fn blob(&self, id: &Oid, limit: usize) -> Result<Vec<u8>> {
        self.reader.blob(id, limit)
    }

    /// The last value of a configuration key, as this repository sees it.
    pub fn config(&self, key: &str) -> Result<Option<String>> {
        self.reader.config(key)
    }

    /// Names of the remotes, sorted.
    pub fn remotes(&self) -> Result<Vec<String>> {
        self.reader.remotes()
    }

    /// A read-only command in a worktree, for questions that have no method here.
    pub fn read_command(&self, at: &WorktreeLocation) -> GitCommand {
        self.place.read_in(at)
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

pub(crate) fn is_full_refname(name: &str) -> bool {
    let hostile = |c: char| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    name.starts_with("refs/") && !name.contains(hostile) && !name.contains("..") && !name.ends_with('/')
}

struct Formats {
    bare: bool,
    objects: ObjectFormat,
    refs: RefFormat,
}

fn read_formats(git: &Git, common_dir: &Path) -> Result<Formats> {
    let mut command = git.read();
    command.git_dir(common_dir).args(["rev-parse", "--is-bare-repository", "--show-object-format"]);
    if git.version() >= GitVersion::REF_FORMATS {
        command.arg("--show-ref-format");
    }
    let outcome = command.attempt()?;
    if outcome.code != Some(0) {
        let refused = discover::refusal(common_dir, &outcome.stderr);
        return Err(refused.unwrap_or_else(|| command.failure(&outcome)));
    }
    let text = String::from_utf8_lossy(&outcome.stdout);
    let mut lines = text.lines();
    let bare = lines.next() == Some("true");
    let objects = match lines.next() {
        Some("sha1") => ObjectFormat::Sha1,
        Some("sha256") => ObjectFormat::Sha256,
        _ => return Err(command.unexpected("no known object format")),
    };
    let refs = if lines.next() == Some("reftable") { RefFormat::Reftable } else { RefFormat::Files };
    Ok(Formats { bare, objects, refs })
}

/// The main worktree of a repository that was reached through a linked one.
fn main_worktree(git: &Git, common_dir: &Path) -> Result<Option<PathBuf>> {
    let mut command = git.read();
    command.git_dir(common_dir).args(["config", "--get", "-z", "core.worktree"]);
    let outcome = command.attempt()?;
    if outcome.code == Some(0) {
        let value = outcome.stdout.strip_suffix(b"\0").unwrap_or(without_newline(&outcome.stdout));
        return Ok(Some(admin::tidy(&common_dir.join(path_from_bytes(value)))));
    }
    // Git itself knows no better: `worktree list` strips `/.git` in the same way.
    let named = common_dir.file_name().is_some_and(|name| name == ".git");
    let parent = if named { common_dir.parent() } else { None };
    Ok(Some(parent.unwrap_or(common_dir).to_owned()))
}
