//! `sync/*` and `guard/*`.

use podium_protocol::{
    GuardReport, GuardRunParams, SyncBackups, SyncBackupsParams, SyncReport, SyncRunParams, WireError,
};

use crate::call::Call;

pub(crate) async fn run(call: Call, params: SyncRunParams) -> Result<SyncReport, WireError> {
    call.daemon.worktrees.sync(params, &call.worktree_caller()).await
}

pub(crate) async fn backups(call: Call, params: SyncBackupsParams) -> Result<SyncBackups, WireError> {
    call.daemon.worktrees.sync_backups(params, &call.worktree_caller()).await
}

pub(crate) async fn guard(call: Call, params: GuardRunParams) -> Result<GuardReport, WireError> {
    call.daemon.worktrees.guard(params, &call.worktree_caller()).await
}
