//! Everything that can fail here, on its way to the wire.

use std::io;
use std::path::{Path, PathBuf};

use podium_git::GitError;
use podium_process::ProcessError;
use podium_protocol::{ErrorKind, WireError};
use podium_store::{StoreError, rusqlite};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// An answer of our own: the request or the state forbids it.
    #[error(transparent)]
    Refused(Box<WireError>),
    #[error("{} could not be {action}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the work was not finished")]
    Unfinished,
}

/// Free bytes below which a disk counts as full: what failed was larger.
const FULL: u64 = 256 * 1024;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Says so where git or the disk failed and there is no room left: git's own words are about single files.
    pub(crate) fn or_full_disk(self, folder: &Path) -> Self {
        let of_disk =
            matches!(self, Self::Io { .. } | Self::Git(GitError::Failed { .. } | GitError::Io { .. }));
        match crate::spares::free_disk(folder) {
            Some(free) if of_disk && free < FULL => {
                let told: String = chain(&self).chars().take(300).collect();
                let text = format!("no space is left on the disk of {}: {told}", folder.display());
                let error = WireError::unavailable(text).hint("`imi du` shows what takes it");
                error
                    .hint("`imi prune` drops what is merged; what was removed goes for good after a while")
                    .into()
            }
            _ => self,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Self {
        Self::Refused(Box::new(error))
    }
}

impl From<Error> for WireError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Refused(error) => *error,
            Error::Git(error) => {
                let mut wire = Self::new(git_kind(&error), chain(&error));
                wire.hints = error.hints();
                wire.usage = matches!(error, GitError::Name(_) | GitError::InvalidArgument(_));
                wire
            }
            Error::Process(ProcessError::NoSuchProcess { pid }) => {
                Self::user(format!("there is no process {pid} that a claim could be bound to"))
            }
            error @ (Error::Process(_) | Error::Io { .. } | Error::Unfinished) => {
                Self::internal(chain(&error))
            }
        }
    }
}

fn git_kind(error: &GitError) -> ErrorKind {
    use podium_git::ErrorKind as Git;
    match error.kind() {
        Git::User => ErrorKind::User,
        Git::NotFound => ErrorKind::NotFound,
        Git::Conflict => ErrorKind::Conflict,
        Git::Busy => ErrorKind::Busy,
        Git::Unavailable => ErrorKind::Unavailable,
        Git::Internal => ErrorKind::Internal,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Runs what blocks (git, the disk) off the asynchronous threads.
pub(crate) async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f).await.unwrap_or(Err(Error::Unfinished))
}
