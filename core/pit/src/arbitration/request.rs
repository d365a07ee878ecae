//! What is asked for, and what there is.

use std::sync::Arc;

use super::paths::WritePath;

/// What there is for all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// Bytes.
    pub memory: u64,
    /// Thousandths of a processor.
    pub cpu: u64,
    /// Tokens of model providers; as many may be taken at once after a minute without use.
    pub tokens_per_minute: u64,
    /// Millionths of a dollar that each user may spend. `None`: no bound.
    pub cost: Option<u64>,
}

/// What a node needs while it runs, all at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Bytes, while it runs.
    pub memory: u64,
    /// Thousandths of a processor, while it runs.
    pub cpu: u64,
    /// Tokens that it will use at most.
    pub tokens: u64,
    /// Millionths of a dollar that it will cost at most.
    pub cost: u64,
    /// Where it writes; a folder stands for all below it. Nobody else writes there meanwhile.
    pub writes: Vec<WritePath>,
}

/// A node that asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// On whose behalf.
    pub user: Arc<str>,
    pub run: Arc<str>,
    /// Within its run. A node that has something, or waits, may not ask again.
    pub node: Arc<str>,
    /// Of the run among those of its user: with 2 it gets twice as much as one with 1. 0 counts as 1.
    pub weight: u32,
    pub needs: Needs,
}

/// What a node has used in fact, of what is not given back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    pub tokens: u64,
    /// Millionths of a dollar.
    pub cost: u64,
}
