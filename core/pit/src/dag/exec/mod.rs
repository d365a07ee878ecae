//! Runs plans.

mod attempt;
mod control;
mod drive;
mod gate;
mod handle;
mod run;
mod slots;
mod unit;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::history::History;
use super::journal::Journal;
use super::names::RunId;
use super::plan::Plan;
use super::runner::{ActionCache, Admission, NodeError, NodeRunner};

pub use handle::{Counts, NodeView, Report, RunHandle};

/// Runs plans with one runner, each run on its own, all on the tokio runtime on which it is started. Cheap to
/// clone.
#[derive(Clone)]
pub struct Executor {
    runner: Arc<dyn NodeRunner>,
    journal: Option<Arc<dyn Journal>>,
    admission: Option<Arc<dyn Admission>>,
    cache: Option<Arc<dyn ActionCache>>,
    settings: Settings,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// How many threads of the runtime walk the graph of one run.
    pub threads: usize,
    /// How many nodes of one run are executed at once, those on the spot not counted.
    pub parallel: usize,
    /// For attempts whose node has no timeout of its own.
    pub timeout: Duration,
    /// How long an attempt that was told to end may go on before it is dropped.
    pub grace: Duration,
    /// The end of every node, pure or not, is durable before anything after it starts.
    pub strict: bool,
    /// After so many attempts in a row that the death of the process cut off, a node has failed.
    pub cut_off: u32,
    /// The most that the outputs of one node may hold, in bytes of their text, roughly.
    pub largest_output: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            parallel: 16,
            timeout: Duration::from_secs(3600),
            grace: Duration::from_millis(500),
            strict: false,
            cut_off: 5,
            largest_output: 4 << 20,
        }
    }
}

/// What is to be run.
#[derive(Debug)]
pub struct Job {
    pub run: RunId,
    pub plan: Arc<Plan>,
    /// As [`Plan::inputs`] gives them.
    pub inputs: Map<String, Value>,
    /// What the journal has of this run; empty for a new one. Completed nodes are not run again.
    pub history: History,
}

impl Executor {
    /// Keeps nothing: a run dies with its process, unless it is given a journal.
    pub fn new(runner: Arc<dyn NodeRunner>, settings: Settings) -> Self {
        Self { runner, journal: None, admission: None, cache: None, settings }
    }

    #[must_use]
    pub fn with_journal(mut self, journal: Arc<dyn Journal>) -> Self {
        self.journal = Some(journal);
        self
    }

    #[must_use]
    pub fn with_admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admission = Some(admission);
        self
    }

    #[must_use]
    pub fn with_cache(mut self, cache: Arc<dyn ActionCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Starts a run, or goes on with one. Has to be called within a tokio runtime. The run goes on when the
    /// handle is dropped.
    ///
    /// # Errors
    /// The inputs are not those of the melody.
    pub fn start(&self, job: Job) -> Result<RunHandle, NodeError> {
        let inputs = job.plan.inputs(job.inputs)?;
        Ok(run::start(self, Job { inputs, ..job }))
    }
}
