//! What can go wrong with artifacts.

use std::path::PathBuf;

use podium_protocol::{ErrorKind, WireError};
use podium_store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("there is no artifact `{0}`")]
    NotFound(String),
    #[error("`{0}` begins the ids of several artifacts")]
    Ambiguous(String),
    #[error("`{0}` is not a kind of artifact")]
    Kind(String),
    #[error("an artifact's title has 1 to 300 characters")]
    Title,
    #[error("the content of artifact {hash} is damaged or missing")]
    Damaged { hash: String },
    #[error("{} cannot be written or read", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the search index failed")]
    Index(#[from] tantivy::TantivyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the artifact store is closing")]
    Closed,
}

impl From<ArtifactError> for WireError {
    fn from(error: ArtifactError) -> Self {
        let message = match std::error::Error::source(&error) {
            Some(source) if !matches!(error, ArtifactError::Store(_)) => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        match error {
            ArtifactError::Store(error) => error.into(),
            ArtifactError::NotFound(_) => {
                Self::not_found(message).hint("`podium artifacts list` shows what there is")
            }
            ArtifactError::Ambiguous(_) => Self::user(message).hint("give more characters of the id"),
            ArtifactError::Kind(_) => {
                Self::usage(message).hint(format!("kinds: {}", crate::KINDS.join(", ")))
            }
            ArtifactError::Title => Self::usage(message),
            ArtifactError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Self::unavailable(message).hint("free some space on the disk of PODIUM_HOME")
            }
            ArtifactError::Closed => Self::new(ErrorKind::Unavailable, message),
            ArtifactError::Damaged { .. } | ArtifactError::Io { .. } | ArtifactError::Index(_) => {
                Self::internal(message).hint("`podium doctor` says which part is broken")
            }
        }
    }
}
