//! `worktree/*`.

use podium_protocol::{
    WireError, WorktreeCreateParams, WorktreeCreated, WorktreeList, WorktreeListParams, WorktreeLocateParams,
    WorktreeLocated, WorktreeRemoveParams, WorktreeRemoved, WorktreeStatus, WorktreeStatusParams,
    WorktreeSwitchParams, WorktreeSwitched, WorktreeUndoParams, WorktreeUndone,
};

use crate::call::Call;

type Answer<T> = Result<T, WireError>;

pub(crate) async fn create(call: Call, params: WorktreeCreateParams) -> Answer<WorktreeCreated> {
    call.daemon.worktrees.create(params, &call.worktree_caller()).await
}

pub(crate) async fn list(call: Call, params: WorktreeListParams) -> Answer<WorktreeList> {
    call.daemon.worktrees.list(params, &call.worktree_caller()).await
}

pub(crate) async fn status(call: Call, params: WorktreeStatusParams) -> Answer<WorktreeStatus> {
    call.daemon.worktrees.status(params, &call.worktree_caller()).await
}

pub(crate) async fn switch(call: Call, params: WorktreeSwitchParams) -> Answer<WorktreeSwitched> {
    call.daemon.worktrees.switch(params, &call.worktree_caller()).await
}

pub(crate) async fn remove(call: Call, params: WorktreeRemoveParams) -> Answer<WorktreeRemoved> {
    call.daemon.worktrees.remove(params, &call.worktree_caller()).await
}

pub(crate) async fn undo(call: Call, params: WorktreeUndoParams) -> Answer<WorktreeUndone> {
    call.daemon.worktrees.undo(params, &call.worktree_caller()).await
}

pub(crate) async fn locate(call: Call, params: WorktreeLocateParams) -> Answer<WorktreeLocated> {
    call.daemon.worktrees.locate(params, &call.worktree_caller()).await
}
