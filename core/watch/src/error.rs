use std::io;
use std::path::PathBuf;

/// Why a watch did not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    #[error("{} cannot be watched", path.display())]
    Root {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is not a folder", path.display())]
    NotAFolder { path: PathBuf },
    #[error("the pattern `{pattern}` is not a gitignore pattern")]
    Pattern {
        pattern: String,
        #[source]
        source: ignore::Error,
    },
    #[error("the watcher's thread cannot be started")]
    Thread(#[source] io::Error),
    #[error("the watcher stopped")]
    Stopped,
}
