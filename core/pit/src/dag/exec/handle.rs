//! A run as who started it sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::run::Run;
use crate::dag::metrics::{Durations, Summary};
use crate::dag::names::{NodePath, RunId};
use crate::dag::runner::NodeError;
use crate::dag::states::{NodeState, RunState};

/// A run that goes on by itself. Cheap to clone.
#[derive(Clone)]
pub struct RunHandle {
    run: Arc<Run>,
    state: watch::Receiver<RunState>,
    ended: watch::Receiver<Option<Arc<Report>>>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub run: RunId,
    /// `Completed`, `Failed` or `Cancelled`.
    pub status: RunState,
    /// The journal failed: the run is not over but can go on from what the journal has.
    pub interrupted: bool,
    /// The first failure, in one sentence.
    pub error: Option<String>,
    /// Every node that failed and was not tolerated, in the order in which that happened.
    pub failures: Vec<(NodePath, NodeError)>,
    /// What the melody gives, as far as it came to be.
    pub outputs: Map<String, Value>,
    pub nodes: Counts,
    /// Of this process.
    pub took: Duration,
}

/// How many nodes came to which end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub completed: u64,
    pub failed: u64,
    /// Not needed, standby nodes that nobody asked for included.
    pub skipped: u64,
    pub cancelled: u64,
    /// Not (yet) ended.
    pub pending: u64,
}

/// One node, now. Times are milliseconds since 1970, and none for what ended in an earlier process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    pub node: NodePath,
    pub state: NodeState,
    /// How many attempts were made, in this process and before.
    pub attempts: u32,
    pub ready: Option<u64>,
    pub start: Option<u64>,
    pub end: Option<u64>,
    /// Of the last attempt.
    pub took: Duration,
}

impl RunHandle {
    pub(super) fn new(
        run: Arc<Run>,
        state: watch::Receiver<RunState>,
        ended: watch::Receiver<Option<Arc<Report>>>,
    ) -> Self {
        Self { run, state, ended }
    }

    pub fn id(&self) -> &RunId {
        &self.run.id
    }

    pub fn state(&self) -> RunState {
        *self.state.borrow()
    }

    /// Follows the state.
    pub fn watch(&self) -> watch::Receiver<RunState> {
        self.state.clone()
    }

    /// What runs ends, and nothing new starts until [`RunHandle::resume`].
    pub fn pause(&self) {
        self.run.pause();
    }

    pub fn resume(&self) {
        self.run.resume();
    }

    /// Nothing new starts; what runs is told to end, and dropped after [`super::Settings::grace`].
    pub fn cancel(&self) {
        self.run.cancel();
    }

    /// Waits for the end. `None` if the runtime went down first.
    pub async fn wait(&self) -> Option<Arc<Report>> {
        let mut ended = self.ended.clone();
        ended.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// How many nodes stand where.
    pub fn counts(&self) -> Counts {
        self.run.counts(self.state())
    }

    /// Every node of the melody, in its order.
    pub fn nodes(&self) -> Vec<NodeView> {
        (0..).zip(self.run.plan.paths()).map(|(node, path)| self.run.view(node, path)).collect()
    }

    /// What the nodes that have run in this process took.
    pub fn durations(&self) -> Summary {
        let mut durations = Durations::default();
        let ran = self.nodes().into_iter().filter(|node| node.start.is_some());
        ran.for_each(|node| durations.add(node.took));
        durations.summary()
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle").field("run", &self.run.id).field("state", &self.state()).finish()
    }
}

impl Run {
    pub(super) fn counts(&self, state: RunState) -> Counts {
        let mut counts = Counts::default();
        for (node, hot) in (0..).zip(&self.plan.hot) {
            let count = match self.tracker.state(node) {
                NodeState::Completed => &mut counts.completed,
                NodeState::Failed => &mut counts.failed,
                NodeState::Skipped => &mut counts.skipped,
                NodeState::Cancelled => &mut counts.cancelled,
                _ if hot.is_standby() => &mut counts.skipped,
                _ if state == RunState::Cancelled => &mut counts.cancelled,
                _ => &mut counts.pending,
            };
            *count += 1;
        }
        counts
    }

    fn view(&self, node: u32, path: &NodePath) -> NodeView {
        let state = self.tracker.state(node);
        let since = self.tracker.since(node);
        let mut view = NodeView {
            node: path.clone(),
            state,
            attempts: 0,
            ready: None,
            start: None,
            end: None,
            took: Duration::ZERO,
        };
        let wall = |at: u64| Some(self.clock.wall(at));
        if let Some(span) = self.tracker.span(node) {
            view.attempts = span.attempt;
            view.ready = wall(span.ready);
            view.start = wall(span.start).filter(|_| span.start > 0);
            view.end = wall(span.end).filter(|_| span.end > 0);
            view.took = Duration::from_nanos(span.end.saturating_sub(span.start));
        } else if state.is_end() && since > 0 {
            (view.ready, view.start, view.end) = (wall(since), wall(since), wall(since));
            view.attempts = u32::from(state == NodeState::Completed);
        } else if let Some(past) = self.past().get(path) {
            view.attempts = past.attempts;
        }
        view
    }
}
