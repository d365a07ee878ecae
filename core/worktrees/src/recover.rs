//! After a start: whatever the last daemon did not finish is finished or taken back, by what is on disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podium_git::{Oid, Repo, Worktree};
use podium_store::rusqlite::OptionalExtension;
use podium_store::{Durability, Tx};

use crate::claim::{is_foreign, lock_reason};
use crate::create::Creation;
use crate::error::{Result, blocking};
use crate::layout::Plan;
use crate::reconcile;
use crate::removal::{Removal, delete_branch, move_to_trash, trash};
use crate::rows::{RepoRow, WorktreeRow};
use crate::running::refuse_running;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;

/// Milliseconds.
const DAY: i64 = 86_400_000;
/// Beginning of the names of folders in the trash.
const HALF_MADE: &str = "half-made-";

impl Worktrees {
    /// To be called once, before any request. What fails is logged and tried again at the next start.
    pub async fn recover(&self) {
        self.settle_layouts().await;
        let repos: Result<Vec<RepoRow>> = self.inner.store.read(|conn| Ok(RepoRow::all(conn)?)).await;
        let repos = repos.unwrap_or_else(|error| {
            tracing::error!(%error, "the repositories cannot be read");
            Vec::new()
        });
        for repo in repos {
            if let Err(error) = self.recover_conflicts(&repo.id).await {
                tracing::warn!(%error, "conflicts that were told cannot be read");
            }
            if let Err(error) = self.recover_repo(&repo).await {
                tracing::warn!(%error, root = %repo.root.display(), "a repository was not looked through");
            }
        }
        self.recover_claims().await;
    }

    async fn recover_repo(&self, repo: &RepoRow) -> Result<()> {
        if is_gone(repo) {
            return self.forget_vanished(repo).await;
        }
        let handle = self.handle(repo).await?;
        self.settle_left(&handle).await;
        self.reconcile(&handle).await?;
        self.recover_env_files(&handle).await?;
        self.recover_copies(&handle).await?;
        self.recover_spares(&handle).await
    }

    /// Settles what was cut off in one repository; tells what that was.
    pub(crate) async fn settle_left(&self, handle: &Arc<RepoHandle>) -> Vec<String> {
        let mut settled = Vec::new();
        for state in ["intent", "restoring"] {
            let removals: Result<Vec<Removal>> =
                self.inner.store.read(move |conn| Ok(Removal::in_state(conn, state)?)).await;
            let of_this = |removal: &Removal| removal.repo == handle.row.id && !self.is_busy(&removal.id);
            for removal in removals.unwrap_or_default().into_iter().filter(of_this) {
                let name = removal.name.clone();
                let done = match state {
                    "intent" => self.settle_removal(handle, removal).await,
                    _ => self.restore(handle, removal, None).await.map(drop),
                };
                match done {
                    Ok(()) => settled.push(format!("the cut-off removal of `{name}` is settled")),
                    Err(error) => tracing::warn!(%error, worktree = name, "a removal cannot be settled"),
                }
            }
        }
        self.settle_merges(handle).await;
        settled
    }

    async fn recover_claims(&self) {
        let claimed: Result<Vec<(RepoRow, WorktreeRow)>> = self.inner.store.read(all_with_repo).await;
        let rows = claimed.unwrap_or_else(|error| {
            tracing::error!(%error, "the claims cannot be read");
            Vec::new()
        });
        for (repo, row) in rows {
            if let Err(error) = self.drop_emptied_lock(&row).await {
                tracing::warn!(%error, worktree = row.name, "git's worktree lock was not looked at");
            }
            // A daemon that died between a release and its mirror left our lock on a free worktree.
            let ours = || lock_reason(&row).is_ok_and(|lock| lock.is_some() && !is_foreign(lock.as_deref()));
            if row.claim.is_some() || ours() {
                self.mirror_or_warn(&repo, &row.id).await;
            }
            if row.claim.is_some() {
                self.watch(&row);
            }
        }
    }

