//! Trial merges with libgit2, in memory.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use git2::{DiffFindOptions, DiffOptions, ObjectType, Odb, Oid as RawOid, Repository, RepositoryOpenFlags};

use super::conflicts::{Entry, Group, Pairing, Renames};
use super::tree::{self, Folder, Object, RawLeaf};
use super::{Changed, Changes, Conflict, Kept, Leaf, SUBMODULE, SYMLINK, Work};
use crate::bytes::path_bytes;
use crate::error::{GitError, Result};
use crate::model::{StatusEntry, Untracked, WorktreeLocation};
use crate::oid::Oid;
use crate::repo::Repo;

/// Bytes of uncommitted files of one worktree that are kept in memory. Beyond it, and for larger single files, only
/// the hash counts: a change of both sides shows as a conflict of binary files.
const BUDGET: u64 = 64 * 1024 * 1024;
const LARGEST: u64 = 8 * 1024 * 1024;
/// The backend of the objects in memory comes before those that only borrow.
const FIRST: i32 = 1_000;

type RawResult<T> = std::result::Result<T, git2::Error>;

/// Opens the repository with a database that keeps what is written in memory and borrows, if asked, all that the
/// repository has.
fn open(git_dir: &Path, borrowed: Option<&Repo>) -> RawResult<Repository> {
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
    let opened = Repository::open_ext(git_dir, flags, std::iter::empty::<&Path>())?;
    let database = Odb::new()?;
    database.add_new_mempack_backend(FIRST)?;
    if let Some(repo) = borrowed {
        let objects = repo.common_dir().join("objects");
        let objects = objects.to_str().ok_or_else(|| git2::Error::from_str("the path is not UTF-8"))?;
        database.add_disk_alternate(objects)?;
    }
    opened.set_odb(&database)?;
    Ok(opened)
}

fn failed(path: &Path) -> impl Fn(git2::Error) -> GitError {
    let path = path.to_owned();
    move |source| GitError::Libgit2 { path: path.clone(), source }
}

fn raw(id: &Oid) -> RawResult<RawOid> {
    RawOid::from_str(id.as_str())
}

fn ours(id: RawOid) -> RawResult<Oid> {
    id.to_string().parse().map_err(|_| git2::Error::from_str("malformed object name"))
}

pub(super) fn work(repo: &Repo, at: &WorktreeLocation) -> Result<Work> {
    let head = repo.head(at)?.id().cloned();
    let entries = repo.status(at, Untracked::All)?.entries;
    let taken = || -> RawResult<Work> {
        let opened = open(&at.git_dir, Some(repo))?;
        let base = match &head {
            Some(id) => Some(opened.find_commit(raw(id)?)?.tree_id()),
            None => None,
        };
        let mut made = Vec::new();
        let tree = match (entries.is_empty(), base) {
            (true, Some(base)) => base,
            _ => Reader::new(&opened, at, base)?.tree(&entries, &mut made)?,
        };
        let kept = if made.is_empty() { Kept::Nowhere } else { Kept::Memory(Arc::new(made)) };
        Ok(Work { head: head.clone(), tree: ours(tree)?, kept })
    };
    taken().map_err(failed(&at.path))
}

/// Reads the files that a status names.
struct Reader<'a> {
    repo: &'a Repository,
    at: &'a WorktreeLocation,
    base: Option<RawOid>,
    /// Sees no object of the repository, so that hashing a file renews the time of none.
    hasher: Repository,
    /// Whether the file system's executable bit counts.
    modes: bool,
    left: u64,
}

impl<'a> Reader<'a> {
    fn new(repo: &'a Repository, at: &'a WorktreeLocation, base: Option<RawOid>) -> RawResult<Self> {
        let modes = repo.config()?.snapshot()?.get_bool("core.fileMode").unwrap_or(true);
        let hasher = open(&at.git_dir, None)?;
        hasher.set_workdir(&at.path, false)?;
        Ok(Self { repo, at, base, hasher, modes, left: BUDGET })
    }

    fn tree(&mut self, entries: &[StatusEntry], made: &mut Vec<Object>) -> RawResult<RawOid> {
        let mut root = Folder::default();
        for entry in entries {
            if let Some(old) = &entry.renamed_from {
                root.set(path_bytes(old), None);
            }
            if let Some(leaf) = self.leaf(entry, made)? {
                root.set(path_bytes(&entry.path), leaf);
            }
        }
        match root.write(self.repo, self.base, made)? {
            Some(tree) => Ok(tree),
            None => tree::empty(self.repo, made),
        }
    }

