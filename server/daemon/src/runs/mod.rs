//! A task as one cycle: claim -> session -> commit -> release. Here worktrees and sessions meet.
//!
//! [`begin`] takes a worktree, writes the intent and starts the session; [`see_through`] follows it to its end, commits
//! what is left and gives the worktree back; [`outcome`] tells what came of it. The row says at each moment what a next
//! daemon has to do ([`recover`]): its claim is bound to the session, and the session counts as alive for as long as the
//! run is open, so nobody else takes the worktree before the work in it is committed.

mod assigned;
mod finish;
mod open;
mod place;
mod recover;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use podium_protocol::{RunInfo, RunState, SessionStarted, SessionStatus, WireError};
use podium_sessions::{Attachment, Start, Update, WorktreeRef};
use podium_worktrees::{Caller, Worker};
use tokio::sync::OwnedMutexGuard;
use tokio::sync::broadcast::error::RecvError;

use crate::state::Daemon;

pub(crate) use assigned::Cycle;
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
    let opening = Opening::new(daemon, &task.id, turn);
    if let Some(cut_off) = rows::find(&daemon.store, &task.id).await? {
        // A daemon ended between claim and session: the claim is there still, and so is the worktree it chose.
        give_up(daemon, &task.id, cut_off.keeps_claim).await?;
        task.choice = Choice { worktree: Some(cut_off.name), ..task.choice };
    }
    let (provider, model) = (task.start.provider.as_deref(), task.start.model.as_deref());
    daemon.sessions.check_startable(provider, model, &caller.env).await?;
    let place = place::take(daemon, &task, caller, &opening.was_its_own).await?;
    // From here on to its end, also when the client goes away: what is claimed gets its row and its session.
    let (daemon, caller) = (Arc::clone(daemon), caller.clone());
    let start = async move { start_in(&daemon, task, place, &caller, opening).await };
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
            let following = daemon.runs.follow(&id);
            opening.keep();
            tokio::spawn(see_through(Arc::clone(daemon), id, following, Until::Over));
            Ok(begun)
        }
        Err(error) => {
            // A session that was stored after all keeps its run.
            if daemon.sessions.info(&id).await.is_ok() {
                opening.keep();
            } else {
                let released = !opening.was_its_own.load(Ordering::Relaxed);
                rows::never_began(&daemon.store, &id, &error.message, released).await?;
            }
            Err(error)
        }
    }
}

/// The claim of a session that never began: what its agent held before is the agent's again.
async fn give_up(daemon: &Daemon, session: &str, keeps_claim: bool) -> Result<(), WireError> {
    if keeps_claim {
        return daemon.worktrees.unbind_session(session).await;
    }
    daemon.worktrees.release_session(session).await
}

/// A run that is about to be. Unless it is kept, what was claimed for it goes back.
struct Opening {
    daemon: Arc<Daemon>,
    id: String,
    /// Held until all is given back: a request that is sent again claims only after that.
    turn: Option<OwnedMutexGuard<()>>,
    /// The agent had the claim before.
    was_its_own: AtomicBool,
    kept: bool,
}

impl Opening {
    fn new(daemon: &Arc<Daemon>, id: &str, turn: OwnedMutexGuard<()>) -> Self {
        daemon.runs.open(&daemon.sessions, id);
        let was_its_own = AtomicBool::new(false);
        Self { daemon: Arc::clone(daemon), id: id.to_owned(), turn: Some(turn), was_its_own, kept: false }
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
        let (daemon, id, turn) = (Arc::clone(&self.daemon), self.id.clone(), self.turn.take());
        let was_its_own = self.was_its_own.load(Ordering::Relaxed);
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = give_up(&daemon, &id, was_its_own).await {
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

/// A run whose session is about to be gone on with. Its row is open before the turn begins, so that a daemon which ends in
/// between leaves a run that the next one finishes.
pub(crate) struct Reopened {
    daemon: Arc<Daemon>,
    session: String,
    following: Following,
}

/// Somebody goes on with the session: what it does from now on is of the run again. `None` where there is no run, or
/// another one has its worktree.
pub(crate) async fn reopen(daemon: &Arc<Daemon>, session: &str) -> Result<Option<Reopened>, WireError> {
    let token = claim_token(daemon, session).await?;
    let was_open = daemon.runs.is_open(session);
    daemon.runs.open(&daemon.sessions, session);
    match rows::reopen(&daemon.store, session, token).await {
        Ok(true) => {}
        other => {
            if !was_open {
                daemon.runs.close(session);
            }
            return other.map(|_| None);
        }
    }
    let following = daemon.runs.follow(session);
    Ok(Some(Reopened { daemon: Arc::clone(daemon), session: session.to_owned(), following }))
}

impl Reopened {
    /// Follows what the session does now. Where it was not `begun`, the run ends as it had.
    pub(crate) fn follow(self, begun: bool) {
        let Self { daemon, session, following } = self;
        let until = if begun { Until::Over } else { Until::GivenUp };
        tokio::spawn(see_through(daemon, session, following, until));
    }
}

/// The session may be over without a turn that anybody follows: then its run is brought to its end.
pub(crate) async fn conclude(daemon: &Arc<Daemon>, session: &str) {
    match rows::find(&daemon.store, session).await {
        Ok(Some(run)) if run.state != RunState::Ended => {
            let (daemon, session) = (Arc::clone(daemon), session.to_owned());
            tokio::spawn(async move { finish::finish(&daemon, &session, Until::Over).await });
        }
        Ok(_) => {}
        Err(error) => tracing::error!(session, error = error.message, "the run of a session cannot be read"),
    }
}

/// Token of the claim that the session works under now: it may have been taken anew.
async fn claim_token(daemon: &Daemon, session: &str) -> Result<Option<u64>, WireError> {
    let Some(run) = rows::find(&daemon.store, session).await? else { return Ok(None) };
    let place = daemon.worktrees.work_place(&run.worktree, &Worker::Agent(run.agent_id)).await?;
    Ok(place.token)
}

/// What of a session that does not run has its run finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    /// That it is over. A session that is interrupted or parked can go on, and keeps its worktree.
    Over,
    /// That nobody came back to it either. One that is parked waits for a person, who may come tomorrow.
    GivenUp,
}

impl Until {
    fn is_reached(self, status: SessionStatus, reason: Option<&str>) -> bool {
        match status {
            SessionStatus::Completed | SessionStatus::Failed | SessionStatus::Cancelled => true,
            SessionStatus::InProgress | SessionStatus::Interrupted => {
                self == Self::GivenUp || was_for_good(reason)
            }
            SessionStatus::Parked => false,
        }
    }
}

/// Follows the session to its end.
async fn see_through(daemon: Arc<Daemon>, session: String, following: Following, until: Until) {
    at_rest(&daemon, &session).await;
    finish::finish(&daemon, &session, until).await;
    drop(following);
}

/// Waits until neither a turn nor anything else has the session taken.
async fn at_rest(daemon: &Daemon, session: &str) {
    while let Attachment::Live(mut updates) = daemon.sessions.attach(session) {
        loop {
            match updates.recv().await {
                Ok(Update::End(_)) | Err(RecvError::Closed) => break,
                Ok(_) | Err(RecvError::Lagged(_)) => {}
            }
        }
    }
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