    /// Drops the rows of a repository that was deleted.
    async fn forget_vanished(&self, repo: &RepoRow) -> Result<()> {
        let gone = repo.clone();
        let write = move |tx: &Tx<'_>| -> Result<()> {
            for row in WorktreeRow::of_repo(tx, &gone.id)? {
                reconcile::remove(tx, &row)?;
            }
            tx.execute("DELETE FROM repos WHERE id = ?1", [&gone.id])?;
            Ok(())
        };
        self.drop_handle(&repo.id);
        self.inner.store.write(Durability::Power, write).await
    }

    /// Finishes a removal of which anything has moved; takes back one of which nothing has.
    pub(crate) async fn settle_removal(&self, handle: &Arc<RepoHandle>, removal: Removal) -> Result<()> {
        let (task, settings, asked) = (removal.clone(), self.inner.settings.clone(), handle.clone());
        let settle = move |repo: &Repo| {
            if !trash::exists(&task.tree()) && !trash::exists(&task.admin()) {
                trash::delete(&task.trash)?;
                return Ok(None);
            }
            let writer = repo.write(asked.patience())?;
            move_to_trash(&task, &settings)?;
            Ok(Some(delete_branch(&writer, &task)))
        };
        match self.with_repo(handle, &Caller::default(), settle).await? {
            Some(deleted) => self.finish_removal(handle, removal, deleted).await.map(drop),
            None => self.cancel_removal(removal).await,
        }
    }

    /// Ends intents to create that no task of this process works on.
    pub(crate) async fn settle_creations(&self, handle: &Arc<RepoHandle>) -> Result<()> {
        let repo = handle.row.id.clone();
        let left: Result<Vec<Creation>> =
            self.inner.store.read(move |conn| left_creations(conn, &repo)).await;
        for creation in left?.into_iter().filter(|creation| !self.is_busy(&creation.id)) {
            self.settle_creation(handle, creation).await?;
        }
        Ok(())
    }

    pub(crate) async fn settle_creation(&self, handle: &Arc<RepoHandle>, creation: Creation) -> Result<()> {
        // Not the gate of the name: a request for the name may wait for this.
        let _turn = self.inner.gates.enter(format!("settle/{}", creation.id)).await;
        let (asked, id) = (handle.clone(), creation.id.clone());
        let known: Result<Option<String>> = self
            .inner
            .store
            .read(move |conn| {
                let sql = "SELECT id FROM creations WHERE id = ?1";
                Ok(conn.query_row(sql, [id], |row| row.get(0)).optional()?)
            })
            .await;
        // Settled while this waited for its turn.
        if known?.is_none() {
            return Ok(());
        }
        if let Some(spare) = &creation.spare {
            return match self.settle_lease(handle, &creation, spare).await? {
                Some(worktree) => self.finish_creation(handle, creation, worktree, None).await.map(drop),
                None => Ok(()),
            };
        }
        let task = creation.clone();
        let found = blocking(move || half_made_or_whole(&asked, &task)).await?;
        match found {
            Some(worktree) => self.finish_creation(handle, creation, worktree, None).await.map(drop),
            None => self.give_up(handle, &creation).await,
        }
    }

    /// Deletes what was removed longer ago than `worktrees.undo_days`.
    pub async fn purge_trash(&self) {
        let now = self.now();
        let old: Result<Vec<Removal>> =
            self.inner.store.read(move |conn| Ok(Removal::purgeable(conn, now)?)).await;
        for removal in old.unwrap_or_default() {
            self.purge_one(removal).await;
        }
        self.purge_over_quota().await;
        self.forget_leases().await;
        self.purge_attics().await;
    }

    /// Deletes the oldest removals of each repository while its trash is above `worktrees.trash_quota_mb`. Those of the
    /// last day stay: an undo is what they are for.
    async fn purge_over_quota(&self) {
        let quota = self.inner.config.get().integer("worktrees.trash_quota_mb");
        let Some(quota) = u64::try_from(quota).ok().filter(|quota| *quota > 0) else { return };
        let young = self.now().saturating_sub(DAY);
        let trashed: Result<Vec<Removal>> =
            self.inner.store.read(|conn| Ok(Removal::in_state(conn, "trashed")?)).await;
        let mut trashed = trashed.unwrap_or_default();
        // Newest first: what is still within the quota stays.
        trashed.sort_by_key(|removal| std::cmp::Reverse(removal.removed_at));
        let measured = blocking(move || {
            Ok(trashed
                .into_iter()
                .map(|removal| (crate::upkeep::bytes_of(&removal), removal))
                .collect::<Vec<_>>())
        });
        let mut used = std::collections::HashMap::<String, u64>::new();
        for (bytes, removal) in measured.await.unwrap_or_default() {
            let kept = used.entry(removal.repo.clone()).or_default();
            *kept += bytes;
            if *kept > quota * 1_000_000 && removal.removed_at < young {
                self.purge_one(removal).await;
            }
        }
    }

    async fn purge_one(&self, removal: Removal) {
        let task = removal.clone();
        // From here on it cannot be undone, and a purge that was cut off is finished later.
        let begin = move |tx: &Tx<'_>| -> Result<bool> { Ok(task.begin_purge(tx)?) };
        if !self.inner.store.write(Durability::Power, begin).await.unwrap_or(false) {
            return;
        }
        let task = removal.clone();
        let deleted = blocking(move || {
            trash::delete(&task.tree_trash)?;
            trash::delete(&task.trash)
        });
        let noted = match deleted.await {
            Ok(()) => {
                let write = move |tx: &Tx<'_>| -> Result<()> { Ok(removal.set_state(tx, "purged")?) };
                self.inner.store.write(Durability::Process, write).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = noted {
            tracing::warn!(%error, "old trash was not deleted");
        }
    }

    async fn purge_attics(&self) {
        let repos: Result<Vec<RepoRow>> = self.inner.store.read(|conn| Ok(RepoRow::all(conn)?)).await;
        let days = u64::try_from(self.inner.config.get().integer("worktrees.undo_days")).unwrap_or(30);
        let keep = Duration::from_secs(days.saturating_mul(86_400));
        for repo in repos.unwrap_or_default() {
            if let Err(error) = blocking(move || purge_half_made(&repo, keep)).await {
                tracing::warn!(%error, "a half-made worktree was not deleted");
            }
        }
    }
}

/// Deleted, rather than on a disk that is not there at the moment.
fn is_gone(repo: &RepoRow) -> bool {
    let missing = |path: &Path| {
        path.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    };
    // Of an absent mount, the folder above the repository is missing or empty as well.
    let above = repo.root.parent().unwrap_or(&repo.root);
    missing(&repo.common_dir) && above.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}

fn all_with_repo(conn: &podium_store::rusqlite::Connection) -> Result<Vec<(RepoRow, WorktreeRow)>> {
    let mut found = Vec::new();
    for repo in RepoRow::all(conn)? {
        for row in WorktreeRow::of_repo(conn, &repo.id)? {
            found.push((repo.clone(), row));
        }
    }
    Ok(found)
}

pub(crate) fn left_creations(conn: &podium_store::rusqlite::Connection, repo: &str) -> Result<Vec<Creation>> {
    let sql = "SELECT id, name, path, kind, branch, start, spare FROM creations WHERE repo = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let read = |row: &podium_store::rusqlite::Row<'_>| {
        let plan = Plan {
            name: row.get(1)?,
            path: crate::rows::path(row, 2)?,
            kind: row.get(3)?,
            branch: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
            notes: Vec::new(),
        };
        Ok(Creation { id: row.get(0)?, plan, new_branch_at: row.get(5)?, spare: row.get(6)? })
    };
    let found: Result<Vec<Creation>, _> = statement.query_map([repo], read)?.collect();
    Ok(found?)
}

