//! Bringing the daemon up in phases, and down in reverse.
//!
//! home -> configuration -> log -> store -> services -> sockets -> recovery. Each phase gives a guard; when a later
//! one fails, the guards drop in reverse order and one message tells what failed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use podium_artifacts::{ArtifactError, Artifacts};
use podium_broker::Tasks;
use podium_config::{ConfigError, Home, Layer, Live};
use podium_process::runner::Launcher;
use podium_protocol::{StopReason, WireError};
use podium_sessions::acp::{Acp, Gate};
use podium_sessions::anthropic::Anthropic;
use podium_sessions::command::Program;
use podium_sessions::local::{Local, ModelHost};
use podium_sessions::openai::OpenAi;
use podium_sessions::permission::Permissions;
use podium_sessions::tools::PermittedTools;
use podium_sessions::{AgentHost, Inbox, Keys, Lodgings, Provider, SessionError, Sessions, Snapshots};
use podium_store::{Store, StoreError};
use podium_worktrees::Worktrees;
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::Options;
use crate::forge::Hosts;
use crate::home::{self, HomeError, HomeLock};
use crate::ipc::{CapabilitySockets, Listening, bind};
use crate::pit::{self, Pit};
use crate::runs::{self, Runs};
use crate::state::{Daemon, host_name};
use crate::trees::KnownTrees;
use crate::workplaces::ClaimedWorkplaces;
use crate::{logging, tasks};

/// How long a new daemon waits for an old one that is ending.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long requests that run may take to finish when the daemon ends.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the runtime cannot start")]
    Runtime { source: std::io::Error },
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("another daemon{} serves this home already", .pid.map_or_else(String::new, |pid| format!(" (pid {pid})")))]
    Serving { pid: Option<u32> },
    #[error("another daemon holds {} and does not answer", .path.display())]
    Held { path: PathBuf },
    #[error("the configuration is wrong: {0}")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    #[error(transparent)]
    Sessions(#[from] SessionError),
    #[error("the socket {} cannot be opened", .path.display())]
    Socket { path: PathBuf, source: std::io::Error },
}

impl StartError {
    /// As a client sees it.
    #[must_use]
    pub fn to_wire(&self) -> WireError {
        if let Self::Serving { .. } = self {
            return WireError::conflict(self.to_string()).hint("`podium daemon stop` ends it");
        }
        let mut message = format!("the daemon could not start: {self}");
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        let mut wire = WireError::unavailable(message);
        wire.hints = match self {
            Self::Store(error) => error.hints(),
            Self::Config(_) => vec!["mend the file that is named, or move it away".to_owned()],
            Self::Home(_) | Self::Socket { .. } => {
                vec!["check owner, permissions and free space there".to_owned()]
            }
            Self::Held { .. } => vec!["end that process, then try again".to_owned()],
            _ => vec!["`podium daemon --foreground` shows more".to_owned()],
        };
        wire
    }
}

/// Up, serve, down.
pub(crate) async fn run(options: Options) -> Result<ExitCode, StartError> {
    let home = options.home.clone();
    home::prepare(&home)?;
    let Some(lock) = take_lock(&home).await? else {
        return Err(StartError::Serving { pid: holder(&home) });
    };
    home::sweep(&home, &lock);
    let _ = std::fs::remove_file(home.start_failure());
    match serve(options).await {
        Ok(()) => {
            // Held until the process is gone: what still runs on a blocking thread may be changing a repository.
            std::mem::forget(lock);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            tracing::error!(%error, "the daemon could not start");
            if let Ok(text) = serde_json::to_string(&error.to_wire()) {
                let _ = std::fs::write(home.start_failure(), text);
            }
            Err(error)
        }
    }
}

/// Who holds the lock, as it says itself.
fn holder(home: &Home) -> Option<u32> {
    std::fs::read_to_string(home.lock_file()).ok()?.trim().parse().ok()
}

