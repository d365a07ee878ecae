//! Into a project folder and out of it, for who asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use podium_protocol::{
    ErrorKind, InitKind, RepoInitParams, RepoInited, RepoSelector, WireError, WorktreeUndone,
};
use podium_store::{Durability, Tx};

use super::carry::forget_derived;
use super::checks::refuse_busy;
use super::clone::CloneFollower;
use super::moves::Move;
use super::plan;
use super::rows::{Kind, Layout};
use crate::error::{Error, Result, blocking};
use crate::removal::Step;
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::{RepoHandle, Worktrees, after, new_id};
use crate::settings::Caller;
use crate::{layout, paths, spares, trunk};

/// What became of a request for a project folder.
struct Inited {
    handle: Arc<RepoHandle>,
    how: InitKind,
    undo: Option<String>,
    notes: Vec<String>,
}

impl Worktrees {
    /// Makes a project folder: by cloning where a URL is given, else of the clone that the selector names.
    ///
    /// # Errors
    /// `Conflict` where something is in the way, `User` for what cannot be a project folder, and what git refuses.
    pub async fn init(
        &self,
        params: RepoInitParams,
        caller: &Caller,
        follower: CloneFollower,
    ) -> Result<RepoInited, WireError> {
        let started = Instant::now();
        refuse_agents(caller)?;
        let done = match params.url {
            Some(url) => {
                let folder = match (params.folder_bytes, params.folder) {
                    (Some(bytes), _) => paths::from_bytes(bytes),
                    (None, Some(folder)) => PathBuf::from(folder),
                    (None, None) => return Err(WireError::user("a clone needs a folder to go to")),
                };
                let handle = self.init_by_clone(url, folder, params.branch, caller, follower).await?;
                Inited { handle, how: InitKind::Cloned, undo: None, notes: Vec::new() }
            }
            None => self.init_in_place(&params.at, caller).await?,
        };
        let rows = self.all_rows(&done.handle).await?;
        let main = rows.iter().find(|row| row.is_main);
        let main = main.ok_or_else(|| WireError::internal("the main worktree is not known"))?;
        let project = layout::folder_of(&done.handle.row);
        Ok(RepoInited {
            worktree: self.view_by_id(&done.handle, &main.id).await?,
            elapsed_ms: started.elapsed().as_secs_f64() * 1_000.0,
            from_spare: false,
            how: done.how,
            project: project.to_string_lossy().into_owned(),
            undo: done.undo,
            notes: done.notes,
        })
    }

    async fn init_in_place(&self, at: &RepoSelector, caller: &Caller) -> Result<Inited> {
        let handle = match self.repo_at(at, caller).await {
            Err(Error::Git(podium_git::GitError::NotARepository { path })) => {
                let error =
                    WireError::not_found(format!("{} is not inside a git repository", path.display()));
                return Err(error.hint("imi init URL clones one").hint("git init makes one").into());
            }
            found => found?,
        };
        self.reconcile(&handle).await?;
        if layout::is_project(&handle.row) {
            let project = layout::folder_of(&handle.row);
            blocking(move || plan::furnish(&project)).await?;
            return Ok(Inited { handle, how: InitKind::Unchanged, undo: None, notes: Vec::new() });
        }
        refuse_foreign_shape(&handle.row)?;
        self.refuse_unmovable(&handle, caller).await?;
        let asked = handle.clone();
        let folder = blocking(move || Ok(format!("trunk-{}", trunk::name(&asked).replace('/', "-")))).await?;
        let new_root = handle.row.root.join(folder);
        let (this, shared, by) = (self.clone(), handle.clone(), caller.name().to_owned());
        let work = async move { this.change_layout(&shared, Kind::Convert, new_root, by).await };
        let (handle, id, mut notes) = self.to_its_end(work).await?;
        notes.push(
            "programs that keep absolute paths (virtual environments, open editors) still name the old place"
                .to_owned(),
        );
        Ok(Inited { handle, how: InitKind::Converted, undo: Some(id), notes })
    }

    /// Moves a converted clone back to where it was.
    pub(crate) async fn undo_layout(
        &self,
        handle: &Arc<RepoHandle>,
        done: Layout,
        caller: &Caller,
    ) -> Result<WorktreeUndone> {
        let handle = self.revert_layout(handle, caller).await?;
        let rows = self.all_rows(&handle).await?;
        let main = rows.iter().find(|row| row.is_main).ok_or(Error::Unfinished)?;
        Ok(WorktreeUndone {
            undo: done.id,
            notes: Vec::new(),
            worktree: self.view_by_id(&handle, &main.id).await?,
        })
    }

    pub(crate) async fn revert_layout(
        &self,
        handle: &Arc<RepoHandle>,
        caller: &Caller,
    ) -> Result<Arc<RepoHandle>> {
        refuse_agents(caller)?;
        self.reconcile(handle).await?;
        self.refuse_unmovable(handle, caller).await?;
        let project = layout::folder_of(&handle.row);
        let (this, shared, by) = (self.clone(), handle.clone(), caller.name().to_owned());
        let work = async move { this.change_layout(&shared, Kind::Revert, project, by).await };
        Ok(self.to_its_end(work).await?.0)
    }

    /// The conversion of a repository that can be taken back.
    pub(crate) async fn converted(&self, handle: &RepoHandle) -> Result<Option<Layout>> {
        let repo = handle.row.id.clone();
        let read = self.inner.store.read(move |conn| -> Result<_> { Ok(Layout::done(conn, &repo)?) });
        // Moved by hand since: where it was means nothing any more.
        Ok(read.await?.filter(|layout| layout.new_root == handle.row.root))
    }

