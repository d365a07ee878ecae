//! Where sessions run programs: in their worktree, under its claim, confined as the settings say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use podium_config::{Home, Live};
use podium_protocol::{SessionStatus, WireError};
use podium_sessions::workplace::{
    Alone, Claimed, Confine, Left, Lodging, Opening, Terms, Workplace, WorkplaceError, Workplaces,
};
use podium_sessions::{SessionError, Workbench};
use podium_worktrees::{Worker, Worktrees};

use crate::state::{Daemon, host_name, person};

/// How long an agent's home outlives the last turn of a session that could go on.
const HOME_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// What an agent works as where the session names none.
const NOBODY: &str = "podium";
/// Programs of ours that agents can use.
const PROGRAMS: [&str; 4] = ["bb", "imi", "jelmore", "podium"];

/// The workplace that a session's turn has open; held locked while one is opened or removed.
type Open = Arc<tokio::sync::Mutex<Weak<Workplace>>>;

/// Opens workplaces. Sessions are made before worktrees and the daemon are, so those come later.
pub(crate) struct ClaimedWorkplaces {
    home: Home,
    config: Arc<Live>,
    worktrees: OnceLock<Worktrees>,
    daemon: OnceLock<Weak<Daemon>>,
    open: Mutex<HashMap<String, Open>>,
}

impl ClaimedWorkplaces {
    pub(crate) fn new(home: Home, config: Arc<Live>) -> Arc<Self> {
        Arc::new(Self {
            home,
            config,
            worktrees: OnceLock::new(),
            daemon: OnceLock::new(),
            open: Mutex::default(),
        })
    }

    pub(crate) fn serve(&self, worktrees: Worktrees) {
        let _ = self.worktrees.set(worktrees);
    }

    /// From here on agents get sockets.
    pub(crate) fn serve_for(&self, daemon: &Arc<Daemon>) {
        let _ = self.daemon.set(Arc::downgrade(daemon));
    }

    /// Sessions that have something here.
    pub(crate) fn sessions(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root()).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Whether commits of a session lie here still.
    pub(crate) fn has_commits(&self, session: &str) -> bool {
        self.folder(session).join("private/git").is_dir()
    }

