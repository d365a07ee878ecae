//! `session/*` and `provider/list`. Here a session meets its worktree and claim.

use std::time::Duration;

use podium_protocol::{
    ClaimAcquireParams, ClaimStanding, ClaimVerifyParams, ProviderList, ProviderListParams, RepoSelector,
    SessionAttachParams, SessionAttached, SessionCancelParams, SessionCancelled, SessionCapability,
    SessionCapabilityParams, SessionEnd, SessionInfo, SessionItem, SessionList, SessionListParams,
    SessionResumeParams, SessionShowParams, SessionShown, SessionStartParams, SessionStarted, SessionStatus,
    SessionUpdate, SessionUsage, SessionUsageParams, WireError, notify,
};
use podium_sessions::{
    Attachment, Bounds, Limits, Next, SessionError, Sessions, Start, StopCause, Update, WorktreeRef,
};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::scope;
use crate::call::Call;
use crate::runs;

pub(crate) async fn start(call: Call, params: SessionStartParams) -> Result<SessionStarted, WireError> {
    if call.agent().is_some() {
        return Err(WireError::user("an agent cannot start sessions of its own")
            .hint("ask the person: `jelmore inbox ask \"...\"`"));
    }
    let place = place(&call, &params).await?;
    if params.go_on {
        return go_on(&call, params, place).await;
    }
    let id = params.session_id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let announced = call.daemon.sessions.announce(&id);
    if let Some(worktree) = &place.worktree
        && let Some(agent) = &params.agent_id
    {
        claim(&call, &worktree.name, agent, &id, &params.at).await?;
    }
    let start = Start {
        id: Some(id.clone()),
        retry: params.retry,
        provider: params.provider,
        prompt: params.prompt.unwrap_or_default(),
        context: params.context,
        model: params.model,
        agent_id: params.agent_id,
        repo: place.repo,
        worktree: place.worktree,
        seed: params.seed,
        max_tokens: params.max_tokens,
        temperature: params.temperature,
        limits: limits(params.max_cost_usd, params.max_total_tokens)?,
        env: call.env.clone(),
    };
    let started = call.daemon.sessions.start(start).await;
    drop(announced);
    if started.is_err() && !call.daemon.sessions.holds_claim(&id) {
        let _ = call.daemon.worktrees.release_session(&id).await;
    }
    call.daemon.activity.notify_waiters();
    Ok(started?)
}

/// # Errors
/// `Usage` for an amount of money that is none.
pub(super) fn limits(cost_usd: Option<f64>, tokens: Option<u64>) -> Result<Limits, WireError> {
    match cost_usd {
        Some(cost) if !cost.is_finite() || cost < 0.0 => {
            Err(WireError::usage("the most that a session may cost is a number of US dollars, not below 0"))
        }
        cost_usd => Ok(Limits { cost_usd, tokens }),
    }
}

/// Where a session works: a worktree that is named, or the one the caller stands in, or nowhere.
struct Place {
    worktree: Option<WorktreeRef>,
    repo: Option<String>,
}

async fn place(call: &Call, params: &SessionStartParams) -> Result<Place, WireError> {
    let named = params.worktree.as_deref();
    let resolved = call.daemon.worktrees.resolve(&params.at, named, &call.worktree_caller()).await;
    match resolved {
        Ok(found) => {
            let repo = Some(found.repo_id.clone());
            let worktree =
                WorktreeRef { id: found.id, repo: found.repo_id, name: found.name, path: found.path };
            Ok(Place { worktree: Some(worktree), repo })
        }
        Err(error) if named.is_some() => Err(error),
        // A session needs no repository: a question can be asked anywhere.
        Err(_) => Ok(Place { worktree: None, repo: None }),
    }
}

