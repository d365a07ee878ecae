//! Changes to a repository, one at a time.

mod branches;
mod commits;
mod edits;
mod merges;
mod patches;
mod resume;
mod settings;
#[cfg(target_os = "linux")]
mod sharing;
mod spares;
mod submodules;
mod worktrees;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::command::{GitCommand, Outcome};
use crate::error::{GitError, Result};
use crate::parse;
use crate::queue::RepoLock;
use crate::repo::Repo;

pub use commits::CommitPaths;
#[cfg(unix)]
pub(crate) use edits::merged;
pub use edits::{Edit, Edited};
pub use merges::MergedTree;
pub use spares::{Peek, TreeSize, links_to};
pub use worktrees::{AddWorktree, WorktreeStart};

/// A git started by somebody else may hold a lock; usually for milliseconds.
const FOREIGN_LOCK_WAIT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The turn to change one repository. Keep it only as long as the changes take.
#[derive(Debug)]
pub struct RepoWriter {
    repo: Repo,
    lock_wait: Duration,
    _turn: RepoLock,
}

impl RepoWriter {
    pub(crate) fn new(repo: Repo, turn: RepoLock) -> Self {
        Self { repo, lock_wait: FOREIGN_LOCK_WAIT, _turn: turn }
    }

    pub fn repo(&self) -> &Repo {
        &self.repo
    }

    /// How long to wait for a lock file that another git holds (default 10 s).
    pub fn lock_wait(&mut self, wait: Duration) -> &mut Self {
        self.lock_wait = wait;
        self
    }

    /// Runs a command, again and again while another git holds a lock.
    fn run(&self, command: &GitCommand) -> Result<Outcome> {
        let deadline = Instant::now() + self.lock_wait;
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = command.attempt()?;
            let Some(lock) = (outcome.code != Some(0)).then(|| parse::lock_file(&outcome.stderr)).flatten()
            else {
                return Ok(outcome);
            };
            if Instant::now() + pause > deadline {
                let lock_file = self.absolute(lock);
                let age = age_of(&lock_file);
                return Err(GitError::LockBusy { lock_file, age });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// [`RepoWriter::run`], with any other exit than 0 an error.
    pub(crate) fn run_ok(&self, command: &GitCommand) -> Result<Vec<u8>> {
        match self.run(command)? {
            Outcome { code: Some(0), stdout, .. } => Ok(stdout),
            failed => Err(command.failure(&failed)),
        }
    }

    fn absolute(&self, lock: PathBuf) -> PathBuf {
        if lock.is_absolute() { lock } else { self.repo.common_dir().join(lock) }
    }
}

fn age_of(path: &Path) -> Option<Duration> {
    let modified = path.metadata().and_then(|metadata| metadata.modified()).ok()?;
    SystemTime::now().duration_since(modified).ok()
}
