//! A task as one cycle: claim, session, commit, release (seed 000, diagram 2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RepoSelector, SessionStarted, SessionStatus};

/// A worktree to be made, or entered where it exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewWorktree {
    /// `feat`, `fix`, `aiops`, `devops` or a type of the user's own.
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
}

/// Runs an agent on a task: takes a worktree for it, has it work there, commits what it leaves, gives the worktree back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionRunParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// What is to be done. Its first line heads the commit, and names the worktree where none is given.
    pub task: String,
    /// What the agent is told. Absent: the task.
    #[serde(default)]
    pub prompt: Option<String>,
    pub agent_id: String,
    #[serde(default)]
    pub session_id: Option<String>,
    /// The client made up the id so that it may send the request twice: a run of that id is the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry: bool,
    /// Worktree to work in.
    #[serde(default)]
    pub worktree: Option<String>,
    /// Worktree to make. Neither this nor `worktree`: a new one, named after the task.
    #[serde(default)]
    pub new: Option<NewWorktree>,
    /// Wait this long for the worktree where somebody else has it, first come first served, in seconds (0 to 86,400).
    #[serde(default)]
    pub wait: Option<u32>,
    /// Where somebody else has the worktree: take another free and unused one, else make one.
    #[serde(default)]
    pub elsewhere: bool,
    /// Keep the worktree claimed for the agent afterwards.
    #[serde(default)]
    pub keep_claim: bool,
    /// Leave uncommitted what the agent does not commit itself.
    #[serde(default)]
    pub no_commit: bool,
    #[serde(default)]
    pub provider: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
    /// Seed of the sampler of a local model; same seed, same text.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Upper bound of the answer, in tokens.
    #[serde(default)]
    pub max_tokens: Option<u32>,
    /// 0 to 2; 0 takes the likeliest token always.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// Most that the whole session may cost, in US dollars; what is not priced counts as `budget.unknown_price` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// Most tokens of the whole session, asked and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_total_tokens: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionRunStarted {
    #[serde(flatten)]
    pub session: SessionStarted,
    pub run: RunInfo,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The agent works, or waits to be resumed: the worktree is claimed.
    Working,
    /// The agent is done; its work is being committed and the claim given back.
    Finishing,
    Ended,
}

impl RunState {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Finishing => "finishing",
            Self::Ended => "ended",
        }
    }
}

/// A run, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunInfo {
    pub session: String,
    pub task: String,
    pub agent_id: String,
    pub worktree: String,
    pub path: String,
    pub branch: Option<String>,
    /// Fencing token of its claim.
    pub token: u64,
    pub state: RunState,
    /// How the session ended; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<SessionStatus>,
    /// Commits that the run made, oldest first; at most 1,000.
    #[serde(default)]
    pub commits: Vec<String>,
    /// Paths that they changed, relative to the worktree; at most 10,000.
    #[serde(default)]
    pub files_changed: Vec<String>,
    /// Changed paths that are in no commit; at most 10,000.
    #[serde(default)]
    pub uncommitted: Vec<String>,
    /// Whether the worktree is free again.
    #[serde(default)]
    pub released: bool,
    /// What went wrong after the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionOutcomeParams {
    /// Id of the session.
    pub id: String,
    /// Answer when the run has ended, or stopped short of it: interrupted, or parked until a person acts.
    #[serde(default)]
    pub wait: bool,
}