    /// What is at a path now; the outer `None` leaves it as it was committed.
    fn leaf(&mut self, entry: &StatusEntry, made: &mut Vec<Object>) -> RawResult<Option<Option<RawLeaf>>> {
        let path = self.at.path.join(&entry.path);
        let Ok(found) = path.symlink_metadata() else {
            // Staged, and kept out of the tree by a sparse checkout: the index has it.
            let staged = (entry.staged && !entry.modified).then(|| self.indexed(&entry.path)).transpose()?;
            return Ok(Some(staged.flatten()));
        };
        if found.is_dir() {
            return self.folder(entry, &path);
        }
        let bytes = if found.is_symlink() {
            std::fs::read_link(&path).ok().map(|target| target.as_os_str().as_encoded_bytes().to_vec())
        } else {
            self.content(&path, found.len())?
        };
        // Gone between the two looks: the next look sees it.
        let Some(bytes) = bytes else { return Ok(Some(None)) };
        let mode = match found.is_symlink() {
            true => SYMLINK,
            false => self.mode(&entry.path, found.permissions().mode()),
        };
        let id = RawOid::hash_object(ObjectType::Blob, &bytes)?;
        made.push(Object { kind: ObjectType::Blob, bytes });
        Ok(Some(Some((mode, id))))
    }

    /// A submodule stands for the commit it is at; a repository that is merely nested is no part of this one.
    fn folder(&self, entry: &StatusEntry, path: &Path) -> RawResult<Option<Option<RawLeaf>>> {
        let tracked = self.indexed(&entry.path)?.or(self.committed(&entry.path));
        match tracked {
            Some((SUBMODULE, _)) if !entry.untracked => {}
            Some(_) if !entry.untracked => return Ok(Some(None)),
            _ => return Ok(None),
        }
        let flags = RepositoryOpenFlags::NO_SEARCH;
        let nested = Repository::open_ext(path, flags, std::iter::empty::<&Path>());
        let head =
            nested.and_then(|nested| nested.head()?.target().ok_or_else(|| git2::Error::from_str("unborn")));
        Ok(head.ok().map(|id| Some((SUBMODULE, id))))
    }

    /// As `git add` would store it: line endings and `ident` are undone. `None` when it is gone.
    fn content(&mut self, path: &Path, length: u64) -> RawResult<Option<Vec<u8>>> {
        if length > LARGEST.min(self.left) {
            let Ok(id) = RawOid::hash_file(ObjectType::Blob, path) else { return Ok(None) };
            return Ok(Some(format!("\0too large for a trial merge: {id}\n").into_bytes()));
        }
        self.left = self.left.saturating_sub(length);
        match self.hasher.blob_path(path).and_then(|id| self.hasher.find_blob(id)) {
            Ok(blob) => Ok(Some(blob.content().to_vec())),
            Err(_) => Ok(std::fs::read(path).ok()),
        }
    }

    fn mode(&self, path: &Path, permissions: u32) -> u32 {
        match self.committed(path) {
            Some((mode @ (0o100_644 | 0o100_755), _)) if !self.modes => mode,
            _ if self.modes && permissions & 0o111 != 0 => 0o100_755,
            _ => 0o100_644,
        }
    }

    fn committed(&self, path: &Path) -> Option<RawLeaf> {
        let entry = self.repo.find_tree(self.base?).ok()?.get_path(path).ok()?;
        Some((u32::try_from(entry.filemode_raw()).ok()?, entry.id()))
    }

    fn indexed(&self, path: &Path) -> RawResult<Option<RawLeaf>> {
        let entry = self.repo.index()?.get_path(path, 0);
        Ok(entry.map(|entry| (entry.mode, entry.id)))
    }
}

/// Merges within one open repository.
pub(super) struct MemoryMerger {
    repo: Repository,
    place: std::path::PathBuf,
    loaded: HashSet<usize>,
    /// What was loaded stays, so that its address names nothing else.
    kept: Vec<Arc<Vec<Object>>>,
}

impl MemoryMerger {
    pub(super) fn open(repo: &Repo) -> Result<Self> {
        let place = repo.common_dir().to_owned();
        let opened = open(&place, Some(repo)).map_err(failed(&place))?;
        Ok(Self { repo: opened, place, loaded: HashSet::new(), kept: Vec::new() })
    }

    fn load(&mut self, work: &Work) -> RawResult<()> {
        let Kept::Memory(objects) = &work.kept else { return Ok(()) };
        if !self.loaded.insert(Arc::as_ptr(objects).addr()) {
            return Ok(());
        }
        self.kept.push(objects.clone());
        let database = self.repo.odb()?;
        for object in objects.iter() {
            tree::keep(&database, object.kind, &object.bytes)?;
        }
        Ok(())
    }

    pub(super) fn changes(&mut self, base: Option<&Oid>, work: &Work) -> Result<Changes> {
        let place = self.place.clone();
        self.compare(base, work).map_err(failed(&place))
    }

