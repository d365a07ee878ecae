//! The service: start, resume, cancel, list, show, attach.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use podium_artifacts::Artifacts;
use podium_config::Live;
use podium_protocol::{SessionContext, SessionInfo, SessionStarted, SessionStatus};
use podium_store::{Durability, NewEvent, Store};
use serde_json::json;

use crate::SessionError;
use crate::agent::Toolkit;
use crate::budget::{Budgets, UnknownPrice};
use crate::hub::{Attachment, Hub, Running};
use crate::keys::Keys;
use crate::next::{Limits, Next};
use crate::opening::{check_id, new_row, prompt_item, started, started_event};
use crate::prepare::check_model;
use crate::prompt;
use crate::provider::{Provider, StopCause};
use crate::rows::{self, SessionRow};
use crate::turn::{Mark, drive};

/// Variables that came with a request. In memory only.
pub type Env = BTreeMap<String, String>;

/// The worktree a session works in.
#[derive(Debug, Clone)]
pub struct WorktreeRef {
    pub id: String,
    pub repo: String,
    pub name: String,
    pub path: PathBuf,
}

/// A session about to be started.
#[derive(Debug, Clone, Default)]
pub struct Start {
    pub id: Option<String>,
    /// The id was made up for a repeated request: a session of that id is the answer.
    pub retry: bool,
    pub provider: Option<String>,
    pub prompt: String,
    pub context: Option<SessionContext>,
    pub model: Option<String>,
    pub agent_id: Option<String>,
    pub repo: Option<String>,
    pub worktree: Option<WorktreeRef>,
    pub seed: Option<u64>,
    pub max_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub limits: Limits,
    pub env: Env,
}

/// What the service needs from its surroundings.
pub struct Settings {
    /// Unique for this start of the daemon.
    pub instance: String,
    pub config: Arc<Live>,
    /// In order of preference.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Tools for bare models; without any they only talk.
    pub toolkit: Option<Arc<dyn Toolkit>>,
    /// Knows the keys that no session may show.
    pub keys: Keys,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) artifacts: Artifacts,
    pub(crate) hub: Hub,
    /// Sessions about to be started: their claims are made before they are.
    announced: Mutex<HashMap<String, usize>>,
    pub(crate) snapshots: OnceLock<Arc<crate::Snapshots>>,
    pub(crate) settings: Settings,
}

/// A session that is about to be started. What it claims holds as long as this lives.
pub struct Announced {
    inner: Arc<Inner>,
    id: String,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut announced = self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = announced.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                announced.remove(&self.id);
            }
        }
    }
}

impl Inner {
    pub(crate) fn checkpoint_items(&self) -> u64 {
        u64::try_from(self.settings.config.get().integer("sessions.checkpoint_items")).unwrap_or(48)
    }

    /// Of the configuration, and those that the session was given.
    pub(crate) fn budgets(&self, limits: Limits) -> Budgets {
        Budgets::of(&self.settings.config.get()).with(limits)
    }

    pub(crate) fn unknown_price(&self) -> UnknownPrice {
        UnknownPrice::of(&self.settings.config.get())
    }

    /// How long a turn of this provider may give no sign of life; `None`: for ever.
    pub(crate) fn silence(&self, provider: &str) -> Option<Duration> {
        let name = format!("{provider}.silent_seconds");
        let key = podium_config::KEYS.iter().find(|key| key.name == name)?;
        self.settings.config.get().seconds(key.name)
    }

    /// Questions to a bare model within one turn.
    pub(crate) fn max_steps(&self) -> u64 {
        u64::try_from(self.settings.config.get().integer("sessions.max_steps")).unwrap_or(200)
    }
}

/// The session service. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    pub(crate) inner: Arc<Inner>,
}

