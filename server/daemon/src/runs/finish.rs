//! After the session: what is left is committed, the claim is given back, and all of it is told. Each step does nothing
//! the second time, so a next daemon begins again at the first.

use std::sync::Arc;

use podium_protocol::{RunState, SessionStatus, WireError};
use podium_worktrees::{Caller, Delivered, Delivery};

use super::rows::{self, Outcome, RunRow};
use super::{Until, at_rest};
use crate::state::{Daemon, person};

/// Longest first line of a commit's message, in characters.
const SUBJECT: usize = 72;

/// Brings a run to its end, if its session is at one.
pub(super) async fn finish(daemon: &Arc<Daemon>, session: &str, mut until: Until) {
    let _turn = loop {
        let turn = daemon.runs.turn(session).await;
        if !daemon.sessions.is_running(session) {
            break turn;
        }
        // Somebody has taken it up again: how it stands after that decides.
        drop(turn);
        until = Until::Over;
        at_rest(daemon, session).await;
    };
    match try_finish(daemon, session, until).await {
        Ok(true) => daemon.runs.close(session),
        Ok(false) => daemon.runs.tell(),
        // The row is still open: the next start tries again. The claim stays, and so does the work.
        Err(error) => {
            tracing::error!(session, error = error.message, "a task could not be finished");
            daemon.runs.set_stuck(session, error);
        }
    }
    daemon.activity.notify_waiters();
}

/// Whether it is at its end.
async fn try_finish(daemon: &Arc<Daemon>, session: &str, until: Until) -> Result<bool, WireError> {
    let Some(mut row) = rows::find(&daemon.store, session).await? else { return Ok(true) };
    if row.state == RunState::Ended {
        return Ok(true);
    }
    let info = daemon.sessions.info(session).await?;
    if !until.is_reached(info.status, info.reason.as_deref()) {
        return Ok(false);
    }
    // Without its claim nothing can be delivered: what an earlier daemon delivered before it gave the claim back stands.
    let is_delivered = row.state == RunState::Finishing && row.outcome.status == Some(info.status);
    if !is_delivered {
        row.state = RunState::Finishing;
        row.outcome = Outcome::default();
        rows::save(&daemon.store, &row).await?;
        let left = end_agent(daemon, session).await?;
        let delivered = deliver(daemon, &row, info.status).await;
        row.outcome = outcome(info.status, delivered);
        row.outcome.problem = row.outcome.problem.or(left);
        rows::save(&daemon.store, &row).await?;
    }
    row.outcome.released = give_back(daemon, &row).await?;
    row.state = RunState::Ended;
    rows::save(&daemon.store, &row).await?;
    Ok(true)
}

/// An agent that outlived its daemon would write on in a worktree that is somebody else's by then. Its own commits come
/// before the one of the rest. In words what of them does not come over.
async fn end_agent(daemon: &Daemon, session: &str) -> Result<Option<String>, WireError> {
    match daemon.agents.end(session).await {
        Ok(left) => Ok(left.map(|error| {
            format!("what the agent committed stays in the session's workplace for now: {error}")
        })),
        Err(error) => {
            tracing::warn!(session, error = &error as &dyn std::error::Error, "an agent does not end");
            let text = format!("the agent of session {session} does not end: {error}");
            Err(WireError::unavailable(text).hint("the worktree stays claimed; the next daemon tries again"))
        }
    }
}

async fn deliver(daemon: &Daemon, row: &RunRow, status: SessionStatus) -> Result<Delivered, WireError> {
    let delivery = Delivery {
        worktree: row.worktree.clone(),
        agent_id: row.agent_id.clone(),
        token: row.token,
        base: row.base.clone(),
        message: row.commits_rest.then(|| message(row, status)),
        keep_out: Arc::new(podium_secrets::is_secret_path),
    };
    let caller = Caller { person: person(&daemon.host), ..Caller::default() };
    daemon.worktrees.deliver(delivery, &caller).await
}

fn outcome(status: SessionStatus, delivered: Result<Delivered, WireError>) -> Outcome {
    match delivered {
        Ok(Delivered { commits, files, uncommitted, problem }) => {
            let problem = problem.map(|why| format!("the rest is not committed: {why}"));
            Outcome { status: Some(status), commits, files, uncommitted, released: false, problem }
        }
        Err(error) => Outcome { status: Some(status), problem: Some(error.message), ..Outcome::default() },
    }
}

/// Whether the worktree is free again.
async fn give_back(daemon: &Daemon, row: &RunRow) -> Result<bool, WireError> {
    if row.keeps_claim {
        daemon.worktrees.unbind_session(&row.session).await?;
        return Ok(false);
    }
    daemon.worktrees.release_session(&row.session).await?;
    Ok(true)
}

/// Message of the commit: the task, and who did it.
fn message(row: &RunRow, status: SessionStatus) -> String {
    let line: String =
        row.task.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().into();
    let prefix = if status == SessionStatus::Completed { "" } else { "Unfinished: " };
    let room = SUBJECT - prefix.len();
    let subject = if line.chars().count() > room {
        let cut: String = line.chars().take(room - 3).collect();
        format!("{prefix}{}...", cut.trim_end())
    } else {
        format!("{prefix}{line}")
    };
    let body = if row.task.trim() == line && line.chars().count() <= room {
        String::new()
    } else {
        format!("{}\n\n", row.task.trim())
    };
    format!("{subject}\n\n{body}Podium-Session: {}\n", row.session)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(task: &str) -> RunRow {
        RunRow {
            session: "s-1".into(),
            task: task.into(),
            agent_id: "claude-1".into(),
            worktree: "w".into(),
            name: "feat-x".into(),
            path: "/w".into(),
            branch: None,
            token: 1,
            base: None,
            commits_rest: true,
            keeps_claim: false,
            state: RunState::Working,
            outcome: Outcome::default(),
        }
    }

    #[test]
    fn a_message_is_headed_by_the_task() {
        let done = SessionStatus::Completed;
        assert_eq!(message(&row("Add a login"), done), "Add a login\n\nPodium-Session: s-1\n");
        let long = format!("Add {}", "x".repeat(100));
        let text = message(&row(&format!("{long}\nwith care")), SessionStatus::Failed);
        let subject = text.lines().next().unwrap();
        assert!(subject.chars().count() <= SUBJECT && subject.starts_with("Unfinished: Add x"), "{text}");
        assert!(text.contains(&format!("\n\n{long}\nwith care\n\nPodium-Session")), "{text}");
    }
}
