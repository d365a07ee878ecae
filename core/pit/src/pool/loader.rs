//! What the pool asks of whoever knows how models come into being.

use std::time::Duration;

use futures_util::future::BoxFuture;

/// Makes and unmakes what the pool keeps: weights in memory, a connection to a provider, an agent's process.
///
/// Its futures run in tasks of their own, so that a caller that stops waiting ends nothing for the others. A panic in
/// one of them fails that load alone.
pub trait Loader: Send + Sync + 'static {
    /// What a guard gives. It may be one enum for several kinds.
    type Model: Send + Sync + 'static;

    /// What loading it will take, as far as is known before. Asked under the pool's lock: must be quick.
    ///
    /// # Errors
    /// When it cannot be loaded at all, or not now.
    fn footprint(&self, name: &str) -> Result<Footprint, LoadError>;

    /// Loads it.
    fn load(&self, name: &str) -> BoxFuture<'static, Result<Loaded<Self::Model>, LoadError>>;

    /// Makes a loaded model quick for its first user. It cannot be acquired before.
    fn warm<'a>(&'a self, _name: &'a str, _model: &'a Self::Model) -> BoxFuture<'a, Result<(), LoadError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Ends it. What it took counts as free when this is done.
    fn unload(&self, _name: &str, model: Box<Self::Model>) -> BoxFuture<'static, ()> {
        Box::pin(async move { drop(model) })
    }
}

/// What a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of memory while it is loaded. 0 for what takes none here, such as a connection.
    pub bytes: u64,
    /// Time to load it, until the pool has measured that.
    pub cost: Duration,
}

/// A model, loaded.
#[derive(Debug)]
pub struct Loaded<M> {
    pub model: M,
    /// Bytes of memory that it takes in fact.
    pub bytes: u64,
}

/// Why a model cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct LoadError {
    /// A sentence for people.
    pub reason: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// Not before so long. Without, the pool's own backoff.
    pub retry_after: Option<Duration>,
}

impl LoadError {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hints: Vec::new(), retry_after: None }
    }

    #[must_use]
    pub fn with_hints(mut self, hints: Vec<String>) -> Self {
        self.hints = hints;
        self
    }

    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}
