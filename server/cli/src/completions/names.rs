//! What there is to name.

use std::time::Duration;

use clap::ValueEnum;
use podium_protocol::{
    SessionListMethod, SessionListParams, WireError, WorktreeListMethod, WorktreeListParams,
};

use crate::context::{Context, repo_selector};
use crate::style::one_line;

/// Who presses a key does not wait longer than this.
const PATIENCE: Duration = Duration::from_millis(1_500);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Names {
    Worktrees,
    Sessions,
}

impl Names {
    /// As the option takes it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Worktrees => "worktrees",
            Self::Sessions => "sessions",
        }
    }
}

/// One name a line. Nothing where nobody answers: a key that is pressed starts no daemon and shows no error.
pub(super) async fn lines(context: &Context, names: Names) -> String {
    let asked = tokio::time::timeout(PATIENCE, ask(context, names)).await;
    let found = asked.ok().and_then(Result::ok).unwrap_or_default();
    found.iter().map(|name| one_line(name) + "\n").collect()
}

async fn ask(context: &Context, names: Names) -> Result<Vec<String>, WireError> {
    let unknown = |_| WireError::unavailable("nobody can be asked");
    let client = context.client_of_running().map_err(unknown)?;
    match names {
        Names::Worktrees => {
            let at = repo_selector(None).map_err(unknown)?;
            let list = client.call::<WorktreeListMethod>(WorktreeListParams { at, all: false }).await?;
            Ok(list.worktrees.into_iter().map(|worktree| worktree.name).collect())
        }
        Names::Sessions => {
            let list = client.call::<SessionListMethod>(SessionListParams::default()).await?;
            Ok(list.sessions.into_iter().map(|session| session.id).collect())
        }
    }
}