/// Claims the worktree for the session, unless its agent holds it already. A claim made here goes with the session.
pub(super) async fn claim(
    call: &Call,
    worktree: &str,
    agent: &str,
    session: &str,
    at: &RepoSelector,
) -> Result<(), WireError> {
    let (name, agent) = (Some(worktree.to_owned()), Some(agent.to_owned()));
    let ask = ClaimVerifyParams {
        at: at.clone(),
        worktree: name.clone(),
        agent_id: agent.clone(),
        ..Default::default()
    };
    let held = call.daemon.worktrees.verify(ask, &call.worktree_caller()).await?;
    if held.standing == ClaimStanding::Mine {
        return Ok(());
    }
    let params = ClaimAcquireParams {
        at: at.clone(),
        worktree: name,
        agent_id: agent,
        session: Some(session.to_owned()),
        ..Default::default()
    };
    call.daemon.worktrees.acquire(params, &call.worktree_caller()).await.map(drop)
}

async fn go_on(call: &Call, params: SessionStartParams, place: Place) -> Result<SessionStarted, WireError> {
    let bounds = Bounds { seed: params.seed, max_tokens: params.max_tokens, temperature: params.temperature };
    let prompt = params.prompt.filter(|p| !p.trim().is_empty());
    let limits = limits(params.max_cost_usd, params.max_total_tokens)?;
    let next = Next { prompt, bounds, limits, again: false };
    let id = match params.session_id {
        Some(id) => id,
        None => {
            let worktree = params.worktree.and(place.worktree.map(|w| w.id));
            call.daemon.sessions.newest_to_continue(worktree, place.repo, next.prompt.is_some()).await?
        }
    };
    take_up(call, &id, next).await
}

/// Resumes a session; its agent needs the worktree again, if it had one.
async fn take_up(call: &Call, id: &str, next: Next) -> Result<SessionStarted, WireError> {
    let info = call.daemon.sessions.info(id).await?;
    call.own_session(&info.id)?;
    // Of a task that is being finished: then the turn begins behind that, under a claim of its own.
    let turn = runs::turn(&call.daemon, &info.id).await?;
    let info = call.daemon.sessions.info(&info.id).await?;
    let nothing_to_do = next.leaves_as_is(&info)?;
    let announced = call.daemon.sessions.announce(&info.id);
    if let (Some(agent), Some(name), Some(path)) = (&info.agent_id, &info.worktree, &info.worktree_path)
        && !nothing_to_do
        && !call.daemon.sessions.is_running(&info.id)
    {
        let at = RepoSelector { repo: Some(path.clone()), ..Default::default() };
        claim(call, name, agent, &info.id, &at).await?;
    }
    let taken_up = turn.is_some() && !nothing_to_do && !call.daemon.sessions.is_running(&info.id);
    let (daemon, env) = (std::sync::Arc::clone(&call.daemon), call.env.clone());
    // From here on to its end, also when the client goes away: a run that is open again is followed.
    let go_on = async move {
        let reopened = if taken_up { runs::reopen(&daemon, &info.id).await? } else { None };
        let started = daemon.sessions.go_on(&info.id, next, env).await;
        if let Some(reopened) = reopened {
            reopened.follow(started.is_ok());
        }
        drop((turn, announced));
        daemon.activity.notify_waiters();
        Ok(started?)
    };
    tokio::spawn(go_on).await.unwrap_or_else(|_| Err(WireError::internal("the session was not gone on with")))
}

pub(crate) async fn resume(call: Call, params: SessionResumeParams) -> Result<SessionStarted, WireError> {
    let bounds = Bounds { seed: params.seed, max_tokens: params.max_tokens, temperature: params.temperature };
    let limits = limits(params.max_cost_usd, params.max_total_tokens)?;
    let next = Next { prompt: params.prompt, bounds, limits, again: params.again };
    let id = match params.id {
        Some(id) => id,
        None => {
            let found = call.daemon.worktrees.resolve(&params.at, None, &call.worktree_caller()).await;
            let repo = found.ok().map(|w| w.repo_id);
            match call.daemon.sessions.newest_to_continue(None, repo, next.prompt.is_some()).await {
                // Without a next prompt, to go on with what runs is to follow it.
                Err(SessionError::Running(id)) if next.prompt.is_none() => id,
                found => found?,
            }
        }
    };
    take_up(&call, &id, next).await
}