/// `None` when another daemon serves this home. One that is just ending is waited for.
async fn take_lock(home: &Home) -> Result<Option<HomeLock>, StartError> {
    let deadline = Instant::now() + TAKEOVER_TIMEOUT;
    loop {
        if let Some(lock) = HomeLock::try_take(home)? {
            return Ok(Some(lock));
        }
        if UnixStream::connect(home.socket()).await.is_ok() {
            return Ok(None);
        }
        if Instant::now() > deadline {
            return Err(StartError::Held { path: home.lock_file() });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn serve(options: Options) -> Result<(), StartError> {
    let home = options.home.clone();
    let config = Arc::new(configuration(&home)?);
    let log = logging::start(&home, config.get().text("log.level"));
    let token = home::token(&home)?;
    let store = Store::open(&podium_store::Options { path: home.database() })?;
    let daemon = Arc::new(assemble(options, config, token, store)?);
    daemon.workplaces.serve_for(&daemon);
    let socket = listen(&home)?;
    daemon.sessions.recover().await?;
    runs::announce(&daemon).await;
    daemon.worktrees.recover().await;
    daemon.sessions.recover_rewinds().await?;
    tracing::info!(version = daemon.version, pid = std::process::id(), home = %home.root().display(), "ready");
    let background = [
        tokio::spawn(tasks::signals::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::agents::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::idle::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::purge::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::claims::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::capabilities::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::workplaces::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::observe::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::radar::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::config_reload::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::spares::run(Arc::clone(&daemon))),
        tokio::spawn(tasks::sync::run(Arc::clone(&daemon))),
        tokio::spawn(runs::recover(Arc::clone(&daemon))),
        tokio::spawn(pit::recover(Arc::clone(&daemon))),
    ];
    socket.accept(Arc::clone(&daemon), None).await;
    for task in background {
        task.abort();
    }
    shut_down(&daemon).await;
    drop(log);
    Ok(())
}

fn configuration(home: &Home) -> Result<Live, ConfigError> {
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("PODIUM_"))
        .collect();
    Live::load(vec![Layer::User(home.config_file()), Layer::Env(env)])
}

fn listen(home: &Home) -> Result<Listening, StartError> {
    let path = home.socket();
    bind(&path).map_err(|source| StartError::Socket { path, source })
}

/// In order of preference: what works without a key comes first.
fn providers(
    home: &Home,
    config: &Arc<Live>,
    models: &Arc<ModelHost>,
    agents: &Arc<AgentHost>,
    store: &Store,
) -> Vec<Arc<dyn Provider>> {
    let keys = Keys::new(home.root());
    let gate = Gate::new(store.clone(), Permissions::new(store.clone(), Arc::clone(config)));
    vec![
        Arc::new(Local::new(Arc::clone(models))),
        Arc::new(Anthropic::new(keys.clone(), Arc::clone(config))),
        Arc::new(OpenAi::new(keys, Arc::clone(config))),
        Arc::new(Acp::new(Arc::clone(agents), Arc::clone(config), gate)),
        Arc::new(Program::new(Arc::clone(agents), Arc::clone(config))),
    ]
}

/// Agents are run by this very program, in workplaces.
fn agent_host(
    home: &Home,
    config: &Arc<Live>,
    store: &Store,
    workplaces: &Arc<ClaimedWorkplaces>,
) -> Arc<AgentHost> {
    let launcher = Launcher { program: own_program(), args: vec!["run-agent".into()], env: BTreeMap::new() };
    let workplaces = Arc::<ClaimedWorkplaces>::clone(workplaces);
    let lodgings = Lodgings::new(store.clone(), Arc::clone(config), workplaces);
    AgentHost::new(launcher, home.agents(), Some(Arc::new(lodgings)))
}

/// The running program, also after an update has replaced its file.
fn own_program() -> PathBuf {
    let named = std::env::current_exe().ok().filter(|program| program.is_file());
    named.unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

fn assemble(options: Options, config: Arc<Live>, token: String, store: Store) -> Result<Daemon, StartError> {
    let Options { home, version } = options;
    let instance = uuid::Uuid::new_v4().to_string();
    let artifacts = Artifacts::open(store.clone(), &home.artifacts(), &home.views())?;
    let models = ModelHost::new(home.models(), Arc::clone(&config));
    let workplaces = ClaimedWorkplaces::new(home.clone(), Arc::clone(&config));
    let agents = agent_host(&home, &config, &store, &workplaces);
    let tools = PermittedTools::new(store.clone(), Arc::clone(&config));
    let tools = tools.with_workplaces(Arc::<ClaimedWorkplaces>::clone(&workplaces));
    let settings = podium_sessions::Settings {
        instance: instance.clone(),
        config: Arc::clone(&config),
        providers: providers(&home, &config, &models, &agents, &store),
        toolkit: Some(Arc::new(tools)),
        keys: Keys::new(home.root()),
    };
    let sessions = Sessions::new(store.clone(), artifacts.clone(), settings);
    let host = host_name();
    let mut of_worktrees =
        podium_worktrees::Settings::new(host.clone(), home.root().to_owned(), session_alive(&sessions));
    of_worktrees.forge = Some(Arc::new(Hosts::new(Arc::clone(&config))));
    of_worktrees.hook_output = Some(crate::services::provide::hook_output(&artifacts));
    of_worktrees.workers = Some(Arc::new(crate::services::sessions::Working(sessions.clone())));
    let worktrees = Worktrees::open(store.clone(), Arc::clone(&config), of_worktrees);
    workplaces.serve(worktrees.clone());
    sessions.keep_snapshots(Snapshots::new(home.snapshots(), Arc::new(KnownTrees(worktrees.clone()))));
    Ok(Daemon {
        home,
        version,
        instance,
        token,
        host,
        started: Instant::now(),
        config,
        inbox: Inbox::new(store.clone()),
        pit: Pit::new(&store),
        agents,
        tasks: Tasks::new(store.clone()),
        store,
        artifacts,
        models,
        sessions,
        worktrees,
        workplaces,
        capabilities: CapabilitySockets::default(),
        runs: Runs::default(),
        clients: AtomicU32::new(0),
        ending: watch::channel(None).0,
        activity: tokio::sync::Notify::new(),
    })
}

/// Whether the owner of a claim that is bound to a session still exists: it runs, or can still be resumed.
fn session_alive(sessions: &Sessions) -> Arc<dyn Fn(&str) -> bool + Send + Sync> {
    let sessions = sessions.clone();
    Arc::new(move |id| sessions.holds_claim(id))
}

/// Finishes what runs and closes what was opened, in reverse. The socket is gone already: nobody new comes.
async fn shut_down(daemon: &Arc<Daemon>) {
    let reason = (*daemon.ending.borrow()).unwrap_or(StopReason::Deliberate);
    tracing::info!(?reason, "stopping");
    let cause = match reason {
        StopReason::Deliberate => podium_sessions::StopCause::DaemonStopped,
        StopReason::Replace => podium_sessions::StopCause::DaemonReplaced,
    };
    daemon.pit.suspend();
    daemon.sessions.interrupt_all(cause).await;
    daemon.capabilities.close();
    let finish = async {
        daemon.worktrees.shutdown().await;
        let daemon = Arc::clone(daemon);
        let _ = tokio::task::spawn_blocking(move || {
            daemon.artifacts.close();
            daemon.store.close();
        })
        .await;
    };
    if tokio::time::timeout(DRAIN_TIMEOUT, finish).await.is_err() {
        tracing::warn!("stopped before everything was finished; the next start completes it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_error_tells_the_whole_chain_and_what_to_do() {
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let error = StartError::Socket { path: "/x/y.sock".into(), source };
        let wire = error.to_wire();
        assert_eq!(
            wire.message,
            "the daemon could not start: the socket /x/y.sock cannot be opened: permission denied"
        );
        assert!(!wire.hints.is_empty());
    }
}
