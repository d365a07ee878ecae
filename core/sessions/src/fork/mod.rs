//! A session of its own out of another one's beginning. Items, checkpoints and snapshots are copied; the other session is
//! only read.

use std::path::PathBuf;
use std::sync::Arc;

use podium_git::TreeSnapshot;
use podium_protocol::{CheckpointRef, SessionForked, SessionStatus};
use podium_store::rusqlite::{Connection, params};
use podium_store::{Durability, NewEvent, StoreError, Tx};
use serde_json::json;

use crate::checkpoint::{CheckpointRow, Tree, blocking, rows as checkpoints};
use crate::opening::check_id;
use crate::rows::{self as session_rows, SessionRow};
use crate::turn::Mark;
use crate::{SessionError, Sessions, WorktreeRef};

/// What a fork begins with.
pub struct ForkPlan {
    from: SessionRow,
    at: Option<CheckpointRef>,
    seq: u64,
    status: SessionStatus,
    state: Option<Vec<u8>>,
    mark: Option<Mark>,
    snapshot: Option<TreeSnapshot>,
    /// The worktree of the other session.
    tree: Option<Tree>,
}

impl ForkPlan {
    /// Path and commit that a worktree for the fork is made from.
    #[must_use]
    pub fn base(&self) -> (Option<PathBuf>, Option<String>) {
        let path = self.from.info.worktree_path.as_ref().map(PathBuf::from);
        (path, self.snapshot.as_ref().and_then(|snapshot| snapshot.head.as_ref()).map(ToString::to_string))
    }
}

impl Sessions {
    /// Looks at what is to be forked: a checkpoint, or the session as it is. `files`: they are to be taken along.
    ///
    /// # Errors
    /// `NotFound`, `NoCheckpoint`; `Running` for the present of a session that runs; `NoFiles`; where a rewind is left half
    /// done, what keeps it from being finished.
    pub async fn plan_fork(&self, id: &str, at: Option<&str>, files: bool) -> Result<ForkPlan, SessionError> {
        let from = self.resolve(id).await?;
        // Half of a rewind is no present that anything could begin with.
        self.settle_rewind(&from.info.id).await?;
        let from = self.resolve(&from.info.id).await?;
        let tree = match self.inner.snapshots() {
            Some(snapshots) => snapshots.tree(from.worktree_id.as_deref()).await?,
            None => None,
        };
        let mut plan = match at {
            Some(at) => self.plan_at(from, at, tree).await?,
            None => self.plan_now(from, files, tree).await?,
        };
        if files && plan.snapshot.is_none() {
            return Err(SessionError::NoFiles(plan.from.info.id));
        }
        // What no model reads anew knows more than the transcript of the fork.
        if !self.named(&plan.from.info.provider).is_ok_and(|provider| provider.replays()) {
            (plan.state, plan.mark) = (None, None);
        }
        Ok(plan)
    }

    async fn plan_at(
        &self,
        from: SessionRow,
        at: &str,
        tree: Option<Tree>,
    ) -> Result<ForkPlan, SessionError> {
        let (id, at) = (from.info.id.clone(), at.to_owned());
        let find = move |conn: &Connection| checkpoints::find(conn, &id, &at);
        let CheckpointRow { at, status, state, mark, snapshot, .. } = self.inner.store.read(find).await?;
        Ok(ForkPlan { from, seq: at.seq, at: Some(at), status, state, mark, snapshot, tree })
    }

    async fn plan_now(
        &self,
        from: SessionRow,
        files: bool,
        tree: Option<Tree>,
    ) -> Result<ForkPlan, SessionError> {
        if self.is_running(&from.info.id) {
            return Err(SessionError::Running(from.info.id));
        }
        let snapshot = match (self.inner.snapshots(), &tree) {
            (Some(snapshots), Some(tree)) if files => Some(snapshots.take(&from.info.id, tree, None).await?),
            _ => None,
        };
        let (seq, status) = (from.info.last_seq, from.info.status);
        let (state, mark) = (from.state.clone(), from.mark.clone());
        Ok(ForkPlan { from, at: None, seq, status, state, mark, snapshot, tree })
    }

