//! Starting agents' programs, and clearing away what they left.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use podium_process::INHERITED_ENV;
use podium_process::runner::{self, Attached, Launcher, RunnerError, Spec};

use podium_process::sandbox::Mechanism;
use tokio_util::sync::CancellationToken;

use super::settings::Agent;
use super::{Homeless, Lodger, Quarters, Room};
use crate::Env;
use crate::provider::{ProviderError, Turn};
use crate::workplace::{Approval, Terms, WorkplaceError};

/// Time between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_millis(700);
/// Sockets that lead out, and what decides over the private git: not for a confined agent.
const KEPT_BACK: &[&str] =
    &["SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"];

/// Has the agents of all sessions. Cheap to share.
pub struct AgentHost {
    launcher: Launcher,
    /// One folder for each session below it.
    folder: PathBuf,
    quarters: Option<Arc<dyn Quarters>>,
    /// One at a time ends an agent: a second one who attaches displaces the first.
    endings: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl AgentHost {
    /// Agents run by `launcher`, with their backlogs below `folder`.
    #[must_use]
    pub fn new(
        launcher: Launcher,
        folder: impl Into<PathBuf>,
        quarters: Option<Arc<dyn Quarters>>,
    ) -> Arc<Self> {
        Arc::new(Self { launcher, folder: folder.into(), quarters, endings: Mutex::default() })
    }

    /// Sessions that have an agent, or something that one left.
    #[must_use]
    pub fn sessions(&self) -> Vec<String> {
        let folders = runner::runs(&self.folder).unwrap_or_else(|error| {
            tracing::warn!(%error, "left-over agents cannot be listed");
            Vec::new()
        });
        folders.iter().filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned())).collect()
    }

    /// Ends the agent of a session that nobody goes on with, and removes what is left of it.
    pub async fn clear(&self, session: &str) {
        match self.end(session).await {
            Ok(None) => {}
            Ok(Some(error)) => tracing::warn!(%error, session, "what was committed does not come over"),
            Err(error) => tracing::warn!(%error, session, "an agent cannot be cleared away"),
        }
    }

    /// [`AgentHost::clear`], and tells why commits stay where the agent made them.
    ///
    /// # Errors
    /// If the agent does not end: it may be at work still.
    pub async fn end(&self, session: &str) -> Result<Option<WorkplaceError>, RunnerError> {
        let ending = Arc::clone(self.endings().entry(session.to_owned()).or_default());
        let one = ending.lock().await;
        let ended = runner::end(&self.folder_of(session), GRACE).await;
        drop(one);
        drop(ending);
        self.endings().retain(|_, ending| Arc::strong_count(ending) > 1);
        ended?;
        match &self.quarters {
            Some(quarters) => Ok(quarters.leave(session).await.err()),
            None => Ok(None),
        }
    }

    fn endings(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn folder_of(&self, session: &str) -> PathBuf {
        self.folder.join(session)
    }

    /// Attaches to a run, or starts it where that never happened.
    pub(super) async fn attach_or_start(
        &self,
        turn: &Turn,
        room: &Room,
        argv: &[String],
        (run, offset): (&str, u64),
    ) -> Result<Attached, RunnerError> {
        let folder = self.folder_of(&turn.session);
        match Attached::to(&folder, run, offset).await {
            // Bytes of a run that is not there any more: it is dead, and what it said is stored.
            Err(RunnerError::NoSuchRun { .. }) if offset == 0 => {}
            other => return other,
        }
        let spec = self.spec(turn, room, argv, run)?;
        match self.launcher.start(&spec).await {
            Err(RunnerError::Runs { .. }) => {}
            started => {
                started?;
                return Attached::to(&folder, run, 0).await;
            }
        }
        // Started by a daemon that died at once, else one of an earlier turn, which nobody needs.
        match runner::run_in(&folder).await {
            Some(found) if found == run => {}
            _ => {
                runner::end(&folder, GRACE).await?;
                self.launcher.start(&spec).await?;
            }
        }
        Attached::to(&folder, run, 0).await
    }

    /// Where the agent of a turn and what it has us run are confined to. One that runs already stays where it is.
    pub(crate) async fn room(
        &self,
        turn: &Turn,
        agent: &Agent,
        run: &str,
        stop: &CancellationToken,
    ) -> Result<Room, ProviderError> {
        let Some(quarters) = &self.quarters else { return Ok(Room::default()) };
        let folder = self.folder_of(&turn.session);
        let mut occupied = runner::is_alive(&folder);
        if occupied && runner::run_in(&folder).await.as_deref() != Some(run) {
            // Of an earlier turn; nobody needs it.
            runner::end(&folder, GRACE).await.map_err(|error| failed(&error))?;
            occupied = false;
        }
        let lodger = Lodger {
            session: turn.session.clone(),
            agent: agent.name.clone(),
            run: run.to_owned(),
            worktree: turn.worktree.clone(),
            env: turn.env.clone(),
            terms: terms(agent, &turn.env, occupied),
        };
        let room = quarters.prepare(&lodger, stop).await;
        room.map_err(|error| match error {
            Homeless::Stopped => ProviderError::Stopped,
            Homeless::Refused(reason) => {
                ProviderError::Parked { reason: format!("{} cannot be started: {reason}", agent.name) }
            }
        })
    }

    fn spec(&self, turn: &Turn, room: &Room, argv: &[String], run: &str) -> Result<Spec, RunnerError> {
        let mut spec =
            Spec::new(run, self.folder_of(&turn.session), argv.iter().map(OsString::from).collect());
        match &room.lodging {
            None => {
                for name in INHERITED_ENV {
                    if let Some(value) = std::env::var_os(name) {
                        spec.env.insert(name.into(), value);
                    }
                }
                spec.env.extend(turn.env.iter().map(|(name, value)| (name.into(), value.into())));
                spec.cwd = turn.worktree.clone().unwrap_or_else(|| home(&turn.env));
            }
            Some(lodging) => {
                let given = turn.env.iter().filter(|(name, _)| {
                    !KEPT_BACK.contains(&name.as_str())
                        && !name.starts_with("GIT_")
                        && !name.starts_with("PODIUM_")
                });
                spec.env.extend(given.map(|(name, value)| (name.into(), value.into())));
                spec.env.extend(lodging.env.iter().cloned());
                spec.cwd.clone_from(&lodging.cwd);
                spec.limits = lodging.limits();
                spec.sandbox = Some((lodging.policy.clone(), lodging.mechanism));
                if let Some(program) = argv.first() {
                    let path =
                        lodging.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.clone());
                    let confined = lodging.mechanism != Mechanism::None;
                    spec.argv[0] = find(program, &turn.env, path, confined)?;
                }
            }
        }
        spec.env.insert("PODIUM_SESSION".into(), turn.session.as_str().into());
        Ok(spec)
    }
}