    /// Records a change and carries it out.
    async fn change_layout(
        &self,
        handle: &Arc<RepoHandle>,
        kind: Kind,
        new_root: PathBuf,
        by: String,
    ) -> Result<(Arc<RepoHandle>, String, Vec<String>)> {
        let id = &handle.row.id;
        // Nothing is made, linked, merged or looked at behind our back.
        let gates = [
            self.inner.gates.enter(format!("spares/{id}")).await,
            self.sync_turn(id).await,
            self.inner.gates.enter(format!("trunk/{id}")).await,
            self.inner.gates.enter(format!("reconcile/{id}")).await,
        ];
        let layout = self.layout_of(handle, kind, new_root, by);
        let left = self.intend_and_move(handle, &layout).await;
        handle.changed();
        drop(gates);
        let left = match left {
            Ok(left) => left,
            Err(Error::Unfinished) => return Err(Error::Unfinished),
            Err(error) => {
                // What was taken away for the move is there again.
                let _ = self.sync_repo(id).await;
                return Err(error);
            }
        };
        let handle = self.handle(&layout.repo_after(&handle.row)).await?;
        self.reconcile(&handle).await?;
        let mut notes = Vec::new();
        if let Some(left) = left {
            notes.push(format!(
                "something unknown lay in the project folder: it is kept at {}",
                left.display()
            ));
        }
        if let Err(error) = self.sync_repo(&handle.row.id).await {
            notes.push(format!("shared files are not linked yet: {}", error.message));
        }
        Ok((handle, layout.id, notes))
    }

    /// The caller has all gates. The repository's own turn is taken here: whoever waits for it finds the change.
    async fn intend_and_move(&self, handle: &Arc<RepoHandle>, layout: &Layout) -> Result<Option<PathBuf>> {
        let rows = self.all_rows(handle).await?;
        let moves = self.plan_layout(handle, layout, &rows).await?;
        self.clear_derived(handle).await?;
        let (asked, patience) = (handle.clone(), handle.patience());
        let turn = blocking(move || Ok(asked.repo.write(patience)?)).await?;
        let (task, steps) = (layout.clone(), moves.clone());
        let intend = move |tx: &Tx<'_>| -> Result<()> {
            let repo = task.repo.clone().unwrap_or_default();
            refuse_busy(tx, &repo)?;
            forget_derived(tx, &repo)?;
            Ok(task.insert(tx, &steps)?)
        };
        self.inner.store.write(Durability::Power, intend).await?;
        after(&self.inner.settings, Step::LayoutIntent)?;
        self.carry_out(&handle.row, layout.clone(), moves, Some(turn)).await
    }

    fn layout_of(&self, handle: &RepoHandle, kind: Kind, new_root: PathBuf, by: String) -> Layout {
        let id = new_id();
        let project = if kind == Kind::Convert { &handle.row.root } else { &new_root };
        let staging = staging_beside(project, &id);
        Layout {
            repo: Some(handle.row.id.clone()),
            kind,
            old_root: handle.row.root.clone(),
            new_root,
            staging,
            changed_by: by,
            changed_at: self.now(),
            id,
        }
    }

    async fn plan_layout(
        &self,
        handle: &Arc<RepoHandle>,
        layout: &Layout,
        rows: &[WorktreeRow],
    ) -> Result<Vec<Move>> {
        let (asked, task, rows) = (handle.clone(), layout.clone(), rows.to_vec());
        blocking(move || {
            if task.kind == Kind::Revert {
                return plan::reversal(&task, &rows);
            }
            // Shared files that are committed belong where they are.
            let main = asked.repo.main_worktree()?;
            let tracked = asked.repo.tracked(&main, &[PathBuf::from(".podium/sync")])?;
            plan::conversion(&task, &rows, tracked.is_empty())
        })
        .await
    }

    /// Takes away what names the old place and is made anew: the guard, links of shared files, spares.
    async fn clear_derived(&self, handle: &Arc<RepoHandle>) -> Result<()> {
        self.unguard_all(handle).await?;
        self.unlink_all(handle).await?;
        let asked = handle.clone();
        blocking(move || {
            let writer = asked.repo.write(asked.patience())?;
            spares::delete_all(&asked, &writer).map(drop)
        })
        .await
    }
}

/// Hidden, beside the project, and nobody else's.
pub(super) fn staging_beside(project: &Path, id: &str) -> PathBuf {
    let name = project.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    project.with_file_name(format!(".{name}.podium-{id}"))
}

fn refuse_agents(caller: &Caller) -> Result<(), WireError> {
    match &caller.agent {
        Some(agent) => {
            Err(WireError::user(format!("only a person moves a repository, not {}", agent.agent_id)))
        }
        None => Ok(()),
    }
}

/// Only a main worktree with its `.git` folder in it can be moved into a folder of its name.
fn refuse_foreign_shape(row: &RepoRow) -> Result<(), WireError> {
    let root = row.root.display();
    if row.is_bare() {
        return Err(WireError::user(format!("{root} is a bare repository and has no main worktree"))
            .hint(format!("imi init {root} FOLDER clones it into a project folder")));
    }
    if paths::in_submodule(&row.common_dir) {
        return Err(WireError::user(format!("{root} is a submodule"))
            .hint("make a project folder of the repository around it"));
    }
    let git = row.root.join(".git");
    if row.common_dir != git || git.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
        let text = format!("the git folder of {root} lies elsewhere: {}", row.common_dir.display());
        return Err(
            WireError::new(ErrorKind::User, text).hint("only a clone that holds its .git folder is moved")
        );
    }
    Ok(())
}
