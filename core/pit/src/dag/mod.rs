//! One melody's graph, run.
//!
//! A [`Plan`] is the melody compiled to arrays. The [`Executor`] walks it: it calls the [`NodeRunner`] for
//! what a node does, and writes what happened to the [`Journal`], from which a [`History`] tells a later
//! process how to go on.
//!
//! What holds after the death of the process at any moment: a node whose end is recorded is never run again;
//! one that was recorded as started and not as ended is run again under the same [`IdempotencyKey`], and is
//! told so ([`NodeCall::interrupted`]). A node with effects starts only once everything that led to it is
//! durable.

mod clock;
mod counter;
mod exec;
mod history;
mod inputs;
mod journal;
mod ledger;
mod metrics;
mod names;
mod plan;
mod runner;
mod states;
mod tracker;

pub use exec::{Counts, Executor, Job, NodeView, Report, RunHandle, Settings};
pub use history::{ControlError, History, Open, Past};
pub use journal::{Batch, Durability, Ended, Journal, JournalError, Outcome, Record};
pub use metrics::{Durations, Metrics, NodeMetrics, Summary};
pub use names::{IdempotencyKey, NodePath, RunId};
pub use plan::{
    LoopSpec, MAX_EDGES, MAX_NODES, MapSpec, NodeSpec, Op, Plan, PlanBuilder, PlanError, Policy, Then,
};
pub use runner::{
    ActionCache, ActionKey, Admission, Conduct, FailureKind, Inlet, NodeCall, NodeError, NodeRunner, Outlet,
    Permit, Work,
};
pub use states::{NodeState, RunState};
