//! Where an agent's programs work: one worktree, confined, with a git of its own.
//!
//! A [`Workplace`] shows the worktree for writing and hides everything else of the user's: siblings, home, secret files, the
//! main socket and its token. Git inside works on a private common folder ([`PrivateCommon`]); what is committed there comes
//! over by [`Workplace::import`], to the claimed branch alone, while the claim is held.

mod claimed;
mod environment;
mod error;
mod left;
mod lodging;
mod opening;
mod policy;
mod secret_files;
mod terms;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use podium_git::{Oid, PrivateCommon, PrivateOptions, WorktreeLocation};
use podium_process::sandbox::{self, Mechanism, SandboxError, SandboxPolicy, wrap};
use podium_process::{Command, Limits};
use tokio::sync::Mutex;

pub use claimed::{Claimed, Workplaces};
pub use error::WorkplaceError;
pub use left::Left;
pub use lodging::{Alone, Lodging};
pub use opening::{Approval, Confine, Opening};
pub use podium_git::Imported;
pub use terms::Terms;

type Variables = Vec<(OsString, OsString)>;

/// What one command gets beside the workplace's own rules.
#[derive(Debug, Clone, Default)]
pub struct CommandOptions {
    /// Relative to the worktree; empty: its top.
    pub folder: PathBuf,
    /// Variables of this command alone; they win over all others.
    pub env: Vec<(OsString, OsString)>,
    /// Instead of the workplace's rule.
    pub network: Option<bool>,
    /// Beside those of the workplace; of each the lower one holds.
    pub limits: Limits,
}

/// One agent's place of work. Shared by its commands; at most one import runs at a time.
pub struct Workplace {
    opening: Opening,
    mechanism: Mechanism,
    private: Arc<PrivateCommon>,
    /// Whether the mechanism can let the capability socket through.
    socket: bool,
    importing: Mutex<()>,
}

impl std::fmt::Debug for Workplace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workplace")
            .field("worktree", &self.opening.at.path)
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

impl Workplace {
    /// Opens a workplace, or the one that an earlier process left in the folder. Blocks for a look at the machine and the
    /// copy of an index.
    ///
    /// # Errors
    /// `Unconfined` where nothing works and nobody approved of that; those of git and of the disk.
    pub fn open(opening: Opening) -> Result<Self, WorkplaceError> {
        let mechanism = choose(&opening.confine)?;
        if let (Mechanism::None, Some(approval)) = (mechanism, &opening.confine.unsandboxed) {
            tracing::warn!(by = approval.by, worktree = %opening.at.path.display(), "an agent works unsandboxed");
        }
        for folder in [opening.folder.clone(), policy::home(&opening), policy::temporary(&opening)] {
            make_private(&folder)?;
        }
        if !opening.occupied {
            put(&policy::exclude_file(&opening), b"")?;
        }
        lodging::link_all(&policy::home(&opening), &opening.confine, &opening.env)?;
        let bubblewrap = mechanism == Mechanism::Bubblewrap;
        let options = PrivateOptions {
            shown_below: bubblewrap.then(|| PathBuf::from(policy::BELOW)),
            identity: Some((opening.agent.clone(), environment::address(&opening.agent))),
            occupied: opening.occupied,
        };
        let private =
            PrivateCommon::open(&opening.repo, &opening.at, &opening.folder.join("private"), &options)?;
        let mut workplace =
            Self { opening, mechanism, private: Arc::new(private), socket: true, importing: Mutex::new(()) };
        workplace.socket = workplace.socket_can_be_shown()?;
        Ok(workplace)
    }

