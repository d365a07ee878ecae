//! The handle that the daemon holds, and what all its parts share.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use podium_config::{Config, Live};
use podium_git::{Git, GitEnv, Repo};
use podium_store::Store;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::claim::{Queues, Watches};
use crate::error::{Error, Result, blocking};
use crate::gates::Gates;
use crate::observe::Observer;
use crate::radar::Radar;
use crate::rows::RepoRow;
use crate::seen::Announcer;
use crate::settings::{Caller, Settings};

/// Different PATHs of clients that are remembered.
const GITS: usize = 16;

/// Worktrees and claims of all repositories. Cheap to clone.
#[derive(Clone)]
pub struct Worktrees {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) config: Arc<Live>,
    pub(crate) settings: Settings,
    /// Executables by PATH.
    gits: Mutex<HashMap<OsString, Git>>,
    repos: Mutex<HashMap<String, Arc<RepoHandle>>>,
    pub(crate) gates: Gates,
    pub(crate) queues: Queues,
    pub(crate) watches: Watches,
    /// Ids of creations and removals that a task of this process is busy with.
    busy: Mutex<HashSet<String>>,
    /// Status computations at one time.
    pub(crate) looks: Semaphore,
    /// When a claim's heartbeat was last written because of a change in its tree.
    pub(crate) touched: Mutex<HashMap<String, i64>>,
    pub(crate) seen: Announcer,
    /// The daemon is to end: what may take hours is given up.
    pub(crate) ending: AtomicBool,
    /// Changes under way.
    work: TaskTracker,
    pub(crate) observer: Observer,
    /// Number of worktrees being made: what can wait does so meanwhile.
    pub(crate) making: tokio::sync::watch::Sender<usize>,
    /// Shared files as of their last synchronisation.
    pub(crate) stamps: Mutex<crate::sync::Stamps>,
    pub(crate) radar: Radar,
}

/// An open repository.
pub(crate) struct RepoHandle {
    pub(crate) row: RepoRow,
    pub(crate) repo: Repo,
    config: Mutex<Arc<Config>>,
    /// Raised in each transaction that follows a change of git's worktrees by Podium, so that a reconciliation
    /// knows that what it saw on disk is older than the rows.
    changes: AtomicU64,
    /// When the newest fetch of trunk began, and what it left to say.
    pub(crate) fetched: tokio::sync::Mutex<Option<crate::fetching::Fetched>>,
}

