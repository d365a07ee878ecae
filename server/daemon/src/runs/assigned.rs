//! A task of a queue as a run: begun, gone on with, or brought to its end, whatever an earlier attempt or daemon left.

use std::future::pending;

use podium_broker::{Task as Assigned, TaskHandler, Worked};
use podium_protocol::{
    NewWorktree, RepoSelector, RunInfo, RunState, SessionCancelParams, SessionInfo, SessionResumeParams,
    SessionStatus, TaskListenParams, TaskOutcome, WireError,
};
use podium_sessions::{SessionError, Start};

use super::{Choice, Task};
use crate::call::Call;
use crate::services::sessions;
use crate::state::ended;

/// Who works where neither the task nor the listener names anybody.
const NOBODY: &str = "jelmore";
/// Longest wait for a worktree that somebody else has, in seconds; after it the attempt has come to nothing.
const WAIT: u32 = 3600;

/// Works on tasks for one listener: with its variables, in its repository unless the task names another.
pub(crate) struct Cycle {
    call: Call,
    listening: TaskListenParams,
}

impl Cycle {
    pub(crate) fn new(call: Call, listening: TaskListenParams) -> Self {
        Self { call, listening }
    }

    /// Brings the session to a rest that means something. The rest of the run follows by itself.
    async fn session(&self, task: &Assigned) -> Result<(), WireError> {
        match self.call.daemon.sessions.info(&task.session).await {
            Err(SessionError::NotFound(_)) => {
                task.assignment.repo.as_deref().map_or(Ok(()), is_folder)?;
                super::begin(&self.call.daemon, self.run(task).await, &self.call.worktree_caller()).await?;
            }
            Err(error) => return Err(error.into()),
            Ok(info) if self.is_at_work(&info) => {}
            Ok(info) if is_final(info.status) => super::conclude(&self.call.daemon, &info.id).await,
            Ok(_) => {
                let params =
                    SessionResumeParams { id: Some(task.session.clone()), ..SessionResumeParams::default() };
                sessions::resume(self.call.clone(), params).await?;
            }
        }
        Ok(())
    }

    fn is_at_work(&self, info: &SessionInfo) -> bool {
        self.call.daemon.sessions.is_running(&info.id)
    }

    async fn run(&self, task: &Assigned) -> Task {
        let wanted = &task.assignment;
        let at = match &wanted.repo {
            Some(repo) => RepoSelector { repo: Some(repo.clone()), ..RepoSelector::default() },
            None => self.listening.at.clone(),
        };
        let kind = wanted.kind.clone().unwrap_or_else(|| "feat".to_owned());
        let mut choice = Choice {
            at,
            worktree: wanted.worktree.clone(),
            new: wanted.name.clone().map(|name| NewWorktree { kind, name }),
            wait: Some(WAIT),
            elsewhere: false,
        };
        if let Some(earlier) = &task.worktree
            && self.is_there(&choice.at, earlier).await
        {
            (choice.worktree, choice.new) = (Some(earlier.clone()), None);
        }
        let start = Start {
            provider: wanted.provider.clone().or_else(|| self.listening.provider.clone()),
            prompt: wanted.prompt.clone().unwrap_or_else(|| wanted.task.clone()),
            model: wanted.model.clone().or_else(|| self.listening.model.clone()),
            ..Start::default()
        };
        Task {
            id: task.session.clone(),
            retry: true,
            text: wanted.task.clone(),
            agent_id: self.agent(task),
            choice,
            keeps_claim: false,
            commits_rest: true,
            start,
        }
    }

    async fn is_there(&self, at: &RepoSelector, worktree: &str) -> bool {
        let caller = self.call.worktree_caller();
        self.call.daemon.worktrees.resolve(at, Some(worktree), &caller).await.is_ok()
    }

    fn agent(&self, task: &Assigned) -> String {
        let named = task.assignment.agent_id.clone().or_else(|| self.listening.agent_id.clone());
        named.unwrap_or_else(|| NOBODY.to_owned())
    }

    /// What the session says of its end, unless it was only the daemon that ended.
    async fn reason(&self, run: &RunInfo) -> String {
        let info = self.call.daemon.sessions.info(&run.session).await.ok();
        let reason = info.as_ref().and_then(|info| info.reason.clone());
        if matches!(reason.as_deref(), Some("daemon stopped" | "daemon replaced")) {
            self.until_the_end().await;
        }
        let status = info.map_or(run.status, |info| Some(info.status));
        let status = status.map_or("did not end", SessionStatus::as_str);
        match run.problem.clone().or(reason) {
            Some(why) => format!("the session is {status}: {why}"),
            None => format!("the session is {status}"),
        }
    }

    /// The next daemon goes on with the task; nothing is to be told of it here.
    async fn until_the_end(&self) {
        ended(&mut self.call.daemon.ending.subscribe()).await;
        pending::<()>().await;
    }
}

#[async_trait::async_trait]
impl TaskHandler for Cycle {
    async fn work(&self, task: &Assigned) -> Worked {
        if let Err(error) = self.session(task).await {
            if self.call.daemon.ending.borrow().is_some() {
                self.until_the_end().await;
            }
            return Worked::Again { reason: error.message };
        }
        let run = match super::outcome(&self.call.daemon, &task.session, true).await {
            Ok(run) => run,
            Err(error) => return Worked::Again { reason: error.message },
        };
        // What the row says of a run that goes on is of its last end.
        match run.status.filter(|_| run.state == RunState::Ended) {
            Some(SessionStatus::Completed) if run.problem.is_none() => Worked::Done(made(&run)),
            None | Some(SessionStatus::Failed) => Worked::Again { reason: self.reason(&run).await },
            Some(_) => Worked::Failed { reason: self.reason(&run).await, outcome: made(&run) },
        }
    }

    async fn abandon(&self, task: &Assigned) -> TaskOutcome {
        let Ok(info) = self.call.daemon.sessions.info(&task.session).await else {
            return TaskOutcome::default();
        };
        if self.is_at_work(&info) || !is_over(info.status) {
            let params = SessionCancelParams { id: info.id };
            if let Err(error) = sessions::cancel(self.call.clone(), params).await {
                tracing::warn!(
                    task = task.id,
                    error = error.message,
                    "the session of a task cannot be cancelled"
                );
            }
        }
        match super::outcome(&self.call.daemon, &task.session, true).await {
            Ok(run) => made(&run),
            Err(_) => TaskOutcome::default(),
        }
    }
}

/// Of a path that is not there the nearest folder above would count, which may lie in another repository.
fn is_folder(repo: &str) -> Result<(), WireError> {
    let path = std::path::Path::new(repo);
    if path.is_absolute() && path.is_dir() {
        return Ok(());
    }
    Err(WireError::not_found(format!("the task's repository {repo} is no folder with an absolute path")))
}

/// Nothing is to be done in the session any more, but its run may want its end.
fn is_final(status: SessionStatus) -> bool {
    matches!(status, SessionStatus::Completed | SessionStatus::Cancelled)
}

fn is_over(status: SessionStatus) -> bool {
    is_final(status) || status == SessionStatus::Failed
}

fn made(run: &RunInfo) -> TaskOutcome {
    TaskOutcome {
        session: Some(run.session.clone()),
        agent_id: Some(run.agent_id.clone()),
        worktree: Some(run.worktree.clone()),
        branch: run.branch.clone(),
        commits: run.commits.clone(),
        files_changed: run.files_changed.clone(),
        reason: run.problem.clone(),
        ..TaskOutcome::default()
    }
}