    /// What confines the agent.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What the mechanism can not do; each completes "it cannot ...".
    pub fn cannot(&self) -> &'static [&'static str] {
        sandbox::probe().of(self.mechanism).map_or(&[], |report| report.cannot)
    }

    /// Who approved of working without confinement, if that is how it is.
    pub fn approval(&self) -> Option<&Approval> {
        self.opening.confine.unsandboxed.as_ref().filter(|_| self.mechanism == Mechanism::None)
    }

    /// Whether the agent can reach Podium by its capability socket.
    pub fn has_socket(&self) -> bool {
        self.socket && self.opening.confine.socket.is_some()
    }

    pub fn worktree(&self) -> &WorktreeLocation {
        &self.opening.at
    }

    pub fn private(&self) -> &PrivateCommon {
        &self.private
    }

    /// A confined command, ready to be run. Blocks for a walk through the names of the tree: what is secret is looked for
    /// anew each time.
    ///
    /// # Errors
    /// `Outside` for a folder that is not in the worktree; `Sandbox` if less would be enforced than the rules say.
    pub fn command<A: Into<OsString>>(
        &self,
        argv: impl IntoIterator<Item = A>,
        options: &CommandOptions,
    ) -> Result<Command, WorkplaceError> {
        let mut argv = argv.into_iter().map(Into::into);
        let program = argv.next().ok_or(WorkplaceError::NoProgram)?;
        let folder = self.folder(&options.folder)?;
        let (policy, env) = self.rules(options)?;
        let command = Command::new(program).args(argv).cwd(folder).limits(options.limits.clone());
        let command = command.envs(env).envs(options.env.iter().map(|(k, v)| (k, v)));
        Ok(wrap(command, &policy, self.mechanism)?)
    }

    /// What a program may see now, and its variables.
    fn rules(&self, options: &CommandOptions) -> Result<(SandboxPolicy, Variables), WorkplaceError> {
        let secrets = secret_files::find(&self.opening.repo, &self.opening.at)?;
        let users = environment::users_excludes(&self.opening);
        put(&policy::exclude_file(&self.opening), &secret_files::exclude(&secrets, &users))?;
        Ok((policy::of(self, &secrets, options)?, environment::of(self)))
    }

    /// Where the branch is inside, as the agent left it.
    ///
    /// # Errors
    /// `Git` when the private folder is not as it should be.
    pub fn tip(&self) -> Result<Option<Oid>, WorkplaceError> {
        Ok(self.private.tip()?)
    }

    /// Brings over what was committed, while the claim is held. `None` if there is nothing.
    ///
    /// # Errors
    /// `ClaimLost`; `Git` for commits that are refused.
    pub async fn import(&self) -> Result<Option<Imported>, WorkplaceError> {
        self.import_by(false).await
    }

    /// [`Workplace::import`], and commits that were made here may have been amended.
    ///
    /// # Errors
    /// As [`Workplace::import`].
    pub async fn import_amended(&self) -> Result<Option<Imported>, WorkplaceError> {
        self.import_by(true).await
    }

    async fn import_by(&self, amended: bool) -> Result<Option<Imported>, WorkplaceError> {
        let _alone = self.importing.lock().await;
        left::bring_over(&self.private, &self.opening.claimed, amended).await
    }

    /// Whether there is something to bring over. Blocks; doubt counts as yes.
    pub fn is_ahead(&self) -> bool {
        self.private.is_ahead().unwrap_or(true)
    }

    /// Deletes what the session kept here; `false` if commits are in it that were not imported, and it stays.
    ///
    /// # Errors
    /// `Io`.
    pub async fn close(&self) -> Result<bool, WorkplaceError> {
        let _alone = self.importing.lock().await;
        let (private, folder) = (Arc::clone(&self.private), self.opening.folder.clone());
        let close = move || {
            // In doubt it stays.
            if private.is_ahead().unwrap_or(true) {
                return Ok(false);
            }
            lodging::remove(&folder, false).map(|()| true)
        };
        tokio::task::spawn_blocking(close).await.unwrap_or(Err(WorkplaceError::CutOff))
    }

    fn folder(&self, below: &Path) -> Result<PathBuf, WorkplaceError> {
        let tree = &self.opening.at.path;
        let folder = tree.join(below);
        let real = folder.canonicalize().map_err(|error| WorkplaceError::io(&folder, error))?;
        if real.starts_with(tree) { Ok(real) } else { Err(WorkplaceError::Outside(below.to_owned())) }
    }

    fn socket_can_be_shown(&self) -> Result<bool, WorkplaceError> {
        let policy = policy::of(self, &[], &CommandOptions::default())?;
        match policy::fits(&policy, self.mechanism) {
            Ok(()) => Ok(true),
            Err(SandboxError::CannotEnforce { .. }) if self.opening.confine.socket.is_some() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The mechanism asked for, else the best that works, else none if somebody approved.
fn choose(confine: &Confine) -> Result<Mechanism, WorkplaceError> {
    let report = sandbox::probe();
    let best = match confine.mechanism {
        Some(wanted) => report.of(wanted).filter(|of| of.available()).map_or(Mechanism::None, |_| wanted),
        None => report.best(),
    };
    if best != Mechanism::None || confine.unsandboxed.is_some() {
        return Ok(best);
    }
    let reason =
        |of: &sandbox::MechanismReport| Some(format!("{}: {}", of.mechanism, of.unavailable.as_ref()?));
    Err(WorkplaceError::Unconfined { reasons: report.mechanisms.iter().filter_map(reason).collect() })
}

/// For its owner alone.
fn make_private(folder: &Path) -> Result<(), WorkplaceError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| WorkplaceError::io(folder, error))
}

/// Replaces a file, so that one which a running command has open stays as it was.
fn put(path: &Path, content: &[u8]) -> Result<(), WorkplaceError> {
    if fs::read(path).is_ok_and(|found| found == content) {
        return Ok(());
    }
    let number = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    let new = path.with_extension(format!("{number}"));
    let write = || {
        fs::write(&new, content)?;
        fs::rename(&new, path)
    };
    write().map_err(|error| WorkplaceError::io(path, error))
}

async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, WorkplaceError>
where
    T: Send + 'static,
    E: Into<WorkplaceError> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| WorkplaceError::CutOff)?.map_err(Into::into)
}
