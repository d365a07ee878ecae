//! Making, advancing and deleting spares, one step at a time and only while nobody waits for a worktree.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podium_git::{AddWorktree, Head, Oid, Repo, TreeSize, WorktreeStart, links_to};
use podium_protocol::WireError;
use podium_store::rusqlite::params;
use podium_store::{Durability, Tx};

use super::{SpareRow, folder};
use crate::error::{Error, Result, blocking};
use crate::removal::{Step, trash};
use crate::rows::RepoRow;
use crate::service::{RepoHandle, Worktrees, after, new_id};
use crate::settings::Settings;
use crate::{paths, trunk};

/// Steps of one tending: more than the largest pool needs, and an end for a trunk that never rests.
const STEPS: usize = 64;
/// Beginning of the name of a tree that is being deleted.
pub(super) const GONE: &str = ".gone-";
const MIB: u64 = 1024 * 1024;
/// What a file takes beyond its size, on average: the rest of its last block, and its index entry.
const OVERHEAD: u64 = 2_200;

/// What brings the pool nearer to what it is to be.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Delete(SpareRow),
    Advance(SpareRow, Oid),
    Make(Oid),
}

impl Worktrees {
    /// Brings the spares of a repository to the number that its settings ask for and to the newest trunk. Waits while
    /// worktrees are being made. A repository that is not known any more has nothing to tend.
    ///
    /// # Errors
    /// What git or the disk says. What is left to do is done by the next call.
    pub async fn tend_spares(&self, repo: &str) -> Result<(), WireError> {
        let id = repo.to_owned();
        let row: Result<Option<RepoRow>> =
            self.inner.store.read(move |conn| Ok(RepoRow::by_id(conn, &id)?)).await;
        let Some(row) = row? else { return Ok(()) };
        let handle = self.open_repo(&row).await?;
        let _turn = self.inner.gates.enter(format!("spares/{}", row.id)).await;
        for _ in 0..STEPS {
            self.until_nothing_is_made().await;
            match self.next_step(&handle).await? {
                None => break,
                Some(Next::Delete(spare)) => self.delete_spare(&handle, spare).await?,
                Some(Next::Advance(spare, tip)) => self.advance_spare(&handle, spare, tip).await?,
                Some(Next::Make(tip)) => self.make_spare(&handle, tip).await?,
            }
        }
        Ok(())
    }

