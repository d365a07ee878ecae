//! What the executor asks of others: to run one node, to admit it, to know its answer already.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use podium_melody::{Limits, NodeKind, PortType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::names::{IdempotencyKey, InputHash, NodePath, RunId};

/// Runs one node. Implemented by the daemon; the executor knows only control nodes and `noop`.
pub trait NodeRunner: Send + Sync + 'static {
    /// How this is run. What the catalogue says, unless the runner knows better (what takes microseconds may
    /// run [`Conduct::Inline`]).
    fn conduct(&self, work: &Work) -> Conduct {
        work.conduct
    }

    /// Runs one attempt of one node, to its outputs by port.
    ///
    /// Called within a tokio runtime. The future is dropped when its time is over or the run is cancelled
    /// (after `call.cancel` has told so and [`super::Settings::grace`] has passed), so children have to die
    /// with it. A panic is caught and fails this node alone.
    fn run(&self, call: NodeCall) -> BoxFuture<'static, Result<Map<String, Value>, NodeError>>;

    /// Runs a node of [`Conduct::Inline`], on the thread that found it ready. Must not block.
    fn compute(&self, call: NodeCall) -> Result<Map<String, Value>, NodeError> {
        let message = format!("`{}` cannot be computed on the spot", call.work.uses);
        Err(NodeError::new(FailureKind::Internal, message))
    }
}

/// What a node is to do; the same for each of its attempts.
#[derive(Debug, Clone)]
pub struct Work {
    pub kind: NodeKind,
    /// The session provider, operator or control node.
    pub uses: String,
    /// As the melody says them: with their `{{name}}`s.
    pub params: Map<String, Value>,
    pub limits: Limits,
    /// For each attempt. Without one, [`super::Settings::timeout`].
    pub timeout: Option<Duration>,
    /// What the catalogue says of it.
    pub conduct: Conduct,
    /// The input ports that can do without a value.
    pub inlets: Arc<[Inlet]>,
    /// The output ports, the main one first.
    pub outlets: Arc<[Outlet]>,
}

/// An input port that can do without a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Inlet {
    pub name: String,
    /// Where no edge brings one.
    pub default: Option<Value>,
}

/// An output port.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlet {
    pub name: String,
    pub port_type: PortType,
}

/// How a node is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conduct {
    /// At once, on the spot, by [`NodeRunner::compute`]: pure, microseconds long.
    Inline,
    /// By [`NodeRunner::run`]. Its outputs follow from its inputs alone: they may come from the
    /// [`ActionCache`], and a death between its end and the next group commit makes it run again.
    Pure,
    /// As `Pure`, but what it gives depends on what it finds: never from the cache.
    Reading,
    /// By [`NodeRunner::run`]. It acts on the world: that it started is durable before it is run, that it
    /// ended is durable before anything after it starts.
    Effect,
}

/// One attempt of one node.
#[derive(Debug, Clone)]
pub struct NodeCall {
    pub run: RunId,
    pub node: NodePath,
    pub work: Arc<Work>,
    /// Values by port: what the data edges carried, else the port's default.
    pub inputs: Map<String, Value>,
    /// The inputs of the whole melody.
    pub run_inputs: Arc<Map<String, Value>>,
    /// From 1.
    pub attempt: u32,
    /// The attempt before this one was recorded as started and never ended: it may have acted. Who can tell
    /// by `key` whether it did, must not act again.
    pub interrupted: bool,
    pub key: IdempotencyKey,
    /// Its time is over, or the run is cancelled.
    pub cancel: CancellationToken,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct NodeError {
    pub kind: FailureKind,
    pub message: String,
    /// Another attempt may succeed. What is not retryable is not tried again, whatever `on_error` says.
    pub retryable: bool,
    /// Not before so long: the retry time that a provider tells.
    pub retry_after: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The node did its work and that failed: a command's status, a refused request.
    Failed,
    /// An input or parameter cannot be used.
    BadInput,
    /// It gave what its ports do not allow.
    BadOutput,
    TimedOut,
    Panicked,
    Cancelled,
    /// It was not allowed to.
    Denied,
    /// Something it needs is not there now.
    Unavailable,
    /// More memory, tokens or money than it may use.
    LimitExceeded,
    Internal,
}

impl NodeError {
    /// Retryable if `kind` is one that time may mend.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        use FailureKind as K;
        let retryable = matches!(kind, K::Failed | K::TimedOut | K::Panicked | K::Unavailable);
        Self { kind, message: message.into(), retryable, retry_after: None }
    }

    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

/// Says when a node may run: the daemon's arbitration.
pub trait Admission: Send + Sync + 'static {
    /// Resolves when the node has what it needs; what it has is given back by dropping the permit. Not asked
    /// for [`Conduct::Inline`].
    fn admit(
        &self,
        run: &RunId,
        node: &NodePath,
        work: &Arc<Work>,
    ) -> BoxFuture<'static, Result<Permit, NodeError>>;
}

/// What a node holds while it runs.
pub struct Permit(Box<dyn Any + Send>);

impl Permit {
    pub fn of(held: impl Any + Send) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&(*self.0).type_id()).finish()
    }
}

/// Answers of pure nodes, by what they were given.
pub trait ActionCache: Send + Sync + 'static {
    fn find(&self, key: ActionKey) -> BoxFuture<'static, Option<Map<String, Value>>>;

    /// Told after the outputs are durable in the run's journal.
    fn keep(&self, key: ActionKey, outputs: &Map<String, Value>);
}

/// Hash of what a pure node does and of what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionKey([u8; 32]);

impl ActionKey {
    pub(crate) fn of(uses: &str, inputs: &InputHash) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("podium 2026 action of a pure node");
        hasher.update(&(uses.len() as u64).to_le_bytes());
        hasher.update(uses.as_bytes());
        hasher.update(inputs.bytes());
        Self(*hasher.finalize().as_bytes())
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
