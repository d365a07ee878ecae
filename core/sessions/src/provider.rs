//! What answers: one trait for every kind of AI.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use podium_protocol::{ProviderInfo, SessionProgress, Usage};
use podium_secrets::Redactor;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Env;
use crate::hub::TurnLink;

/// What a bare model is told it is where it has no tools.
pub(crate) const SYSTEM: &str = "You are a concise, helpful programming assistant inside an editor.";

/// Asks a model that takes no prefix to go on behind an answer that was cut off.
pub(crate) const GO_ON: &str = "Your answer was cut off in transit after the words above. Go on exactly where they stop, \
    in the middle of the word if need be. Repeat nothing, and make no remark about the interruption.";

/// Who said a message of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    User,
    Assistant,
}

/// A call of a tool by the model.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The provider's own id of the call; its result carries the same.
    pub id: String,
    pub name: String,
    /// The arguments, an object; whatever else the model wrote is kept as it is.
    pub input: Value,
}

/// What a call of a tool gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolResult {
    /// Id of the [`ToolCall`].
    pub id: String,
    /// What the model is told.
    pub text: String,
    pub is_error: bool,
    /// What editors show beside the text: path, diff, exit status.
    pub data: Option<Value>,
}

/// A tool that a model may call.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
}

/// A part of a message, in the order in which it was said.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Text(String),
    /// A finished thought; the provider that signed it wants it back unchanged.
    Thinking {
        text: String,
        signature: String,
    },
    /// A thought that the provider gave encrypted; it wants it back as it came.
    SealedThinking(String),
    ToolCall(ToolCall),
    ToolResult(ToolResult),
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub speaker: Speaker,
    pub parts: Vec<Part>,
}

impl Message {
    /// All that is text in it.
    #[must_use]
    pub fn text(&self) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.parts.iter().filter_map(text).collect()
    }
}

/// One turn for a provider to answer.
#[derive(Debug, Clone)]
pub struct Turn {
    pub session: String,
    pub model: Option<String>,
    /// What the model is told before the conversation; empty: the provider's own words.
    pub system: String,
    /// The conversation so far, the prompt of this turn last; parts of the answer may follow it.
    pub messages: Vec<Message>,
    /// Tools the model may call; only given to providers that take them ([`Provider::takes_tools`]).
    pub tools: Vec<ToolSpec>,
    /// What the provider gave as [`Chunk::State`] at the beginning of this or an earlier turn.
    pub state: Option<Vec<u8>>,
    /// Tokens of this turn's answer that are stored already; empty for a turn that only begins.
    pub tokens: Vec<u32>,
    /// The turn was begun before and cut off.
    pub resumed: bool,
    pub seed: u64,
    /// Upper bound of the answer, in tokens, where the caller gave one.
    pub max_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub worktree: Option<PathBuf>,
    /// Variables of the caller: keys, proxies. In memory only.
    pub env: Env,
    /// Knows what must be neither stored nor shown.
    pub redactor: Arc<Redactor>,
    pub link: TurnLink,
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
    /// The thought is complete; with its signature it can be given back in a later message.
    ThoughtEnd {
        signature: Option<String>,
    },
    /// A thought that only the provider can read, complete.
    SealedThought(String),
    ToolCall(ToolCall),
    /// Of an agent that runs its tools itself.
    ToolResult(ToolResult),
    /// From here on the model is told less: what, and what stands for it.
    Compaction {
        summary: String,
        data: Value,
    },
    /// A question that was decided: what was asked, and by whom it was answered how.
    Permission {
        text: String,
        data: Value,
    },
    /// What to hand back in [`Turn::state`] when this turn is resumed: everything before its first token, or how far
    /// the provider's own source was read. It belongs to what came before it in the same batch.
    State(Vec<u8>),
    /// What was held back of texts is complete: the state that follows can be stored at once.
    Flush,
    Progress(SessionProgress),
    /// Used by this call of [`Provider::answer`] so far.
    Usage(Usage),
    /// How much of the window the newest question takes with its answer, in tokens; and the window, where the provider
    /// says more than [`Provider::window`].
    Context {
        used: u64,
        window: Option<u64>,
    },
    /// Stored in one transaction, or not at all.
    Batch(Vec<Chunk>),
}

/// How a provider's answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnOutcome {
    Complete,
    /// The answer was cut off at its upper bound.
    Cut,
    /// The model waits for the results of its tool calls.
    WantsTools,
    /// The provider declined to go on.
    Refused,
}

/// Why a turn is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    Cancelled,
    DaemonStopped,
    DaemonReplaced,
    WorktreeRemoved,
}

#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The turn was stopped by its cancellation token.
    #[error("stopped")]
    Stopped,
    /// A person has to give something first; the session is parked.
    #[error("{reason}")]
    Parked { reason: String },
    /// The conversation is longer than the model takes; a shorter one may be answered.
    #[error("{reason}")]
    TooLong { reason: String },
    #[error("{reason}")]
    Failed { reason: String },
}

/// How much a model takes, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Question and answer together.
    pub tokens: u64,
    /// Kept free for the answer.
    pub answer: u64,
}

impl Window {
    /// What a question may take.
    #[must_use]
    pub fn question(&self) -> u64 {
        self.tokens - self.answer.min(self.tokens / 2)
    }
}

/// What is done about a turn that gives no sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revival {
    /// The provider hears of it by [`TurnLink::nudged`], cuts its connection and goes on behind what was said.
    Nudge,
    /// The answer is stopped, and asked for again as that of an interrupted turn.
    Restart,
    /// The answer is stopped, and the session waits for a person.
    Park,
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

    /// Whether it answers from [`Turn::tokens`] by [`Chunk::Replay`] when a turn is resumed. Others go on behind what
    /// [`Turn::messages`] hold, or behind their [`Turn::state`].
    fn replays(&self) -> bool {
        false
    }

    /// Whether it is a bare model: the agent loop gives it tools and runs them.
    fn takes_tools(&self) -> bool {
        false
    }

    /// Whether it is known beforehand that the usage of this turn will say what it cost, nothing included.
    fn is_priced(&self, _turn: &Turn) -> bool {
        true
    }

    /// What can be done about a turn that has fallen silent.
    fn revival(&self) -> Revival {
        Revival::Restart
    }

    /// Names of all its models, where it knows before it asks whether one exists.
    fn known_models(&self) -> Option<Vec<&'static str>> {
        None
    }

    /// What it loses beside the transcript when a session is forked or taken back; `None` where the transcript is all it
    /// knows of a conversation.
    fn forgets(&self) -> Option<&'static str> {
        None
    }

    /// How much the model of this turn takes, where that is known. Without it a conversation is shortened only after it
    /// was refused as too long. Of no meaning for agents that keep their own conversation.
    fn window(&self, _turn: &Turn) -> Option<Window> {
        None
    }

    /// Nobody goes on with the session: what still runs for it ends.
    async fn abandon(&self, _session: &str) {}

    /// Answers a turn. Chunks go to `out`, which waits when the reader is slow. A turn that was stopped by `stop`
    /// ends soon with [`ProviderError::Stopped`].
    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError>;
}