pub(crate) async fn cancel(call: Call, params: SessionCancelParams) -> Result<SessionCancelled, WireError> {
    let info = call.daemon.sessions.info(&params.id).await?;
    call.own_session(&info.id)?;
    let (id, status) = call.daemon.sessions.cancel(&info.id).await?;
    // One that was parked or interrupted is followed by nobody.
    runs::conclude(&call.daemon, &id).await;
    Ok(SessionCancelled { id, status })
}

pub(crate) async fn list(call: Call, params: SessionListParams) -> Result<SessionList, WireError> {
    let repos = scope::repos(&call, &params.scope).await?;
    let (found, names) = (call.daemon.sessions.list_in(params, repos).await?, scope::names(&call).await?);
    let named = |(session, repo): (SessionInfo, Option<String>)| {
        let repo = repo.and_then(|id| names.get(&id).cloned());
        SessionInfo { repo, ..session }
    };
    let mut sessions: Vec<SessionInfo> = found.into_iter().map(named).collect();
    if let Some((own, _)) = call.agent() {
        sessions.retain(|session| session.id == own);
    }
    Ok(SessionList { sessions })
}

pub(crate) async fn show(call: Call, params: SessionShowParams) -> Result<SessionShown, WireError> {
    let shown = call.daemon.sessions.show(params.id.as_deref(), params.from_seq.unwrap_or(0)).await?;
    call.own_session(&shown.session.id)?;
    Ok(shown)
}

pub(crate) async fn usage(call: Call, params: SessionUsageParams) -> Result<SessionUsage, WireError> {
    Ok(call.daemon.sessions.usage(params.days.unwrap_or(30).clamp(1, 1_000)).await?)
}

pub(crate) async fn attach(call: Call, params: SessionAttachParams) -> Result<SessionAttached, WireError> {
    let info = call.daemon.sessions.info(&params.id).await?;
    call.own_session(&info.id)?;
    let subscription =
        call.peer.reserve().ok_or_else(|| WireError::busy("too many subscriptions on this connection"))?;
    // Attached before the store is read again: what comes in between is in both.
    let attachment = call.daemon.sessions.attach(&info.id);
    let session = call.daemon.sessions.info(&info.id).await?;
    let peer = std::sync::Arc::clone(&call.peer);
    let request = call.request;
    let follower = Follower { call, subscription, id: session.id.clone(), seq: params.from_seq };
    peer.run(request, subscription, follower.run(attachment));
    Ok(SessionAttached { subscription, session })
}

/// Items that wait are put into one message until there are so many.
const MESSAGE_ITEMS: usize = 100;
/// How long it is from a session's row to its turn, about.
const TAKEN_UP: Duration = Duration::from_millis(5);

/// Sends a session's items above `seq`, each once and in order, and its end.
struct Follower {
    call: Call,
    subscription: u64,
    id: String,
    seq: u64,
}

impl Follower {
    async fn run(mut self, mut attachment: Attachment) {
        loop {
            if !self.send_stored().await {
                return;
            }
            if let Attachment::Live(updates) = attachment
                && (!self.follow(updates).await || !self.send_stored().await)
            {
                return;
            }
            // Somebody may have gone on with it since it was found at rest: that is no end.
            attachment = self.call.daemon.sessions.attach(&self.id);
            if matches!(attachment, Attachment::Live(_)) {
                continue;
            }
            if self.send_end_from_store().await {
                return;
            }
        }
    }

