//! Commits of an agent on their way out of its workplace: now and then while it works, and all of them at its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Room;
use crate::workplace::{Workplace, WorkplaceError};

/// Between two looks while the agent works.
const PAUSE: Duration = Duration::from_secs(2);

pub(crate) struct Landing {
    place: Option<Arc<Workplace>>,
    looked: Instant,
    looking: Option<JoinHandle<()>>,
}

impl Landing {
    pub(crate) fn of(room: &Room) -> Self {
        Self { place: room.workplace.clone(), looked: Instant::now(), looking: None }
    }

    /// The agent did something. What it has committed comes over as it is; what it goes on to amend is replaced at its end.
    pub(crate) fn stir(&mut self) {
        let busy = self.looking.as_ref().is_some_and(|looking| !looking.is_finished());
        if busy || self.looked.elapsed() < PAUSE {
            return;
        }
        let Some(place) = self.place.clone() else { return };
        self.looked = Instant::now();
        self.looking = Some(tokio::spawn(async move {
            if !ahead(&place).await {
                return;
            }
            // It may be in the middle of a rebase: at the end it is tried again, and told.
            if let Err(error) = place.import().await {
                tracing::debug!(%error, "commits of an agent do not come over yet");
            }
        }));
    }

    /// The agent is dead: everything it committed comes over. In words what does not. After `patience` it is left to go on
    /// by itself.
    pub(crate) async fn finish(self, patience: Duration) -> Option<String> {
        let place = self.place?;
        let bringing = tokio::spawn(async move {
            if !ahead(&place).await {
                return None;
            }
            place.import_amended().await.err().map(|error| stays(&error))
        });
        tokio::time::timeout(patience, bringing).await.ok()?.ok()?
    }
}

async fn ahead(place: &Arc<Workplace>) -> bool {
    let place = Arc::clone(place);
    tokio::task::spawn_blocking(move || place.is_ahead()).await.unwrap_or(true)
}

fn stays(error: &WorkplaceError) -> String {
    tracing::warn!(%error, "commits of an agent stay in its workplace");
    format!("what was committed stays in the session's workplace for now: {error}")
}