    /// Makes the commit that a worktree is to be made from be in the repository, whatever was collected since.
    ///
    /// # Errors
    /// Those of git.
    pub async fn prepare_fork(&self, plan: &ForkPlan) -> Result<(), SessionError> {
        let (Some(snapshots), Some(tree), Some(snapshot)) =
            (self.inner.snapshots().cloned(), plan.tree.clone(), plan.snapshot.clone())
        else {
            return Ok(());
        };
        let session = plan.from.info.id.clone();
        let bring = move || {
            let Some(head) = &snapshot.head else { return Ok(()) };
            let writer = tree.repo.write(std::time::Duration::from_secs(60))?;
            snapshots.open(&session, &tree)?.bring(&writer, &tree.at, head)
        };
        blocking(bring).await
    }

    /// Makes the session. `worktree`: a new one for it, which gets the files.
    ///
    /// # Errors
    /// `Exists`, `Invalid`; those of git; what the database says.
    pub async fn fork(
        &self,
        plan: ForkPlan,
        id: Option<&str>,
        worktree: Option<WorktreeRef>,
    ) -> Result<SessionForked, SessionError> {
        let id = match id {
            Some(id) => check_id(id)?,
            None => crate::checkpoint::new_id(),
        };
        if self.find(&id).await?.is_some() {
            return Err(SessionError::Exists(id));
        }
        self.copy_snapshots(&plan, &id).await?;
        let mut notes = Vec::new();
        if let Some(worktree) = &worktree {
            notes.extend(self.fill(&plan, &id, worktree).await?);
        }
        if let Ok(provider) = self.named(&plan.from.info.provider) {
            notes.extend(provider.forgets().map(str::to_owned));
        }
        let place = worktree.or_else(|| own_worktree(&plan.from));
        let event = forked_event(&id, &plan, place.as_ref());
        let from = plan.from.info.id.clone();
        let (status, seq, checkpoint) = (plan.status, plan.seq, plan.at.as_ref().map(|at| at.id.clone()));
        let (new, told) = (id.clone(), place.clone());
        let write = self.inner.store.write::<(), SessionError>(Durability::Power, move |tx| {
            if session_rows::find(tx, &new)?.is_some() {
                return Err(SessionError::Exists(new));
            }
            insert(tx, &new, &plan, place.as_ref())?;
            tx.emit(&event)?;
            Ok(())
        });
        write.await?;
        Ok(SessionForked {
            id,
            from,
            checkpoint,
            last_seq: seq,
            status,
            worktree: told.as_ref().map(|place| place.name.clone()),
            worktree_path: told.map(|place| place.path.to_string_lossy().into_owned()),
            notes,
        })
    }

    async fn copy_snapshots(&self, plan: &ForkPlan, id: &str) -> Result<(), SessionError> {
        let (Some(snapshots), Some(tree)) = (self.inner.snapshots().cloned(), plan.tree.clone()) else {
            return Ok(());
        };
        let (from, to) = (plan.from.info.id.clone(), snapshots.folder_of(id));
        let copy = move || snapshots.open(&from, &tree)?.copy_to(&to).map(drop);
        blocking(copy).await
    }

    /// Brings the files into the new worktree.
    async fn fill(
        &self,
        plan: &ForkPlan,
        id: &str,
        worktree: &WorktreeRef,
    ) -> Result<Vec<String>, SessionError> {
        let (Some(snapshots), Some(then)) = (self.inner.snapshots().cloned(), plan.snapshot.clone()) else {
            return Ok(Vec::new());
        };
        let Some(tree) = snapshots.tree(Some(&worktree.id)).await? else { return Err(SessionError::CutOff) };
        let _gate = snapshots.gate(&tree.at).await;
        let now = snapshots.take(id, &tree, None).await?;
        let (session, keeper) = (id.to_owned(), Arc::clone(&snapshots));
        let fill = move || {
            let store = keeper.open(&session, &tree)?;
            let restored = store.restore(&tree.at, &now, &then)?;
            let writer = tree.repo.write(std::time::Duration::from_secs(60))?;
            store.restore_index(&writer, &tree.at, &then)?;
            Ok(restored)
        };
        let restored = blocking(fill).await?;
        let mut notes = Vec::new();
        if !restored.kept.is_empty() {
            let names = crate::checkpoint::record::shown(&restored.kept).join(", ");
            notes.push(format!("something lay there already: {names}"));
        }
        if !restored.repositories.is_empty() {
            let names = crate::checkpoint::record::shown(&restored.repositories).join(", ");
            notes.push(format!("repositories inside are not taken along: {names}"));
        }
        Ok(notes)
    }
}

