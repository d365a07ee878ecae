//! What is seen to change in the repositories: the one stream that everything inside the daemon follows which has to
//! keep up with the disk (status, conflict radar, config sync, spares).

use tokio::sync::broadcast;

use crate::service::Worktrees;

/// Changes that may wait for a slow follower. One that falls further behind gets `Lagged` and looks at everything.
const BACKLOG: usize = 1_024;

/// A change in one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Id of the repository.
    pub repo: String,
    pub what: What,
}

/// Where the change lies. Several changes at one place may be told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Worktrees came, went or moved.
    Set,
    /// Trunk's newest commit is another one, here or at the remote as of the last fetch.
    Trunk,
    /// A worktree's HEAD, or the branch it is on, is at another commit.
    Head { worktree: String },
    /// Files of a worktree, its index, or both.
    Tree { worktree: String },
}

/// The sending side, kept by the service.
#[derive(Debug)]
pub(crate) struct Announcer(broadcast::Sender<Seen>);

impl Default for Announcer {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Worktrees {
    /// Changes from now on.
    #[must_use]
    pub fn seen(&self) -> broadcast::Receiver<Seen> {
        self.inner.seen.0.subscribe()
    }

    /// Tells the followers; without one it is nothing.
    pub(crate) fn announce(&self, repo: &str, what: What) {
        let _ = self.inner.seen.0.send(Seen { repo: repo.to_owned(), what });
    }
}