    /// Removes what a session that is over has here. Commits that nobody else has stay, and so does, for a time, the home
    /// of an agent whose session could go on.
    pub(crate) async fn tidy(&self, session: &str) {
        let Some(daemon) = self.daemon.get().and_then(Weak::upgrade) else { return };
        let slot = self.slot(session);
        let open = slot.lock().await;
        // Looked at under the lock: a turn that begins now opens its workplace after this.
        let Some(keep_home) = over(&daemon, session).await else { return };
        if open.upgrade().is_some() || !self.folder(session).exists() {
            return;
        }
        let left = Left { keep_home, ..self.left(&daemon, session).await };
        if let Err(error) = left.bring_over().await {
            tracing::debug!(%error, session, "what was committed does not come over");
        }
        match left.clear().await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(session, "commits of a session that is over stay in its workplace"),
            Err(error) => tracing::warn!(%error, session, "a workplace cannot be removed"),
        }
        daemon.capabilities.forget(&daemon.home, session);
        drop(open);
        self.slots().retain(|id, slot| id != session || Arc::strong_count(slot) > 2);
    }

    /// What lies in a session's folder, and under which claim it may come over.
    async fn left(&self, daemon: &Daemon, session: &str) -> Left {
        let mut left = Left { folder: self.folder(session), place: None, claimed: None, keep_home: false };
        let bench = Workbench::of(&daemon.store, session, Default::default()).await;
        let (Ok(bench), Some(worktrees)) = (bench, self.worktrees.get()) else { return left };
        let worker = worker(&bench);
        match worktrees.work_place(&bench.worktree, &worker).await {
            Ok(place) => {
                let (worktrees, worktree) = (worktrees.clone(), bench.worktree);
                left.claimed = Some(Arc::new(Held { worktrees, worktree, worker, token: place.token }));
                left.place = Some((place.repo, place.at));
            }
            Err(_) => {
                left.place = worktrees.look_place(&bench.worktree).await.ok().map(|it| (it.repo, it.at))
            }
        }
        left
    }

    fn confine(&self, bench: &Workbench, terms: &Terms, kept: &[&Path]) -> Confine {
        let user_home = bench.env.get("HOME").map(Path::new);
        let mut confine = Confine::configured(&self.config.get(), &self.home, user_home);
        if let Some(daemon) = self.daemon.get().and_then(Weak::upgrade) {
            let agent = bench.agent_id.clone().unwrap_or_else(|| format!("session:{}", bench.session));
            match daemon.capabilities.open_for_agent(&daemon, &bench.session, &agent) {
                Ok((folder, socket)) => {
                    (confine.socket_folder, confine.socket) = (Some(folder), Some(socket));
                }
                Err(error) => tracing::warn!(error = error.message, "an agent gets no socket"),
            }
        }
        let own = std::env::current_exe().ok().and_then(|program| Some(program.parent()?.to_owned()));
        let programs = own.into_iter().flat_map(|folder| PROGRAMS.map(|name| folder.join(name)));
        confine.programs = programs.filter(|program| program.is_file()).collect();
        confine.under(terms, user_home, kept)
    }

    fn root(&self) -> PathBuf {
        self.home.root().join("sessions")
    }

    fn folder(&self, session: &str) -> PathBuf {
        self.root().join(session)
    }

    fn slot(&self, session: &str) -> Open {
        Arc::clone(self.slots().entry(session.to_owned()).or_default())
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Workplaces for ClaimedWorkplaces {
    async fn open(&self, bench: &Workbench, terms: &Terms) -> Result<Arc<Workplace>, WorkplaceError> {
        let slot = self.slot(&bench.session);
        let mut open = slot.lock().await;
        let refused = |error: WireError| WorkplaceError::ClaimLost(error.message);
        let worktrees = self.worktrees.get().cloned().ok_or(WorkplaceError::CutOff)?;
        let worker = worker(bench);
        let place = worktrees.work_place(&bench.worktree, &worker).await.map_err(refused)?;
        let claimed = Held { worktrees, worktree: bench.worktree.clone(), worker, token: place.token };
        let confine = self.confine(bench, terms, &[&place.at.path, place.repo.common_dir()]);
        let opening = Opening {
            confine,
            repo: place.repo,
            at: place.at,
            folder: self.folder(&bench.session),
            agent: bench.agent_id.clone().unwrap_or_else(|| NOBODY.to_owned()),
            env: bench.env.clone(),
            claimed: Arc::new(claimed),
            occupied: terms.occupied,
        };
        let opened = tokio::task::spawn_blocking(move || Workplace::open(opening)).await;
        let opened = opened.unwrap_or(Err(WorkplaceError::CutOff)).map(Arc::new)?;
        *open = Arc::downgrade(&opened);
        Ok(opened)
    }

    async fn alone(&self, bench: &Workbench, terms: &Terms) -> Result<Lodging, WorkplaceError> {
        let confine = self.confine(bench, terms, &[]);
        let (folder, bench) = (self.folder(&bench.session), bench.clone());
        let lodging = tokio::task::spawn_blocking(move || {
            let agent = bench.agent_id.as_deref().unwrap_or(NOBODY);
            Alone { folder: &folder, confine: &confine, agent, env: &bench.env }.lodging()
        });
        lodging.await.unwrap_or(Err(WorkplaceError::CutOff))
    }

    async fn leave(&self, session: &str) -> Result<(), WorkplaceError> {
        let Some(daemon) = self.daemon.get().and_then(Weak::upgrade) else { return Ok(()) };
        if !self.folder(session).exists() {
            return Ok(());
        }
        let slot = self.slot(session);
        let open = slot.lock().await;
        let Some(place) = open.upgrade() else {
            return self.left(&daemon, session).await.bring_over().await.map(drop);
        };
        // The turn that was here may be bringing commits over still. Through its workplace one waits for the other.
        let ahead = Arc::clone(&place);
        if tokio::task::spawn_blocking(move || ahead.is_ahead()).await.unwrap_or(true) {
            place.import_amended().await?;
        }
        Ok(())
    }
}

/// Whether nobody goes on with the session by itself; then, whether somebody could. A store that does not answer proves
/// nothing.
async fn over(daemon: &Daemon, session: &str) -> Option<bool> {
    use SessionStatus::{Cancelled, Completed, Failed};
    match daemon.sessions.info(session).await {
        Ok(info) if matches!(info.status, Completed | Failed) => Some(is_recent(&info.updated_at)),
        Ok(info) => (info.status == Cancelled).then_some(false),
        Err(SessionError::NotFound(_)) => Some(false),
        Err(_) => None,
    }
}

fn is_recent(at: &str) -> bool {
    let Ok(at) = at.parse::<jiff::Timestamp>() else { return true };
    jiff::Timestamp::now().duration_since(at).unsigned_abs() < HOME_KEPT
}

/// The claim that a workplace was opened under.
struct Held {
    worktrees: Worktrees,
    worktree: String,
    worker: Worker,
    token: Option<u64>,
}

impl Claimed for Held {
    fn check(&self) -> Result<(), String> {
        let checked = self.worktrees.check_standing(&self.worktree, &self.worker, self.token);
        checked.map_err(|error| error.message)
    }
}

/// In whose name a session works: a session without an agent is the person's own.
fn worker(bench: &Workbench) -> Worker {
    bench.agent_id.clone().map_or_else(|| Worker::Person(person(&host_name())), Worker::Agent)
}
