//! Errors as they travel: a kind that decides exit code and JSON-RPC code, a message, and what to do next.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ClaimOwner;

/// What went wrong, in the six words a client acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request is wrong: bad name, missing argument, no permission.
    User,
    /// What was named does not exist.
    NotFound,
    /// Somebody else holds it, or the state forbids it: claimed, dirty, in use, stale token.
    Conflict,
    /// Try again later: queue full, rate limit, lock held.
    Busy,
    /// A part that is needed is not there: no model, no network, daemon stopping.
    Unavailable,
    /// A fault of Podium itself.
    #[serde(other)]
    Internal,
}

impl ErrorKind {
    /// Exit code of a command line: 1 failed, 2 usage, 3 conflict, 4 not found, 5 busy or unavailable.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::User | Self::Internal => 1,
            Self::Conflict => 3,
            Self::NotFound => 4,
            Self::Busy | Self::Unavailable => 5,
        }
    }

    /// Code of a JSON-RPC error response. -32602 is "invalid params" and -32603 "internal error" by the
    /// JSON-RPC 2.0 specification; the others lie in its range for servers.
    #[must_use]
    pub const fn json_rpc_code(self) -> i64 {
        match self {
            Self::User => -32602,
            Self::NotFound => -32004,
            Self::Conflict => -32003,
            Self::Busy => -32005,
            Self::Unavailable => -32006,
            Self::Internal => -32603,
        }
    }
}

/// An error as a client sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct WireError {
    pub kind: ErrorKind,
    /// One sentence for a person, with what was asked and what stood in the way.
    pub message: String,
    /// What to do next, best first.
    #[serde(default)]
    pub hints: Vec<String>,
    /// A value that was given can never be right, whatever the state: a bad name, a bound that is exceeded. Command
    /// lines end with 2 instead of 1.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub usage: bool,
    /// Who holds what was asked for, on a conflict over a claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<ClaimOwner>,
    /// What may have been meant, best first, where a name means several things.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// A worktree that may have been meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    pub name: String,
    pub branch: Option<String>,
    pub path: String,
    /// Who holds it.
    pub owner: Option<ClaimOwner>,
}

impl WireError {
    /// Exit code of a command line that ends with this.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        if self.usage { 2 } else { self.kind.exit_code() }
    }

    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hints: Vec::new(),
            usage: false,
            owner: None,
            candidates: Vec::new(),
        }
    }

    #[must_use]
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// A value that was given can never be right.
    #[must_use]
    pub fn usage(message: impl Into<String>) -> Self {
        Self { usage: true, ..Self::user(message) }
    }

    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    #[must_use]
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    #[must_use]
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Busy, message)
    }

    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn owned_by(mut self, owner: ClaimOwner) -> Self {
        self.owner = Some(owner);
        self
    }

    #[must_use]
    pub fn meaning(mut self, candidates: Vec<Candidate>) -> Self {
        self.candidates = candidates;
        self
    }

    /// The error for a method this side does not know.
    #[must_use]
    pub fn unknown_method(method: &str) -> Self {
        let shown: String = method.chars().take(80).collect();
        Self::user(format!("unknown method `{shown}`"))
            .hint("the daemon may be older than this client: run `podium daemon stop` and try again")
    }
}
