//! What was decided, and why.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where decisions are kept. Called outside of the arbiter's lock, on whatever thread decided: must not block.
pub trait DecisionSink: Send + Sync + 'static {
    fn decided(&self, decision: &Decision);
}

/// One decision about one request. That it still waits for the same reason is not told again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Rises by 1 with each decision; they may be told in another order.
    pub seq: u64,
    /// By the arbiter's clock.
    pub at: Duration,
    /// The same for all decisions about one request.
    pub request: u64,
    pub user: Arc<str>,
    pub run: Arc<str>,
    pub node: Arc<str>,
    pub verdict: Verdict,
    /// Since it was asked for.
    pub waited: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Granted,
    /// It waits.
    Deferred(Refusal),
    /// It will never be granted.
    Refused(Refusal),
    /// Who asked does not wait any more.
    Withdrawn,
    /// What it had is given back.
    Released,
}

/// Why something was not granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refusal {
    pub reason: Reason,
    /// A sentence for people, with the numbers.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It would have fitted, but another went first.
    LowerPriority,
    /// Memory, processors or paths are taken, or there is not as much at all.
    ResourceUnavailable,
    CostExceeded,
    /// The tokens of this minute are used up.
    RateLimited,
    /// It asks for what it may not have.
    PolicyViolation,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LowerPriority => "lower priority",
            Self::ResourceUnavailable => "resource unavailable",
            Self::CostExceeded => "cost exceeded",
            Self::RateLimited => "rate limited",
            Self::PolicyViolation => "policy violation",
        })
    }
}

impl Refusal {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
