//! Rewinds that a killed daemon left in the middle are finished.

use podium_store::Durability;
use podium_store::rusqlite::Connection;

use super::rows::Intent;
use super::{Journey, Sessions};
use crate::SessionError;
use crate::checkpoint::rows as checkpoints;

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

    /// Finishes the rewind of a session, if one is left.
    pub(crate) async fn settle_rewind(&self, session: &str) -> Result<(), SessionError> {
        let id = session.to_owned();
        let read = move |conn: &Connection| Intent::list(conn, Some(&id));
        let Some(intent) = self.inner.store.read(read).await?.pop() else { return Ok(()) };
        // Whoever has it taken is the rewind itself.
        let Some(running) = self.inner.hub.begin(session) else { return Ok(()) };
        let done = self.finish(intent, &running).await;
        self.inner.hub.end(session);
        done
    }

    async fn finish(&self, intent: Intent, running: &crate::hub::Running) -> Result<(), SessionError> {
        let session = self.resolve(&intent.session).await?;
        let (id, target, undo) = (intent.session.clone(), intent.target.clone(), intent.undo.clone());
        let read = move |conn: &Connection| -> Result<_, SessionError> {
            Ok((checkpoints::find(conn, &id, &target)?, checkpoints::find(conn, &id, &undo)?))
        };
        let (target, undo) = self.inner.store.read(read).await?;
        let (place, _) = self.place(&session, &target).await;
        if place.is_none() && undo.snapshot.is_some() {
            // The worktree went with its daemon: there is nothing to finish, and the conversation stays where it is.
            let write = self
                .inner
                .store
                .write::<(), SessionError>(Durability::Power, move |tx| Ok(intent.delete(tx)?));
            return write.await;
        }
        let journey = Journey { session, target, undo, intent, place };
        let brought = self.carry_out(&journey).await?;
        self.arrive(journey, brought, running).await.map(drop)
    }
}
