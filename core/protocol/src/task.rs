//! Tasks that wait in a queue for somebody who listens to it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RepoSelector;

/// Queue of a task that names none.
pub const DEFAULT_QUEUE: &str = "tasks";

/// Data of `task.assigned`: something to be done, once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskAssignment {
    /// Made up by whoever assigns it: a second task of the same id is the same task.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// What is to be done. Its first line heads the commit, and names the worktree where none is given.
    #[schemars(length(min = 1, max = 65_536))]
    pub task: String,
    /// Absolute path in a repository. Absent: the one of whoever listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub repo: Option<String>,
    /// Worktree to work in; waited for where somebody else has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub worktree: Option<String>,
    /// Worktree to make, or to enter where it exists. Neither this nor `worktree`: a new one, named after the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// Type of the worktree to make: `feat`, `fix`, ...; `feat` where none is named.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub kind: Option<String>,
    /// What the agent is told. Absent: the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65_536))]
    pub prompt: Option<String>,
    /// Absent: that of whoever listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub model: Option<String>,
    /// Who is to do it; a listener of another name leaves it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub agent_id: Option<String>,
    /// Absent: `tasks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub queue: Option<String>,
}

/// Data of `task.completed` and `task.failed`: what came of a task. There is one for each, whoever had it how often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskOutcome {
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    #[serde(default)]
    pub queue: String,
    #[serde(default)]
    pub task: String,
    #[serde(default)]
    pub agent_id: Option<String>,
    /// Session that did it.
    #[serde(default)]
    pub session: Option<String>,
    #[serde(default)]
    pub worktree: Option<String>,
    #[serde(default)]
    pub branch: Option<String>,
    /// Commits that it led to, oldest first.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub commits: Vec<String>,
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pub files_changed: Vec<String>,
    /// Attempts that came to nothing before.
    #[serde(default)]
    pub attempts: u32,
    /// Why it failed.
    #[serde(default)]
    pub reason: Option<String>,
    /// It failed as often as it may, and waits in the list of dead letters.
    #[serde(default)]
    pub dead: bool,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Waits for a listener.
    Assigned,
    /// Somebody works on it, or did when the daemon ended; then the next listener goes on with the same session.
    Running,
    Done,
    Failed,
    /// It came to nothing as often as it may; `bb dlq retry` assigns it again.
    Dead,
}

impl TaskState {
    pub const ALL: [Self; 5] = [Self::Assigned, Self::Running, Self::Done, Self::Failed, Self::Dead];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }

    #[must_use]
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Assigned | Self::Running)
    }
}

/// A task of a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskInfo {
    pub id: String,
    pub queue: String,
    pub state: TaskState,
    /// As it was assigned.
    pub assignment: TaskAssignment,
    /// Id of its `task.assigned`.
    pub event: String,
    /// Attempts that came to nothing.
    pub attempts: u32,
    /// How often a daemon ended while it was worked on.
    pub cuts: u32,
    /// Who has it, or had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Why the newest attempt came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Not tried again before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    pub assigned_at: String,
    pub changed_at: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<TaskOutcome>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskListParams {
    /// Absent: all.
    #[serde(default)]
    pub queue: Option<String>,
    /// Empty: all.
    #[serde(default)]
    pub states: Vec<TaskState>,
    /// 1 to 1,000; default 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskList {
    /// Newest first.
    pub tasks: Vec<TaskInfo>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskParams {
    /// Its id, or the unique beginning of one.
    pub id: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskShown {
    pub task: TaskInfo,
}

/// Listens to a queue: its tasks are worked on until the subscription ends. What runs then is still brought to its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskListenParams {
    /// Repository of tasks that name none.
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Made up by the client, and the same after a reconnect: tasks that it had go on as its own.
    pub listener: String,
    #[serde(default)]
    pub queue: Option<String>,
    /// Tasks at a time, 1 to 64; default 1.
    #[serde(default)]
    pub workers: Option<u32>,
    /// Takes tasks for this agent and those for nobody. Absent: all.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// For tasks that name none.
    #[serde(default)]
    pub provider: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
    /// Ends after so many outcomes, those from before a reconnect counted.
    #[serde(default)]
    pub most: Option<u32>,
    /// Ends when the queue has no task that waits or runs.
    #[serde(default)]
    pub until_empty: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskListening {
    pub subscription: u64,
    /// Tasks of the queue that wait or run.
    pub open: u64,
    /// Newest event at the time of the answer.
    pub head_seq: u64,
}

/// Why a subscription to a queue ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskListenEnd {
    /// As many tasks as were asked for have their outcome.
    Enough,
    Empty,
}

/// Notification `task/end`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskListenEnded {
    pub subscription: u64,
    pub why: TaskListenEnd,
    /// The outcomes are in the log up to here.
    pub head_seq: u64,
}