/// As the settings say; an agent that is to work unconfined has their word for it.
fn terms(agent: &Agent, env: &Env, occupied: bool) -> Terms {
    let given = &agent.given;
    let approval = || Approval {
        by: format!("the setting sessions.agents of {}", agent.name),
        at: std::time::SystemTime::now(),
    };
    // Files that a person's command line names are part of the program.
    let named =
        agent.argv.iter().skip(1).map(PathBuf::from).filter(|path| path.is_absolute() && path.is_file());
    let program = agent.argv.first().and_then(|program| in_path(program, env));
    let real = program.as_ref().and_then(|program| program.canonicalize().ok());
    Terms {
        network: given.network,
        read: given.read.clone(),
        write: given.write.clone(),
        files: named.chain(program).chain(real).collect(),
        unsandboxed: given.unsandboxed.then(approval),
        prefer_unsandboxed: given.unsandboxed,
        occupied,
    }
}

/// The file that the user's shell would start.
fn in_path(program: &str, env: &Env) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|file| file.is_absolute() && file.is_file());
    }
    let runs = |file: &PathBuf| {
        use std::os::unix::fs::PermissionsExt as _;
        file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    let folders = env.get("PATH")?;
    std::env::split_paths(folders)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(runs)
}

/// A program that is not there is told as such, before a sandbox says it in its own words.
fn find(program: &str, env: &Env, path: Option<OsString>, confined: bool) -> Result<OsString, RunnerError> {
    let inside: Env = path
        .and_then(|path| path.into_string().ok())
        .map(|path| ("PATH".to_owned(), path))
        .into_iter()
        .collect();
    let found = in_path(program, env).or_else(|| in_path(program, &inside));
    match found {
        Some(file) if confined => Ok(file.into()),
        Some(_) => Ok(program.into()),
        None => Err(RunnerError::Agent { reason: format!("program `{program}` was not found") }),
    }
}

/// Where a session without a worktree works.
pub(crate) fn home(env: &Env) -> PathBuf {
    let home = env.get("HOME").map(PathBuf::from).or_else(std::env::home_dir);
    home.filter(|home| home.is_dir()).unwrap_or_else(|| Path::new("/").to_owned())
}

/// What of an agent's failure a person is told: the last lines of its errors.
pub(crate) fn last_words(stderr: &str) -> String {
    const LINES: usize = 5;
    let lines: Vec<&str> = stderr.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

pub(crate) fn failed(error: &RunnerError) -> ProviderError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    ProviderError::Failed { reason }
}
