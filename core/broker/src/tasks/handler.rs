//! Who does tasks.

use async_trait::async_trait;
use podium_protocol::TaskOutcome;

use super::Task;

/// Does tasks, wherever they came from.
#[async_trait]
pub trait TaskHandler: Send + Sync + 'static {
    /// Works on a task until the attempt is over, or goes on with what an earlier attempt or process left: all of a task
    /// happens in the session that it names. What it answers is durable by then. A handler whose process ends does not
    /// answer any more.
    async fn work(&self, task: &Task) -> Worked;

    /// Ends whatever is left of a task that is given up, and says what is there of it.
    async fn abandon(&self, task: &Task) -> TaskOutcome;
}

/// How an attempt ended. Of an outcome only what the work made is taken: session, worktree, branch, commits, files.
#[derive(Debug, Clone, PartialEq)]
pub enum Worked {
    Done(TaskOutcome),
    /// Another attempt would change nothing: a person cancelled it.
    Failed {
        reason: String,
        outcome: TaskOutcome,
    },
    /// It came to nothing; another attempt may do better.
    Again {
        reason: String,
    },
}
