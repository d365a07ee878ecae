//! What must outlive the process: the record of a run.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names::{IdempotencyKey, NodePath, RunId};
use super::runner::NodeError;
use super::states::RunState;

/// Keeps records of runs, in the order in which they come. Implemented by the daemon over the store.
pub trait Journal: Send + Sync + 'static {
    /// Resolves when all records of the batch survive what `batch.durability` says; all or none of them.
    ///
    /// For one run, the executor gives the next batch only after this one has resolved: everything that comes
    /// meanwhile is the next batch (group commit). Batches of different runs come at the same time. After an
    /// error the run stops where it is, starts nothing more, and ends as interrupted.
    fn append(&self, batch: Batch) -> BoxFuture<'static, Result<(), JournalError>>;
}

#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    pub run: RunId,
    /// Never empty; in the order in which things happened.
    pub records: Vec<Record>,
    pub durability: Durability,
}

/// What records must survive before something goes on because of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// The death of the process: pure nodes.
    Lax,
    /// The loss of power: nodes with effects, and the ends of runs.
    Strict,
}

/// One thing that happened. Times are milliseconds since 1970 by the wall clock, durations nanoseconds by a
/// clock that never jumps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum Record {
    /// The run came into this state.
    Run { state: RunState, at: u64, error: Option<String> },
    /// An attempt is about to be made. Not written for nodes that run on the spot.
    Started { node: NodePath, attempt: u32, key: IdempotencyKey, at: u64 },
    /// An attempt failed and another one follows after `wait`.
    Retrying { node: NodePath, attempt: u32, at: u64, error: NodeError, wait: Duration },
    /// No attempt succeeded; the node that stands in for it, or undoes what it half did, is run now.
    GaveUp { node: NodePath, attempt: u32, at: u64, error: NodeError },
    /// The node came to its end.
    Ended(Box<Ended>),
    /// These nodes are as if they had never run: the next run of the plan runs them again. Attempts are
    /// counted on.
    Forgotten { nodes: Vec<NodePath>, at: u64 },
}

/// The end of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub node: NodePath,
    /// How many attempts it took; 0 if it was never run.
    pub attempt: u32,
    pub outcome: Outcome,
    /// When it became ready, began (its last attempt) and ended.
    pub ready: u64,
    pub start: u64,
    pub end: u64,
    /// Of the last attempt, nanoseconds.
    pub took: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// `cached`: the outputs come from the [`super::ActionCache`].
    Completed {
        outputs: Map<String, Value>,
        cached: bool,
    },
    /// The node failed for good; `tolerated` if the run goes on without it. `instead` is what its fallback
    /// gave.
    Failed {
        error: NodeError,
        tolerated: bool,
        instead: Option<Map<String, Value>>,
    },
    Skipped {
        reason: String,
    },
    Cancelled,
}

#[derive(Debug, thiserror::Error)]
#[error("the record of the run could not be kept")]
pub struct JournalError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
