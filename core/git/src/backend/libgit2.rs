//! Reading through libgit2: no process per question.
//!
//! Each read opens the repository anew, so that nothing is cached beyond the question. The command line takes over
//! for a status that libgit2 would get wrong: sparse checkouts, submodules, filter drivers such as LFS.

use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid as RawOid, Repository, RepositoryOpenFlags, StatusOptions};

use super::{CliReader, Place, Reader};
use crate::admin;
use crate::bytes::path_from_bytes;
use crate::error::{GitError, Result};
use crate::model::{
    AheadBehind, Change, ChangedFile, CommitInfo, Head, Status, StatusEntry, Touched, Unpushed, Untracked,
    Worktree, WorktreeLocation,
};
use crate::oid::Oid;

pub(crate) struct Libgit2Reader {
    place: Place,
    cli: CliReader,
}

impl Libgit2Reader {
    /// Refuses a repository that libgit2 cannot read in full.
    pub(crate) fn new(place: Place) -> Result<Self, git2::Error> {
        let refuse = |why: &str| Err(git2::Error::from_str(why));
        if place.reftable {
            return refuse("reftable");
        }
        let repository = open(&place.common_dir)?;
        let config = repository.config()?.snapshot()?;
        if config.get_bool("core.sparseCheckout").unwrap_or(false) {
            return refuse("sparse checkout");
        }
        if has_key(&config, "^remote\\..*\\.(promisor|partialclonefilter)$") {
            return refuse("partial clone");
        }
        // Split and sparse indexes show only when the index is read.
        repository.index()?;
        Ok(Self::known(place))
    }

    /// Of a repository that [`Libgit2Reader::new`] accepted.
    pub(crate) fn known(place: Place) -> Self {
        Self { cli: CliReader::new(place.clone()), place }
    }

    fn open(&self, git_dir: &Path) -> Result<Repository> {
        open(git_dir).map_err(|source| match source.code() {
            ErrorCode::Owner => GitError::DubiousOwnership { path: git_dir.to_owned() },
            _ => GitError::Libgit2 { path: git_dir.to_owned(), source },
        })
    }

    fn common(&self) -> Result<Repository> {
        self.open(&self.place.common_dir)
    }

    fn with<T>(&self, git_dir: &Path, read: impl FnOnce(&Repository) -> Result<T, git2::Error>) -> Result<T> {
        let repository = self.open(git_dir)?;
        read(&repository).map_err(|source| GitError::Libgit2 { path: git_dir.to_owned(), source })
    }

    fn in_common<T>(&self, read: impl FnOnce(&Repository) -> Result<T, git2::Error>) -> Result<T> {
        self.with(&self.place.common_dir, read)
    }

    /// Each of these makes libgit2 report clean files as changed, or the reverse.
    fn needs_command_line(&self, repository: &Repository, at: &WorktreeLocation) -> bool {
        if at.path.join(".gitmodules").exists() || at.git_dir.join("info/sparse-checkout").exists() {
            return true;
        }
        let Ok(config) = repository.config().and_then(|mut config| config.snapshot()) else { return true };
        has_key(&config, "^filter\\..*\\.(clean|process)$") || repository.index().is_err()
    }
}

pub(crate) fn open(git_dir: &Path) -> Result<Repository, git2::Error> {
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::NO_DOTGIT;
    Repository::open_ext(git_dir, flags, std::iter::empty::<&Path>())
}

fn has_key(config: &git2::Config, pattern: &str) -> bool {
    match config.entries(Some(pattern)) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => true,
    }
}

fn raw(id: &Oid) -> Result<RawOid, git2::Error> {
    RawOid::from_str(id.as_str())
}

fn ours(id: RawOid) -> Result<Oid, git2::Error> {
    id.to_string().parse().map_err(|_| git2::Error::from_str("malformed object name"))
}

fn none_if_missing<T>(result: Result<T, git2::Error>) -> Result<Option<T>, git2::Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch) => Ok(None),
        Err(error) => Err(error),
    }
}

fn head_of(repository: &Repository) -> Result<Head, git2::Error> {
    let head = repository.find_reference("HEAD")?;
    let Some(target) = head.symbolic_target_bytes() else {
        let id = head.target().ok_or_else(|| git2::Error::from_str("HEAD names no commit"))?;
        return Ok(Head::Detached { id: ours(id)? });
    };
    let target = String::from_utf8_lossy(target).into_owned();
    let name = target.strip_prefix("refs/heads/").unwrap_or(&target).to_owned();
    match none_if_missing(head.resolve())?.and_then(|resolved| resolved.target()) {
        Some(id) => Ok(Head::Branch { name, id: ours(id)? }),
        None => Ok(Head::Unborn { name }),
    }
}

impl Reader for Libgit2Reader {
    fn head(&self, git_dir: &Path) -> Result<Head> {
        self.with(git_dir, head_of)
    }

