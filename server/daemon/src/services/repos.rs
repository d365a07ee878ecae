//! `repo/*`.

use podium_protocol::{
    RepoForgetParams, RepoForgotten, RepoList, RepoListParams, RepoRegisterParams, RepoRegistered, WireError,
};

use crate::call::Call;

pub(crate) async fn register(call: Call, params: RepoRegisterParams) -> Result<RepoRegistered, WireError> {
    call.daemon.worktrees.register(&params.at, &call.worktree_caller()).await
}

pub(crate) async fn list(call: Call, _params: RepoListParams) -> Result<RepoList, WireError> {
    call.daemon.worktrees.repos().await
}

pub(crate) async fn forget(call: Call, params: RepoForgetParams) -> Result<RepoForgotten, WireError> {
    call.daemon.worktrees.forget(params, &call.worktree_caller()).await
}
