//! Where and for whom tools run.

use std::path::PathBuf;
use std::sync::Arc;

use globset::GlobSet;
use podium_secrets::Redactor;
use tokio_util::sync::CancellationToken;

use super::{ReadMarks, ToolError, Tree};
use crate::workplace::Workplace;

/// Bytes of a result that a model is shown.
const SHOWN_BYTES: usize = 32 * 1024;

/// Which paths a tool may open, beside what the tree keeps from everybody. Patterns are over real paths from the root.
#[derive(Debug, Clone)]
pub struct PathPolicy {
    /// Secret files that a person's rule names and allows.
    pub secrets_allowed: GlobSet,
    /// What a person's rule denies.
    pub denied: GlobSet,
}

impl Default for PathPolicy {
    fn default() -> Self {
        Self { secrets_allowed: GlobSet::empty(), denied: GlobSet::empty() }
    }
}

/// Where and for whom tools run. Cheap to clone; one for each session.
#[derive(Debug, Clone)]
pub struct ToolContext {
    /// The worktree.
    pub root: PathBuf,
    pub session: String,
    pub redactor: Arc<Redactor>,
    pub marks: Arc<ReadMarks>,
    /// What the tool of this call may open.
    pub paths: Arc<PathPolicy>,
    /// Where commands run, or why there are none.
    pub workplace: Result<Arc<Workplace>, String>,
    /// Ends what takes long.
    pub stop: CancellationToken,
    /// Bytes of a result that the model is shown.
    pub shown_bytes: usize,
}

impl ToolContext {
    #[must_use]
    pub fn new(root: PathBuf, session: String, redactor: Arc<Redactor>) -> Self {
        Self {
            root,
            session,
            redactor,
            marks: Arc::default(),
            paths: Arc::default(),
            workplace: Err("this session has no claimed worktree in which commands could run".to_owned()),
            stop: CancellationToken::new(),
            shown_bytes: SHOWN_BYTES,
        }
    }

    pub(super) fn tree(&self) -> Result<Tree, ToolError> {
        Tree::open(&self.root, Arc::clone(&self.paths))
    }

    /// Runs what blocks beside the runtime.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ToolError> + Send + 'static,
    ) -> Result<T, ToolError> {
        let ctx = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&ctx)).await;
        done.unwrap_or_else(|_| Err(ToolError::Failed("the tool stopped unexpectedly".to_owned())))
    }

    pub(super) fn check_stopped(&self) -> Result<(), ToolError> {
        if self.stop.is_cancelled() { Err(ToolError::Stopped) } else { Ok(()) }
    }
}
