//! A task as one cycle: claim -> session -> commit -> release. Here worktrees and sessions meet.
//!
//! [`begin`] takes a worktree, writes the intent and starts the session; [`see_through`] follows it to its end, commits
//! what is left and gives the worktree back; [`outcome`] tells what came of it. The row says at each moment what a next
//! daemon has to do ([`recover`]): its claim is bound to the session, and the session counts as alive for as long as the
//! run is open, so nobody else takes the worktree before the work in it is committed.

mod finish;
mod open;
mod place;
mod recover;
mod rows;

use std::sync::Arc;

use podium_protocol::{RunInfo, RunState, SessionStarted, SessionStatus, WireError};
use podium_sessions::{Attachment, Start, Update, WorktreeRef};
use podium_worktrees::{Caller, Worker};
use tokio::sync::OwnedMutexGuard;
use tokio::sync::broadcast::error::RecvError;

use crate::state::Daemon;

use open::Following;
pub(crate) use open::Runs;
pub(crate) use place::Choice;
use place::Taken;
pub(crate) use recover::{announce, recover};

/// What an agent is to do, where, and what is to become of it.
pub(crate) struct Task {
    /// Id of the session.
    pub(crate) id: String,
    /// A run of this id is the answer.
    pub(crate) retry: bool,
    pub(crate) text: String,
    pub(crate) agent_id: String,
    pub(crate) choice: Choice,
    pub(crate) keeps_claim: bool,
    pub(crate) commits_rest: bool,
    /// The session's part; its place and id are filled in.
    pub(crate) start: Start,
}

/// Takes a worktree and has the agent begin. The rest goes on by itself.
pub(crate) async fn begin(
    daemon: &Arc<Daemon>,
    mut task: Task,
    caller: &Caller,
) -> Result<(SessionStarted, RunInfo), WireError> {
    let turn = daemon.runs.turn(&task.id).await;
    if let Some(known) = earlier(daemon, &task).await? {
        return Ok(known);
    }
    let opening = Opening::new(daemon, &task.id);
    if let Some(cut_off) = rows::find(&daemon.store, &task.id).await? {
        // A daemon ended between claim and session: the claim is there still, and so is the worktree it chose.
        daemon.worktrees.release_session(&task.id).await?;
        task.choice = Choice { worktree: Some(cut_off.name), ..task.choice };
    }
    let (provider, model) = (task.start.provider.as_deref(), task.start.model.as_deref());
    daemon.sessions.check_startable(provider, model, &caller.env).await?;
    let place = place::take(daemon, &task, caller).await?;
    // From here on to its end, also when the client goes away: what is claimed gets its row and its session.
    let (daemon, caller) = (Arc::clone(daemon), caller.clone());
    let start = async move {
        let _turn = turn;
        start_in(&daemon, task, place, &caller, opening).await
    };
    tokio::spawn(start).await.unwrap_or_else(|_| Err(WireError::internal("the task was not started")))
}

async fn start_in(
    daemon: &Arc<Daemon>,
    task: Task,
    place: Taken,
    caller: &Caller,
    opening: Opening,
) -> Result<(SessionStarted, RunInfo), WireError> {
    let id = task.id.clone();
    match write_and_start(daemon, task, place, caller).await {
        Ok(begun) => {
            opening.keep();
            let following = daemon.runs.follow(&id).await;
            tokio::spawn(see_through(Arc::clone(daemon), id, following));
            Ok(begun)
        }
        Err(error) => {
            // A session that was stored after all keeps its run.
            if daemon.sessions.info(&id).await.is_ok() {
                opening.keep();
            } else {
                rows::never_began(&daemon.store, &id, &error.message).await?;
            }
            Err(error)
        }
    }
}

/// A run that is about to be. Unless it is kept, what was claimed for it goes back.
struct Opening {
    daemon: Arc<Daemon>,
    id: String,
    kept: bool,
}

impl Opening {
    fn new(daemon: &Arc<Daemon>, id: &str) -> Self {
        daemon.runs.open(&daemon.sessions, id);
        Self { daemon: Arc::clone(daemon), id: id.to_owned(), kept: false }
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        self.daemon.runs.close(&self.id);
        let (daemon, id) = (Arc::clone(&self.daemon), self.id.clone());
        tokio::spawn(async move {
            if let Err(error) = daemon.worktrees.release_session(&id).await {
                tracing::warn!(session = id, error = error.message, "a claim could not be given back");
            }
        });
    }
}

/// A request that was sent twice finds what the first made.
async fn earlier(daemon: &Arc<Daemon>, task: &Task) -> Result<Option<(SessionStarted, RunInfo)>, WireError> {
    let Ok(info) = daemon.sessions.info(&task.id).await else { return Ok(None) };
    let run = rows::find(&daemon.store, &info.id).await?;
    match run {
        Some(run) if task.retry && info.id == task.id => {
            let started = SessionStarted {
                id: info.id,
                provider: info.provider,
                model: info.model,
                worktree: info.worktree,
                status: info.status,
                last_seq: info.last_seq,
                joined: false,
            };
            Ok(Some((started, run.info())))
        }
        _ if info.id == task.id => {
            Err(WireError::conflict(format!("there is a session {} already", task.id)))
        }
        _ => Ok(None),
    }
}

