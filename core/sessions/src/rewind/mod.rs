//! Going back to a checkpoint: files, and if asked for commits, then the conversation. What is there before is kept in a
//! checkpoint; the intent is stored before anything changes, so that a next daemon finishes what a killed one began.

mod recover;
mod rows;
mod work;

use std::sync::Arc;

use podium_git::{GitError, TreeSnapshot};
use podium_protocol::{
    CheckpointKind, CheckpointRef, ItemKind, SessionItem, SessionRewound, SessionStatus, Usage,
};
use podium_store::rusqlite::Connection;
use podium_store::{Durability, NewEvent, now_ms, rfc3339};
use serde_json::json;

use crate::checkpoint::{CheckpointRow, Snapshots, Tree, record, rows as checkpoints};
use crate::hub::{Running, Update};
use crate::rows::{self as session_rows, SessionRow, StoredItem};
use crate::{SessionError, Sessions};

use rows::Intent;
use work::Brought;

/// A rewind by its steps. A test may stop it after each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewindStep {
    /// What is there now is kept, and the intent is stored.
    Intent,
    Files,
    Branch,
    Index,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewind {
    pub id: String,
    /// Checkpoint, by its id or the unique beginning of it.
    pub to: String,
    /// The worktree's branch goes back too.
    pub commits: bool,
}

/// What a rewind goes from and to.
struct Journey {
    session: SessionRow,
    target: CheckpointRow,
    undo: CheckpointRow,
    intent: Intent,
    /// Where there are files to bring back.
    place: Option<(Arc<Snapshots>, Tree)>,
}

impl Sessions {
    /// Takes a session back to a checkpoint. Whoever calls this has seen that its worktree may be changed.
    ///
    /// # Errors
    /// `NotFound`, `NoCheckpoint`; `Running` while a turn runs there; `OtherBranch` where commits cannot go back; those of
    /// git before anything changed. What fails later is taken back.
    pub async fn rewind(&self, ask: Rewind) -> Result<SessionRewound, SessionError> {
        let row = self.resolve(&ask.id).await?;
        let running =
            self.inner.hub.begin(&row.info.id).ok_or_else(|| SessionError::Running(row.info.id.clone()))?;
        let done = match self.settle_taken(&row.info.id, &running).await {
            Ok(()) => self.rewind_taken(&ask, &running).await,
            Err(error) => Err(error),
        };
        self.inner.hub.end(&row.info.id);
        done
    }

    async fn rewind_taken(&self, ask: &Rewind, running: &Running) -> Result<SessionRewound, SessionError> {
        // Read again: until it was taken, a turn may have run and ended.
        let row = self.resolve(&ask.id).await?;
        self.is_alone(&row).await?;
        let (id, to) = (row.info.id.clone(), ask.to.clone());
        let find = move |conn: &Connection| checkpoints::find(conn, &id, &to);
        let target = self.inner.store.read(find).await?;
        let (place, notes) = self.place(&row, &target).await?;
        let _gate = match &place {
            Some((snapshots, tree)) => Some(snapshots.gate(&tree.at).await),
            None => None,
        };
        let present = match &place {
            Some((snapshots, tree)) => Some(snapshots.take(&row.info.id, tree, None).await?),
            None => None,
        };
        if ask.commits {
            check_branch(present.as_ref(), target.snapshot.as_ref())?;
        }
        let journey = self.intend(row, target, present, ask.commits, place).await?;
        let brought = self.carry_out_or_back(&journey).await?;
        let mut rewound = self.arrive(journey, brought, running).await?;
        rewound.notes.extend(notes);
        Ok(rewound)
    }

    /// No other session may be at work in the worktree.
    async fn is_alone(&self, row: &SessionRow) -> Result<(), SessionError> {
        let Some(worktree) = &row.worktree_id else { return Ok(()) };
        let others = self.running_in(worktree).await?.into_iter().find(|id| *id != row.info.id);
        others.map_or(Ok(()), |other| Err(SessionError::Running(other)))
    }

    /// The worktree to bring files back in, and why there is none.
    async fn place(
        &self,
        row: &SessionRow,
        target: &CheckpointRow,
    ) -> Result<(Option<(Arc<Snapshots>, Tree)>, Vec<String>), SessionError> {
        let (Some(snapshots), Some(worktree)) = (self.inner.snapshots(), &row.worktree_id) else {
            return Ok((None, Vec::new()));
        };
        let Some(tree) = snapshots.tree(Some(worktree)).await? else {
            return Ok((None, vec!["its worktree is gone: only the conversation went back".to_owned()]));
        };
        if target.snapshot.is_none() {
            let note = "the checkpoint holds no files (any more): only the conversation went back";
            return Ok((None, vec![note.to_owned()]));
        }
        Ok((Some((Arc::clone(snapshots), tree)), Vec::new()))
    }

