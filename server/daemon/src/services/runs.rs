//! `session/run` and `session/outcome`.

use podium_protocol::{RunInfo, SessionOutcomeParams, SessionRunParams, SessionRunStarted, WireError};
use podium_sessions::Start;

use crate::call::Call;
use crate::runs::{self, Choice, Task};

/// Longest task, in bytes: it becomes a commit's message.
const LONGEST: usize = 64 * 1024;

pub(crate) async fn run(call: Call, params: SessionRunParams) -> Result<SessionRunStarted, WireError> {
    if params.task.trim().is_empty() || params.task.len() > LONGEST {
        return Err(WireError::usage(format!("a task has 1 to {LONGEST} bytes")));
    }
    if params.worktree.is_some() && params.new.is_some() {
        return Err(WireError::usage("a task works in a worktree that is there, or in a new one"));
    }
    let task = task_of(params)?;
    let (session, run) = runs::begin(&call.daemon, task, &call.worktree_caller()).await?;
    Ok(SessionRunStarted { session, run })
}

fn task_of(params: SessionRunParams) -> Result<Task, WireError> {
    let choice = Choice {
        at: params.at,
        worktree: params.worktree,
        new: params.new,
        wait: params.wait,
        elsewhere: params.elsewhere,
    };
    let start = Start {
        provider: params.provider,
        prompt: params.prompt.unwrap_or_else(|| params.task.clone()),
        model: params.model,
        seed: params.seed,
        max_tokens: params.max_tokens,
        temperature: params.temperature,
        limits: super::sessions::limits(params.max_cost_usd, params.max_total_tokens)?,
        ..Start::default()
    };
    Ok(Task {
        id: params.session_id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        retry: params.retry,
        text: params.task,
        agent_id: params.agent_id,
        choice,
        keeps_claim: params.keep_claim,
        commits_rest: !params.no_commit,
        start,
    })
}

pub(crate) async fn outcome(call: Call, params: SessionOutcomeParams) -> Result<RunInfo, WireError> {
    let info = call.daemon.sessions.info(&params.id).await?;
    call.own_session(&info.id)?;
    runs::outcome(&call.daemon, &info.id, params.wait).await
}