impl Sessions {
    #[must_use]
    pub fn new(store: Store, artifacts: Artifacts, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                artifacts,
                hub: Hub::default(),
                announced: Mutex::default(),
                snapshots: OnceLock::new(),
                settings,
            }),
        }
    }

    /// Marks what an earlier daemon left in the middle as interrupted. Returns how many.
    ///
    /// # Errors
    /// What the database says.
    pub async fn recover(&self) -> Result<usize, SessionError> {
        let instance = self.inner.settings.instance.clone();
        let write = self.inner.store.write::<_, SessionError>(Durability::Power, move |tx| {
            let ids = rows::interrupt_orphans(tx, &instance)?;
            for id in &ids {
                let data = json!({ "id": id, "status": "interrupted", "reason": "the daemon ended" });
                tx.emit(&NewEvent::new("session.interrupted", format!("session/{id}"), data).correlated(id))?;
            }
            Ok(ids.len())
        });
        write.await
    }

    /// Keeps what is claimed in the name of a session that does not exist yet.
    #[must_use]
    pub fn announce(&self, id: &str) -> Announced {
        let mut announced = self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner);
        *announced.entry(id.to_owned()).or_default() += 1;
        drop(announced);
        Announced { inner: Arc::clone(&self.inner), id: id.to_owned() }
    }

    /// Whether a session could be started with this provider and model; asked before a place is made for it.
    ///
    /// # Errors
    /// `UnknownProvider`, `NoProvider`, `UnknownModel`.
    pub async fn check_startable(
        &self,
        provider: Option<&str>,
        model: Option<&str>,
        env: &Env,
    ) -> Result<(), SessionError> {
        let provider = self.choose(provider, env).await?;
        check_model(provider.as_ref(), model)
    }

    /// Starts a session; its first turn runs in the background.
    ///
    /// # Errors
    /// `Exists`, `UnknownProvider`, `NoProvider`, `Invalid`, or what the database says.
    pub async fn start(&self, start: Start) -> Result<SessionStarted, SessionError> {
        let worktree = start.worktree.as_ref().map(|w| w.path.clone());
        let prompt = prompt::compose(&start.prompt, start.context.as_ref())?;
        let prompt = self.inner.settings.keys.redactor(&start.env, worktree).await.redact(&prompt);
        let id = match &start.id {
            Some(id) => check_id(id)?,
            None => uuid::Uuid::now_v7().to_string(),
        };
        if let Some(existing) = self.find(&id).await? {
            return if start.retry { Ok(started(&existing)) } else { Err(SessionError::Exists(id)) };
        }
        let provider = self.choose(start.provider.as_deref(), &start.env).await?;
        check_model(provider.as_ref(), start.model.as_deref())?;
        let row = self.insert(&id, &start, provider.as_ref(), &prompt).await?;
        self.run_first(&row, provider, start.env).await?;
        Ok(started(&row))
    }

    async fn insert(
        &self,
        id: &str,
        start: &Start,
        provider: &dyn Provider,
        prompt: &str,
    ) -> Result<SessionRow, SessionError> {
        let row = new_row(id, start, provider.name(), prompt);
        let event = started_event("session.started", &row);
        let item = prompt_item(1, prompt);
        let (instance, stored) = (self.inner.settings.instance.clone(), row.clone());
        let write = self.inner.store.write::<(), SessionError>(Durability::Power, move |tx| {
            if rows::find(tx, &stored.info.id)?.is_some() {
                return Err(SessionError::Exists(stored.info.id));
            }
            rows::insert(tx, &stored, &instance)?;
            rows::append(tx, &stored.info.id, &[item])?;
            tx.emit(&event)?;
            Ok(())
        });
        write.await?;
        let mut row = row;
        row.info.last_seq = 1;
        Ok(row)
    }

    /// Finishes an interrupted answer, or adds a turn when there is a prompt.
    ///
    /// # Errors
    /// As [`Sessions::go_on`].
    pub async fn resume(
        &self,
        id: &str,
        prompt: Option<&str>,
        env: Env,
    ) -> Result<SessionStarted, SessionError> {
        self.go_on(id, Next { prompt: prompt.map(str::to_owned), ..Next::default() }, env).await
    }

    /// Goes on with a session. One that runs, or is complete and has nothing to add, is answered as it is.
    ///
    /// # Errors
    /// `NotFound`; `Running` when a turn is to be added to a running one; what [`Next::leaves_as_is`] refuses; where a rewind
    /// is left half done, what keeps it from being finished.
    pub async fn go_on(&self, id: &str, next: Next, env: Env) -> Result<SessionStarted, SessionError> {
        let row = self.resolve(id).await?;
        if next.leaves_as_is(&row.info)? {
            return Ok(started(&row));
        }
        let provider = self.named(&row.info.provider)?;
        // Taken before anything is stored: of two who resume at one time, one does it.
        let Some(running) = self.inner.hub.begin(&row.info.id) else {
            return match next.prompt {
                None => Ok(SessionStarted { joined: true, ..started(&row) }),
                Some(_) => Err(SessionError::Running(row.info.id)),
            };
        };
        let id = row.info.id.clone();
        let taken = match self.settle_taken(&id, &running).await {
            Ok(()) => self.resume_taken(&id, provider, running, &next, env).await,
            Err(error) => Err(error),
        };
        if taken.is_err() {
            self.inner.hub.end(&id);
        }
        taken
    }

    async fn resume_taken(
        &self,
        id: &str,
        provider: Arc<dyn Provider>,
        running: Running,
        next: &Next,
        env: Env,
    ) -> Result<SessionStarted, SessionError> {
        // Read again: until it was taken, another turn may have run and ended.
        let row = self.resolve(id).await?;
        if next.leaves_as_is(&row.info)? {
            self.inner.hub.end(id);
            return Ok(started(&row));
        }
        let row = self.take_up(row, next, &env).await?;
        let job = self.prepare(&row, provider, running, env, next.prompt.is_none()).await?;
        tokio::spawn(drive(job));
        Ok(started(&row))
    }

    /// Stores that the session runs again, with the next prompt if there is one.
    async fn take_up(&self, mut row: SessionRow, next: &Next, env: &Env) -> Result<SessionRow, SessionError> {
        let worktree = row.info.worktree_path.as_ref().map(PathBuf::from);
        let prompt = match next.prompt.as_deref().map(|p| prompt::compose(p, None)).transpose()? {
            Some(prompt) => Some(self.inner.settings.keys.redactor(env, worktree).await.redact(&prompt)),
            None => None,
        };
        let event = started_event("session.resumed", &row);
        let (instance, id, seq) =
            (self.inner.settings.instance.clone(), row.info.id.clone(), row.info.last_seq + 1);
        let item = prompt.map(|p| prompt_item(seq, &p));
        row.info.last_seq += u64::from(item.is_some());
        if item.is_some() && row.state.is_some() {
            row.mark = Some(Mark::default());
        }
        row.info.status = SessionStatus::InProgress;
        row.info.reason = None;
        row.request = next.limits.over(&next.bounds.over(&row.request));
        let request = row.request.clone();
        let write = self.inner.store.write::<(), SessionError>(Durability::Power, move |tx| {
            if let Some(item) = item {
                rows::append(tx, &id, &[item])?;
                rows::begin_turn(tx, &id)?;
            }
            rows::set_request(tx, &id, &request)?;
            rows::set_status(tx, &id, SessionStatus::InProgress, None, Some(&instance))?;
            tx.emit(&event)?;
            Ok(())
        });
        write.await?;
        Ok(row)
    }

    /// The newest session that can be gone on with here: an unfinished one, or any when there is a `next` prompt.
    ///
    /// # Errors
    /// `NothingToContinue`; `Running` when it is live.
    pub async fn newest_to_continue(
        &self,
        worktree: Option<String>,
        repo: Option<String>,
        next: bool,
    ) -> Result<String, SessionError> {
        let find = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            Ok(rows::newest_to_continue(conn, worktree.as_deref(), repo.as_deref(), next)?)
        };
        let row = self.inner.store.read(find).await?.ok_or(SessionError::NothingToContinue)?;
        if self.inner.hub.get(&row.info.id).is_some() {
            return Err(SessionError::Running(row.info.id));
        }
        Ok(row.info.id)
    }

    /// Runs the first turn of a session that was just stored.
    async fn run_first(
        &self,
        row: &SessionRow,
        provider: Arc<dyn Provider>,
        env: Env,
    ) -> Result<(), SessionError> {
        let running =
            self.inner.hub.begin(&row.info.id).ok_or_else(|| SessionError::Running(row.info.id.clone()))?;
        let job = self.prepare(row, provider, running, env, false).await;
        if job.is_err() {
            self.inner.hub.end(&row.info.id);
        }
        tokio::spawn(drive(job?));
        Ok(())
    }

    /// Ends a running turn, or takes an interrupted session out of the way.
    ///
    /// # Errors
    /// `NotFound`; `Over` when it has ended already.
    pub async fn cancel(&self, id: &str) -> Result<(String, SessionStatus), SessionError> {
        let row = self.resolve(id).await?;
        if let Some(running) = self.inner.hub.get(&row.info.id) {
            let mut updates = running.updates.subscribe();
            running.stop(StopCause::Cancelled);
            // The channel must close with the turn, also when its end was told before this subscription.
            drop(running);
            while let Ok(update) = updates.recv().await {
                if let crate::Update::End(end) = update {
                    return Ok((row.info.id, end.status));
                }
            }
            let row = self.resolve(&row.info.id).await?;
            return Ok((row.info.id, row.info.status));
        }
        if !matches!(row.info.status, SessionStatus::Interrupted | SessionStatus::Parked) {
            return Err(SessionError::Over { id: row.info.id, status: row.info.status });
        }
        let id = row.info.id.clone();
        // As long as it is not over, what its agent committed can come over under its claim.
        if let Ok(provider) = self.named(&row.info.provider) {
            provider.abandon(&row.info.id).await;
        }
        let write = self.inner.store.write::<(), SessionError>(Durability::Power, move |tx| {
            rows::set_status(tx, &id, SessionStatus::Cancelled, None, None)?;
            let data = json!({ "id": id, "status": "cancelled" });
            tx.emit(&NewEvent::new("session.ended", format!("session/{id}"), data).correlated(&id))?;
            Ok(())
        });
        write.await?;
        Ok((row.info.id, SessionStatus::Cancelled))
    }

    /// Follows a session. Attach first, then read the store: what comes in between is in both, told apart by `seq`.
    #[must_use]
    pub fn attach(&self, id: &str) -> Attachment {
        self.inner.hub.attach(id)
    }

    /// The session of this id or unique beginning.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn info(&self, id: &str) -> Result<SessionInfo, SessionError> {
        Ok(self.inner.hub.enliven(self.resolve(id).await?.info))
    }

    #[must_use]
    pub fn is_running(&self, id: &str) -> bool {
        self.inner.hub.get(id).is_some()
    }

    /// Whether a claim that is bound to this session still stands: it runs, or is unfinished and can go on.
    #[must_use]
    pub fn holds_claim(&self, id: &str) -> bool {
        let announced =
            || self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id);
        if self.is_running(id) || announced() {
            return true;
        }
        let find = |conn: &podium_store::rusqlite::Connection| rows::find(conn, id);
        let row = self.inner.store.read_blocking(find);
        // A store that does not answer proves nothing about the owner.
        row.map_or(true, |row| {
            row.is_some_and(|r| {
                use SessionStatus::{Failed, InProgress, Interrupted, Parked};
                matches!(r.info.status, InProgress | Interrupted | Parked | Failed)
            })
        })
    }

    /// Whether a turn of it runs, is about to, or is to go on after a restart.
    pub async fn is_active(&self, id: &str) -> bool {
        let announced =
            || self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id);
        if self.is_running(id) || announced() {
            return true;
        }
        let row = self.find(id).await.ok().flatten();
        row.is_some_and(|row| row.info.status == SessionStatus::InProgress)
    }

    #[must_use]
    pub fn running(&self) -> usize {
        self.inner.hub.count()
    }

    /// Stops all turns so that they can be resumed, and waits for their ends to be stored. Returns how many.
    pub async fn interrupt_all(&self, cause: StopCause) -> u32 {
        self.inner.hub.stop(|_| true, cause).await
    }

    /// Ids of the sessions of which a turn runs in this worktree.
    ///
    /// # Errors
    /// What the database says.
    pub async fn running_in(&self, worktree: &str) -> Result<Vec<String>, SessionError> {
        let mut found = Vec::new();
        for (id, _) in self.inner.hub.all() {
            if self.find(&id).await?.is_some_and(|row| row.worktree_id.as_deref() == Some(worktree)) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Stops these sessions so that they can be resumed, and waits for their ends to be stored.
    pub async fn interrupt(&self, ids: &[String], cause: StopCause) {
        self.inner.hub.stop(|id| ids.iter().any(|i| i == id), cause).await;
    }

    pub(crate) async fn find(&self, id: &str) -> Result<Option<SessionRow>, SessionError> {
        let id = id.to_owned();
        self.inner.store.read(move |conn| Ok(rows::find(conn, &id)?)).await
    }

    pub(crate) async fn resolve(&self, id: &str) -> Result<SessionRow, SessionError> {
        let id = id.to_owned();
        self.inner.store.read(move |conn| rows::resolve(conn, &id)).await
    }
}
