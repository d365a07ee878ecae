//! One synchronisation of a repository: look everywhere at once, record what will be done, do it, tell it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use podium_protocol::{SyncReport, SyncRunParams, SyncState, WireError};
use podium_store::{Durability, NewEvent, Tx};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinSet;

use super::apply;
use super::backups::{self, Keeper};
use super::excludes;
use super::plan::{self, Entry, Reach, Step};
use super::report::Outcome;
use super::rows::{self, LinkRow};
use super::sources::{Place, Sources};
use crate::claim::may_force;
use crate::error::{Error, Result, blocking};
use crate::rows::{RepoRow, WorktreeRow};
use crate::service::{RepoHandle, Worktrees, lock};
use crate::settings::Caller;
use crate::view::{location, some};

/// What is asked of a synchronisation.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) check: bool,
    /// Id of the only worktree to look at.
    pub(super) only: Option<String>,
    pub(super) reach: Reach,
}

/// What a daemon has to watch for a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncWatch {
    /// Folder of the shared files; need not exist.
    pub folder: PathBuf,
    /// Places of links, in all worktrees.
    pub links: Vec<PathBuf>,
    /// Where the guard writes commits of persons in spite of a claim; need not exist.
    pub overrides: PathBuf,
}

/// Rows that a synchronisation starts from.
struct Known {
    trees: Vec<WorktreeRow>,
    links: BTreeMap<String, Vec<LinkRow>>,
    excludes: Vec<Vec<u8>>,
}

impl Worktrees {
    /// Links what the worktrees of a repository share, and tells how each link is.
    ///
    /// # Errors
    /// `NotFound` outside a repository or for no such worktree; `User` for an agent that forces or adopts;
    /// `Conflict` where it is not clear what shall be adopted.
    pub async fn sync(&self, params: SyncRunParams, caller: &Caller) -> Result<SyncReport, WireError> {
        may_force(params.force || params.adopt.is_some(), caller)?;
        let (handle, only) = match &params.worktree {
            Some(name) => {
                let (repo, row) = self.find(&params.at, Some(name), caller).await?;
                (self.handle(&repo).await?, Some(row.id))
            }
            None => (self.repo_at(&params.at, caller).await?, None),
        };
        self.reconcile(&handle).await?;
        let place = Place::of(&handle.row);
        if let Some(path) = &params.adopt {
            let here = self.find(&params.at, None, caller).await.ok().map(|(_, row)| row.id);
            return Ok(self.adopt(&handle, path, only, here).await?);
        }
        let adopts = self.policy(&handle) == "adopt" && caller.agent.is_none();
        if adopts && !params.check {
            self.adopt_replaced(&handle, only.clone()).await?;
        }
        let reach = Reach { replaced: true, own: params.force };
        let order = Order { check: params.check, only, reach };
        let (this, asked) = (self.clone(), handle.clone());
        let outcome = self.to_its_end(async move { this.synchronise(&asked, order).await }).await?;
        Ok(outcome.report(&handle.row, &place, params.check))
    }

    /// What a change on disk asks for, within the policy `sync.on_replace`.
    ///
    /// # Errors
    /// What the disk or the store refuses.
    pub async fn sync_repo(&self, repo: &str) -> Result<(), WireError> {
        let Some(handle) = self.known_handle(repo).await? else { return Ok(()) };
        let (this, asked) = (self.clone(), handle.clone());
        let policy = blocking(move || {
            this.refresh_config(&asked);
            Ok(this.policy(&asked))
        })
        .await?;
        if policy == "adopt" {
            self.adopt_replaced(&handle, None).await?;
        }
        let reach = Reach { replaced: policy == "repair", own: false };
        let (this, order) = (self.clone(), Order { check: false, only: None, reach });
        self.to_its_end(async move { this.synchronise(&handle, order).await }).await?;
        Ok(())
    }

