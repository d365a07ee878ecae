//! Whether the agent still holds what it works on.

use async_trait::async_trait;

/// A claim on the worktree, with its token. The daemon knows claims; a session only asks.
#[async_trait]
pub trait Claimed: Send + Sync {
    /// Looks anew, right before something is done in the claim's name.
    ///
    /// # Errors
    /// Why not, in a sentence: released, taken over, a stale token.
    async fn check(&self) -> Result<(), String>;
}
