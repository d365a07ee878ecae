//! Worktrees as sessions look at them, to keep and to compare their files.

use async_trait::async_trait;
use podium_protocol::WireError;
use podium_sessions::{Tree, Trees};
use podium_worktrees::Worktrees;

pub(crate) struct KnownTrees(pub(crate) Worktrees);

#[async_trait]
impl Trees for KnownTrees {
    async fn find(&self, worktree: &str) -> Result<Option<Tree>, WireError> {
        let place = self.0.find_place(worktree).await?;
        Ok(place.map(|place| Tree { repo: place.repo, at: place.at }))
    }
}
