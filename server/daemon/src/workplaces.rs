//! Where sessions run programs: in their worktree, under its claim, confined as the settings say.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use podium_config::{Home, Live};
use podium_protocol::WireError;
use podium_sessions::Workbench;
use podium_sessions::workplace::{Claimed, Confine, Opening, Workplace, WorkplaceError, Workplaces};
use podium_worktrees::Worktrees;

/// Opens workplaces. Sessions are made before worktrees are, so those come later.
pub(crate) struct ClaimedWorkplaces {
    home: Home,
    config: Arc<Live>,
    worktrees: OnceLock<Worktrees>,
}

impl ClaimedWorkplaces {
    pub(crate) fn new(home: Home, config: Arc<Live>) -> Arc<Self> {
        Arc::new(Self { home, config, worktrees: OnceLock::new() })
    }

    pub(crate) fn serve(&self, worktrees: Worktrees) {
        let _ = self.worktrees.set(worktrees);
    }

    fn folder(&self, session: &str) -> PathBuf {
        self.home.root().join("sessions").join(session)
    }
}

#[async_trait]
impl Workplaces for ClaimedWorkplaces {
    async fn open(&self, bench: &Workbench) -> Result<Arc<Workplace>, WorkplaceError> {
        let refused = |error: WireError| WorkplaceError::ClaimLost(error.message);
        let worktrees = self.worktrees.get().cloned().ok_or(WorkplaceError::CutOff)?;
        let agent = bench.agent_id.clone();
        let place = worktrees.work_place(&bench.worktree, agent.as_deref()).await.map_err(refused)?;
        let claimed =
            Held { worktrees, worktree: bench.worktree.clone(), agent: agent.clone(), token: place.token };
        let user_home = bench.env.get("HOME").map(Path::new);
        let opening = Opening {
            repo: place.repo,
            at: place.at,
            folder: self.folder(&bench.session),
            confine: Confine::configured(&self.config.get(), &self.home, user_home),
            agent: agent.unwrap_or_else(|| "podium".to_owned()),
            env: bench.env.clone(),
            claimed: Arc::new(claimed),
        };
        let opened = tokio::task::spawn_blocking(move || Workplace::open(opening)).await;
        opened.unwrap_or(Err(WorkplaceError::CutOff)).map(Arc::new)
    }
}

/// The claim that a workplace was opened under.
struct Held {
    worktrees: Worktrees,
    worktree: String,
    agent: Option<String>,
    token: Option<u64>,
}

#[async_trait]
impl Claimed for Held {
    async fn check(&self) -> Result<(), String> {
        let checked = self.worktrees.check_standing(&self.worktree, self.agent.as_deref(), self.token).await;
        checked.map_err(|error| error.message)
    }
}
