//! Where a file lies and whose that worktree is, kept until the daemon says that something changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use podium_protocol::{
    Alive, ClaimInfo, ClaimStanding, ClaimVerify, ClaimVerifyParams, RepoSelector, WireError, Worktree,
    WorktreeLocate, WorktreeLocateParams,
};

use crate::state::{State, lock};

/// Folders that are remembered; beyond, all are forgotten and asked for anew.
const MAX_REMEMBERED: usize = 1024;
/// Owners of this form are people, whose name only the daemon knows.
const PERSON: &str = "person:";

/// How a worktree's claim looks from this window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Free,
    Mine,
    Other,
    /// Held by an owner that is proven dead.
    Dead,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) worktree: Worktree,
    pub(crate) standing: Standing,
}

impl Place {
    /// The claim, where somebody else holds the worktree.
    pub(crate) fn foreign_claim(&self) -> Option<&ClaimInfo> {
        self.worktree.claim.as_ref().filter(|_| matches!(self.standing, Standing::Other | Standing::Dead))
    }
}

#[derive(Default)]
pub(crate) struct Places {
    by_folder: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// Rises when all is forgotten, so that an answer under way then is not remembered.
    generation: u64,
    places: HashMap<String, Option<Arc<Place>>>,
}

impl Places {
    pub(crate) fn forget(&self) {
        let mut remembered = lock(&self.by_folder);
        remembered.generation += 1;
        remembered.places.clear();
    }
}

impl State {
    /// Where the file of a URI lies; `None` outside of all repositories.
    ///
    /// # Errors
    /// When the daemon cannot be asked.
    pub(crate) async fn place_of(&self, uri: &str) -> Result<Option<Arc<Place>>, WireError> {
        let folder = self.folder_of(uri);
        let generation = {
            let remembered = lock(&self.places.by_folder);
            if let Some(place) = remembered.places.get(&folder) {
                return Ok(place.clone());
            }
            remembered.generation
        };
        let place = self.locate(uri).await?.map(Arc::new);
        let mut remembered = lock(&self.places.by_folder);
        if remembered.generation == generation {
            if remembered.places.len() >= MAX_REMEMBERED {
                remembered.places.clear();
            }
            remembered.places.insert(folder, place.clone());
        }
        Ok(place)
    }

    /// What a place is remembered under. The files of a folder lie in the same worktree; that a URI is a file's is
    /// known of open documents only.
    fn folder_of(&self, uri: &str) -> String {
        match uri.rsplit_once('/') {
            Some((folder, _)) if lock(&self.documents).get(uri).is_some() => folder.to_owned(),
            _ => uri.to_owned(),
        }
    }

    async fn locate(&self, uri: &str) -> Result<Option<Place>, WireError> {
        let at = RepoSelector { uri: Some(uri.to_owned()), ..Default::default() };
        let located = self.daemon.call::<WorktreeLocate>(WorktreeLocateParams { at: at.clone() }).await?;
        let Some(worktree) = located.worktree else { return Ok(None) };
        let standing = match &worktree.claim {
            None => Standing::Free,
            Some(claim) if claim.alive == Alive::No => Standing::Dead,
            Some(claim) if self.is_mine(claim) || self.is_this_person(claim, at).await => Standing::Mine,
            Some(_) => Standing::Other,
        };
        Ok(Some(Place { worktree, standing }))
    }

    /// Held by an agent that this window acted for, or by a session that it started.
    pub(crate) fn is_mine(&self, claim: &ClaimInfo) -> bool {
        let mine = lock(&self.mine);
        mine.agents.contains(&claim.agent_id)
            || claim.session.as_ref().is_some_and(|s| mine.sessions.contains(s))
    }

    async fn is_this_person(&self, claim: &ClaimInfo, at: RepoSelector) -> bool {
        if !claim.agent_id.starts_with(PERSON) {
            return false;
        }
        let params = ClaimVerifyParams { at, ..Default::default() };
        let standing = self.daemon.call::<ClaimVerify>(params).await.map(|v| v.standing);
        let mine = matches!(standing, Ok(ClaimStanding::Mine));
        if mine {
            lock(&self.mine).agents.insert(claim.agent_id.clone());
        }
        mine
    }
}
