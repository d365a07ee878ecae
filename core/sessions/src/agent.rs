//! What the agent loop of a bare model works with: the tools of one session, opened for each turn.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use podium_secrets::Redactor;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::provider::{Chunk, ToolCall, ToolResult, ToolSpec};
use crate::{Env, SessionError};

/// Where a turn's tools work.
#[derive(Clone)]
pub struct Workbench {
    pub session: String,
    pub agent_id: Option<String>,
    /// Id of the worktree, and where it lies.
    pub worktree: String,
    pub root: PathBuf,
    pub repo: Option<String>,
    /// Variables of the caller. In memory only.
    pub env: Env,
    pub redactor: Arc<Redactor>,
}

/// Opens the tools of a session.
#[async_trait]
pub trait Toolkit: Send + Sync {
    /// # Errors
    /// When the tools cannot be had as the policy asks; the turn is not begun then.
    async fn open(&self, bench: Workbench) -> Result<Arc<dyn Toolbox>, SessionError>;
}

/// The tools of one turn.
#[async_trait]
pub trait Toolbox: Send + Sync {
    /// What the model may call.
    fn specs(&self) -> Vec<ToolSpec>;

    /// What the model is told about the place it works in.
    fn system(&self) -> String;

    /// Runs a call; whatever is wrong with it is told to the model. Progress and permissions go to `out` as they come.
    /// With `cut_off` the call was made before a crash and may have run: one that is no mere look is not repeated.
    /// Ends within two seconds after `stop`.
    async fn run(
        &self,
        call: &ToolCall,
        cut_off: bool,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> ToolRun;

    /// The turn is over.
    async fn close(&self);
}

/// What came of a call.
#[derive(Debug, Clone, Default)]
pub struct ToolRun {
    pub result: ToolResult,
    /// The whole output where `result` holds a part of it only; it is kept as an artifact.
    pub overflow: Option<Vec<u8>>,
    /// Files that it changed, relative to the worktree.
    pub changed: Vec<String>,
    /// It was ended by the turn's stop and has no result: resuming the turn takes it up again.
    pub stopped: bool,
}

impl ToolRun {
    #[must_use]
    pub fn refused(call: &ToolCall, why: &str) -> Self {
        let result = ToolResult { id: call.id.clone(), text: why.to_owned(), is_error: true, data: None };
        Self { result, ..Self::default() }
    }
}