fn own_worktree(from: &SessionRow) -> Option<WorktreeRef> {
    Some(WorktreeRef {
        id: from.worktree_id.clone()?,
        repo: from.repo.clone().unwrap_or_default(),
        name: from.info.worktree.clone()?,
        path: PathBuf::from(from.info.worktree_path.clone()?),
    })
}

/// Copies rows up to the place. What was used before is the other session's.
fn insert(tx: &Tx<'_>, id: &str, plan: &ForkPlan, worktree: Option<&WorktreeRef>) -> Result<(), StoreError> {
    let from = &plan.from.info.id;
    let reason = (plan.status == SessionStatus::Interrupted).then_some("forked in the middle of an answer");
    let status =
        if plan.status == SessionStatus::InProgress { SessionStatus::Interrupted } else { plan.status };
    let mark = plan.mark.as_ref().and_then(|mark| serde_json::to_string(mark).ok());
    tx.execute(
        "INSERT INTO sessions (id, provider, model, status, reason, title, agent_id, repo, worktree, worktree_name,
             worktree_path, request, state, state_mark, last_seq, checkpoint_id, checkpoint_seq, created_at, updated_at)
         SELECT ?2, provider, model, ?3, ?4, title, agent_id, repo, ?5, ?6, ?7, request, ?8, ?9, ?10, ?11, ?12, ?13, ?13
         FROM sessions WHERE id = ?1",
        params![
            from,
            id,
            status.as_str(),
            reason,
            worktree.map(|place| &place.id),
            worktree.map(|place| &place.name),
            worktree.map(|place| place.path.to_string_lossy().as_bytes().to_vec()),
            plan.state,
            mark,
            plan.seq,
            plan.at.as_ref().map(|at| &at.id),
            plan.at.as_ref().map(|at| at.seq),
            tx.now,
        ],
    )?;
    tx.execute(
        "INSERT INTO items (session, seq, kind, text, final, data, tokens, time)
         SELECT ?2, seq, kind, text, final, data, tokens, time FROM items WHERE session = ?1 AND seq <= ?3",
        params![from, id, plan.seq],
    )?;
    // The prompt of a turn that begins behind the place is not there.
    tx.execute(
        "INSERT INTO checkpoints (session, id, seq, kind, status, state, mark, snapshot, created_at)
         SELECT ?2, id, seq, kind, status, state, mark, snapshot, created_at FROM checkpoints
         WHERE session = ?1 AND (seq < ?3 OR id = ?4 OR (seq = ?3 AND kind <> 'rewind'))",
        params![from, id, plan.seq, plan.at.as_ref().map(|at| &at.id)],
    )?;
    tx.execute(
        "INSERT INTO turns (session, seq, started, ended, files, diff)
         SELECT ?2, seq, started, ended, files, diff FROM turns WHERE session = ?1 AND seq <= ?3",
        params![from, id, plan.seq],
    )?;
    Ok(())
}

fn forked_event(id: &str, plan: &ForkPlan, worktree: Option<&WorktreeRef>) -> NewEvent {
    let data = json!({
        "id": id,
        "from": plan.from.info.id,
        "checkpoint": plan.at.as_ref().map(|at| &at.id),
        "seq": plan.seq,
        "provider": plan.from.info.provider,
        "title": plan.from.info.title,
        "agentId": plan.from.info.agent_id,
        "worktree": worktree.map(|place| &place.name),
        "worktreeId": worktree.map(|place| &place.id),
    });
    NewEvent::new("session.forked", format!("session/{id}"), data).correlated(id)
}