async fn write_and_start(
    daemon: &Arc<Daemon>,
    task: Task,
    place: Taken,
    caller: &Caller,
) -> Result<(SessionStarted, RunInfo), WireError> {
    let base = daemon.worktrees.head_of(&place.id, caller).await?;
    let row = rows::RunRow {
        session: task.id.clone(),
        task: task.text,
        agent_id: task.agent_id.clone(),
        worktree: place.id.clone(),
        name: place.name.clone(),
        path: place.path.clone(),
        branch: place.branch.clone(),
        token: place.token,
        base,
        commits_rest: task.commits_rest,
        keeps_claim: task.keeps_claim || place.was_its_own,
        state: RunState::Working,
        outcome: rows::Outcome::default(),
    };
    let info = row.info();
    rows::insert(&daemon.store, row).await?;
    let worktree = WorktreeRef { id: place.id, repo: place.repo.clone(), name: place.name, path: place.path };
    let start = Start {
        id: Some(task.id),
        agent_id: Some(task.agent_id),
        repo: Some(place.repo),
        worktree: Some(worktree),
        env: caller.env.clone(),
        ..task.start
    };
    let started = daemon.sessions.start(start).await?;
    daemon.activity.notify_waiters();
    Ok((started, info))
}

/// The turn to take the session of a run up again; `None` for any other session.
pub(crate) async fn turn(daemon: &Daemon, session: &str) -> Result<Option<OwnedMutexGuard<()>>, WireError> {
    match rows::find(&daemon.store, session).await? {
        Some(_) => Ok(Some(daemon.runs.turn(session).await)),
        None => Ok(None),
    }
}

/// Somebody goes on with the session of a run: what it does from now on is of the run again.
pub(crate) async fn adopt(daemon: &Arc<Daemon>, session: &str) -> Result<(), WireError> {
    daemon.runs.open(&daemon.sessions, session);
    let token = claim_token(daemon, session).await?;
    if !rows::reopen(&daemon.store, session, token).await? {
        daemon.runs.close(session);
        return Ok(());
    }
    let following = daemon.runs.follow(session).await;
    tokio::spawn(see_through(Arc::clone(daemon), session.to_owned(), following));
    Ok(())
}

/// Token of the claim that the session works under now: it may have been taken anew.
async fn claim_token(daemon: &Daemon, session: &str) -> Result<Option<u64>, WireError> {
    let Some(run) = rows::find(&daemon.store, session).await? else { return Ok(None) };
    let place = daemon.worktrees.work_place(&run.worktree, &Worker::Agent(run.agent_id)).await?;
    Ok(place.token)
}

/// Follows the session to its end. A session that is interrupted or parked can go on, and keeps its worktree.
async fn see_through(daemon: Arc<Daemon>, session: String, following: Following) {
    let Some((status, reason)) = ended(&daemon, &session).await else { return };
    match status {
        SessionStatus::Completed | SessionStatus::Failed | SessionStatus::Cancelled => {}
        SessionStatus::Interrupted if was_for_good(reason.as_deref()) => {}
        SessionStatus::InProgress | SessionStatus::Interrupted | SessionStatus::Parked => return,
    }
    finish::finish(&daemon, &session).await;
    drop(following);
}

/// Waits for the end of a turn.
async fn ended(daemon: &Daemon, session: &str) -> Option<(SessionStatus, Option<String>)> {
    if let Attachment::Live(mut updates) = daemon.sessions.attach(session) {
        loop {
            match updates.recv().await {
                Ok(Update::End(end)) => return Some((end.status, end.reason)),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            }
        }
    }
    let info = daemon.sessions.info(session).await.ok()?;
    Some((info.status, info.reason))
}

/// There is nothing left to go on in.
fn was_for_good(reason: Option<&str>) -> bool {
    reason == Some("its worktree was removed")
}

/// How a run stands; with `wait` once it has ended, or stopped short of it.
pub(crate) async fn outcome(daemon: &Daemon, session: &str, wait: bool) -> Result<RunInfo, WireError> {
    let mut changes = daemon.runs.changes();
    loop {
        changes.borrow_and_update();
        let run = rows::find(&daemon.store, session).await?;
        let run =
            run.ok_or_else(|| WireError::not_found(format!("session {session} is no run of a task")))?;
        if !wait || run.state == RunState::Ended {
            return Ok(run.info());
        }
        if let Some(error) = daemon.runs.stuck(session) {
            return Err(error);
        }
        if !daemon.runs.is_followed(session) && !is_over(daemon, session).await? {
            return Ok(run.info());
        }
        if changes.changed().await.is_err() {
            return Ok(run.info());
        }
    }
}

/// Nobody follows it yet, but it is about to be finished.
async fn is_over(daemon: &Daemon, session: &str) -> Result<bool, WireError> {
    let status = daemon.sessions.info(session).await?.status;
    Ok(matches!(status, SessionStatus::Completed | SessionStatus::Failed | SessionStatus::Cancelled))
}
