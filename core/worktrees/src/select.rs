//! From a request's selector to rows. Known places cost one read of the store and a few looks at the disk; git is
//! asked only about unknown ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_protocol::{RepoSelector, WireError};
use podium_store::rusqlite::Connection;

use crate::error::{Error, Result, blocking};
use crate::removal::Removal;
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;
use crate::{layout, paths};

/// A worktree, as sessions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    pub id: String,
    pub repo_id: String,
    pub name: String,
    pub path: PathBuf,
    /// `None` when HEAD is detached.
    pub branch: Option<String>,
}

/// How a place lies to repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lies {
    /// In the one of this id.
    In(String),
    /// In one that Podium was not used in yet.
    InUnknown,
    Outside,
}

/// What a path lies in.
#[derive(Debug)]
pub(crate) enum Place {
    Worktree(RepoRow, Box<WorktreeRow>),
    /// In the git folder, or a bare repository.
    Repo(RepoRow),
    Unknown,
}

impl Worktrees {
    /// The worktree of this name; without a name, the one that the selector's path lies in.
    ///
    /// # Errors
    /// `NotFound` when there is none, `User` for a selector that names no place.
    pub async fn resolve(
        &self,
        at: &RepoSelector,
        name: Option<&str>,
        caller: &Caller,
    ) -> Result<Resolved, WireError> {
        let (_, row) = self.find(at, name, caller).await?;
        Ok(Resolved { id: row.id, repo_id: row.repo, name: row.name, path: row.path, branch: row.branch })
    }

    /// The repository that a place lies in. Registers nothing.
    ///
    /// # Errors
    /// `User` for a selector that names no place.
    pub async fn repo_of(&self, at: &RepoSelector) -> Result<Lies, WireError> {
        let path = required(at)?;
        let found = self.inner.store.read(move |conn| -> Result<Lies> {
            Ok(match place(conn, &path)? {
                Place::Worktree(repo, _) | Place::Repo(repo) => Lies::In(repo.id),
                Place::Unknown if is_in_a_repository(&path) => Lies::InUnknown,
                Place::Unknown => Lies::Outside,
            })
        });
        Ok(found.await?)
    }

    /// The repository and the worktree of a request.
    pub(crate) async fn find(
        &self,
        at: &RepoSelector,
        name: Option<&str>,
        caller: &Caller,
    ) -> Result<(RepoRow, WorktreeRow)> {
        if let Some(found) = self.find_known(at, name).await? {
            return Ok(found);
        }
        // Not known: it may have been made outside a moment ago.
        let path = required(at)?;
        let handle = self.handle_at(&path, caller).await?;
        self.reconcile(&handle).await?;
        match self.find_known(at, name).await? {
            Some(found) => Ok(found),
            None => Err(self.no_such_worktree(&handle, name, &path).await),
        }
    }

    async fn find_known(
        &self,
        at: &RepoSelector,
        name: Option<&str>,
    ) -> Result<Option<(RepoRow, WorktreeRow)>> {
        let path = required(at)?;
        let name = name.map(str::to_owned);
        self.inner
            .store
            .read(move |conn| {
                let place = place(conn, &path)?;
                Ok(match (place, name) {
                    (Place::Worktree(repo, row), None) => Some((repo, *row)),
                    (Place::Worktree(repo, _) | Place::Repo(repo), Some(name)) => {
                        WorktreeRow::by_name(conn, &repo.id, &name)?.map(|row| (repo, row))
                    }
                    (Place::Repo(_), None) | (Place::Unknown, _) => None,
                })
            })
            .await
    }

    /// The repository of a request; registered when it is new.
    pub(crate) async fn repo_at(&self, at: &RepoSelector, caller: &Caller) -> Result<Arc<RepoHandle>> {
        self.handle_at(&required(at)?, caller).await
    }

    async fn handle_at(&self, path: &Path, caller: &Caller) -> Result<Arc<RepoHandle>> {
        let asked = path.to_owned();
        let known = self.inner.store.read(move |conn| place(conn, &asked)).await?;
        match known {
            Place::Worktree(repo, _) | Place::Repo(repo) => self.handle(&repo).await,
            Place::Unknown => Ok(self.register_path(path, caller).await?.0),
        }
    }

