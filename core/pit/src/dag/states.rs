//! The states of a node and of a run (seed 003, diagram 7).

use serde::{Deserialize, Serialize};

/// Where a node stands. `Completed`, `Failed`, `Skipped` and `Cancelled` are ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum NodeState {
    /// Waits for a node before it.
    Pending,
    /// All before it have ended; it waits for its turn.
    Ready,
    /// It has what it runs on.
    Allocated,
    Executing,
    /// It has done its work, which is not yet durable.
    Storing,
    Completed,
    Failed,
    /// An attempt failed; the next one waits for its time.
    Retrying,
    /// Not needed: a condition was not met, or a node before it failed and may be left out.
    Skipped,
    Cancelled,
}

impl NodeState {
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    pub(crate) fn from_u8(value: u8) -> Self {
        const ALL: [NodeState; 10] = [
            NodeState::Pending,
            NodeState::Ready,
            NodeState::Allocated,
            NodeState::Executing,
            NodeState::Storing,
            NodeState::Completed,
            NodeState::Failed,
            NodeState::Retrying,
            NodeState::Skipped,
            NodeState::Cancelled,
        ];
        ALL.get(usize::from(value)).copied().unwrap_or(NodeState::Pending)
    }
}

/// Where a run stands. `Completed`, `Failed` and `Cancelled` are ends.
///
/// The executor sets the states from `Queued` on; before that a run is its starter's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    Draft,
    Validating,
    Ready,
    Queued,
    Executing,
    /// What runs ends, nothing new starts.
    Paused,
    Completed,
    Failed,
    Cancelled,
}

impl RunState {
    pub fn is_end(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_back_from_its_number() {
        for number in 0..10 {
            assert_eq!(NodeState::from_u8(number) as u8, number);
        }
    }
}