impl RepoHandle {
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn generation(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// The settings of this project, as of the last look at its files.
    pub(crate) fn config(&self) -> Arc<Config> {
        lock(&self.config).clone()
    }

    /// Longest wait for the turn to change the repository.
    pub(crate) fn patience(&self) -> Duration {
        self.config().seconds("worktrees.git_timeout_seconds").unwrap_or(Duration::from_secs(600))
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Worktrees {
    /// Nothing is looked at yet: see [`Worktrees::recover`].
    #[must_use]
    pub fn open(store: Store, config: Arc<Live>, settings: Settings) -> Self {
        let parallel = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 16);
        let folders = config.get().integer("observe.max_folders");
        let observer = Observer::new(&settings.home, usize::try_from(folders).unwrap_or(usize::MAX));
        Self {
            inner: Arc::new(Inner {
                store,
                config,
                settings,
                observer,
                radar: Radar::default(),
                gits: Mutex::default(),
                repos: Mutex::default(),
                gates: Gates::default(),
                queues: Queues::default(),
                watches: Watches::default(),
                busy: Mutex::default(),
                looks: Semaphore::new(parallel),
                touched: Mutex::default(),
                seen: Announcer::default(),
                making: tokio::sync::watch::channel(0).0,
                stamps: Mutex::default(),
                ending: AtomicBool::new(false),
                work: TaskTracker::new(),
            }),
        }
    }

    /// Stops watching processes and waits for the changes that are under way.
    pub async fn shutdown(&self) {
        self.inner.watches.stop();
        self.inner.ending.store(true, Ordering::Relaxed);
        self.inner.work.close();
        self.inner.work.wait().await;
    }

    /// Runs work to its end even when the client that asked goes away, or the daemon is to end.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.inner.work.spawn(work).await.unwrap_or(Err(Error::Unfinished))
    }

    pub(crate) fn now(&self) -> i64 {
        (self.inner.settings.now)()
    }

    /// Git with the variables of the caller over those of the daemon. Starts a process when PATH is new.
    pub(crate) fn git(&self, caller: Option<&Caller>) -> Result<Git> {
        let mut vars = self.inner.settings.env.clone();
        if let Some(caller) = caller {
            vars.extend(caller.env.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        let env = GitEnv::from_vars(vars);
        let path = env.get("PATH").unwrap_or_default().to_owned();
        if let Some(git) = lock(&self.inner.gits).get(&path) {
            return Ok(git.with_env(env));
        }
        let git = Git::find(env)?;
        let mut gits = lock(&self.inner.gits);
        if gits.len() < GITS {
            gits.insert(path, git.clone());
        }
        Ok(git)
    }

    /// The open repository that somebody asks for.
    pub(crate) async fn handle(&self, row: &RepoRow) -> Result<Arc<RepoHandle>> {
        self.inner.observer.used(&row.id);
        self.open_repo(row).await
    }

    /// The open repository. The first time git is asked about it.
    pub(crate) async fn open_repo(&self, row: &RepoRow) -> Result<Arc<RepoHandle>> {
        if let Some(handle) = lock(&self.inner.repos).get(&row.id).filter(|handle| handle.row == *row) {
            return Ok(handle.clone());
        }
        let (this, row) = (self.clone(), row.clone());
        blocking(move || {
            let root = (!row.is_bare()).then_some(row.root.as_path());
            let repo = Repo::open(&this.git(None)?, &row.common_dir, root)?;
            let config = Mutex::new(this.read_config(&row));
            let (changes, fetched) = (AtomicU64::new(0), tokio::sync::Mutex::default());
            let handle = Arc::new(RepoHandle { row, repo, config, changes, fetched });
            let mut repos = lock(&this.inner.repos);
            // Two may have opened it at once: all must share one generation.
            let known = repos.get(&handle.row.id).filter(|known| known.row == handle.row).cloned();
            let handle = known.unwrap_or(handle);
            repos.insert(handle.row.id.clone(), handle.clone());
            Ok(handle)
        })
        .await
    }

    /// The settings of a repository; those of the user while it was not opened yet.
    pub(crate) fn config_of(&self, repo: &str) -> Arc<Config> {
        let open = lock(&self.inner.repos).get(repo).cloned();
        open.map_or_else(|| self.inner.config.get(), |handle| handle.config())
    }

    pub(crate) fn drop_handle(&self, repo: &str) {
        lock(&self.inner.repos).remove(repo);
        self.inner.observer.forget(repo);
        self.inner.radar.forget(repo);
    }

    /// Looks at the project's settings again.
    pub(crate) fn refresh_config(&self, handle: &RepoHandle) {
        *lock(&handle.config) = self.read_config(&handle.row);
    }

    /// The user's settings changed: those of the open repositories lie on top of them.
    pub async fn settings_changed(&self) {
        let this = self.clone();
        let renewed = blocking(move || {
            let open: Vec<_> = lock(&this.inner.repos).values().cloned().collect();
            open.iter().for_each(|handle| this.refresh_config(handle));
            Ok(())
        });
        let _ = renewed.await;
    }

    fn read_config(&self, row: &RepoRow) -> Arc<Config> {
        match self.inner.config.for_project(&row.root) {
            Ok(config) => Arc::new(config),
            Err(error) => {
                tracing::warn!(%error, root = %row.root.display(), "the project's settings are not used");
                self.inner.config.get()
            }
        }
    }

    /// Marks an intent as being worked on until the guard goes.
    pub(crate) fn busy(&self, id: &str) -> Busy {
        lock(&self.inner.busy).insert(id.to_owned());
        Busy { service: self.clone(), id: id.to_owned() }
    }

    pub(crate) fn is_busy(&self, id: &str) -> bool {
        lock(&self.inner.busy).contains(id)
    }
}

/// Somebody waits for a worktree until this goes.
pub(crate) struct Making(Worktrees);

impl Making {
    pub(crate) fn begin(service: &Worktrees) -> Self {
        service.inner.making.send_modify(|count| *count += 1);
        Self(service.clone())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        self.0.inner.making.send_modify(|count| *count = count.saturating_sub(1));
    }
}

pub(crate) struct Busy {
    service: Worktrees,
    id: String,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.service.inner.busy).remove(&self.id);
    }
}

/// A new id, which sorts by time.
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Ends the work here when a test asks for it, as a SIGKILL would.
pub(crate) fn after(settings: &Settings, step: crate::removal::Step) -> Result<()> {
    match &settings.stop_after {
        Some(stop) if stop(step) => Err(Error::Unfinished),
        _ => Ok(()),
    }
}
