//! Agents that are programs. Each lives in a runner that outlives the daemon ([`podium_process::runner`]); how far its
//! output was processed is stored in the same transaction as the items made from it, so a new daemon goes on behind the
//! last stored byte.

mod conversation;
mod follow;
mod host;
mod landing;
mod memory;
mod quarters;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::Env;
use crate::workplace::{Lodging, Terms, Workplace, WorkplaceError};

pub use host::AgentHost;
pub use quarters::Lodgings;

pub(crate) use conversation::{prompt, with_history};
pub(crate) use follow::{Follow, Next, Stopping, send, settled};
pub(crate) use host::{failed, home, last_words};
pub(crate) use landing::Landing;
pub(crate) use memory::{Death, Memory};
pub(crate) use settings::{Agent, Format, agents, choose};

/// Where agents' programs run, and how they are confined.
#[async_trait]
pub trait Quarters: Send + Sync {
    /// # Errors
    /// Why the agent cannot be run as the policy asks; it is not started then.
    async fn prepare(&self, lodger: &Lodger, stop: &CancellationToken) -> Result<Room, Homeless>;

    /// Nobody goes on with the session, and its agent is dead: what it committed is brought over.
    ///
    /// # Errors
    /// Why it stays where it is for now.
    async fn leave(&self, session: &str) -> Result<(), WorkplaceError>;
}

/// An agent that needs a place.
#[derive(Debug, Clone)]
pub struct Lodger {
    pub session: String,
    /// Its name in the settings.
    pub agent: String,
    /// Names this start of it.
    pub run: String,
    pub worktree: Option<PathBuf>,
    /// Variables of the caller.
    pub env: Env,
    pub terms: Terms,
}

/// Why an agent gets no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Homeless {
    /// The turn ended while a person was asked.
    Stopped,
    Refused(String),
}

/// What one agent gets.
#[derive(Clone, Default)]
pub struct Room {
    /// `None`: the agent is not confined.
    pub lodging: Option<Lodging>,
    /// Where it commits.
    pub workplace: Option<Arc<Workplace>>,
    /// Whether commands that it has us run reach the network.
    pub command_network: bool,
    /// What the transcript tells of it: an agent that works unconfined.
    pub told: Option<(String, Value)>,
}
