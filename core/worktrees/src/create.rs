//! Making worktrees.
//!
//! The intent comes first, in `creations`; the row comes with git's success, in one transaction with the event and
//! the end of the intent. So a row always means a whole worktree, and whatever a killed daemon left is found by its
//! intent.

use std::sync::Arc;
use std::time::Instant;

use podium_git::{AddWorktree, GitError, Oid, Repo, Worktree, WorktreeLocation, WorktreeStart};
use podium_protocol::{WireError, WorktreeCreateParams, WorktreeCreated};
use podium_store::rusqlite::params;
use podium_store::{Durability, Tx};

use crate::error::{Error, Result, blocking};
use crate::layout::Plan;
use crate::provide::{Hook, lease_new};
use crate::removal::Step;
use crate::rows::WorktreeRow;
use crate::seen::What;
use crate::service::{Making, RepoHandle, Worktrees, after, new_id};
use crate::settings::Caller;
use crate::spares::{Leased, SpareRow};
use crate::{layout, paths, reconcile, trunk};

/// A row of `creations`.
#[derive(Debug, Clone)]
pub(crate) struct Creation {
    pub(crate) id: String,
    pub(crate) plan: Plan,
    /// Commit of the branch, where the branch is made for the worktree.
    pub(crate) new_branch_at: Option<String>,
    /// Id of the spare that becomes the worktree.
    pub(crate) spare: Option<String>,
}

/// What a request for a worktree came to.
struct Made {
    row: WorktreeRow,
    notes: Vec<String>,
    created: bool,
    /// Commit of the spare that it was: its state is known without a look.
    spare: Option<Oid>,
    /// Something was done in it since.
    touched: bool,
}

/// Beginning of the note about them.
const SUBMODULES: &str = "submodules are not checked out";

impl Worktrees {
    /// Makes a worktree, or enters the one that has the name; claims it where an agent is named.
    ///
    /// # Errors
    /// `User` for a bad name or a repository without commits, `Conflict` for names that cannot coexist and for a
    /// claim of somebody else.
    pub async fn create(
        &self,
        params: WorktreeCreateParams,
        caller: &Caller,
    ) -> Result<WorktreeCreated, WireError> {
        let started = Instant::now();
        let claimant = match (&params.agent_id, params.pid) {
            (None, None) => None,
            (agent, pid) => Some(self.claimant(agent.as_deref(), pid, None, caller)?),
        };
        let handle = self.repo_at(&params.at, caller).await?;
        let (asked, this) = (handle.clone(), self.clone());
        blocking(move || {
            this.refresh_config(&asked);
            Ok(())
        })
        .await?;
        let config = handle.config();
        let style = config.text("worktrees.branch_style");
        let own = self.own_kinds().await?;
        let plan = Plan::new(params.kind.as_deref(), &own, params.name.as_deref(), style, &handle.row)?;
        let (this, asker, shared) = (self.clone(), caller.clone(), handle.clone());
        let (from, with_submodules) = (params.from, params.with_submodules);
        let work = async move {
            let mut made = this.make_or_enter(&shared, plan, from, &asker).await?;
            if made.created {
                // Before the hook, which may read what is shared.
                this.sync_new(&shared, &made.row.id).await;
                this.furnish(&shared, &mut made, &asker).await;
            }
            if with_submodules {
                this.with_submodules(&shared, &mut made, &asker).await;
            }
            Ok(made)
        };
        let Made { row, notes, created, spare, touched } = self.to_its_end(work).await?;
        if let Some(claimant) = claimant {
            self.claim_now(&handle.row, &row.id, claimant).await?;
        }
        let from_spare = spare.is_some();
        let worktree = match spare {
            Some(at) if !touched => self.view_of_spare(&handle, &row.id, at).await?,
            _ => self.view_by_id(&handle, &row.id).await?,
        };
        let elapsed_ms = started.elapsed().as_secs_f64() * 1_000.0;
        Ok(WorktreeCreated { worktree, elapsed_ms, from_spare, created, notes })
    }

    async fn make_or_enter(
        &self,
        handle: &Arc<RepoHandle>,
        plan: Plan,
        from: Option<String>,
        caller: &Caller,
    ) -> Result<Made> {
        let _turn = self.inner.gates.enter(format!("name/{}/{}", handle.row.id, plan.name)).await;
        if let Some(row) = self.existing(handle, &plan.name).await? {
            let mut notes = plan.notes;
            if row.branch.as_ref() != Some(&plan.branch) {
                let branch = row.branch.as_deref().unwrap_or("a detached HEAD");
                notes.push(format!("`{}` exists already, on {branch}", row.name));
            }
            return Ok(Made { row, notes, created: false, spare: None, touched: false });
        }
        if paths::in_submodule(&handle.row.common_dir) {
            let error = WireError::user(format!("{} is a submodule", handle.row.root.display()));
            return Err(error.hint("make the worktree in the repository around it").into());
        }
        let _making = Making::begin(self);
        let mut notes = plan.notes.clone();
        let before = self.run_hook(Hook::PreCreate, handle, &handle.row.root, &plan.name, None, caller).await;
        notes.extend(before.or_refuse()?);
        if from.is_none() {
            notes.extend(self.fetch_trunk(handle, caller).await);
        }
        let asked = handle.clone();
        let ready = move |repo: &Repo| prepare(repo, &asked, plan, from.as_deref());
        let (creation, start, more) = self.with_repo(handle, caller, ready).await?;
        notes.extend(more);
        let _busy = self.busy(&creation.id);
        if let WorktreeStart::NewBranch { at, .. } = &start
            && let Some(Leased { row, at }) = self.lease(handle, &creation, at, caller).await?
        {
            return Ok(Made { row, notes, created: true, spare: Some(at), touched: false });
        }
        let row = self.make(handle, creation, start, caller).await?;
        Ok(Made { row, notes, created: true, spare: None, touched: false })
    }

