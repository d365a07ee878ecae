//! Merges that are tried and thrown away: would the work of two worktrees fit together?
//!
//! Nothing is written into the repository, its indexes or its work trees. With libgit2 the objects that uncommitted
//! files would become live in memory; elsewhere (SHA-256, reftable, sparse checkouts) the command line works with a
//! copy of the index and object folders of its own, which borrow from the repository's.

mod cli;
mod conflicts;
mod memory;
mod ranges;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use crate::backend::Backend;
use crate::error::Result;
use crate::model::WorktreeLocation;
use crate::oid::Oid;
use crate::repo::Repo;

use memory::MemoryMerger;
use tree::Object;

/// What a worktree holds: its commits and, on top of them, everything uncommitted that git does not ignore.
#[derive(Debug, Clone)]
pub struct Work {
    head: Option<Oid>,
    tree: Oid,
    kept: Kept,
}

/// Where the objects are that the repository does not have.
#[derive(Debug, Clone)]
enum Kept {
    Nowhere,
    Memory(Arc<Vec<Object>>),
    Folder(Arc<TempDir>),
}

impl Work {
    /// The newest commit; `None` before the first one.
    pub fn head(&self) -> Option<&Oid> {
        self.head.as_ref()
    }

    /// Name of the tree that a commit of all this would have.
    pub fn tree(&self) -> &Oid {
        &self.tree
    }
}

/// Why two changes do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictKind {
    /// The same or neighbouring lines.
    Content,
    /// Both made a file of this name.
    AddAdd,
    /// One changed what the other deleted.
    ModifyDelete,
    /// Renamed to different names, or renamed here and deleted there.
    Rename,
    /// A file here, a folder there.
    Directory,
    Binary,
    /// Different modes, or a file here and a symbolic link there.
    Mode,
    Submodule,
}

/// Lines of one side's file: the first is 1, the last is included. Where a side only took lines away, it is the line
/// that now stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lines {
    pub from: u32,
    pub to: u32,
}

/// A file that two sides changed in ways that do not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub kind: ConflictKind,
    /// Where the file is on each side; where it is not, the path it had.
    pub ours: PathBuf,
    pub theirs: PathBuf,
    pub our_lines: Vec<Lines>,
    pub their_lines: Vec<Lines>,
}

impl Repo {
    /// What a worktree holds now. Hashes only the files that its status tells.
    ///
    /// # Errors
    /// As [`Repo::status`].
    pub fn work(&self, at: &WorktreeLocation) -> Result<Work> {
        match self.backend() {
            Backend::Libgit2 => memory::work(self, at),
            Backend::CommandLine => cli::work(self, at),
        }
    }

    /// A commit as somebody's work.
    ///
    /// # Errors
    /// Whatever reading its tree gives.
    pub fn work_at(&self, commit: &Oid) -> Result<Work> {
        let mut command = self.place().read();
        command.args(["rev-parse", "--verify", "--end-of-options"]).arg(format!("{commit}^{{tree}}"));
        let tree = command.text()?.parse().map_err(|_| command.unexpected("no tree"))?;
        Ok(Work { head: Some(commit.clone()), tree, kept: Kept::Nowhere })
    }

    /// A place to try merges in. What was loaded and compared is remembered until it goes.
    ///
    /// # Errors
    /// When the repository cannot be opened.
    pub fn trial(&self) -> Result<Trial> {
        let merger = match self.backend() {
            Backend::Libgit2 => Merger::Memory(Box::new(MemoryMerger::open(self)?)),
            Backend::CommandLine => Merger::CommandLine,
        };
        Ok(Trial { repo: self.clone(), merger, changes: HashMap::new() })
    }
}

/// A place to try merges in, for one thread.
pub struct Trial {
    repo: Repo,
    merger: Merger,
    changes: HashMap<(Option<Oid>, Oid), Arc<Changes>>,
}

enum Merger {
    Memory(Box<MemoryMerger>),
    CommandLine,
}