    /// Ids of the repositories that have spares.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn repos_with_spares(&self) -> Result<Vec<String>, WireError> {
        let read = self.inner.store.read(|conn| -> Result<Vec<String>> {
            let mut statement = conn.prepare_cached("SELECT DISTINCT repo FROM spares")?;
            let found: Result<Vec<String>, _> = statement.query_map([], |row| row.get(0))?.collect();
            Ok(found?)
        });
        Ok(read.await?)
    }

    async fn until_nothing_is_made(&self) {
        // The sender lives as long as the service does.
        let _ = self.inner.making.subscribe().wait_for(|count| *count == 0).await;
    }

    async fn next_step(&self, handle: &Arc<RepoHandle>) -> Result<Option<Next>> {
        let repo = handle.row.id.clone();
        let rows: Result<Vec<SpareRow>> =
            self.inner.store.read(move |conn| Ok(SpareRow::of_repo(conn, &repo)?)).await;
        let (this, handle, rows) = (self.clone(), handle.clone(), rows?);
        blocking(move || {
            this.refresh_config(&handle);
            Ok(next(&handle, rows))
        })
        .await
    }

    async fn make_spare(&self, handle: &Arc<RepoHandle>, tip: Oid) -> Result<()> {
        let id = new_id();
        let name = format!("spare-{}", id.rsplit('-').next().unwrap_or(&id));
        let spare = SpareRow {
            path: folder(&handle.row).join(name),
            id,
            repo: handle.row.id.clone(),
            admin_dir: Default::default(),
            state: "making".to_owned(),
            at: None,
        };
        let intent = spare.clone();
        let write = move |tx: &Tx<'_>| -> Result<()> { Ok(intent.insert(tx, tx.now)?) };
        self.inner.store.write(Durability::Process, write).await?;
        after(&self.inner.settings, Step::SpareIntent)?;
        let made = self.make_on_disk(handle, spare.clone(), tip.clone()).await;
        self.settled(&spare, made, "making", &tip).await
    }

    async fn make_on_disk(&self, handle: &Arc<RepoHandle>, spare: SpareRow, tip: Oid) -> Result<()> {
        let (asked, start) = (handle.clone(), WorktreeStart::Detached(tip));
        let path = spare.path.clone();
        let added = blocking(move || {
            let parent = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(parent).map_err(|error| Error::io("made", parent, error))?;
            let mut add = AddWorktree::new(&path, start);
            (add.hooks, add.checkout, add.timeout) = (false, false, asked.patience());
            Ok(asked.repo.write(asked.patience())?.add_worktree(&add)?)
        });
        let location = added.await?.location;
        after(&self.inner.settings, Step::SpareAdded)?;
        let (id, admin) = (spare.id, paths::to_bytes(&location.git_dir));
        let write = move |tx: &Tx<'_>| -> Result<()> {
            tx.execute("UPDATE spares SET admin_dir = ?2 WHERE id = ?1", params![id, admin])?;
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        // Without the turn to change the repository: this takes seconds, and touches nothing but the spare.
        let asked = handle.clone();
        blocking(move || Ok(asked.repo.fill_worktree(&location, asked.patience())?)).await?;
        after(&self.inner.settings, Step::SpareFilled)
    }

    async fn advance_spare(&self, handle: &Arc<RepoHandle>, spare: SpareRow, tip: Oid) -> Result<()> {
        // Who wants a spare while all are on their way waits here.
        let _turn = self.inner.gates.enter(format!("spare/{}", spare.id)).await;
        if !self.step_spare(&spare.id, &["ready"], "advancing").await? {
            return Ok(());
        }
        after(&self.inner.settings, Step::SpareAdvancing)?;
        let (asked, task, to) = (handle.clone(), spare.clone(), tip.clone());
        let advanced = blocking(move || {
            if !is_sound(&asked.repo, &task) {
                return Err(WireError::internal("the spare was changed by somebody").into());
            }
            Ok(asked.repo.advance_worktree(&task.location(), &to, asked.patience())?)
        });
        let advanced = match advanced.await {
            Ok(()) => after(&self.inner.settings, Step::SpareAdvanced),
            Err(error) => Err(error),
        };
        self.settled(&spare, advanced, "advancing", &tip).await
    }

    /// Ready where the work went well, doomed where not; untouched where a test stopped it.
    async fn settled(
        &self,
        spare: &SpareRow,
        outcome: Result<()>,
        from: &'static str,
        tip: &Oid,
    ) -> Result<()> {
        if matches!(outcome, Err(Error::Unfinished)) {
            return outcome;
        }
        let (id, at) = (spare.id.clone(), outcome.is_ok().then(|| tip.to_string()));
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let state = if at.is_some() { "ready" } else { "doomed" };
            if SpareRow::step(tx, &id, &[from], state, tx.now)? {
                tx.execute("UPDATE spares SET at = ?2 WHERE id = ?1", params![id, at])?;
            }
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        outcome
    }

    pub(super) async fn step_spare(
        &self,
        id: &str,
        from: &'static [&'static str],
        to: &'static str,
    ) -> Result<bool> {
        let id = id.to_owned();
        let write = move |tx: &Tx<'_>| -> Result<bool> { Ok(SpareRow::step(tx, &id, from, to, tx.now)?) };
        self.inner.store.write(Durability::Process, write).await
    }

    /// Takes a spare away, or lets it go where it turns out to be somebody's.
    pub(crate) async fn delete_spare(&self, handle: &Arc<RepoHandle>, spare: SpareRow) -> Result<()> {
        const ANY: &[&str] = &["ready", "doomed", "making", "advancing"];
        if !self.step_spare(&spare.id, ANY, "doomed").await? {
            return Ok(());
        }
        let (asked, task, settings) = (handle.clone(), spare.clone(), self.inner.settings.clone());
        blocking(move || delete_on_disk(&asked, &task, &settings)).await?;
        let changed = handle.clone();
        let write = move |tx: &Tx<'_>| -> Result<()> {
            SpareRow::delete(tx, &spare.id)?;
            changed.changed();
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await
    }
}

