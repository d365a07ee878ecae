//! Why a call was not done, in words a model can act on.

/// Why a call was not done.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("there is no tool `{name}`; the tools are: {}", .known.join(", "))]
    Unknown { name: String, known: Vec<&'static str> },
    #[error("the input is wrong: {0}")]
    Input(String),
    #[error("`{path}` is outside of the worktree")]
    Outside { path: String },
    #[error("`{path}` belongs to git")]
    Git { path: String },
    #[error("`{path}` may hold secrets and is kept from agents")]
    Secret { path: String },
    #[error("`{path}` is kept from agents by a rule of the person")]
    Denied { path: String },
    #[error("there is no `{path}`")]
    Missing { path: String },
    #[error("`{path}` is {what}")]
    Unfit { path: String, what: &'static str },
    #[error("{0}")]
    Conflict(String),
    #[error("`{path}`: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("{0}")]
    Failed(String),
    #[error("stopped")]
    Stopped,
}

impl ToolError {
    pub(crate) fn io(path: &std::path::Path, source: impl Into<std::io::Error>) -> Self {
        let (path, source) = (path.display().to_string(), source.into());
        match source.kind() {
            std::io::ErrorKind::NotFound => Self::Missing { path },
            _ => Self::Io { path, source },
        }
    }

    /// The message and what to do instead.
    pub(crate) fn for_model(&self) -> String {
        match self.hint() {
            Some(hint) => format!("Error: {self}.\n{hint}"),
            None => format!("Error: {self}."),
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Outside { .. } => Some(
                "Only files of this worktree can be reached: give the path relative to its root, without `..`.",
            ),
            Self::Git { .. } => Some("Use the tool `commit` for commits; git's own files cannot be reached."),
            Self::Secret { .. } => Some(
                "Do without it, or ask the person for what you need from it. A file that only shows its form \
                 (such as `.env.example`) can be read.",
            ),
            Self::Denied { .. } => Some("Do without it, or ask the person for what you need from it."),
            Self::Missing { .. } => Some("`list_files` shows what there is."),
            Self::Input(_) => Some("See the tool's input schema, and send one JSON object."),
            _ => None,
        }
    }

    /// A word for what was refused because of what it would reach.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Outside { .. } => Some("outside_worktree"),
            Self::Git { .. } => Some("git_folder"),
            Self::Secret { .. } => Some("secret_file"),
            Self::Denied { .. } => Some("denied_by_rule"),
            _ => None,
        }
    }

    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::Outside { path } | Self::Git { path } | Self::Secret { path } | Self::Denied { path } => {
                Some(path)
            }
            _ => None,
        }
    }
}
