//! Starting agents' programs, and clearing away what they left.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podium_process::INHERITED_ENV;
use podium_process::runner::{self, Attached, Launcher, RunnerError, Spec};

use super::Quarters;
use crate::provider::{ProviderError, Turn};

/// Time between SIGTERM and SIGKILL.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Has the agents of all sessions. Cheap to share.
pub struct AgentHost {
    launcher: Launcher,
    /// One folder for each session below it.
    folder: PathBuf,
    quarters: Option<Arc<dyn Quarters>>,
}

impl AgentHost {
    /// Agents run by `launcher`, with their backlogs below `folder`.
    #[must_use]
    pub fn new(
        launcher: Launcher,
        folder: impl Into<PathBuf>,
        quarters: Option<Arc<dyn Quarters>>,
    ) -> Arc<Self> {
        Arc::new(Self { launcher, folder: folder.into(), quarters })
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
        if let Err(error) = runner::end(&self.folder_of(session), GRACE).await {
            tracing::warn!(%error, session, "an agent cannot be cleared away");
        }
    }

    pub(super) fn folder_of(&self, session: &str) -> PathBuf {
        self.folder.join(session)
    }

    /// Attaches to a run, or starts it where that never happened.
    pub(super) async fn attach_or_start(
        &self,
        turn: &Turn,
        argv: &[String],
        run: &str,
        offset: u64,
    ) -> Result<Attached, RunnerError> {
        let folder = self.folder_of(&turn.session);
        match Attached::to(&folder, run, offset).await {
            // Bytes of a run that is not there any more: it is dead, and what it said is stored.
            Err(RunnerError::NoSuchRun { .. }) if offset == 0 => {}
            other => return other,
        }
        let spec = self.spec(turn, argv, run).await.map_err(|reason| RunnerError::Agent { reason })?;
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

    /// Where the agent of a turn and what it has us run are confined to.
    pub(crate) async fn room(&self, turn: &Turn) -> Result<super::Room, String> {
        match &self.quarters {
            Some(quarters) => quarters.prepare(&turn.session, turn.worktree.as_deref()).await,
            None => Ok(super::Room::default()),
        }
    }

    async fn spec(&self, turn: &Turn, argv: &[String], run: &str) -> Result<Spec, String> {
        let room = self.room(turn).await?;
        let mut spec =
            Spec::new(run, self.folder_of(&turn.session), argv.iter().map(OsString::from).collect());
        for name in INHERITED_ENV {
            if let Some(value) = std::env::var_os(name) {
                spec.env.insert(name.into(), value);
            }
        }
        let given = turn.env.iter().chain(room.env.iter().map(|(name, value)| (name, value)));
        spec.env.extend(given.map(|(name, value)| (name.into(), value.into())));
        spec.env.insert("PODIUM_SESSION".into(), turn.session.as_str().into());
        spec.cwd = turn.worktree.clone().unwrap_or_else(|| home(&turn.env));
        spec.limits = room.limits;
        spec.sandbox = room.sandbox;
        Ok(spec)
    }
}

/// Where a session without a worktree works.
pub(crate) fn home(env: &crate::Env) -> PathBuf {
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
