//! What answers: one trait for every kind of AI.

use std::path::PathBuf;

use async_trait::async_trait;
use podium_protocol::{ProviderInfo, SessionProgress, Usage};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Env;

/// Who said a message of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    User,
    Assistant,
}

/// One turn for a provider to answer.
#[derive(Debug, Clone)]
pub struct Turn {
    pub session: String,
    pub model: Option<String>,
    /// The conversation so far, the prompt of this turn last; a part of the answer may follow it.
    pub messages: Vec<(Speaker, String)>,
    /// What the provider gave as [`Chunk::State`] at the beginning of this or an earlier turn.
    pub state: Option<Vec<u8>>,
    /// Tokens of this turn's answer that are stored already; empty for a turn that only begins.
    pub tokens: Vec<u32>,
    /// Whether `state` belongs to this turn already (it is resumed) or to the one before.
    pub resumed: bool,
    pub seed: u64,
    pub max_tokens: u32,
    pub temperature: Option<f64>,
    pub worktree: Option<PathBuf>,
    /// Variables of the caller: keys, proxies. In memory only.
    pub env: Env,
}

/// A piece that a provider produced.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// The text of a resumed turn's stored tokens, from its beginning, before redaction. Nothing of it is shown
    /// again but what had been held back.
    Replay(String),
    Text {
        text: String,
        /// Tokens this text stands for, with which a resumed turn goes on.
        tokens: Vec<u32>,
    },
    Thinking(String),
    /// What to hand back in [`Turn::state`] when this turn is resumed: everything before its first token.
    State(Vec<u8>),
    Progress(SessionProgress),
    Usage(Usage),
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnOutcome {
    /// The answer was cut off at its upper bound.
    pub cut: bool,
}

/// Why a turn is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    Cancelled,
    DaemonStopped,
    DaemonReplaced,
}

#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The turn was stopped by its cancellation token.
    #[error("stopped")]
    Stopped,
    /// A person has to give something first; the session is parked.
    #[error("{reason}")]
    Parked { reason: String },
    #[error("{reason}")]
    Failed { reason: String },
}

/// One kind of AI.
#[async_trait]
pub trait Provider: Send + Sync {
    fn name(&self) -> &'static str;

    fn aliases(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it can be used with these variables, and how to make it so.
    async fn info(&self, env: &Env) -> ProviderInfo;

    /// Answers a turn. Chunks go to `out`, which waits when the reader is slow. A turn that was stopped by `stop`
    /// ends soon with [`ProviderError::Stopped`].
    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError>;
}