/// Deletes half-made worktrees that were put away longer ago than `keep`.
fn purge_half_made(repo: &RepoRow, keep: Duration) -> Result<()> {
    let Ok(entries) = trash::root(&repo.common_dir).read_dir() else { return Ok(()) };
    for entry in entries.flatten() {
        let half_made = entry.file_name().as_encoded_bytes().starts_with(HALF_MADE.as_bytes());
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
        if half_made && age.is_some_and(|age| age > keep) {
            trash::delete(&entry.path())?;
        }
    }
    Ok(())
}

/// The whole worktree that a killed creation left; of a half-made one, everything goes to the trash and the branch
/// that was made for it is deleted.
fn half_made_or_whole(handle: &RepoHandle, creation: &Creation) -> Result<Option<Worktree>> {
    let plan = &creation.plan;
    let writer = handle.repo.write(handle.patience())?;
    refuse_running(&plan.path)?;
    let found = handle.repo.worktree_at(&plan.path).ok();
    if let Some(worktree) = &found {
        let admin = &worktree.location.git_dir;
        let whole =
            worktree.head.is_some() && admin.join("index").exists() && !admin.join("index.lock").exists();
        // Git's own lock of a tree in the making stays when git is killed just before the end.
        let unlocked = worktree.locked.as_deref() != Some(reconcile::INITIALIZING);
        if whole && (unlocked || std::fs::remove_file(admin.join("locked")).is_ok()) {
            return Ok(found);
        }
    }
    // Without an admin folder git had not begun: what lies at the path is somebody else's.
    if let Some(worktree) = found {
        let attic = trash::root(&handle.row.common_dir).join(format!("{HALF_MADE}{}", creation.id));
        if trash::exists(&plan.path) {
            trash::rename(&plan.path, &attic.join("tree"))?;
        }
        trash::rename(&worktree.location.git_dir, &attic.join("admin"))?;
    }
    if let Some(at) = creation.new_branch_at.as_ref().and_then(|at| at.parse::<Oid>().ok()) {
        // Nobody has committed to it if it still is where it was made.
        let _ = writer.delete_branch(&plan.branch, &at);
    }
    Ok(None)
}