    fn compare(&mut self, base: Option<&Oid>, work: &Work) -> RawResult<Changes> {
        self.load(work)?;
        let old = match base {
            Some(id) => Some(self.repo.find_commit(raw(id)?)?.tree()?),
            None => None,
        };
        let new = self.repo.find_tree(raw(&work.tree)?)?;
        let mut options = DiffOptions::new();
        options.skip_binary_check(true).context_lines(0);
        let diff = self.repo.diff_tree_to_tree(old.as_ref(), Some(&new), Some(&mut options))?;
        let mut changes = Changes::default();
        for delta in diff.deltas() {
            for (file, is_old) in [(delta.old_file(), true), (delta.new_file(), false)] {
                let Some(path) = file.path_bytes().filter(|_| !file.id().is_zero()) else { continue };
                let leaf = Some(Leaf { mode: u32::from(file.mode()), id: ours(file.id())? });
                let changed = changes.0.entry(path.to_vec()).or_insert_with(Changed::default);
                *(if is_old { &mut changed.old } else { &mut changed.new }) = leaf;
            }
        }
        Ok(changes)
    }

    /// Merges trees that hold nothing but the changed paths: the rest is the same in all three.
    pub(super) fn merge(&mut self, ours: &Changes, theirs: &Changes) -> Result<Vec<Conflict>> {
        let place = self.place.clone();
        self.try_merge(ours, theirs).map_err(failed(&place))
    }

    fn try_merge(&mut self, mine: &Changes, other: &Changes) -> RawResult<Vec<Conflict>> {
        let [mut base, mut left, mut right] = [Folder::default(), Folder::default(), Folder::default()];
        for (path, (mine, other)) in both(mine, other) {
            let old = mine.or(other).and_then(|changed| changed.old.as_ref());
            let side =
                |changed: Option<&Changed>| changed.map_or(old.cloned(), |changed| changed.new.clone());
            for (folder, leaf) in
                [(&mut base, old.cloned()), (&mut left, side(mine)), (&mut right, side(other))]
            {
                if let Some(leaf) = leaf {
                    folder.set(path, Some((leaf.mode, raw(&leaf.id)?)));
                }
            }
        }
        let mut trees = Vec::new();
        for folder in [base, left, right] {
            let id = match folder.write(&self.repo, None, &mut Vec::new())? {
                Some(id) => id,
                None => tree::empty(&self.repo, &mut Vec::new())?,
            };
            trees.push(self.repo.find_tree(id)?);
        }
        let [base, left, right] = &trees[..] else { return Ok(Vec::new()) };
        let index = self.repo.merge_trees(base, left, right, None)?;
        if !index.has_conflicts() {
            return Ok(Vec::new());
        }
        let groups = groups(&index)?;
        let renames = match groups.iter().any(Group::is_lonely) {
            true => Renames { ours: self.renames(base, left)?, theirs: self.renames(base, right)? },
            false => Renames::default(),
        };
        let blob = |id: &Oid| match raw(id).and_then(|id| self.repo.find_blob(id)) {
            Ok(blob) => Ok(blob.content().to_vec()),
            Err(error) => Err(failed(&self.place)(error)),
        };
        let paired = Pairing::of(groups, &renames);
        paired.conflicts(&blob).map_err(|error| git2::Error::from_str(&error.to_string()))
    }

    /// New paths by old ones.
    fn renames(&self, base: &git2::Tree<'_>, side: &git2::Tree<'_>) -> RawResult<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut diff = self.repo.diff_tree_to_tree(Some(base), Some(side), None)?;
        diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
        let renamed = diff.deltas().filter(|delta| delta.status() == git2::Delta::Renamed);
        let paths = |delta: git2::DiffDelta<'_>| {
            Some((delta.old_file().path_bytes()?.to_vec(), delta.new_file().path_bytes()?.to_vec()))
        };
        Ok(renamed.filter_map(paths).collect())
    }
}

/// All paths that either side changed.
fn both<'a>(
    ours: &'a Changes,
    theirs: &'a Changes,
) -> impl Iterator<Item = (&'a [u8], (Option<&'a Changed>, Option<&'a Changed>))> {
    let mine = ours.0.iter().map(|(path, changed)| (path.as_slice(), (Some(changed), theirs.0.get(path))));
    let rest = theirs.0.iter().filter(|(path, _)| !ours.0.contains_key(*path));
    mine.chain(rest.map(|(path, changed)| (path.as_slice(), (None, Some(changed)))))
}

fn groups(index: &git2::Index) -> RawResult<Vec<Group>> {
    let entry = |entry: Option<git2::IndexEntry>| -> RawResult<Option<Entry>> {
        let Some(entry) = entry else { return Ok(None) };
        let leaf = Leaf { mode: entry.mode, id: ours(entry.id)? };
        Ok(Some(Entry { path: entry.path, leaf }))
    };
    let mut groups = Vec::new();
    for conflict in index.conflicts()? {
        let conflict = conflict?;
        groups.push(Group {
            base: entry(conflict.ancestor)?,
            ours: entry(conflict.our)?,
            theirs: entry(conflict.their)?,
        });
    }
    Ok(groups)
}
