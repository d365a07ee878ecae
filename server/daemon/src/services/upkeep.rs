//! Merging, closing, and keeping repositories in order.

use podium_protocol::{
    DiskUse, Progress, RepoDiagnosis, RepoDoctorParams, RepoReconcileParams, RepoReconciled,
    RepoRepairParams, RepoRepaired, TypeChangeParams, TypeList, TypeListParams, UndoList, UndoListParams,
    WireError, WorktreeCloseParams, WorktreeDuParams, WorktreeMergeParams, WorktreeMerged,
    WorktreePruneParams, WorktreeRemoved, WorktreesPruned, notify,
};

use crate::call::Call;

type Answer<T> = Result<T, WireError>;

pub(crate) async fn merge(call: Call, params: WorktreeMergeParams) -> Answer<WorktreeMerged> {
    call.daemon.worktrees.merge(params, &call.worktree_caller()).await
}

pub(crate) async fn close(call: Call, params: WorktreeCloseParams) -> Answer<WorktreeRemoved> {
    call.daemon.worktrees.close(params, &call.worktree_caller()).await
}

pub(crate) async fn undos(call: Call, params: UndoListParams) -> Answer<UndoList> {
    call.daemon.worktrees.undos(params, &call.worktree_caller()).await
}

pub(crate) async fn prune(call: Call, params: WorktreePruneParams) -> Answer<WorktreesPruned> {
    call.daemon.worktrees.prune(params, &call.worktree_caller()).await
}

pub(crate) async fn repair(call: Call, params: RepoRepairParams) -> Answer<RepoRepaired> {
    call.daemon.worktrees.repair(params, &call.worktree_caller()).await
}

pub(crate) async fn reconcile(call: Call, params: RepoReconcileParams) -> Answer<RepoReconciled> {
    call.daemon.worktrees.reconcile_now(params, &call.worktree_caller()).await
}

pub(crate) async fn doctor(call: Call, params: RepoDoctorParams) -> Answer<RepoDiagnosis> {
    call.daemon.worktrees.diagnose(params, &call.worktree_caller()).await
}

pub(crate) async fn disk_use(call: Call, params: WorktreeDuParams) -> Answer<DiskUse> {
    let (peer, request) = (&call.peer, call.request);
    let report = |name: &str, done: usize, total: usize| {
        let (done, total) =
            (u64::try_from(done).unwrap_or_default(), u64::try_from(total).unwrap_or_default());
        let progress = Progress { request, message: name.to_owned(), done, total };
        peer.notify_lossy(notify::PROGRESS, &progress);
    };
    call.daemon.worktrees.disk_use(params, &call.worktree_caller(), report).await
}

pub(crate) async fn types(call: Call, params: TypeListParams) -> Answer<TypeList> {
    call.daemon.worktrees.types(params).await
}

pub(crate) async fn add_type(call: Call, params: TypeChangeParams) -> Answer<TypeList> {
    call.daemon.worktrees.add_type(params).await
}

pub(crate) async fn remove_type(call: Call, params: TypeChangeParams) -> Answer<TypeList> {
    call.daemon.worktrees.remove_type(params).await
}