    /// What a new worktree gets beside its files. Whatever fails here is a note: the worktree is there.
    async fn furnish(&self, handle: &Arc<RepoHandle>, made: &mut Made, caller: &Caller) {
        let row = made.row.clone();
        if let Err(error) = self.write_env_file(handle, &row).await {
            made.notes.push(format!("ports and database were not written into the worktree: {error}"));
        }
        self.copy_later(handle, &row);
        let ran = self.run_hook(Hook::PostCreate, handle, &row.path, &row.name, Some(&row), caller).await;
        // What a hook changed has to be looked at.
        if ran.ran() {
            made.touched = true;
        }
        made.notes.extend(ran.note());
    }

    async fn with_submodules(&self, handle: &Arc<RepoHandle>, made: &mut Made, caller: &Caller) {
        let (at, patience) = (crate::view::location(&made.row), handle.patience());
        let work = move |repo: &Repo| {
            repo.write(patience)?.update_submodules(&at, patience)?;
            Ok(repo.fetch_large_files(&at, patience)?)
        };
        made.touched = true;
        made.notes.retain(|note| !note.starts_with(SUBMODULES));
        if let Err(error) = self.with_repo(handle, caller, work).await {
            made.notes.push(format!("submodules or large files are missing: {error}"));
        }
    }

    /// The worktree of this name, if git still has it.
    pub(crate) async fn existing(&self, handle: &Arc<RepoHandle>, name: &str) -> Result<Option<WorktreeRow>> {
        let look = |this: Self| {
            let (repo, name) = (handle.row.id.clone(), name.to_owned());
            async move {
                let all = this.inner.store.read(move |conn| -> Result<_> {
                    let rows = WorktreeRow::of_repo(conn, &repo)?;
                    Ok(rows.into_iter().find(|row| row.name == name))
                });
                all.await
            }
        };
        match look(self.clone()).await? {
            Some(row) if row.path.join(".git").exists() => Ok(Some(row)),
            // Unknown, or its folder is gone: the disk decides.
            _ => {
                self.reconcile(handle).await?;
                let row = look(self.clone()).await?;
                match row {
                    Some(row) if !row.path.exists() => {
                        let text = format!("git knows worktree `{}`, but its folder is gone", row.name);
                        let error = WireError::conflict(text);
                        let hint =
                            format!("`imi remove {}` drops it, or `git worktree repair` mends it", row.name);
                        Err(error.hint(hint).into())
                    }
                    row => Ok(row),
                }
            }
        }
    }

