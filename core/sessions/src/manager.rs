//! The service: start, resume, cancel, list, show, attach.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use podium_artifacts::Artifacts;
use podium_config::Live;
use podium_protocol::{
    ProviderInfo, SessionContext, SessionInfo, SessionItem, SessionListParams, SessionShown, SessionStarted,
    SessionStatus,
};
use podium_secrets::Redactor;
use podium_store::{Durability, NewEvent, Store};
use serde_json::json;

use crate::SessionError;
use crate::agent::{Toolbox, Toolkit, Workbench};
use crate::history::History;
use crate::hub::{Attachment, Hub, Running};
use crate::next::Next;
use crate::opening::{check_id, new_row, prompt_item, started, started_event};
use crate::prompt;
use crate::provider::{Provider, StopCause, Turn};
use crate::rows::{self, SessionRow};
use crate::turn::{Mark, TurnJob, drive};

/// Variables that came with a request. In memory only.
pub type Env = BTreeMap<String, String>;

/// Items that one answer shows.
const SHOWN_ITEMS: usize = 20_000;
/// Text that one answer shows, in bytes.
const SHOWN_BYTES: usize = 8 * 1024 * 1024;

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
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) artifacts: Artifacts,
    pub(crate) hub: Hub,
    /// Sessions about to be started: their claims are made before they are.
    announced: Mutex<HashSet<String>>,
    settings: Settings,
}