    /// False when there is nobody to tell any more, or nothing.
    async fn follow(&mut self, mut updates: broadcast::Receiver<Update>) -> bool {
        loop {
            match updates.recv().await {
                Ok(Update::Items(first)) => {
                    // What waits as well goes along in one message.
                    let mut items = first.to_vec();
                    let mut rest = None;
                    while items.len() < MESSAGE_ITEMS {
                        match updates.try_recv() {
                            Ok(Update::Items(more)) => items.extend_from_slice(&more),
                            Ok(other) => {
                                rest = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    if !self.send_items(items).await {
                        return false;
                    }
                    if let Some(update) = rest
                        && !self.send_other(update).await
                    {
                        return false;
                    }
                }
                Ok(other) => {
                    if !self.send_other(other).await {
                        return false;
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    if !self.send_stored().await {
                        return false;
                    }
                }
                Err(RecvError::Closed) => return true,
            }
        }
    }

    /// Pages through what the store has above `seq`.
    async fn send_stored(&mut self) -> bool {
        loop {
            let Ok((items, more)) = self.call.daemon.sessions.items(&self.id, self.seq).await else {
                return false;
            };
            if !items.is_empty() && !self.send_items(items).await {
                return false;
            }
            if !more {
                return true;
            }
        }
    }

    async fn send_items(&mut self, mut items: Vec<SessionItem>) -> bool {
        items.retain(|item| item.seq > self.seq);
        let Some(last) = items.last() else { return true };
        if items[0].seq != self.seq + 1 {
            // Something in between was missed; the store has it.
            return Box::pin(self.send_stored()).await;
        }
        self.seq = last.seq;
        self.send(SessionUpdate { items, ..self.update() }).await
    }

    /// True while more will come.
    async fn send_other(&mut self, update: Update) -> bool {
        match update {
            Update::Progress(progress) => {
                self.tell(SessionUpdate { progress: Some(progress), ..self.update() })
            }
            Update::Health(health) => self.tell(SessionUpdate { health: Some(health), ..self.update() }),
            Update::Context(context) => self.tell(SessionUpdate { context: Some(context), ..self.update() }),
            Update::End(end) => {
                if self.send_stored().await {
                    self.send(SessionUpdate { end: Some(end), ..self.update() }).await;
                }
                false
            }
            Update::Items(items) => self.send_items(items.to_vec()).await,
        }
    }

    /// What a slow client may miss: something newer follows. True, since more will come.
    fn tell(&self, update: SessionUpdate) -> bool {
        self.call.peer.notify_lossy(notify::SESSION_UPDATE, &update);
        true
    }

    /// False for a session that has been taken up again and is about to run.
    async fn send_end_from_store(&self) -> bool {
        let Ok(info) = self.call.daemon.sessions.info(&self.id).await else { return true };
        if info.status == SessionStatus::InProgress {
            tokio::time::sleep(TAKEN_UP).await;
            return false;
        }
        let files_changed = self.call.daemon.sessions.files_changed(&self.id).await.unwrap_or_default();
        let end = SessionEnd {
            status: info.status,
            reason: info.reason,
            usage: info.usage,
            files_changed,
            artifact: info.artifact,
        };
        self.send(SessionUpdate { end: Some(end), ..self.update() }).await;
        true
    }

    async fn send(&self, update: SessionUpdate) -> bool {
        self.call.peer.notify(notify::SESSION_UPDATE, &update).await
    }

    fn update(&self) -> SessionUpdate {
        SessionUpdate {
            subscription: self.subscription,
            id: self.id.clone(),
            items: Vec::new(),
            progress: None,
            health: None,
            context: None,
            end: None,
        }
    }
}

pub(crate) async fn capability(
    call: Call,
    params: SessionCapabilityParams,
) -> Result<SessionCapability, WireError> {
    let info = call.daemon.sessions.info(&params.id).await?;
    let agent = info.agent_id.unwrap_or_else(|| format!("session:{}", info.id));
    call.daemon.capabilities.open(&call.daemon, &info.id, &agent)
}

pub(crate) async fn providers(call: Call, _params: ProviderListParams) -> Result<ProviderList, WireError> {
    Ok(ProviderList { providers: call.daemon.sessions.providers(&call.env).await })
}

/// Sessions, as the removal of a worktree sees them.
pub(crate) struct Working(pub(crate) Sessions);

#[async_trait::async_trait]
impl podium_worktrees::Workers for Working {
    async fn working_in(&self, worktree: &str) -> Result<Vec<String>, WireError> {
        Ok(self.0.running_in(worktree).await?)
    }

    async fn stop(&self, ids: &[String]) {
        self.0.interrupt(ids, StopCause::WorktreeRemoved).await;
    }
}
