//! A home, a repository and a service of their own for each test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use podium_config::{Layer, Live};
use podium_protocol::{
    ClaimAcquireParams, ClaimAcquired, ClaimReleaseParams, ClaimReleased, Event, RepoSelector, WireError,
    Worktree, WorktreeCreateParams, WorktreeCreated, WorktreeListParams, WorktreeRemoveParams,
    WorktreeRemoved,
};
use podium_store::{Options, Store};
use podium_worktrees::{AgentCaller, Caller, Settings, Step, Workers, Worktrees};

pub(crate) const HOST: &str = "here";
/// Far beyond what anything takes.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

pub(crate) struct Bed {
    pub(crate) root: PathBuf,
    pub(crate) work: PathBuf,
    pub(crate) store: Store,
    pub(crate) config: Arc<Live>,
    pub(crate) service: Worktrees,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) session_lives: Arc<AtomicBool>,
    pub(crate) stop_at: Arc<Mutex<Option<Step>>>,
    pub(crate) workers: Arc<Busy>,
    _dir: tempfile::TempDir,
}

/// Sessions that work in worktrees until they are stopped.
#[derive(Default)]
pub(crate) struct Busy(pub(crate) Mutex<BTreeMap<String, String>>);

#[async_trait::async_trait]
impl Workers for Busy {
    async fn working_in(&self, worktree: &str) -> Result<Vec<String>, WireError> {
        let busy = self.0.lock().unwrap();
        Ok(busy.iter().filter(|(_, at)| *at == worktree).map(|(id, _)| id.clone()).collect())
    }

    async fn stop(&self, ids: &[String]) {
        self.0.lock().unwrap().retain(|id, _| !ids.contains(id));
    }
}

impl Bed {
    /// A clone of a bare origin with one commit on `main`.
    pub(crate) fn new() -> Self {
        let bed = Self::empty();
        let origin = bed.root.join("origin.git");
        bed.git(&bed.root, &["init", "-q", "--bare", "-b", "main", "origin.git"]);
        bed.git(&bed.root, &["init", "-q", "-b", "main", "work"]);
        bed.commit(&bed.work, "a.txt", "one\n");
        bed.git(&bed.work, &["remote", "add", "origin", origin.to_str().unwrap()]);
        bed.git(&bed.work, &["push", "-q", "origin", "main"]);
        bed
    }

