//! `sync/*`.

use podium_protocol::{SyncBackups, SyncBackupsParams, SyncReport, SyncRunParams, WireError};

use crate::call::Call;

pub(crate) async fn run(call: Call, params: SyncRunParams) -> Result<SyncReport, WireError> {
    call.daemon.worktrees.sync(params, &call.worktree_caller()).await
}

pub(crate) async fn backups(call: Call, params: SyncBackupsParams) -> Result<SyncBackups, WireError> {
    call.daemon.worktrees.sync_backups(params, &call.worktree_caller()).await
}
