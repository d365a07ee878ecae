//! `worktree/conflicts`.

use podium_protocol::{WireError, WorktreeConflicts, WorktreeConflictsParams};

use crate::call::Call;

pub(crate) async fn list(
    call: Call,
    params: WorktreeConflictsParams,
) -> Result<WorktreeConflicts, WireError> {
    call.daemon.worktrees.conflicts(params, &call.worktree_caller()).await
}