    /// No repository yet; `work` is where it is to be.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("home")).unwrap();
        let config = "[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n";
        std::fs::write(root.join("home/.gitconfig"), config).unwrap();
        let store = Store::open(&Options { path: root.join("podium.db") }).unwrap();
        let clock = Arc::new(AtomicI64::new(podium_store::now_ms()));
        let (session_lives, stop_at) = (Arc::new(AtomicBool::new(true)), Arc::new(Mutex::new(None)));
        let workers = Arc::new(Busy::default());
        let settings = settings(&root, &clock, &session_lives, &stop_at, &workers);
        let config = Arc::new(Live::load(vec![Layer::User(root.join("config.toml"))]).unwrap());
        let service = Worktrees::open(store.clone(), config.clone(), settings);
        let work = root.join("work");
        Self { root, work, store, config, service, clock, session_lives, stop_at, workers, _dir: dir }
    }

    /// What a new daemon finds after this one was killed.
    pub(crate) async fn restart(&mut self) {
        self.service.shutdown().await;
        *self.stop_at.lock().unwrap() = None;
        let settings = settings(&self.root, &self.clock, &self.session_lives, &self.stop_at, &self.workers);
        self.service = Worktrees::open(self.store.clone(), self.config.clone(), settings);
        self.service.recover().await;
    }

    /// The user's settings, from now on.
    pub(crate) fn configure(&self, settings: &str) {
        std::fs::write(self.root.join("config.toml"), settings).unwrap();
        self.config.reload().unwrap();
    }

    pub(crate) fn git(&self, at: &Path, args: &[&str]) -> String {
        let output =
            Command::new("git").args(args).current_dir(at).env_clear().envs(env(&self.root)).output();
        let output = output.unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// As the agent that holds the worktree.
    pub(crate) fn commit_as(&self, agent: &str, at: &Path, file: &str, text: &str) -> String {
        std::fs::write(at.join(file), text).unwrap();
        self.git(at, &["add", "-A"]);
        self.git_as(agent, at, &["commit", "-qm", file]);
        self.git(at, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub(crate) fn git_as(&self, agent: &str, at: &Path, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(args).current_dir(at).env_clear().envs(env(&self.root)).env("PODIUM_AGENT_ID", agent);
        let output = command.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn commit(&self, at: &Path, file: &str, text: &str) -> String {
        std::fs::write(at.join(file), text).unwrap();
        self.git(at, &["add", "-A"]);
        self.git(at, &["commit", "-qm", file]);
        self.git(at, &["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub(crate) fn at(&self) -> RepoSelector {
        at(&self.work)
    }

    /// Watches the repositories until the test ends or the guard goes.
    pub(crate) fn observe(&self) -> Observing {
        let service = self.service.clone();
        Observing(tokio::spawn(async move { service.observe().await }).abort_handle())
    }

    /// Waits until the log has so many events of a type, and gives them.
    pub(crate) async fn events_come(&self, kind: &str, count: usize) -> Vec<Event> {
        let mut head = self.store.watch_head();
        let wait = async {
            loop {
                head.borrow_and_update();
                let events = self.events(kind).await;
                if events.len() >= count {
                    return events;
                }
                head.changed().await.unwrap();
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        match found {
            Ok(events) => events,
            Err(_) => panic!("{count} of {kind}: {:#?}", self.events(kind).await),
        }
    }

    pub(crate) async fn create(&self, name: &str) -> WorktreeCreated {
        self.try_create(name).await.unwrap()
    }

    pub(crate) async fn try_create(&self, name: &str) -> Result<WorktreeCreated, WireError> {
        let params =
            WorktreeCreateParams { at: self.at(), name: Some(name.to_owned()), ..Default::default() };
        self.service.create(params, &person()).await
    }

    pub(crate) async fn list(&self) -> Vec<Worktree> {
        let params = WorktreeListParams { at: self.at(), all: false };
        self.service.list(params, &person()).await.unwrap().worktrees
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        self.list().await.into_iter().map(|worktree| worktree.name).collect()
    }

    pub(crate) fn claiming(&self, name: &str, agent: &str) -> ClaimAcquireParams {
        ClaimAcquireParams {
            at: self.at(),
            worktree: Some(name.to_owned()),
            agent_id: Some(agent.to_owned()),
            ..Default::default()
        }
    }

    pub(crate) async fn claim(&self, name: &str, agent: &str) -> Result<ClaimAcquired, WireError> {
        self.service.acquire(self.claiming(name, agent), &person()).await
    }

    pub(crate) fn releasing(&self, name: &str, agent: &str) -> ClaimReleaseParams {
        ClaimReleaseParams {
            at: self.at(),
            worktree: Some(name.to_owned()),
            agent_id: Some(agent.to_owned()),
            ..Default::default()
        }
    }

    pub(crate) async fn release(&self, name: &str, agent: &str) -> Result<ClaimReleased, WireError> {
        self.service.release(self.releasing(name, agent), &person()).await
    }

    pub(crate) async fn remove(&self, name: &str, force: bool) -> Result<WorktreeRemoved, WireError> {
        let params =
            WorktreeRemoveParams { at: self.at(), name: Some(name.to_owned()), force, ..Default::default() };
        self.service.remove(params, &person()).await
    }

    pub(crate) async fn events(&self, kind: &str) -> Vec<Event> {
        self.store.events(0, vec![kind.to_owned()], 100_000).await.unwrap().events
    }

    /// Git's lock of a worktree in the clone's folder.
    pub(crate) fn lock_of(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.work.join(".git/worktrees").join(name).join("locked")).ok()
    }
}

/// Aborts the observer, as a SIGKILL would end it.
pub(crate) struct Observing(tokio::task::AbortHandle);

impl Drop for Observing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn at(path: &Path) -> RepoSelector {
    let bytes = path.as_os_str().as_encoded_bytes().to_vec();
    RepoSelector { repo_bytes: Some(bytes), ..Default::default() }
}

pub(crate) fn person() -> Caller {
    Caller { person: "person:ada@here".to_owned(), ..Default::default() }
}

pub(crate) fn agent(id: &str, session: &str) -> Caller {
    let agent = AgentCaller { session: session.to_owned(), agent_id: id.to_owned() };
    Caller { agent: Some(agent), ..person() }
}

fn settings(
    root: &Path,
    clock: &Arc<AtomicI64>,
    session_lives: &Arc<AtomicBool>,
    stop_at: &Arc<Mutex<Option<Step>>>,
    workers: &Arc<Busy>,
) -> Settings {
    let (clock, lives, stop) = (clock.clone(), session_lives.clone(), stop_at.clone());
    let alive = Arc::new(move |_: &str| lives.load(Ordering::SeqCst));
    let mut settings = Settings::new(HOST, root.join("home"), alive);
    settings.now = Arc::new(move || clock.load(Ordering::SeqCst));
    settings.env = env(root);
    settings.workers = Some(workers.clone());
    settings.stop_after = Some(Arc::new(move |step| *stop.lock().unwrap() == Some(step)));
    settings
}

fn env(root: &Path) -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap();
    let home = root.join("home").to_str().unwrap().to_owned();
    let vars = [("PATH", path), ("HOME", home), ("GIT_CONFIG_NOSYSTEM", "1".to_owned())];
    vars.map(|(key, value)| (key.to_owned(), value)).into()
}
