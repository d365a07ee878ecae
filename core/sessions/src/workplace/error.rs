//! What can go wrong where an agent works.

use std::io;
use std::path::{Path, PathBuf};

use podium_git::{ErrorKind, GitError};
use podium_process::sandbox::SandboxError;
use podium_protocol::WireError;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkplaceError {
    #[error("nothing on this machine can confine an agent: {}", .reasons.join("; "))]
    Unconfined { reasons: Vec<String> },
    #[error("the worktree is not claimed for this any more: {0}")]
    ClaimLost(String),
    #[error("`{0}` is outside of the worktree")]
    Outside(PathBuf),
    #[error("nothing to run")]
    NoProgram,
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Process(#[from] podium_process::ProcessError),
    #[error("{}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the work was cut off")]
    CutOff,
}

impl WorkplaceError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

impl From<WorkplaceError> for WireError {
    fn from(error: WorkplaceError) -> Self {
        let message = match &error {
            WorkplaceError::Io { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        match error {
            WorkplaceError::Unconfined { .. } => Self::unavailable(message)
                .hint("install bubblewrap, or use a kernel with Landlock; `podium doctor` shows what works")
                .hint("or let this agent work unsandboxed, by an approval of its own that is recorded"),
            WorkplaceError::ClaimLost(_) => Self::conflict(message).hint("claim the worktree again"),
            WorkplaceError::Outside(_) | WorkplaceError::NoProgram => Self::user(message),
            WorkplaceError::Git(git) => {
                let mut wire = match git.kind() {
                    ErrorKind::User => Self::user(message),
                    ErrorKind::NotFound => Self::not_found(message),
                    ErrorKind::Conflict => Self::conflict(message),
                    ErrorKind::Busy => Self::busy(message),
                    ErrorKind::Unavailable => Self::unavailable(message),
                    ErrorKind::Internal => Self::internal(message),
                };
                wire.hints = git.hints();
                wire
            }
            WorkplaceError::Sandbox(_) | WorkplaceError::Process(_) => Self::unavailable(message),
            WorkplaceError::Io { .. } | WorkplaceError::CutOff => Self::internal(message),
        }
    }
}