    /// Stores what is there now, and that it is to change.
    async fn intend(
        &self,
        row: SessionRow,
        target: CheckpointRow,
        present: Option<TreeSnapshot>,
        commits: bool,
        place: Option<(Arc<Snapshots>, Tree)>,
    ) -> Result<Journey, SessionError> {
        let undo = CheckpointRow {
            at: CheckpointRef { id: crate::checkpoint::new_id(), seq: row.info.last_seq },
            kind: CheckpointKind::Rewind,
            status: row.info.status,
            state: row.state.clone(),
            mark: row.mark.clone(),
            snapshot: present,
            usage: Usage::default(),
            created_at: 0,
        };
        let intent = Intent {
            session: row.info.id.clone(),
            target: target.at.id.clone(),
            undo: undo.at.id.clone(),
            commits,
        };
        let (kept, stored) = (undo.clone(), intent.clone());
        let write = self.inner.store.write::<(), SessionError>(Durability::Power, move |tx| {
            checkpoints::insert(tx, &stored.session, &kept)?;
            stored.insert(tx)?;
            Ok(())
        });
        write.await?;
        Ok(Journey { session: row, target, undo, intent, place })
    }

    /// The transaction with which the session is where it was to go.
    async fn arrive(
        &self,
        journey: Journey,
        brought: Brought,
        running: &Running,
    ) -> Result<SessionRewound, SessionError> {
        let Journey { session, target, undo, intent, .. } = journey;
        let id = session.info.id.clone();
        let seq = session.info.last_seq + 1;
        let item = marker(seq, &target, &undo);
        // What no model reads anew knows more than the transcript that counts now.
        let provider = self.named(&session.info.provider).ok();
        let replays = provider.as_ref().is_some_and(|provider| provider.replays());
        let state = target.state.clone().filter(|_| replays);
        let mark = target.mark.clone().filter(|_| state.is_some());
        let reason = (target.status == SessionStatus::Interrupted)
            .then(|| "taken back into the middle of an answer".to_owned());
        let event = rewound_event(&id, &target, &undo, &brought);
        let (row, at, status) = (item.clone(), target.at.clone(), target.status);
        let write = self.inner.store.write::<(), SessionError>(Durability::Power, move |tx| {
            session_rows::append(tx, &intent.session, &[row])?;
            session_rows::set_status(tx, &intent.session, status, reason.as_deref(), None)?;
            session_rows::set_place(tx, &intent.session, state.as_deref(), mark.as_ref(), &at)?;
            intent.delete(tx)?;
            tx.emit(&event)?;
            Ok(())
        });
        write.await?;
        running.tell(Update::Items([item.item].into()));
        let mut notes = brought.notes();
        if let Some(provider) = provider {
            provider.abandon(&id).await;
            notes.extend(provider.forgets().map(str::to_owned));
        }
        Ok(SessionRewound {
            id,
            to: target.at.id,
            seq: target.at.seq,
            undo: undo.at.id,
            status: target.status,
            files_changed: record::shown(&brought.restored.changed),
            kept: record::shown(&brought.restored.kept),
            notes,
        })
    }
}

/// Commits go back only on the branch that is checked out.
fn check_branch(now: Option<&TreeSnapshot>, then: Option<&TreeSnapshot>) -> Result<(), SessionError> {
    let (Some(now), Some(then)) = (now, then) else { return Ok(()) };
    if now.branch == then.branch && then.head.is_some() && now.head.is_some() {
        return Ok(());
    }
    let name = |snapshot: &TreeSnapshot| match (&snapshot.branch, &snapshot.head) {
        (Some(branch), Some(_)) => format!("`{branch}`"),
        (Some(branch), None) => format!("`{branch}`, without a commit"),
        (None, _) => "a detached HEAD".to_owned(),
    };
    Err(SessionError::OtherBranch { now: name(now), then: name(then) })
}

/// The item that says that what stands between does not count any more.
fn marker(seq: u64, target: &CheckpointRow, undo: &CheckpointRow) -> StoredItem {
    let at = now_ms();
    let text = match target.at.seq {
        0 => "Taken back to the beginning. What stands above does not count any more.".to_owned(),
        last => format!("Taken back to behind item {last}. What stands between does not count any more."),
    };
    let data = json!({
        "id": undo.at.id,
        "seq": undo.at.seq,
        "rewind": { "to": target.at.id, "seq": target.at.seq },
    });
    let item = SessionItem {
        seq,
        kind: ItemKind::Checkpoint,
        text,
        is_final: false,
        data: Some(data),
        time: rfc3339(at),
    };
    StoredItem { item, at, tokens: Vec::new() }
}

fn rewound_event(id: &str, target: &CheckpointRow, undo: &CheckpointRow, brought: &Brought) -> NewEvent {
    let data = json!({
        "id": id,
        "to": target.at.id,
        "seq": target.at.seq,
        "undo": undo.at.id,
        "status": target.status.as_str(),
        "filesChanged": record::shown(&brought.restored.changed),
        "kept": record::shown(&brought.restored.kept),
    });
    NewEvent::new("session.rewound", format!("session/{id}"), data).correlated(id)
}

/// The same as an error of git.
fn cut_off() -> SessionError {
    SessionError::Git(GitError::Stopped { command: "rewind".to_owned() })
}