    pub(crate) async fn make(
        &self,
        handle: &Arc<RepoHandle>,
        creation: Creation,
        start: WorktreeStart,
        caller: &Caller,
    ) -> Result<WorktreeRow> {
        let _busy = self.busy(&creation.id);
        let (intent, repo) = (creation.clone(), handle.row.id.clone());
        self.inner.store.write(Durability::Power, move |tx| intend(tx, &repo, &intent)).await?;
        after(&self.inner.settings, Step::CreateIntent)?;
        let (path, patience) = (creation.plan.path.clone(), handle.patience());
        let add = move |repo: &Repo| {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(|error| Error::io("made", parent, error))?;
            }
            let mut add = AddWorktree::new(&path, start);
            (add.timeout, add.checkout) = (patience, false);
            Ok(repo.write(patience)?.add_worktree(&add)?)
        };
        let added = self.with_repo(handle, caller, add).await;
        after(&self.inner.settings, Step::CreateRegistered)?;
        let worktree = match added {
            Ok(worktree) => worktree,
            Err(error) => {
                self.give_up(handle, &creation).await?;
                return Err(error);
            }
        };
        let (location, head) = (worktree.location.clone(), worktree.head.clone());
        // Without the turn: others register theirs while these files arrive.
        let fill = move |repo: &Repo| {
            repo.fill_worktree(&location, patience)?;
            if let Some(id) = head.as_ref().and_then(|head| head.id()) {
                repo.run_post_checkout(&location, id, patience);
            }
            Ok(())
        };
        let filled = self.with_repo(handle, caller, fill).await;
        after(&self.inner.settings, Step::CreateAdded)?;
        if let Err(error) = filled {
            self.settle_creation(handle, creation).await?;
            return Err(error);
        }
        self.finish_creation(handle, creation, worktree, Some(caller.name().to_owned())).await
    }

    /// The transaction that makes a worktree known.
    pub(crate) async fn finish_creation(
        &self,
        handle: &Arc<RepoHandle>,
        creation: Creation,
        worktree: Worktree,
        by: Option<String>,
    ) -> Result<WorktreeRow> {
        let handle = handle.clone();
        let repo = handle.row.id.clone();
        let finish = move |tx: &Tx<'_>| -> Result<WorktreeRow> {
            tx.execute("DELETE FROM creations WHERE id = ?1", [&creation.id])?;
            if let Some(spare) = &creation.spare {
                SpareRow::delete(tx, spare)?;
            }
            let row = WorktreeRow {
                id: creation.id.clone(),
                repo: handle.row.id.clone(),
                pr: layout::pr_of(&creation.plan.name),
                name: creation.plan.name,
                path: worktree.location.path,
                admin_dir: worktree.location.git_dir,
                kind: creation.plan.kind,
                is_main: false,
                branch: worktree.head.as_ref().and_then(|head| head.branch()).map(str::to_owned),
                created_at: tx.now,
                removing: None,
                claim: None,
            };
            row.insert(tx)?;
            lease_new(tx, &handle.config(), &row)?;
            reconcile::created(tx, &row, "podium", by.as_deref())?;
            handle.changed();
            Ok(row)
        };
        let row = self.inner.store.write(Durability::Power, finish).await;
        self.announce(&repo, What::Set);
        row
    }

    pub(crate) async fn give_up(&self, handle: &Arc<RepoHandle>, creation: &Creation) -> Result<()> {
        let (id, handle) = (creation.id.clone(), handle.clone());
        let forget = move |tx: &Tx<'_>| -> Result<()> {
            tx.execute("DELETE FROM creations WHERE id = ?1", [&id])?;
            handle.changed();
            Ok(())
        };
        self.inner.store.write(Durability::Process, forget).await
    }
}

/// What the worktree starts from, and what a person should know about that.
fn prepare(
    repo: &Repo,
    handle: &RepoHandle,
    plan: Plan,
    from: Option<&str>,
) -> Result<(Creation, WorktreeStart, Vec<String>)> {
    let mut notes = Vec::new();
    let name = plan.branch.clone();
    if let Some(at) = repo.branch(&name)? {
        let other = match from {
            Some(from) => repo.resolve_here(from)? != at,
            None => false,
        };
        if other {
            return Err(GitError::BranchExists { name }.into());
        }
        notes.push(format!("branch `{name}` existed and was checked out as it is"));
        let creation = Creation { id: new_id(), plan, new_branch_at: None, spare: None };
        return Ok((creation, WorktreeStart::Branch(name), notes));
    }
    if let Some(existing) = repo.ref_conflict(&name)? {
        return Err(GitError::RefConflict { name, existing }.into());
    }
    let at = start(repo, handle, from, &mut notes)?;
    for remote in repo.remotes()? {
        if repo.find_ref(&format!("refs/remotes/{remote}/{name}"))?.is_some() {
            notes.push(format!("{remote} has a branch `{name}` too; the new one does not start from it"));
        }
    }
    if !repo.is_bare() && handle.row.root.join(".gitmodules").exists() {
        notes.push(format!("{SUBMODULES}: `imi submodules NAME` does that"));
    }
    let creation = Creation { id: new_id(), plan, new_branch_at: Some(at.to_string()), spare: None };
    Ok((creation, WorktreeStart::NewBranch { name, at }, notes))
}

fn start(repo: &Repo, handle: &RepoHandle, from: Option<&str>, notes: &mut Vec<String>) -> Result<Oid> {
    if let Some(from) = from {
        return Ok(repo.resolve_here(from)?);
    }
    match trunk::find(handle) {
        Ok(found) => Ok(repo.trunk_tip(&found)?),
        Err(GitError::NoTrunk) if !repo.is_bare() => {
            let main =
                WorktreeLocation { git_dir: handle.row.common_dir.clone(), path: handle.row.root.clone() };
            let id = repo.head(&main)?.id().cloned().ok_or(GitError::NoTrunk)?;
            notes.push(format!("no trunk branch was found; it starts from the detached HEAD {}", id.short()));
            Ok(id)
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn intend(tx: &Tx<'_>, repo: &str, creation: &Creation) -> Result<()> {
    let sql = "INSERT INTO creations (id, repo, name, path, kind, branch, start, spare, started_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let plan = &creation.plan;
    let path = paths::to_bytes(&plan.path);
    let (branch, at) = (&plan.branch, &creation.new_branch_at);
    tx.execute(
        sql,
        params![creation.id, repo, plan.name, path, plan.kind, branch, at, creation.spare, tx.now],
    )?;
    Ok(())
}
