//! What the daemon knows and a session only asks: where an agent works, and whether it still holds that.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Lodging, Terms, Workplace, WorkplaceError};
use crate::agent::Workbench;

/// A claim on the worktree, with its token. The daemon knows claims; a session only asks.
pub trait Claimed: Send + Sync {
    /// Looks anew, right before something is done in the claim's name. Blocks for a read: whoever writes looks when it is
    /// their turn to, for others may have had theirs first.
    ///
    /// # Errors
    /// Why not, in a sentence: released, taken over, a stale token.
    fn check(&self) -> Result<(), String>;
}

/// Opens workplaces for the turns of sessions.
#[async_trait]
pub trait Workplaces: Send + Sync {
    /// # Errors
    /// Why nothing can be run for this session: it holds no claim, nothing confines.
    async fn open(&self, bench: &Workbench, terms: &Terms) -> Result<Arc<Workplace>, WorkplaceError>;

    /// For a session that works in no worktree.
    ///
    /// # Errors
    /// As [`Workplaces::open`].
    async fn alone(&self, bench: &Workbench, terms: &Terms) -> Result<Lodging, WorkplaceError>;

    /// Nobody goes on with the session: what was committed comes over while its claim stands.
    ///
    /// # Errors
    /// Why it stays where it is for now.
    async fn leave(&self, session: &str) -> Result<(), WorkplaceError>;
}