    fn resolve(&self, git_dir: &Path, rev: &str) -> Result<Option<Oid>> {
        self.with(git_dir, |repository| {
            let commit = repository.revparse_single(rev).and_then(|object| object.peel_to_commit());
            match commit {
                Ok(commit) => ours(commit.id()).map(Some),
                Err(error) => match error.code() {
                    ErrorCode::NotFound
                    | ErrorCode::InvalidSpec
                    | ErrorCode::Ambiguous
                    | ErrorCode::UnbornBranch
                    | ErrorCode::Peel => Ok(None),
                    _ => Err(error),
                },
            }
        })
    }

    fn find_ref(&self, refname: &str) -> Result<Option<Oid>> {
        self.in_common(|repository| {
            let found = repository.find_reference(refname).and_then(|reference| reference.resolve());
            match found {
                Ok(reference) => reference.target().map(ours).transpose(),
                Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        })
    }

    fn symbolic_target(&self, refname: &str) -> Result<Option<String>> {
        self.in_common(|repository| {
            let reference = none_if_missing(repository.find_reference(refname))?;
            Ok(reference.and_then(|reference| {
                reference.symbolic_target_bytes().map(|target| String::from_utf8_lossy(target).into_owned())
            }))
        })
    }

    fn refs_under(&self, prefix: &str) -> Result<Vec<(String, Oid)>> {
        self.in_common(|repository| {
            let mut refs = Vec::new();
            for reference in repository.references_glob(&format!("{prefix}*"))? {
                let reference = reference?;
                if let Some(id) = reference.target() {
                    refs.push((String::from_utf8_lossy(reference.name_bytes()).into_owned(), ours(id)?));
                }
            }
            refs.sort();
            Ok(refs)
        })
    }

    fn worktrees(&self) -> Result<Vec<Worktree>> {
        let bare = self.place.main_worktree.is_none();
        let path = self.place.main_worktree.clone().unwrap_or(self.place.common_dir.clone());
        let main_head = self.common().ok().and_then(|repository| head_of(&repository).ok());
        let mut list = vec![Worktree {
            location: WorktreeLocation { git_dir: self.place.common_dir.clone(), path },
            head: main_head.filter(|_| !bare),
            main: true,
            bare,
            locked: None,
            prunable: None,
        }];
        for folder in admin::admin_folders(&self.place.common_dir)? {
            let prunable = folder.prunable();
            let head = self.open(&folder.git_dir).ok().and_then(|repository| head_of(&repository).ok());
            list.push(Worktree {
                location: WorktreeLocation { git_dir: folder.git_dir, path: folder.path },
                head,
                main: false,
                bare: false,
                locked: folder.locked,
                prunable,
            });
        }
        Ok(list)
    }

    fn status(&self, at: &WorktreeLocation, untracked: Untracked) -> Result<Status> {
        if !at.path.is_dir() {
            return Err(GitError::NoSuchPath { path: at.path.clone() });
        }
        let repository = self.open(&at.git_dir)?;
        if self.needs_command_line(&repository, at) {
            return self.cli.status(at, untracked);
        }
        let failed = |source| GitError::Libgit2 { path: at.path.clone(), source };
        // The stored path, whatever the configuration or the admin folder say.
        repository.set_workdir(&at.path, false).map_err(failed)?;
        let mut options = StatusOptions::new();
        options.renames_head_to_index(true).update_index(false).include_ignored(false);
        options.include_untracked(untracked != Untracked::No);
        options.recurse_untracked_dirs(untracked == Untracked::All);
        let statuses = repository.statuses(Some(&mut options)).map_err(failed)?;
        let entries = statuses.iter().filter_map(|entry| status_entry(&entry)).collect();
        Ok(Status::of(entries, admin::in_progress(&at.git_dir)))
    }

    fn touched(&self, at: &WorktreeLocation, paths: &[PathBuf]) -> Result<Option<Vec<Touched>>> {
        let repository = self.open(&at.git_dir)?;
        if self.needs_command_line(&repository, at) {
            return Ok(None);
        }
        let failed = |source| GitError::Libgit2 { path: at.path.clone(), source };
        repository.set_workdir(&at.path, false).map_err(failed)?;
        let index = repository.index().map_err(failed)?;
        let touched = |path: &PathBuf| match index.get_path(path, 0) {
            Some(_) => {
                let changed = repository.status_file(path).map_err(failed)?.intersects(modified());
                Ok(Some(Touched::Tracked { modified: changed }))
            }
            // A conflict has entries of other stages only.
            None if (1..=3).any(|stage| index.get_path(path, stage).is_some()) => Ok(None),
            None if at.path.join(path).symlink_metadata().is_ok() => Ok(None),
            None => Ok(Some(Touched::Absent)),
        };
        paths.iter().map(touched).collect()
    }

    fn ahead_behind(&self, head: &Oid, base: &Oid) -> Result<AheadBehind> {
        self.in_common(|repository| {
            let (ahead, behind) = repository.graph_ahead_behind(raw(head)?, raw(base)?)?;
            Ok(AheadBehind { ahead, behind })
        })
    }

    fn merge_base(&self, a: &Oid, b: &Oid) -> Result<Option<Oid>> {
        self.in_common(|repository| {
            none_if_missing(repository.merge_base(raw(a)?, raw(b)?))?.map(ours).transpose()
        })
    }

    fn commit(&self, id: &Oid) -> Result<CommitInfo> {
        self.in_common(|repository| {
            let commit = repository.find_commit(raw(id)?)?;
            let summary = commit.summary_bytes().unwrap_or_default();
            Ok(CommitInfo {
                id: id.clone(),
                summary: String::from_utf8_lossy(summary).into_owned(),
                author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
                time: commit.time().seconds(),
            })
        })
    }

    fn unpushed(&self, tip: &Oid, known: &[Oid], newest: usize) -> Result<Unpushed> {
        self.in_common(|repository| {
            let mut walk = repository.revwalk()?;
            walk.push(raw(tip)?)?;
            walk.hide_glob("refs/remotes/*")?;
            for id in known {
                walk.hide(raw(id)?)?;
            }
            walk.set_sorting(git2::Sort::TIME)?;
            let mut unpushed = Unpushed::default();
            for id in walk {
                let id = id?;
                unpushed.count += 1;
                if unpushed.newest.len() < newest {
                    unpushed.newest.push(ours(id)?);
                }
            }
            Ok(unpushed)
        })
    }

    fn changed_files(&self, from: &Oid, to: &Oid) -> Result<Vec<ChangedFile>> {
        self.in_common(|repository| {
            let from = repository.find_commit(raw(from)?)?.tree()?;
            let to = repository.find_commit(raw(to)?)?.tree()?;
            let diff = repository.diff_tree_to_tree(Some(&from), Some(&to), None)?;
            let mut files: Vec<_> = diff.deltas().filter_map(|delta| changed_file(&delta)).collect();
            files.sort();
            Ok(files)
        })
    }

    fn blob(&self, id: &Oid, limit: usize) -> Result<Vec<u8>> {
        let blob = self.in_common(|repository| {
            // The header tells the size before the content is inflated.
            let (size, _) = repository.odb()?.read_header(raw(id)?)?;
            if size > limit { Ok(None) } else { Ok(Some(repository.find_blob(raw(id)?)?.content().to_vec())) }
        })?;
        blob.ok_or_else(|| GitError::OutputTooLarge { command: format!("read of blob {id}"), limit })
    }

    fn config(&self, key: &str) -> Result<Option<String>> {
        self.in_common(|repository| none_if_missing(repository.config()?.snapshot()?.get_string(key)))
    }

    fn remotes(&self) -> Result<Vec<String>> {
        self.in_common(|repository| {
            let remotes = repository.remotes()?;
            let mut names: Vec<_> =
                remotes.iter_bytes().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            names.sort();
            Ok(names)
        })
    }
}

/// What makes a file differ from the index.
fn modified() -> git2::Status {
    use git2::Status as S;
    S::WT_MODIFIED | S::WT_DELETED | S::WT_TYPECHANGE | S::WT_RENAMED | S::WT_UNREADABLE
}

fn status_entry(entry: &git2::StatusEntry<'_>) -> Option<StatusEntry> {
    use git2::Status as S;
    let status = entry.status();
    if status.is_conflicted() {
        let path = path_from_bytes(entry.path_bytes());
        return Some(StatusEntry { path, conflicted: true, ..Default::default() });
    }
    let staged = S::INDEX_NEW | S::INDEX_MODIFIED | S::INDEX_DELETED | S::INDEX_RENAMED | S::INDEX_TYPECHANGE;
    let mut path = path_from_bytes(entry.path_bytes());
    let mut renamed_from = None;
    if status.contains(S::INDEX_RENAMED)
        && let Some(delta) = entry.head_to_index()
        && let (Some(old), Some(new)) = (delta.old_file().path_bytes(), delta.new_file().path_bytes())
    {
        renamed_from = Some(path_from_bytes(old));
        path = path_from_bytes(new);
    }
    let found = StatusEntry {
        path,
        renamed_from,
        staged: status.intersects(staged),
        modified: status.intersects(modified()),
        untracked: status.contains(S::WT_NEW),
        conflicted: false,
    };
    (found.staged || found.modified || found.untracked).then_some(found)
}

fn changed_file(delta: &git2::DiffDelta<'_>) -> Option<ChangedFile> {
    let (file, change) = match delta.status() {
        git2::Delta::Added => (delta.new_file(), Change::Added),
        git2::Delta::Deleted => (delta.old_file(), Change::Deleted),
        git2::Delta::Unmodified => return None,
        _ => (delta.new_file(), Change::Modified),
    };
    file.path_bytes().map(|path| ChangedFile { path: path_from_bytes(path), change })
}