impl Trial {
    /// Conflicts of a merge, in the order of our paths; empty when it is clean. `base` is the commit that both
    /// started from, `None` for unrelated histories.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn merge(&mut self, base: Option<&Oid>, ours: &Work, theirs: &Work) -> Result<Vec<Conflict>> {
        if ours.tree == theirs.tree {
            return Ok(Vec::new());
        }
        let (mine, other) = (self.changes(base, ours)?, self.changes(base, theirs)?);
        let follows = mine.may_follow(&other) || other.may_follow(&mine);
        if mine.fits(&other) && !follows {
            return Ok(Vec::new());
        }
        let by_git = |repo: &Repo| cli::merge(repo, base, (ours, &mine), (theirs, &other));
        let mut found = match &mut self.merger {
            // Libgit2 knows no renamed folders. What it does know is better than nothing where git cannot say either:
            // an object that is too large to keep.
            Merger::Memory(merger) if follows => match by_git(&self.repo) {
                Ok(found) => found,
                Err(_) => merger.merge(&mine, &other)?,
            },
            Merger::Memory(merger) => merger.merge(&mine, &other)?,
            Merger::CommandLine => by_git(&self.repo)?,
        };
        found.sort_by(|a, b| (&a.ours, &a.theirs).cmp(&(&b.ours, &b.theirs)));
        found.dedup();
        Ok(found)
    }

    /// Whether a side changed anything since a commit.
    ///
    /// # Errors
    /// As [`Trial::merge`].
    pub fn is_changed(&mut self, base: Option<&Oid>, work: &Work) -> Result<bool> {
        Ok(!self.changes(base, work)?.0.is_empty())
    }

    fn changes(&mut self, base: Option<&Oid>, work: &Work) -> Result<Arc<Changes>> {
        let key = (base.cloned(), work.tree.clone());
        if let Some(known) = self.changes.get(&key) {
            return Ok(known.clone());
        }
        let found = Arc::new(match &mut self.merger {
            Merger::Memory(merger) => merger.changes(base, work)?,
            Merger::CommandLine => cli::changes(&self.repo, base, work)?,
        });
        self.changes.insert(key, found.clone());
        Ok(found)
    }
}

/// Mode and name of an object in a tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Leaf {
    mode: u32,
    id: Oid,
}

const SUBMODULE: u32 = 0o160_000;
const SYMLINK: u32 = 0o120_000;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Changed {
    old: Option<Leaf>,
    new: Option<Leaf>,
}

/// The paths that a side changed.
#[derive(Debug, Default)]
struct Changes(BTreeMap<Vec<u8>, Changed>);

impl Changes {
    /// Whether a merge cannot conflict, by the paths alone: none is changed differently by both, and no file of one
    /// is where the other has a folder. A rename shows as a deletion and an addition; so where both deleted a file,
    /// and one of them added another, each may have renamed it.
    fn fits(&self, other: &Self) -> bool {
        let (few, many) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        let adds = self.adds() || other.adds();
        let apart = few.0.iter().all(|(path, changed)| match many.0.get(path) {
            Some(theirs) => theirs.new == changed.new && !(adds && changed.new.is_none()),
            None => true,
        });
        apart && !self.is_below(other) && !other.is_below(self)
    }

    /// Whether a file that this side added may have to follow a folder that the other side renamed: one that lost files,
    /// holds no new one, and may live on elsewhere.
    fn may_follow(&self, other: &Self) -> bool {
        if !other.adds() {
            return false;
        }
        let added = self.0.iter().filter(|(_, changed)| changed.old.is_none()).map(|(path, _)| path);
        let folders: BTreeSet<&[u8]> = added.flat_map(|path| folders_of(path)).collect();
        folders.into_iter().any(|folder| other.may_have_moved(folder))
    }

    fn may_have_moved(&self, folder: &[u8]) -> bool {
        let mut lost = false;
        let range = (Bound::Excluded(folder), Bound::Unbounded);
        for (_, changed) in self.0.range::<[u8], _>(range).take_while(|(path, _)| path.starts_with(folder)) {
            if changed.new.is_some() {
                return false;
            }
            lost = true;
        }
        lost
    }

    fn adds(&self) -> bool {
        self.0.values().any(|changed| changed.old.is_none())
    }

    /// Whether a path of the other lies below a file of ours.
    fn is_below(&self, other: &Self) -> bool {
        self.0.iter().filter(|(_, changed)| changed.new.is_some()).any(|(path, _)| {
            let below = [path.as_slice(), b"/"].concat();
            let range = (Bound::Excluded(below.as_slice()), Bound::Unbounded);
            other
                .0
                .range::<[u8], _>(range)
                .take_while(|(path, _)| path.starts_with(&below))
                .any(|(_, changed)| changed.new.is_some())
        })
    }
}

/// The folders above a path, each with its slash.
fn folders_of(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..=at])
}
