//! What a rewind does to a worktree. Each step may be done again after it was cut off.

use std::sync::Arc;
use std::time::Duration;

use podium_git::{GitError, Restored, TreeSnapshot};
use podium_store::Durability;

use super::rows::Intent;
use super::{Journey, RewindStep, cut_off};
use crate::checkpoint::{Snapshots, Tree, blocking};
use crate::{SessionError, Sessions};

/// How long a rewind waits for its turn to change the repository.
const TURN: Duration = Duration::from_secs(60);

/// What was brought back.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) restored: Restored,
    /// HEAD is at another commit than the checkpoint's.
    pub(super) commits_stay: bool,
}

impl Brought {
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.commits_stay {
            notes.push(
                "commits made since stay on the branch, and the files differ from them; `--commits` takes the branch back"
                    .to_owned(),
            );
        }
        if !self.restored.repositories.is_empty() {
            let names: Vec<_> =
                self.restored.repositories.iter().map(|path| path.to_string_lossy().into_owned()).collect();
            notes.push(format!("repositories inside stay as they are: {}", names.join(", ")));
        }
        notes
    }
}

impl Sessions {
    /// Brings files, branch and index to the target. What fails is taken back, unless the process is about to die.
    pub(super) async fn carry_out_or_back(&self, journey: &Journey) -> Result<Brought, SessionError> {
        let error = match self.carry_out(journey).await {
            Ok(brought) => return Ok(brought),
            // As by SIGKILL: the next daemon finds the intent.
            Err(error @ SessionError::Git(GitError::Stopped { .. })) => return Err(error),
            Err(error) => error,
        };
        if let Err(second) = self.take_back(journey).await {
            tracing::error!(session = journey.intent.session, error = %second, "a rewind is left half done");
        }
        Err(error)
    }

    /// Makes the worktree what it was before the rewind, which is over then.
    pub(super) async fn take_back(&self, journey: &Journey) -> Result<(), SessionError> {
        if let (Some((snapshots, tree)), Some(now), Some(then)) =
            (&journey.place, &journey.undo.snapshot, &journey.target.snapshot)
        {
            let commits = journey.intent.commits;
            let way = Move { from: then.clone(), to: now.clone(), commits, back: true };
            bring(snapshots, tree, &journey.intent.session, way, |_| Ok(())).await?;
        }
        self.drop_intent(journey.intent.clone()).await
    }

    /// There is no rewind to finish any more.
    pub(super) async fn drop_intent(&self, intent: Intent) -> Result<(), SessionError> {
        let write =
            self.inner.store.write::<(), SessionError>(Durability::Power, move |tx| Ok(intent.delete(tx)?));
        write.await
    }

    /// Also of a rewind that an earlier daemon began.
    pub(super) async fn carry_out(&self, journey: &Journey) -> Result<Brought, SessionError> {
        let stop = self.inner.snapshots().and_then(|snapshots| snapshots.stop_after.clone());
        let after = move |step: RewindStep| match &stop {
            Some(stop) if stop(step) => Err(cut_off()),
            _ => Ok(()),
        };
        after(RewindStep::Intent)?;
        let (Some((snapshots, tree)), Some(now), Some(then)) =
            (&journey.place, &journey.undo.snapshot, &journey.target.snapshot)
        else {
            return Ok(Brought::default());
        };
        let commits = journey.intent.commits;
        let way = Move { from: now.clone(), to: then.clone(), commits, back: false };
        bring(snapshots, tree, &journey.intent.session, way, after).await
    }
}

struct Move {
    from: TreeSnapshot,
    to: TreeSnapshot,
    commits: bool,
    /// What a rewind did is taken back.
    back: bool,
}

async fn bring(
    snapshots: &Arc<Snapshots>,
    tree: &Tree,
    session: &str,
    way: Move,
    after: impl Fn(RewindStep) -> Result<(), SessionError> + Send + 'static,
) -> Result<Brought, SessionError> {
    let (snapshots, tree, session) = (Arc::clone(snapshots), tree.clone(), session.to_owned());
    let work = move || -> Result<Result<Brought, SessionError>, GitError> {
        let Move { from, to, commits, back } = way;
        let store = snapshots.open(&session, &tree)?;
        let writer = tree.repo.write(TURN)?;
        let lock = tree.at.git_dir.join("index.lock");
        if lock.exists() {
            // Files that came back beside an index that cannot follow would be half a rewind.
            return Err(GitError::LockBusy { lock_file: lock, age: None });
        }
        let restored = store.restore(&tree.at, &from, &to)?;
        if let Err(stopped) = after(RewindStep::Files) {
            return Ok(Err(stopped));
        }
        if commits && let (Some(old), Some(new)) = (&from.head, &to.head) {
            match store.move_head(&writer, &tree.at, to.branch.as_deref(), old, new) {
                // The rewind did not get as far as HEAD, or somebody moved it since: it and its index are theirs.
                Err(GitError::RefMoved { .. }) if back => return Ok(Ok(Brought::default())),
                moved => moved?,
            }
        }
        if let Err(stopped) = after(RewindStep::Branch) {
            return Ok(Err(stopped));
        }
        store.restore_index(&writer, &tree.at, &to)?;
        if let Err(stopped) = after(RewindStep::Index) {
            return Ok(Err(stopped));
        }
        let head = tree.repo.head(&tree.at)?.id().cloned();
        Ok(Ok(Brought { restored, commits_stay: head != to.head }))
    };
    blocking(work).await?
}
