//! Agents that are programs. Each lives in a runner that outlives the daemon ([`podium_process::runner`]); how far its
//! output was processed is stored in the same transaction as the items made from it, so a new daemon goes on behind the
//! last stored byte.

mod conversation;
mod follow;
mod host;
mod memory;
mod settings;

use std::path::Path;

use async_trait::async_trait;
use podium_process::Limits;
use podium_process::sandbox::{Mechanism, SandboxPolicy};

pub use host::AgentHost;

pub(crate) use conversation::{prompt, with_history};
pub(crate) use follow::{Follow, Next, Stopping, send, settled};
pub(crate) use host::{failed, home, last_words};
pub(crate) use memory::{Death, Memory};
pub(crate) use settings::{Agent, Format, agents, choose};

/// Where an agent's program runs, and how it is confined.
#[async_trait]
pub trait Quarters: Send + Sync {
    /// # Errors
    /// Why the agent cannot be run as the policy asks; it is not started then.
    async fn prepare(&self, session: &str, worktree: Option<&Path>) -> Result<Room, String>;
}

/// What one agent gets.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// `None`: the agent is not confined.
    pub sandbox: Option<(SandboxPolicy, Mechanism)>,
    /// Variables beside those of the request; these win.
    pub env: Vec<(String, String)>,
    pub limits: Limits,
}
