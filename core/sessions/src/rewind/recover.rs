//! Rewinds that a killed daemon left in the middle, or that could not be taken back then, are finished.

use podium_git::GitError;
use podium_store::rusqlite::Connection;

use super::rows::Intent;
use super::{Journey, Sessions};
use crate::SessionError;
use crate::checkpoint::rows as checkpoints;
use crate::hub::Running;

impl Sessions {
    /// Finishes what an earlier daemon began. Returns how many.
    ///
    /// # Errors
    /// What the database says. A rewind that cannot be finished stays for the next time.
    pub async fn recover_rewinds(&self) -> Result<usize, SessionError> {
        let intents = self.inner.store.read(|conn: &Connection| Intent::list(conn, None)).await?;
        let mut finished = 0;
        for intent in intents {
            let session = intent.session.clone();
            match self.settle_rewind(&session).await {
                Ok(()) => finished += 1,
                Err(error) => tracing::error!(session, %error, "a rewind could not be finished"),
            }
        }
        Ok(finished)
    }

    /// Finishes the rewind of a session, if one is left. Nothing may be built on half of one.
    ///
    /// # Errors
    /// Where it can neither be finished nor taken back now: the session has to wait.
    pub(crate) async fn settle_rewind(&self, session: &str) -> Result<(), SessionError> {
        if self.intent_of(session).await?.is_none() {
            return Ok(());
        }
        // Whoever has it taken is the rewind itself, or settles it too.
        let Some(running) = self.inner.hub.begin(session) else { return Ok(()) };
        let done = self.settle_taken(session, &running).await;
        self.inner.hub.end(session);
        done
    }

    /// The same by whoever has taken the session, before anything else happens in it.
    pub(crate) async fn settle_taken(&self, session: &str, running: &Running) -> Result<(), SessionError> {
        match self.intent_of(session).await? {
            Some(intent) => self.finish(intent, running).await,
            None => Ok(()),
        }
    }

    async fn intent_of(&self, session: &str) -> Result<Option<Intent>, SessionError> {
        let id = session.to_owned();
        let read = move |conn: &Connection| Intent::list(conn, Some(&id));
        Ok(self.inner.store.read(read).await?.pop())
    }

    async fn finish(&self, intent: Intent, running: &Running) -> Result<(), SessionError> {
        let session = self.resolve(&intent.session).await?;
        let (id, target, undo) = (intent.session.clone(), intent.target.clone(), intent.undo.clone());
        let read = move |conn: &Connection| -> Result<_, SessionError> {
            Ok((checkpoints::find(conn, &id, &target)?, checkpoints::find(conn, &id, &undo)?))
        };
        let (target, undo) = self.inner.store.read(read).await?;
        if session.info.last_seq > undo.at.seq {
            // Turns went on from what there was: it would go over their files.
            tracing::warn!(session = intent.session, "a rewind was overtaken and is dropped");
            return self.drop_intent(intent).await;
        }
        let (place, _) = self.place(&session, &target).await?;
        if place.is_none() && undo.snapshot.is_some() {
            // The worktree is gone for sure: there is nothing to finish, and the conversation stays where it is.
            return self.drop_intent(intent).await;
        }
        self.is_alone(&session).await?;
        let _gate = match &place {
            Some((snapshots, tree)) => Some(snapshots.gate(&tree.at).await),
            None => None,
        };
        let journey = Journey { session, target, undo, intent, place };
        let error = match self.carry_out(&journey).await {
            Ok(brought) => return self.arrive(journey, brought, running).await.map(drop),
            Err(error @ SessionError::Git(GitError::Stopped { .. })) => return Err(error),
            Err(error) => error,
        };
        // What cannot be reached any more, as a branch that moved on, must not keep the session from ever going on.
        if let Err(second) = self.take_back(&journey).await {
            tracing::error!(session = journey.intent.session, error = %second, "a rewind stays half done");
            return Err(error);
        }
        tracing::warn!(session = journey.intent.session, %error, "a rewind could not be finished and is taken back");
        Ok(())
    }
}