    async fn no_such_worktree(&self, handle: &RepoHandle, name: Option<&str>, path: &Path) -> Error {
        let Some(name) = name else {
            let text = format!("{} lies in no worktree", path.display());
            return WireError::not_found(text).hint("name a worktree").into();
        };
        let shown: String = name.chars().take(100).collect();
        let text = format!("there is no worktree `{shown}` in {}", handle.row.root.display());
        let repo = handle.row.id.clone();
        let rows: Result<Vec<WorktreeRow>> =
            self.inner.store.read(move |conn| Ok(WorktreeRow::of_repo(conn, &repo)?)).await;
        let names: Vec<String> = rows.unwrap_or_default().into_iter().map(|row| row.name).collect();
        let near = names.iter().filter(|known| known.contains(name) || name.contains(known.as_str()));
        let near: Vec<&str> = near.map(String::as_str).take(3).collect();
        let error = WireError::not_found(text);
        let error =
            if near.is_empty() { error } else { error.hint(format!("did you mean {}?", near.join(" or "))) };
        error.hint("`imi list` shows what there is").into()
    }
}

pub(crate) fn required(at: &RepoSelector) -> Result<PathBuf, WireError> {
    paths::selected(at)?.ok_or_else(|| {
        WireError::usage("the request names no repository").hint("give `repo` (any path in it) or `uri`")
    })
}

fn is_in_a_repository(path: &Path) -> bool {
    let bare = |folder: &Path| folder.join("HEAD").is_file() && folder.join("objects").is_dir();
    paths::real(path).ancestors().any(|folder| folder.join(".git").exists() || bare(folder))
}

/// What a path lies in, by the rows. A `.git` file is never followed, only compared: an agent could rewrite it.
pub(crate) fn place(conn: &Connection, path: &Path) -> Result<Place> {
    let real = paths::real(path);
    if let Some(repo) = in_trash(conn, &real)? {
        return Ok(Place::Repo(repo));
    }
    for (depth, folder) in real.ancestors().enumerate() {
        let dot_git = folder.join(".git");
        if let Ok(metadata) = dot_git.symlink_metadata() {
            let Some(row) = WorktreeRow::by_path(conn, folder)? else { return Ok(Place::Unknown) };
            let Some(repo) = RepoRow::by_id(conn, &row.repo)? else { return Ok(Place::Unknown) };
            // Another repository may have taken the place of the one that was here.
            let same = if row.is_main {
                repo.common_dir.is_dir()
            } else {
                metadata.is_file() && row.admin_dir.is_dir()
            };
            return Ok(if same { Place::Worktree(repo, Box::new(row)) } else { Place::Unknown });
        }
        if folder.join("HEAD").is_file() && folder.join("objects").is_dir() {
            return Ok(RepoRow::by_common_dir(conn, folder)?.map_or(Place::Unknown, Place::Repo));
        }
        // A project folder, before the repository that may be around it.
        if depth == 0
            && let Some(main) = layout::main_in(folder)
        {
            return Ok(RepoRow::by_common_dir(conn, &main.join(".git"))?.map_or(Place::Unknown, Place::Repo));
        }
    }
    Ok(lost(conn, path, &real)?.map_or(Place::Unknown, Place::Repo))
}

/// The repository whose trash a path lies in: a shell may still stand in a tree that was removed.
fn in_trash(conn: &Connection, real: &Path) -> Result<Option<RepoRow>> {
    for folder in real.ancestors() {
        if folder.ends_with("podium/trash")
            && let Some(common) = folder.ancestors().nth(2)
            && let Some(repo) = RepoRow::by_common_dir(conn, common)?
        {
            return Ok(Some(repo));
        }
        if folder.parent().is_some_and(|parent| parent.ends_with(".podium-trash"))
            && let Some(repo) = Removal::repo_of_trash(conn, folder)?
        {
            return RepoRow::by_id(conn, &repo).map_err(Into::into);
        }
    }
    Ok(None)
}

/// The repository of a worktree whose folder is gone from where the path says it is. `real` is what is left of the
/// path.
fn lost(conn: &Connection, path: &Path, real: &Path) -> Result<Option<RepoRow>> {
    let Some(left) = path.ancestors().find(|part| part.exists()) else { return Ok(None) };
    let Ok(gone) = path.strip_prefix(left) else { return Ok(None) };
    let whole = real.join(gone);
    for folder in whole.ancestors().take(gone.components().count()) {
        let repo = match WorktreeRow::by_path(conn, folder)? {
            Some(row) => Some(row.repo),
            None => Removal::repo_of_path(conn, folder)?,
        };
        if let Some(repo) = repo {
            return RepoRow::by_id(conn, &repo).map_err(Into::into);
        }
    }
    Ok(None)
}

impl Worktrees {
    /// Runs git work on the repository with the caller's variables.
    pub(crate) async fn with_repo<T: Send + 'static>(
        &self,
        handle: &Arc<RepoHandle>,
        caller: &Caller,
        f: impl FnOnce(&podium_git::Repo) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (this, handle, caller) = (self.clone(), handle.clone(), caller.clone());
        blocking(move || {
            let repo = handle.repo.with_git(&this.git(Some(&caller))?)?;
            f(&repo).map_err(|error| error.or_full_disk(&handle.row.common_dir))
        })
        .await
    }
}
