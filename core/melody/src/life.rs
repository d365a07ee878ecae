//! The life of a melody before it runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Draft -> Validating -> Ready; a change makes it a draft again. What comes after is a run's, not the melody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    /// Being written, or found to have faults.
    Draft,
    /// Being looked at.
    Validating,
    /// Without an error: it may run.
    Ready,
}

impl Life {
    /// Whether a melody may go from this state to `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Draft | Self::Ready, Self::Validating)
                | (Self::Validating, Self::Ready | Self::Draft)
                | (Self::Ready, Self::Draft)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_ready_without_being_validated() {
        assert!(!Life::Draft.may_become(Life::Ready));
        assert!(Life::Draft.may_become(Life::Validating) && Life::Validating.may_become(Life::Ready));
        assert!(Life::Ready.may_become(Life::Draft), "it was changed");
    }
}