fn next(handle: &RepoHandle, rows: Vec<SpareRow>) -> Option<Next> {
    if let Some(doomed) = rows.iter().find(|row| row.state == "doomed") {
        return Some(Next::Delete(doomed.clone()));
    }
    let mut ready: Vec<SpareRow> = rows.into_iter().filter(|row| row.state == "ready").collect();
    let tip = trunk::tip(handle)?;
    let wanted = wanted(handle);
    if ready.len() > wanted {
        // The oldest first; one at the tip is kept as long as others are not.
        let at = ready.iter().position(|row| row.at.as_ref() != Some(&tip)).unwrap_or(0);
        return Some(Next::Delete(ready.swap_remove(at)));
    }
    if let Some(stale) = ready.iter().find(|row| row.at.as_ref() != Some(&tip)) {
        return Some(Next::Advance(stale.clone(), tip));
    }
    (ready.len() < wanted && has_room(handle, &tip, ready.len())).then_some(Next::Make(tip))
}

/// The number that the settings ask for. A sparse checkout has none: what it shows may change without a commit.
fn wanted(handle: &RepoHandle) -> usize {
    let wanted = usize::try_from(handle.config().integer("worktrees.spares")).unwrap_or(0);
    let sparse = || handle.repo.config("core.sparseCheckout").ok().flatten().is_some_and(|on| on == "true");
    if wanted == 0 || sparse() { 0 } else { wanted }
}

/// Whether the repository is large enough for another spare to be worth it, and the disk too.
fn has_room(handle: &RepoHandle, tip: &Oid, have: usize) -> bool {
    let size = match handle.repo.tree_size(tip) {
        Ok(size) => size,
        Err(error) => {
            tracing::warn!(%error, "the size of trunk is not known; no spare is made");
            return false;
        }
    };
    let config = handle.config();
    let setting = |name| u64::try_from(config.integer(name)).unwrap_or(0);
    let TreeSize { files, bytes } = size;
    let each = bytes.saturating_add(files.saturating_mul(OVERHEAD));
    let all = each.saturating_mul(u64::try_from(have).unwrap_or(u64::MAX).saturating_add(1));
    let bounded = all <= setting("worktrees.spares_max_mb").saturating_mul(MIB);
    let floor = setting("worktrees.spares_min_free_mb").saturating_mul(MIB);
    let enough = free_disk(&folder(&handle.row)).is_none_or(|free| free.saturating_sub(each) >= floor);
    files >= setting("worktrees.spares_min_files") && bounded && enough
}

/// Free bytes where this folder is, or will be.
pub(crate) fn free_disk(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|part| part.exists())?;
    let stat = rustix::fs::statvfs(there).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Whether a spare is as the row says: in its place, whole, on no branch. Looks at no file of the tree.
pub(super) fn is_sound(repo: &Repo, spare: &SpareRow) -> bool {
    let at = spare.at.as_ref();
    let sound = |peek: podium_git::Peek| {
        let detached = matches!(&peek.head, Head::Detached { id } if Some(id) == at);
        detached && peek.whole && peek.path == spare.path
    };
    links_to(&spare.path, &spare.admin_dir) && repo.peek(&spare.admin_dir).is_ok_and(sound)
}

/// Renamed first, so that nobody takes half a tree for a whole one.
fn delete_on_disk(handle: &RepoHandle, spare: &SpareRow, settings: &Settings) -> Result<()> {
    let repo = &handle.repo;
    let writer = repo.write(handle.patience())?;
    let mut admin = spare.admin_dir.clone();
    if admin.as_os_str().is_empty()
        && let Ok(found) = repo.worktree_at(&spare.path)
    {
        admin = found.location.git_dir;
    }
    let known = (!admin.as_os_str().is_empty()).then(|| repo.peek(&admin).ok()).flatten();
    if let Some(peek) = &known
        && (peek.head.branch().is_some() || peek.path != spare.path)
    {
        tracing::info!(path = %peek.path.display(), "a spare that somebody works in is no spare any more");
        return Ok(());
    }
    let name = spare.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let gone = folder(&handle.row).join(format!("{GONE}{name}"));
    if trash::exists(&spare.path) {
        trash::delete(&gone)?;
        trash::rename(&spare.path, &gone)?;
    }
    after(settings, Step::SpareGone)?;
    if !admin.as_os_str().is_empty() {
        writer.drop_worktree(&admin)?;
    }
    drop(writer);
    trash::delete(&gone)
}

/// Longest wait for a git that the last daemon left behind in a spare.
pub(super) const OUTLIVING: Duration = Duration::from_secs(20);
