//! Worktrees as sessions look at them, to keep and to compare their files.

use async_trait::async_trait;
use podium_sessions::{Tree, Trees};
use podium_worktrees::Worktrees;

pub(crate) struct KnownTrees(pub(crate) Worktrees);

#[async_trait]
impl Trees for KnownTrees {
    async fn find(&self, worktree: &str) -> Option<Tree> {
        let place = self.0.look_place(worktree).await.ok()?;
        Some(Tree { repo: place.repo, at: place.at })
    }
}