/// A session that is about to be started. What it claims holds as long as this lives.
pub struct Announced {
    inner: Arc<Inner>,
    id: String,
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Inner {
    pub(crate) fn checkpoint_items(&self) -> u64 {
        u64::try_from(self.settings.config.get().integer("sessions.checkpoint_items")).unwrap_or(48)
    }

    /// Questions to a bare model within one turn.
    pub(crate) fn max_steps(&self) -> u64 {
        u64::try_from(self.settings.config.get().integer("sessions.max_steps")).unwrap_or(200)
    }
}

/// The session service. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
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
        self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
        Announced { inner: Arc::clone(&self.inner), id: id.to_owned() }
    }

    /// Starts a session; its first turn runs in the background.
    ///
    /// # Errors
    /// `Exists`, `UnknownProvider`, `NoProvider`, `Invalid`, or what the database says.
    pub async fn start(&self, start: Start) -> Result<SessionStarted, SessionError> {
        let worktree = start.worktree.as_ref().map(|w| w.path.clone());
        let prompt = prompt::compose(&start.prompt, start.context.as_ref())?;
        let prompt = known_secrets(&start.env, worktree).await.redact(&prompt);
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
    /// `NotFound`; `Running` when a turn is to be added to a running one; what [`Next::leaves_as_is`] refuses.
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
        let taken = self.resume_taken(&id, provider, running, &next, env).await;
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
            Some(prompt) => Some(known_secrets(env, worktree).await.redact(&prompt)),
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
        row.request = next.bounds.over(&row.request);
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

    async fn prepare(
        &self,
        row: &SessionRow,
        provider: Arc<dyn Provider>,
        running: Running,
        env: Env,
        resumed: bool,
    ) -> Result<TurnJob, SessionError> {
        let id = row.info.id.clone();
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            Ok(rows::items(conn, &id, 0, usize::MAX, usize::MAX)?.0)
        };
        let history = History::of(self.inner.store.read(read).await?);
        let request: serde_json::Value = serde_json::from_str(&row.request).unwrap_or_default();
        let worktree = row.info.worktree_path.as_ref().map(PathBuf::from);
        let redactor = Arc::new(known_secrets(&env, worktree.clone()).await);
        let tools = self.tools(row, provider.as_ref(), &env, &redactor).await?;
        let turn = Turn {
            session: row.info.id.clone(),
            model: row.info.model.clone(),
            system: tools.as_ref().map(|tools| tools.system()).unwrap_or_default(),
            tools: tools.as_ref().map(|tools| tools.specs()).unwrap_or_default(),
            resumed,
            state: row.state.clone(),
            tokens: history.tokens.clone(),
            messages: history.messages(),
            seed: request["seed"].as_u64().unwrap_or(0),
            max_tokens: request["maxTokens"].as_u64().and_then(|n| u32::try_from(n).ok()),
            temperature: request["temperature"].as_f64(),
            worktree,
            env,
            link: running.link(),
        };
        let (sessions, row) = (Arc::clone(&self.inner), row.clone());
        Ok(TurnJob { sessions, row, turn, provider, running, history, redactor, tools })
    }

    /// The tools of a bare model that works in a worktree.
    async fn tools(
        &self,
        row: &SessionRow,
        provider: &dyn Provider,
        env: &Env,
        redactor: &Arc<Redactor>,
    ) -> Result<Option<Arc<dyn Toolbox>>, SessionError> {
        let (Some(toolkit), Some(root), true) =
            (&self.inner.settings.toolkit, &row.info.worktree_path, provider.takes_tools())
        else {
            return Ok(None);
        };
        let bench = Workbench {
            session: row.info.id.clone(),
            agent_id: row.info.agent_id.clone(),
            worktree: row.worktree_id.clone().unwrap_or_default(),
            root: PathBuf::from(root),
            repo: row.repo.clone(),
            env: env.clone(),
            redactor: Arc::clone(redactor),
        };
        toolkit.open(bench).await.map(Some)
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
        let write = self.inner.store.write::<(), SessionError>(Durability::Power, move |tx| {
            rows::set_status(tx, &id, SessionStatus::Cancelled, None, None)?;
            let data = json!({ "id": id, "status": "cancelled" });
            tx.emit(&NewEvent::new("session.ended", format!("session/{id}"), data).correlated(&id))?;
            Ok(())
        });
        write.await?;
        if let Ok(provider) = self.named(&row.info.provider) {
            provider.abandon(&row.info.id).await;
        }
        Ok((row.info.id, SessionStatus::Cancelled))
    }

    /// Sessions, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(&self, params: SessionListParams) -> Result<Vec<SessionInfo>, SessionError> {
        Ok(self.list_in(params, None).await?.into_iter().map(|(session, _)| session).collect())
    }

    /// The same with the ids of the repositories they were started in; of these `repos` only, if there is a choice.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_in(
        &self,
        params: SessionListParams,
        repos: Option<Vec<String>>,
    ) -> Result<Vec<(SessionInfo, Option<String>)>, SessionError> {
        self.inner.store.read(move |conn| Ok(rows::list(conn, &params, repos.as_deref())?)).await
    }

    /// Ids of sessions and of the repositories they were started in; as [`Sessions::list_in`] chooses.
    ///
    /// # Errors
    /// What the database says.
    pub async fn started_in(
        &self,
        repos: Option<Vec<String>>,
    ) -> Result<HashMap<String, String>, SessionError> {
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            Ok(rows::started_in(conn, repos.as_deref())?.into_iter().collect())
        };
        self.inner.store.read(read).await
    }

    /// A session (the newest where no id is given) with its items above `from`.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn show(&self, id: Option<&str>, from: u64) -> Result<SessionShown, SessionError> {
        let id = id.map(str::to_owned);
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            let row = match id {
                Some(id) => rows::resolve(conn, &id)?,
                None => rows::newest(conn)?.ok_or_else(|| SessionError::NotFound("newest".to_owned()))?,
            };
            let (items, more) = rows::items(conn, &row.info.id, from, SHOWN_ITEMS, SHOWN_BYTES)?;
            let items = items.into_iter().map(|i| i.item).collect();
            Ok(SessionShown { session: row.info, items, more })
        };
        self.inner.store.read(read).await
    }

    /// Stored items above `from`, one page; whether there are more.
    ///
    /// # Errors
    /// What the database says.
    pub async fn items(&self, id: &str, from: u64) -> Result<(Vec<SessionItem>, bool), SessionError> {
        let id = id.to_owned();
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_, SessionError> {
            let (items, more) = rows::items(conn, &id, from, 500, 512 * 1024)?;
            Ok((items.into_iter().map(|i| i.item).collect(), more))
        };
        self.inner.store.read(read).await
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
        Ok(self.resolve(id).await?.info)
    }

    #[must_use]
    pub fn is_running(&self, id: &str) -> bool {
        self.inner.hub.get(id).is_some()
    }

    /// Whether a claim that is bound to this session still stands: it runs, or is unfinished and can go on.
    #[must_use]
    pub fn holds_claim(&self, id: &str) -> bool {
        let announced = || self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner).contains(id);
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
        let announced = || self.inner.announced.lock().unwrap_or_else(PoisonError::into_inner).contains(id);
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

    /// Every provider with its state.
    pub async fn providers(&self, env: &Env) -> Vec<ProviderInfo> {
        let mut infos = Vec::new();
        for provider in &self.inner.settings.providers {
            infos.push(provider.info(env).await);
        }
        infos
    }

    fn named(&self, name: &str) -> Result<Arc<dyn Provider>, SessionError> {
        let providers = &self.inner.settings.providers;
        let found = providers.iter().find(|p| p.name() == name || p.aliases().contains(&name));
        found.cloned().ok_or_else(|| SessionError::UnknownProvider {
            name: name.to_owned(),
            known: providers.iter().map(|p| p.name().to_owned()).collect(),
        })
    }

    /// The provider asked for, else the configured one, else the first that can be used.
    async fn choose(&self, wanted: Option<&str>, env: &Env) -> Result<Arc<dyn Provider>, SessionError> {
        let config = self.inner.settings.config.get();
        let configured = Some(config.text("sessions.provider")).filter(|name| !name.is_empty());
        let (mut reasons, mut hints) = (Vec::new(), Vec::new());
        let candidates = match wanted.or(configured) {
            Some(name) => vec![self.named(name)?],
            None => self.inner.settings.providers.clone(),
        };
        for provider in candidates {
            let info = provider.info(env).await;
            if info.usable {
                return Ok(provider);
            }
            reasons.push(format!("{}: {}", info.name, info.why));
            hints.push(format!("{}: {}", info.name, info.why));
        }
        hints.push("`jelmore providers` shows all providers and how to set them up".to_owned());
        Err(SessionError::NoProvider { reasons, hints })
    }

    async fn find(&self, id: &str) -> Result<Option<SessionRow>, SessionError> {
        let id = id.to_owned();
        self.inner.store.read(move |conn| Ok(rows::find(conn, &id)?)).await
    }

    async fn resolve(&self, id: &str) -> Result<SessionRow, SessionError> {
        let id = id.to_owned();
        self.inner.store.read(move |conn| rows::resolve(conn, &id)).await
    }
}

/// A name that the provider knows to be wrong is refused before anything is stored.
fn check_model(provider: &dyn Provider, wanted: Option<&str>) -> Result<(), SessionError> {
    let (Some(name), Some(known)) = (wanted, provider.known_models()) else { return Ok(()) };
    if known.iter().any(|k| k.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let known = known.into_iter().map(str::to_owned).collect();
    Err(SessionError::UnknownModel { provider: provider.name(), name: name.to_owned(), known })
}

/// What this session must not show or store: reads files of the worktree.
async fn known_secrets(env: &Env, worktree: Option<PathBuf>) -> Redactor {
    let env = env.clone();
    let build = move || Redactor::for_session(&env, worktree.as_deref());
    tokio::task::spawn_blocking(build).await.unwrap_or_default()
}