    /// What to watch; `None` for a repository that is not known any more.
    ///
    /// # Errors
    /// What the disk or the store refuses.
    pub async fn sync_watch(&self, repo: &str) -> Result<Option<SyncWatch>, WireError> {
        let Some(handle) = self.known_handle(repo).await? else { return Ok(None) };
        let place = Place::of(&handle.row);
        let known = self.sync_rows(&handle).await?;
        let of_tree = |row: &WorktreeRow| {
            let links = known.links.get(&row.id).into_iter().flatten();
            links.map(|link| row.path.join(&link.path)).collect::<Vec<_>>()
        };
        let links = known.trees.iter().flat_map(of_tree).collect();
        let overrides = Self::override_file(&handle.row.common_dir);
        Ok(Some(SyncWatch { folder: place.folder, links, overrides }))
    }

    /// Ids of all repositories.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn repo_ids(&self) -> Result<Vec<String>, WireError> {
        let rows: Result<Vec<RepoRow>> = self.inner.store.read(|conn| Ok(RepoRow::all(conn)?)).await;
        Ok(rows?.into_iter().map(|row| row.id).collect())
    }

    /// Links in a worktree that was just made. It stands without them as well, so a failure is only told.
    pub(crate) async fn sync_new(&self, handle: &Arc<RepoHandle>, id: &str) {
        let reach = Reach { replaced: false, own: false };
        let order = Order { check: false, only: Some(id.to_owned()), reach };
        if let Err(error) = self.synchronise(handle, order).await {
            tracing::warn!(%error, worktree = id, "the shared files are not linked yet");
        }
    }

    pub(crate) async fn known_handle(&self, repo: &str) -> Result<Option<Arc<RepoHandle>>> {
        let id = repo.to_owned();
        let row: Result<Option<RepoRow>> =
            self.inner.store.read(move |conn| Ok(RepoRow::by_id(conn, &id)?)).await;
        match row? {
            Some(row) if row.common_dir.is_dir() => Ok(Some(self.handle(&row).await?)),
            _ => Ok(None),
        }
    }

    fn policy(&self, handle: &RepoHandle) -> String {
        handle.config().text("sync.on_replace").to_owned()
    }

    async fn sync_rows(&self, handle: &RepoHandle) -> Result<Known> {
        let repo = handle.row.id.clone();
        let read = self.inner.store.read(move |conn| -> Result<Known> {
            let mut links: BTreeMap<String, Vec<LinkRow>> = BTreeMap::new();
            for link in LinkRow::of_repo(conn, &repo)? {
                links.entry(link.worktree.clone()).or_default().push(link);
            }
            let trees = WorktreeRow::of_repo(conn, &repo)?;
            Ok(Known { trees, links, excludes: rows::excludes(conn, &repo)? })
        });
        read.await
    }

    /// One at a time for each repository.
    pub(super) async fn synchronise(&self, handle: &Arc<RepoHandle>, order: Order) -> Result<Outcome> {
        let _turn = self.sync_turn(&handle.row.id).await;
        let repo = handle.row.id.clone();
        let still: Result<Option<RepoRow>> =
            self.inner.store.read(move |conn| Ok(RepoRow::by_id(conn, &repo)?)).await;
        // Forgotten while this waited for its turn: nothing of it is Podium's any more.
        if still?.is_none() {
            return Ok(Outcome::default());
        }
        let place = Place::of(&handle.row);
        let mut known = self.sync_rows(handle).await?;
        let asked = place.clone();
        let read =
            blocking(move || Sources::read(&asked).map_err(|error| Error::io("read", &asked.folder, error)));
        let sources = Arc::new(read.await?);
        let mut outcome = Outcome::default();
        outcome.note_sources(&sources);
        if sources.is_empty() && known.links.is_empty() && known.excludes.is_empty() {
            return Ok(outcome);
        }
        let trees = std::mem::take(&mut known.trees).into_iter();
        let trees: Vec<_> = trees.filter(|row| order.only.as_ref().is_none_or(|id| *id == row.id)).collect();
        outcome.trees =
            self.look_at_all(handle, &place, &sources, trees, &mut known.links, order.reach).await?;
        if order.check {
            return Ok(outcome);
        }
        self.intend_links(&outcome).await?;
        let wanted = excludes::patterns(&place, &sources.paths());
        self.exclude(handle, wanted, std::mem::take(&mut known.excludes)).await?;
        let kept = self.apply_all(&place, &mut outcome).await?;
        if order.only.is_none() {
            outcome.changed = self.changed_sources(handle, &place, &sources);
        }
        self.finish_sync(handle, outcome, kept).await
    }

    async fn look_at_all(
        &self,
        handle: &Arc<RepoHandle>,
        place: &Place,
        sources: &Arc<Sources>,
        trees: Vec<WorktreeRow>,
        links: &mut BTreeMap<String, Vec<LinkRow>>,
        reach: Reach,
    ) -> Result<Vec<(WorktreeRow, Vec<Entry>)>> {
        let mut looks = JoinSet::new();
        for (number, row) in trees.into_iter().enumerate() {
            let (this, handle, place, sources) =
                (self.clone(), handle.clone(), place.clone(), sources.clone());
            let rows = links.remove(&row.id).unwrap_or_default();
            looks.spawn(async move {
                let _turn = this.inner.looks.acquire().await;
                blocking(move || {
                    // Of a tree that is not there, nothing can be said.
                    if row.removing.is_some() || !row.path.is_dir() {
                        return Ok(None);
                    }
                    let wanted = sources.of_worktree(&row.name);
                    let entries = plan::plan(&handle.repo, &location(&row), &place, wanted, rows, reach)?;
                    Ok(Some((number, row, entries)))
                })
                .await
            });
        }
        let mut found = Vec::new();
        while let Some(look) = looks.join_next().await {
            match look.unwrap_or(Err(Error::Unfinished)) {
                Ok(tree) => found.extend(tree),
                // One tree that cannot be read does not keep the others from their files.
                Err(error) => tracing::warn!(%error, "a worktree was not synchronised"),
            }
        }
        found.sort_by_key(|(number, ..)| *number);
        Ok(found.into_iter().map(|(_, row, entries)| (row, entries)).collect())
    }

    /// Remembers which places are ours before anything is put there.
    async fn intend_links(&self, outcome: &Outcome) -> Result<()> {
        let mut intents = Vec::new();
        for (row, entries) in &outcome.trees {
            for entry in entries.iter().filter(|entry| {
                matches!(entry.step, Step::Link | Step::Relink | Step::Replace)
                    && !entry.known.as_ref().is_some_and(|known| known.linked)
            }) {
                intents.push(link_row(row, entry, true));
            }
        }
        if intents.is_empty() {
            return Ok(());
        }
        let write = move |tx: &Tx<'_>| -> Result<()> { intents.iter().try_for_each(|row| Ok(row.put(tx)?)) };
        self.inner.store.write(Durability::Process, write).await
    }

    /// Gives what was kept, by worktree.
    async fn apply_all(
        &self,
        place: &Place,
        outcome: &mut Outcome,
    ) -> Result<Vec<(String, Vec<(PathBuf, PathBuf)>)>> {
        let mut work = JoinSet::new();
        for (number, (row, entries)) in outcome.trees.iter().enumerate() {
            let (this, place, row, mut entries) = (self.clone(), place.clone(), row.clone(), entries.clone());
            let home = self.inner.settings.home.clone();
            work.spawn(async move {
                let _turn = this.inner.looks.acquire().await;
                blocking(move || {
                    let keeper = Keeper::new(&home, &row.name);
                    apply::apply(&row.path, &place, &keeper, &mut entries);
                    Ok((number, entries, (row.name, keeper.take())))
                })
                .await
            });
        }
        let mut kept = Vec::new();
        while let Some(done) = work.join_next().await {
            let (number, entries, more) = done.unwrap_or(Err(Error::Unfinished))?;
            if let Some(tree) = outcome.trees.get_mut(number) {
                tree.1 = entries;
            }
            kept.push(more);
        }
        Ok(kept)
    }

    fn changed_sources(&self, handle: &RepoHandle, place: &Place, sources: &Sources) -> Vec<String> {
        let now = sources.stamps();
        let before = lock(&self.inner.stamps).insert(handle.row.id.clone(), now.clone());
        let Some(before) = before else { return Vec::new() };
        let changed: BTreeSet<_> = now
            .iter()
            .filter(|(path, stamp)| before.get(*path).is_some_and(|old| old != *stamp))
            .map(|(path, _)| path.strip_prefix(&place.folder).unwrap_or(path).to_string_lossy().into_owned())
            .collect();
        changed.into_iter().collect()
    }

    /// The rows as they are now, and the event where something is not as it was.
    async fn finish_sync(
        &self,
        handle: &Arc<RepoHandle>,
        outcome: Outcome,
        kept: Vec<(String, Vec<(PathBuf, PathBuf)>)>,
    ) -> Result<Outcome> {
        let news = is_news(&outcome);
        if !news && kept.iter().all(|(_, kept)| kept.is_empty()) {
            return Ok(outcome);
        }
        let event = outcome.event(&handle.row);
        let (repo, mut puts, mut gone) = (handle.row.id.clone(), Vec::new(), Vec::new());
        for (row, entry) in
            outcome.trees.iter().flat_map(|(row, entries)| entries.iter().map(move |e| (row, e)))
        {
            if matches!(entry.step, Step::Drop | Step::Forget) {
                gone.push((row.id.clone(), entry.path.clone()));
            } else if entry.source.is_some() {
                let was = entry.known.as_ref().is_some_and(|known| known.linked);
                puts.push(link_row(row, entry, was || entry.state.is_well()));
            }
        }
        let write = move |tx: &Tx<'_>| -> Result<()> {
            puts.iter().try_for_each(|row| row.put(tx))?;
            gone.iter().try_for_each(|(worktree, path)| LinkRow::delete(tx, worktree, path))?;
            kept.iter().try_for_each(|(worktree, kept)| backups::record(tx, &repo, worktree, kept))?;
            if news {
                tx.emit(&NewEvent::new("config.synced", format!("repo/{repo}"), event))?;
            }
            Ok(())
        };
        self.inner.store.write(Durability::Process, write).await?;
        Ok(outcome)
    }

    /// The turn to synchronise a repository. Held, nothing is linked.
    pub(crate) async fn sync_turn(&self, repo: &str) -> OwnedMutexGuard<()> {
        self.inner.gates.enter(format!("sync/{repo}")).await
    }

    /// Takes links and excludes of a repository away, and tells what went. The caller has the turn to synchronise.
    pub(crate) async fn unlink_all(&self, handle: &Arc<RepoHandle>) -> Result<Vec<String>> {
        let place = Place::of(&handle.row);
        let mut known = self.sync_rows(handle).await?;
        let asked = handle.clone();
        let undone = blocking(move || {
            let mut count = 0_usize;
            for row in &known.trees {
                for link in known.links.remove(&row.id).unwrap_or_default() {
                    let full = row.path.join(&link.path);
                    let ours = apply::is_ours(&place, &full, Some(&link));
                    if ours && apply::drop_link(&place, &full, Some(&link)).is_ok() {
                        apply::remove_folders(&row.path, &link.path, link.folders);
                        count += 1;
                    }
                }
            }
            let mut undone = Vec::new();
            if count > 0 {
                undone.push(format!("took {} to {} away", some(count, "link"), place.folder.display()));
            }
            if !known.excludes.is_empty() {
                let writer = asked.repo.write(asked.patience())?;
                if writer.remove_excludes(&known.excludes)? {
                    undone.push(format!("took {} out of info/exclude", some(known.excludes.len(), "line")));
                }
            }
            Ok(undone)
        });
        undone.await
    }
}

fn link_row(row: &WorktreeRow, entry: &Entry, linked: bool) -> LinkRow {
    // What was just done is simply well from now on.
    let state = if entry.state.is_well() { SyncState::Ok } else { entry.state };
    LinkRow {
        worktree: row.id.clone(),
        path: entry.path.clone(),
        state: state.name().to_owned(),
        linked,
        target: entry.target.clone().filter(|_| linked),
        folders: entry.folders,
    }
}

fn is_news(outcome: &Outcome) -> bool {
    let news = |entry: &Entry| match (&entry.known, entry.state) {
        (_, SyncState::Linked | SyncState::Repaired | SyncState::Removed | SyncState::Adopted) => true,
        (Some(known), state) => known.state != state.name(),
        (None, _) => true,
    };
    !outcome.changed.is_empty() || outcome.trees.iter().any(|(_, entries)| entries.iter().any(news))
}
